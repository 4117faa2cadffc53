/** Rejected: what was refused and why, and how it gets in after all. */
import { useAnswer } from "../api.js";
import { Failure } from "../failure.js";
import { rewrite } from "../links.js";
import { count } from "../numbers.js";
import { Time } from "../time.js";
import { html, useEffect, useRef, useSignal } from "../ui.js";
import { Failed } from "./customer_list.js";
import { PAGE, useList } from "./list.js";
import { Alike } from "./rejected_alike.js";
import { RejectedEvent } from "./rejected_event.js";

const EVERY_S = 10;
const COLUMNS = 5;
const STATES = [
    ["open", "Open"],
    ["replayed", "Replayed"],
    ["dismissed", "Dismissed"],
];
const NONE = {
    open: "Nothing of this is open.",
    replayed: "Nothing of this was replayed.",
    dismissed: "Nothing of this was dismissed.",
};
const WITHOUT = { ingest: "does not say", import: "an import", consumer: "a record of the log" };

export const title = () => "Rejected";

/** The page. Rows stand still while one is open or pointed at; what was done to them shows in place. */
export function Page() {
    const asked = new URLSearchParams(location.search);
    const code = useSignal(asked.get("code"));
    const state = useSignal(STATES.find(([name]) => name === asked.get("state"))?.[0] ?? "open");
    const opened = useSignal(null);
    const settled = useSignal({});
    const summary = useAnswer("/v1/rejected/summary", {}, { everyS: EVERY_S });
    const list = useList("/v1/rejected", { code: code.value, state: state.value }, "before");
    const reading = useRef(null);

    useEffect(() => {
        opened.value = null;
        settled.value = {};
        rewrite({ code: code.value, state: state.value === "open" ? "" : state.value });
    }, [code.value, state.value]);
    useEffect(() => {
        const timer = setInterval(() => {
            const still = opened.value || reading.current?.matches(":hover, :focus-within");
            if (!document.hidden && !still) list.refresh();
        }, EVERY_S * 1000);
        return () => clearInterval(timer);
    }, [list]);

    const reasons = summary.value.value?.items;
    const changed = () => {
        summary.refresh();
        list.refresh();
    };
    const settle = (id, how) => {
        settled.value = { ...settled.value, [id]: how };
        summary.refresh();
    };
    const itemsOf = ({ code: named }) => (list.state.value.items ?? []).filter((item) => item.code === named);
    const reason = reasons?.find((one) => one.code === code.value);
    return html`
        <div class="page-head">
            <h1 tabindex="-1">Rejected</h1>
            <p class="soft">What was refused in the last 8 days, and how it gets in after all</p>
            <p class="tools faint">${summary.at.value > 0 && html`<span>as of <${Time} at=${summary.at.value} /></span>`}</p>
        </div>
        <div class="stack">
            <${Failure} problem=${summary.problem.value} at=${summary.at.value} />
            ${reasons?.length === 0
                ? html`<${Nothing} />`
                : html`
                      <${Reasons} reasons=${reasons} code=${code} />
                      ${reason &&
                      state.value === "open" &&
                      html`<${Alike} key=${reason.code} reason=${reason} items=${itemsOf(reason)} changed=${changed} />`}
                      <section class="panel" aria-label="Events" aria-busy=${String(list.state.value.busy)} ref=${reading}>
                          <header>
                              <h2>Events</h2>
                              <div class="tools">
                                  <div class="buttons" role="group" aria-label="What was done about them">
                                      ${STATES.map(
                                          ([name, label]) => html`<button
                                              aria-pressed=${String(state.value === name)}
                                              onClick=${() => (state.value = name)}
                                          >
                                              ${label}
                                          </button>`,
                                      )}
                                  </div>
                              </div>
                          </header>
                          <${List} list=${list} opened=${opened} settled=${settled.value} settle=${settle} none=${NONE[state.value]} />
                      </section>
                  `}
        </div>
    `;
}

function Nothing() {
    return html`<section class="panel empty">
        <p>Nothing was refused in 8 days.</p>
        <p>What is refused from now on stands here with its reason, and can be corrected and replayed.</p>
    </section>`;
}

