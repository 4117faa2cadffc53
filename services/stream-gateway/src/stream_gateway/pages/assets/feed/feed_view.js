/** The live feed as one sees it: its state and tools on top, the events below. */
import { Connection } from "./connection.js";
import { Failure } from "../failure.js";
import { SHOWN_MOST } from "./feed_history.js";
import { FeedList, useNarrow, useReading } from "./feed_list.js";
import { FilterField } from "./filter_field.js";
import { choose, clearFilters, FilterChips, filters, readFilters } from "./filters.js";
import { helpShown, useKeys } from "../frame/keyboard.js";
import { Menu, MenuChoice } from "../frame/menu.js";
import { count, counted } from "../numbers.js";
import { html, signal, useEffect, useLayoutEffect, useMemo, useRef, useSignal } from "../ui.js";

const SPEAKS_EVERY_MS = 12_000;
const PLACES = 8;
const FLOOD_PER_S = 20;
const CLOCK_KEY = "footfall-clock";

const clock = signal(keptClock());

function keptClock() {
    try {
        return localStorage.getItem(CLOCK_KEY) !== "ago";
    } catch {
        return true;
    }
}

function chooseClock(wanted) {
    clock.value = wanted;
    try {
        localStorage.setItem(CLOCK_KEY, wanted ? "clock" : "ago");
    } catch {
        // Without storage the choice lasts as long as the page.
    }
}

/** The feed's panel; `empty` stands there while the project has no event at all. */
export function FeedView({ feed, title = "Stream", empty = null }) {
    const { fixed } = feed;
    const panel = useRef(null);
    const head = useRef(null);
    const narrow = useNarrow(panel);
    const reading = useReading(feed);
    useMemo(readFilters, [feed]);
    useEffect(() => filters.subscribe((chosen) => feed.setFilters(chosen)), [feed]);
    useLayoutEffect(() => {
        const bar = document.querySelector(".bar-top");
        if (!bar) return undefined;
        const watch = new ResizeObserver(() =>
            panel.current.style.setProperty("--bar", `${bar.offsetHeight}px`),
        );
        watch.observe(bar);
        return () => watch.disconnect();
    }, []);

    const rows = feed.rows.value;
    const held = feed.paused.value;
    const lost = feed.overflowed.value;
    const ended = feed.state.value.kind === "ended";
    const filtered = Object.keys(filters.value).some((name) => !fixed[name]);
    const top = () => head.current.getBoundingClientRect().bottom;
    const back = () => {
        reading.opened.value = new Map();
        reading.hovered.value = false;
        if (panel.current.contains(document.activeElement)) document.activeElement.blur();
        if (reading.scrolled.peek()) {
            const bar = document.querySelector(".bar-top")?.offsetHeight ?? 0;
            scrollBy(0, panel.current.getBoundingClientRect().top - bar);
            reading.scrolled.value = false;
        }
        if (held === "by you") feed.resume();
    };
    useKeys("Stream", [
        { key: " ", does: "Pause, and go on", run: () => (held === "by you" ? feed.resume() : feed.pause()) },
        { key: "/", does: "Filter", run: () => panel.current.querySelector(".feed-search").focus() },
        {
            key: "Escape",
            does: "Close details, leave the rows, clear filters",
            run: () => {
                if (reading.opened.value.size) reading.opened.value = new Map();
                else if (panel.current.contains(document.activeElement)) document.activeElement.blur();
                else if (filtered) clearFilters();
                else return false;
                return true;
            },
        },
    ]);
    const cells = `${fixed.account ? "no-account" : ""} ${fixed.user || fixed.anonymous_id ? "no-who" : ""}`;
    return html`<section
        ref=${panel}
        class=${`panel feed ${narrow ? "narrow" : ""} ${cells}`}
        aria-label=${title}
    >
        <header ref=${head} class=${`feed-head ${reading.scrolled.value ? "stuck" : ""}`}>
            <h2>${title}</h2>
            <${Standing} feed=${feed} />
            <${FilterField} fixed=${fixed} known=${(name) => seenOf(feed.rows.peek(), name)} />
            <div class="tools">
                <${PauseButton} feed=${feed} />
                <${Tools} feed=${feed} />
            </div>
            <${FilterChips} fixed=${fixed} />
            ${ended && html`<p class="notice failed" role="alert">${feed.state.value.reason}</p>`}
            ${lost > 0 && html`<p class="notice">${overflowWords(feed.pending.value - lost, lost)}</p>`}
            ${
                held && feed.pending.value > 0 && held !== "by you"
                    ? html`<button class="pill primary" onClick=${back}>
                          ${counted(feed.pending.value, "new event")} ↑
                      </button>`
                    : null
            }
        </header>
        ${
            rows.length
                ? html`<${FeedList}
                      feed=${feed}
                      reading=${reading}
                      narrow=${narrow}
                      top=${top}
                      fixed=${fixed}
                      as=${clock.value ? "stamp" : "relative"}
                      label=${title}
                  />`
                : html`<${Nothing} feed=${feed} filtered=${filtered} empty=${empty} />`
        }
        ${rows.length > 0 && html`<${Foot} feed=${feed} />`}
        <${Announcer} feed=${feed} />
    </section>`;
}

const overflowWords = (kept, lost) =>
    `${count(kept)} kept, ${counted(lost, "older one")} let go. They can be loaded when the list goes on.`;

const seenOf = (rows, name) => [...new Set(rows.map((row) => row[name]).filter(Boolean))];

