/** What is known of a customer, as words. */
import { count } from "../numbers.js";
import { Time } from "../time.js";
import { html, useSignal } from "../ui.js";

const SHOWN = 5;
const FIRST = ["plan", "seats", "status", "role", "title", "email", "industry", "country"];
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/;

/** A compact list of terms: `children` first, then the traits; those beyond the first few behind a button. */
export function Facts({ traits, children }) {
    const all = useSignal(false);
    const known = Object.entries(traits)
        .filter(([key, value]) => !(key === "name" && typeof value === "string"))
        .sort(([one], [other]) => rank(one) - rank(other) || (one < other ? -1 : 1));
    const shown = all.value ? known : known.slice(0, SHOWN);
    const more = known.length - SHOWN;
    return html`<dl class="facts">
        ${children}
        ${shown.map(
            ([key, value]) => html`<${Fact} key=${key} label=${worded(key)} title=${key}>${valueOf(value)}<//>`,
        )}
        ${more > 0 &&
        html`<div class="more">
            <dt class="hidden">More</dt>
            <dd>
                <button class="quiet" aria-expanded=${String(all.value)} onClick=${() => (all.value = !all.value)}>
                    ${all.value ? "Fewer traits" : `${more} more ${more === 1 ? "trait" : "traits"}`}
                </button>
            </dd>
        </div>`}
    </dl>`;
}

/** One term and what it is. */
export const Fact = ({ label, title, children }) =>
    html`<div><dt title=${title}>${label}</dt><dd>${children}</dd></div>`;

function rank(key) {
    const place = FIRST.indexOf(key.toLowerCase());
    return place < 0 ? FIRST.length : place;
}

/** `trial_ends_at` and `trialEndsAt` are both `Trial ends at`. */
function worded(key) {
    const words = key.replace(/([\p{Ll}\d])(\p{Lu})/gu, "$1 $2").replace(/[_\s-]+/g, " ").trim();
    return words ? words[0].toUpperCase() + words.slice(1).toLowerCase() : key;
}

function valueOf(value) {
    if (value === null || value === "") return html`<span class="faint">empty</span>`;
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value === "number") return Number.isInteger(value) && Math.abs(value) >= 1e4 ? count(value) : `${value}`;
    if (typeof value === "object") return html`<code>${JSON.stringify(value)}</code>`;
    if (MOMENT.test(value) && !Number.isNaN(Date.parse(value))) return html`<${Time} at=${value} as="stamp" />`;
    return html`<bdi>${value}</bdi>`;
}