/** The reasons as filters, each with how many are open. */
function Reasons({ reasons, code }) {
    if (!reasons) return html`<section class="panel reasons waiting" aria-busy="true"></section>`;
    const open = reasons.reduce((total, reason) => total + reason.open, 0);
    const chip = (value, name, number) => html`<li key=${value}>
        <button
            class=${number ? "reason" : "reason faint"}
            aria-pressed=${String(code.value === value)}
            onClick=${() => (code.value = value)}
        >
            ${name} <strong>${count(number)}<span class="hidden"> open</span></strong>
        </button>
    </li>`;
    return html`<section class="panel reasons" aria-label="Reasons">
        <ul>
            ${chip(null, "All reasons", open)}
            ${reasons.map((reason) => chip(reason.code, html`<code>${reason.code}</code>`, reason.open))}
        </ul>
    </section>`;
}

function List({ list, opened, settled, settle, none }) {
    const { items, next, problem, busy } = list.state.value;
    return html`
        ${problem && html`<${Failed} problem=${problem} again=${list.refresh} />`}
        ${!items && !problem && html`<div class="blank"></div>`}
        ${items?.length === 0 && html`<div class="empty"><p>${none}</p></div>`}
        ${items?.length > 0 &&
        html`<table class="rows rejected" aria-label="Rejected events">
                <thead>
                    <tr>
                        <th scope="col">When</th>
                        <th scope="col">Reason</th>
                        <th scope="col">What is wrong</th>
                        <th scope="col">Sent with</th>
                        <th scope="col">Place</th>
                    </tr>
                </thead>
                ${items.map(
                    (item) => html`<${Row}
                        key=${item.id}
                        item=${item}
                        state=${settled[item.id] ?? item.state}
                        open=${opened.value === item.id}
                        toggle=${() => (opened.value = opened.value === item.id ? null : item.id)}
                        settle=${(how) => settle(item.id, how)}
                    />`,
                )}
            </table>
            ${next &&
            html`<footer class="older"><button disabled=${busy} onClick=${list.more}>Show ${PAGE} more</button></footer>`}`}
    `;
}

function Row({ item, state, open, toggle, settle }) {
    const pressed = (event) => {
        if (!event.target.closest("button, a") && getSelection().isCollapsed) toggle();
    };
    const sdk = item.sender?.sdk;
    return html`<tbody class=${open ? "opened" : ""}>
        <tr class="one" onClick=${pressed}>
            <td class="when">
                <button class="quiet" aria-expanded=${String(open)} onClick=${toggle}>
                    <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true"><path d="m6 4.5 3.5 3.5L6 11.5" /></svg>
                    <${Time} at=${item.received_at} as="stamp" />
                </button>
            </td>
            <td class="why"><code class="cut" title=${item.code}>${item.code}</code></td>
            <td class="says">
                ${state !== "open" && html`<span class="tag">${state}</span> `}
                ${item.quarantined && html`<span class="tag" title="Its sender was told that it arrived.">set aside by the plan</span> `}<bdi>${item.message}</bdi>
                ${item.hint && html` <bdi class="soft">${item.hint}</bdi>`}
            </td>
            <td class="with">
                ${sdk
                    ? html`<bdi class="cut" title=${sdk}>${sdk}</bdi>`
                    : html`<span class="cut faint">${WITHOUT[item.source]}</span>`}
            </td>
            <td class="where"><bdi class="cut soft" title=${placeText(item)}>${placeText(item)}</bdi></td>
        </tr>
        ${open &&
        html`<tr class="inside">
            <td colspan=${COLUMNS}><${RejectedEvent} id=${item.id} settle=${settle} /></td>
        </tr>`}
    </tbody>`;
}

/** Where it stood, in short: `/v1/events, event 3`, `trial.ndjson, line 87`, `footfall.events/3, offset 12`. */
function placeText({ place }) {
    if (place.path) return place.index === undefined ? `${place.path}, the whole body` : `${place.path}, event ${place.index}`;
    if (place.line) return `${place.name}, line ${place.line}`;
    return `${place.topic}/${place.part}, offset ${place.offset}`;
}