/** Whether the feed lives, in words; how fast, when it is a flood. */
function Standing({ feed }) {
    const rate = feed.rate.value;
    const held = feed.paused.value;
    const state = feed.state.value;
    const flood = !held && rate > FLOOD_PER_S;
    const waits = state.kind === "reconnecting" || state.kind === "offline";
    if (state.kind === "live" && filters.value.to) return html`<div class="standing soft">Past events</div>`;
    if (state.kind === "live" && held === "by you") {
        return html`<div class="standing soft">
            <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true"><path d="M5.5 4v8m5-8v8" /></svg>Paused,
            still collecting
        </div>`;
    }
    return html`<div class="standing">
        <${Connection} state=${state} />
        ${waits && html`<button class="link" onClick=${feed.retry}>Try now</button>`}
        ${held && html`<span class="soft cut">${held === "by you" ? "paused" : "held while you read"}</span>`}
        ${flood && html`<span class="soft cut">${count(rate)} a second, showing the newest</span>`}
    </div>`;
}

function PauseButton({ feed }) {
    const paused = feed.paused.value === "by you";
    const pending = feed.pending.value;
    const label = !paused ? "Pause" : pending ? `Resume, ${count(pending)} new` : "Resume";
    return html`<button
        class="pause"
        aria-pressed=${String(paused)}
        title="Space"
        onClick=${() => (paused ? feed.resume() : feed.pause())}
    >
        <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
            ${paused ? html`<path d="M5 3.5v9l7-4.5Z" />` : html`<path d="M5.5 3.5v9m5-9v9" />`}
        </svg>
        ${label}
    </button>`;
}

function Tools({ feed }) {
    const save = async (form) => {
        const { download } = await import("./feed_download.js");
        download(
            feed.rows.peek().filter((row) => !row.gap),
            form,
        );
    };
    const action = (label, run, note) =>
        html`<button role="menuitem" tabindex="-1" onClick=${run}>
            <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true" /><span>${label}</span
            >${note && html`<span class="note">${note}</span>`}
        </button>`;
    return html`<${Menu} name="Times, downloads, keys" icon label=${html`<${Dots} />`}>
        <p class="title" role="presentation">Times as</p>
        <${MenuChoice} chosen=${clock.value} choose=${() => chooseClock(true)} note="09:30:05">Clock<//>
        <${MenuChoice} chosen=${!clock.value} choose=${() => chooseClock(false)} note="12 s ago"
            >How long ago<//
        >
        <p class="title" role="presentation">Download what is shown</p>
        ${action("JSON", () => save("json"))} ${action("CSV, for spreadsheets", () => save("csv"))}
        <p class="title" role="presentation">Help</p>
        ${action("Keys and shapes", () => (helpShown.value = true), html`<kbd>?</kbd>`)}
    <//>`;
}

const Dots = () =>
    html`<svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
        <path d="M3 8h.01M8 8h.01M13 8h.01" stroke-width="2.5" />
    </svg>`;

/** No rows: on its way, nothing that matches, or nothing yet. */
function Nothing({ feed, filtered, empty }) {
    const { kind } = feed.state.value;
    if (feed.problem.value)
        return html`<div class="empty"><${Failure} problem=${feed.problem.value} /></div>`;
    if (!["live", "resting", "ended"].includes(kind)) {
        return html`<div class="feed-rows places" aria-hidden="true">
            ${Array.from(
                { length: PLACES },
                () =>
                    html`<div class="row">
                        <div class="line"><i /><i /><i /><i /><i /></div>
                    </div>`,
            )}
        </div>`;
    }
    if (!filtered)
        return (
            empty ??
            html`<div class="empty"><p>No events yet. The first one appears here by itself.</p></div>`
        );
    const { from, to } = filters.value;
    const spanned = from || to;
    return html`<div class="empty">
        <p>
            ${
                spanned
                    ? "Nothing that matches happened in this span."
                    : "Nothing matches so far. What comes next appears here by itself."
            }
        </p>
        <p>
            <button onClick=${() => (spanned ? choose({ from: null, to: null }) : clearFilters())}>
                ${spanned ? "Back to live" : "Clear the filters"}
            </button>
        </p>
    </div>`;
}

/** The end of the list: what was let go, and the way to older ones. */
function Foot({ feed }) {
    const { busy, end, problem } = feed.older.value;
    const most = feed.rows.value.length >= SHOWN_MOST;
    return html`<footer class="feed-foot soft">
        ${
            most
                ? html`<span
                      >The newest ${count(SHOWN_MOST)} are shown. A filter or a stretch of the timeline
                      reaches further back.</span
                  >`
                : end
                  ? html`<span>Nothing older${filters.value.q ? " that matches" : ""}.</span>`
                  : html`<button disabled=${busy} onClick=${feed.loadOlder}>
                        ${busy ? "Loading older events" : "Older"}
                    </button>`
        }
        <${Failure} problem=${problem} />
    </footer>`;
}

/** Says how many came, at most every 12 s: the list itself would speak without end. */
function Announcer({ feed }) {
    const said = useSignal("");
    useEffect(() => {
        let seen = feed.received.peek();
        const timer = setInterval(() => {
            const came = feed.received.peek() - seen;
            seen += came;
            if (came > 0)
                said.value = `${counted(came, "new event")}${feed.paused.peek() ? ", waiting" : ""}`;
        }, SPEAKS_EVERY_MS);
        return () => clearInterval(timer);
    }, [feed]);
    return html`<p class="hidden" role="status">${said.value}</p>`;
}
