/** The rows of the feed: an event, and a place where events are missing. */
import { lazy } from "../lazy.js";
import { accountLink, personOf } from "../links.js";
import { KindMark } from "./marks.js";
import { counted } from "../numbers.js";
import { remarksOf, tellingOf } from "./telling.js";
import { Time } from "../time.js";
import { html, useEffect, useRef, useSignal } from "../ui.js";

const EventDetails = lazy(() => import("./event_details.js"), "EventDetails");
const REASONS = {
    lag: "the connection lagged",
    limit: "the page was away for too long",
    retention: "they are older than what the stream keeps",
    log_changed: "the stream was set up anew",
    ahead: "the server was behind",
    log_unavailable: "the log did not answer",
    paused: "more came than a held list collects",
};

/** An event as an article; `fresh` fades it in, `resized(key, px)` hears how high its details are. */
export function EventRow({ row, id, index, opened, toggle, resized, fixed, fresh, as, here }) {
    const article = useRef(null);
    const arrived = useSignal(fresh).value;
    const person = personOf(row);
    const remarks = remarksOf(row);
    useEffect(() => {
        if (!opened) return undefined;
        const details = article.current.lastElementChild;
        const watch = new ResizeObserver(() => resized(id, details.offsetHeight));
        watch.observe(details);
        return () => watch.disconnect();
    }, [opened]);
    const clicked = (event) => {
        if (event.target.closest("a, button") || String(getSelection())) return;
        toggle(id);
    };
    return html`<article
        ref=${article}
        class=${`row ${arrived ? "arrived" : ""} ${opened ? "open" : ""} ${here ? "here" : ""}`}
        aria-current=${here ? "true" : undefined}
        tabindex="0"
        data-index=${index}
        aria-posinset=${index + 1}
        aria-setsize="-1"
        aria-label=${[row.action, person?.name, row.account].filter(Boolean).join(", ")}
    >
        <div class="line" onClick=${clicked}>
            <${KindMark} kind=${row.type} />
            <${Time} at=${row.occurred_at} as=${as} class="time" />
            <span class="who cut"
                >${
                    person
                        ? html`<a href=${person.href} class=${person.anonymous ? "faint" : ""}
                              >${person.anonymous ? `visitor ${person.name}` : person.name}</a
                          >`
                        : html`<span class="faint">nobody</span>`
                }</span
            >
            <span class="account cut"
                >${row.account && html`<a href=${accountLink(row.account)}>${row.account}</a>`}</span
            >
            <span class="action cut">${row.action}</span>
            <span class="telling"
                ><span class="pairs cut"
                    >${tellingOf(row).map(([name, value]) => html`<span class="faint">${name}</span> ${value} `)}</span
                >${remarks.map(([words, why]) => html`<span class="remark" title=${why}>${words}</span>`)}</span
            >
            <button
                class="opener quiet"
                aria-expanded=${String(opened)}
                aria-label=${opened ? "Close the details" : "Open the details"}
                tabindex="-1"
                onClick=${() => toggle(id)}
            >
                <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true"><path d="m6 4 4 4-4 4" /></svg>
            </button>
        </div>
        ${opened && html`<div><${EventDetails} event=${row} fixed=${fixed} /></div>`}
    </article>`;
}

/** Where events are missing: about how many, why, and the way to load them. */
export function GapRow({ row, index, fill }) {
    const busy = useSignal(false);
    const problem = useSignal(null);
    const { approx_count: about, reason } = row.gap;
    const load = async () => {
        busy.value = true;
        problem.value = null;
        try {
            await fill(row);
        } catch (error) {
            problem.value = error;
        }
        busy.value = false;
    };
    const missing = about ? `About ${counted(about, "event is", "events are")}` : "Events are";
    const filled = row.filled !== undefined;
    const words = row.filled
        ? `${counted(row.filled, "event")} that were missing here`
        : "Nothing was missing here";
    return html`<article
        class=${`row gap ${filled ? "filled" : ""}`}
        tabindex="0"
        data-index=${index}
        aria-posinset=${index + 1}
        aria-setsize="-1"
        aria-label=${filled ? words : "Events are missing here"}
    >
        <div class="line">
            ${
                filled
                    ? html`<span class="soft">${words}</span>`
                    : html`<span>${missing} missing here: ${REASONS[reason] ?? reason}</span>
                          <button disabled=${busy.value} onClick=${load}>
                              ${busy.value ? "Loading" : "Load them"}
                          </button>
                          ${problem.value && html`<span class="bad" role="alert">${problem.value.message}</span>`}`
            }
        </div>
    </article>`;
}
