/** A table of many customers, searched, sorted and paged by the server; search and order stand in the address. */
import { useKeys } from "../frame/keyboard.js";
import { rewrite } from "../links.js";
import { PAGE, useList } from "./list.js";
import { count, counted } from "../numbers.js";
import { clock } from "../time.js";
import { html, useEffect, useRef, useSignal } from "../ui.js";

const TYPING_MS = 200;
const FRESH_S = 20;

/**
 * The page of a list. `path` answers `{items, next}`; `columns` are `{sort, label, kind, cell(item)}`, the first
 * the one rows are named by; `many` and `one` are what the rows are called; `children` stand where nothing is yet.
 */
export function CustomerList({ title, path, query = {}, columns, one, many, children }) {
    const asked = new URLSearchParams(location.search);
    const search = useSignal(asked.get("q") ?? "");
    const sort = useSignal(columns.find((column) => column.sort === asked.get("sort"))?.sort ?? "last_seen");
    const order = useSignal(["asc", "desc"].find((one) => one === asked.get("order")) ?? natural(sort.value, columns));
    const list = useList(path, { ...query, search: search.value.trim(), sort: sort.value, order: order.value });
    const reading = useRef(null);
    const input = useRef(null);

    useEffect(() => {
        rewrite({
            q: search.value.trim(),
            sort: sort.value === "last_seen" ? "" : sort.value,
            order: order.value === natural(sort.value, columns) ? "" : order.value,
        });
    }, [search.value, sort.value, order.value]);
    useEffect(() => {
        const timer = setInterval(() => {
            if (!document.hidden && !reading.current?.matches(":hover, :focus-within")) list.refresh();
        }, FRESH_S * 1000);
        return () => clearInterval(timer);
    }, [list]);

    const sortBy = (column) => {
        order.value = column === sort.value ? (order.value === "asc" ? "desc" : "asc") : natural(column, columns);
        sort.value = column;
    };
    const clear = () => {
        search.value = "";
        input.current.value = "";
        input.current.focus();
    };
    const { items, next, searched, problem, busy, at } = list.state.value;
    return html`
        <div class="page-head">
            <h1 tabindex="-1">${title}</h1>
            <span class="soft" role="status">${said({ items, next, searched, one, many })}</span>
            <div class="tools">
                <${Search} input=${input} search=${search} label=${`Search ${many} by name or id`} />
            </div>
        </div>
        ${problem && html`<${Failed} problem=${problem} again=${list.refresh} />`}
        <section class="panel customers" aria-busy=${String(busy)} ref=${reading}>
            <table class="rows" aria-label=${title}>
                <thead>
                    <tr>
                        ${columns.map(
                            (column) =>
                                html`<${Heading} ...${column} by=${sort.value} order=${order.value} sortBy=${sortBy} />`,
                        )}
                    </tr>
                </thead>
                <tbody>
                    ${items
                        ? items.map(
                              (item) => html`<${Row} key=${columns[0].key(item)} item=${item} columns=${columns} />`,
                          )
                        : !problem && html`<${Waiting} columns=${columns.length} />`}
                </tbody>
            </table>
            ${items?.length === 0 &&
            (searched
                ? html`<div class="empty">
                      <p>No ${one} has “${searched}” in its name or id.</p>
                      <p><button onClick=${clear}>Show all ${many}</button></p>
                  </div>`
                : html`<div class="empty">${children}</div>`)}
            ${items?.length > 0 &&
            html`<footer>
                <span class="soft"
                    >${next ? `${count(items.length)} shown, there are more` : `All ${count(items.length)} shown`}</span
                >
                ${next && html`<button onClick=${list.more} disabled=${busy}>Show ${PAGE} more</button>`}
                <span class="faint as-of">As of ${clock(at)}</span>
            </footer>`}
        </section>
    `;
}

const natural = (sort, columns) => (sort === columns[0].sort ? "asc" : "desc");

function said({ items, next, searched, one, many }) {
    if (!items) return "Loading …";
    if (!items.length && !searched) return "";
    const some = next ? `${count(items.length)} ${many} shown` : counted(items.length, one, many);
    return searched ? `${some} with “${searched}”` : some;
}

function Search({ input, search, label }) {
    const timer = useRef(0);
    const take = (text) => {
        clearTimeout(timer.current);
        search.value = text;
    };
    useEffect(() => () => clearTimeout(timer.current), []);
    useKeys("List", [{ key: "/", does: "Search", run: () => input.current.focus() }]);
    const typed = (event) => {
        const text = event.target.value;
        clearTimeout(timer.current);
        timer.current = setTimeout(() => take(text), TYPING_MS);
    };
    const submit = (event) => {
        event.preventDefault();
        take(input.current.value);
    };
    return html`<form role="search" onSubmit=${submit}>
        <input
            type="search"
            ref=${input}
            placeholder="Search  /"
            aria-label=${label}
            autocomplete="off"
            spellcheck=${false}
            maxlength="200"
            defaultValue=${search.peek()}
            onInput=${typed}
        />
    </form>`;
}

function Heading({ sort, label, kind, by, order, sortBy }) {
    if (!sort) return html`<th scope="col" class=${kind}>${label}</th>`;
    const sorted = sort === by;
    return html`<th scope="col" class=${kind} aria-sort=${sorted ? `${order}ending` : undefined}>
        <button class="quiet" onClick=${() => sortBy(sort)}>
            ${label}
            ${sorted &&
            html`<svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
                <path d=${order === "asc" ? "m5 9.5 3-3 3 3" : "m5 6.5 3 3 3-3"} />
            </svg>`}
        </button>
    </th>`;
}

function Row({ item, columns }) {
    return html`<tr>
        ${columns.map(({ kind, cell }) => html`<td class=${kind}>${cell(item)}</td>`)}
    </tr>`;
}

const Waiting = ({ columns }) =>
    Array.from(
        { length: 12 },
        (_, row) => html`<tr key=${row}><td class="waiting" colspan=${columns}><span></span></td></tr>`,
    );

/** What failed and the way on, in place. */
export function Failed({ problem, again }) {
    return html`<p class="notice failed" role="alert">
        <span>${problem.message}</span><span class="soft">${problem.hint}</span>
        <button onClick=${again}>Try again</button>
    </p>`;
}
