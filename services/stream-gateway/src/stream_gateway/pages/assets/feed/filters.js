/** What the feed is narrowed to: kept in the address, shown as chips, chosen from one field. */
import { minute } from "../time.js";
import { html, signal } from "../ui.js";

/** All filters, in the order of their chips. */
export const NAMES = ["account", "user", "action", "q", "from", "to"];
/** What the filters are called. */
export const WORDS = { account: "Account", user: "User", action: "Action", q: "Text" };

/** The filters of this page's address: `{account?, user?, action?, q?, from?, to?}`. */
export const filters = signal({});

const inAddress = () => {
    const asked = new URLSearchParams(location.search);
    return Object.fromEntries(NAMES.map((name) => [name, asked.get(name)]).filter(([, value]) => value));
};

/** Take the filters from the address, as it is now. */
export function readFilters() {
    const read = inAddress();
    if (JSON.stringify(read) !== JSON.stringify(filters.peek())) filters.value = read;
}

addEventListener("popstate", readFilters);

/** Change some filters, null takes one away; a new entry of the history, so that Back undoes it. */
export function choose(changes) {
    const asked = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) {
        if (value) asked.set(name, value);
        else asked.delete(name);
    }
    const address = `${location.pathname}?${asked}`;
    if (address !== location.pathname + location.search) history.pushState(null, "", address);
    readFilters();
}

/** Take every filter away. */
export const clearFilters = () => choose(Object.fromEntries(NAMES.map((name) => [name, null])));

/** The chosen filters as chips that can be taken away. */
export function FilterChips({ fixed }) {
    const chosen = filters.value;
    const names = ["account", "user", "action", "q"].filter((name) => chosen[name] && !fixed[name]);
    const spanned = chosen.from || chosen.to;
    if (!names.length && !spanned) return null;
    return html`<ul class="chips" aria-label="Filters">
        ${
            spanned &&
            html`<li class="chip">
                <span
                    >${chosen.from ? minute(chosen.from) : "…"}–${chosen.to ? minute(chosen.to) : "now"}</span
                >
                <button class="link" onClick=${() => choose({ from: null, to: null })}>back to live</button>
            </li>`
        }
        ${names.map(
            (name) =>
                html`<li class="chip" key=${name}>
                    <span class="soft">${WORDS[name]}</span>
                    <span class="cut">${chosen[name]}</span>
                    <button
                        class="quiet"
                        aria-label=${`Remove the filter ${WORDS[name]} ${chosen[name]}`}
                        onClick=${() => choose({ [name]: null })}
                    >
                        <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
                            <path d="m5 5 6 6m0-6-6 6" />
                        </svg>
                    </button>
                </li>`,
        )}
        <li><button class="quiet" onClick=${clearFilters}>Clear all</button></li>
    </ul>`;
}
