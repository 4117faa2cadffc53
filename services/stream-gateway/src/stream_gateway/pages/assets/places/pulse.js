/** Service Pulse: who uses the product now and today, what they do most, the last hour, and the stream. */
import { useAnswer } from "../api.js";
import { choose, filters } from "../feed/filters.js";
import { lazy } from "../lazy.js";
import { count, counted, share } from "../numbers.js";
import { now, relative, span, zone, zoneName } from "../time.js";
import { effect, html, useEffect, useMemo, useSignal } from "../ui.js";

const REST_S = 15;
const BUSY_MS = 3000;
const DAYS_EVERY_S = 900;
const OLD_S = 45;
const DAYS = 14;
const DAY_MS = 86_400_000;
const TOP_FIRST = 5;

const Sparkline = lazy(() => import("../charts/charts.js"), "Sparkline");
const Stream = lazy(() => import("./pulse_stream.js"), "PulseStream");
const Timeline = lazy(() => import("../charts/timeline.js"), "Timeline");

export const title = () => "Service Pulse";

/** The page of one project. */
export function Page({ project }) {
    const feed = useSignal(null);
    const pulse = useAnswer("/v1/pulse", {}, { everyS: REST_S });
    const minutes = useAnswer("/v1/pulse/minutes", {}, { everyS: REST_S });
    const today = pulse.value.value?.today;
    const days = useAnswer(today ? "/v1/pulse/days" : null, daysUpTo(today), { everyS: DAYS_EVERY_S });
    useEffect(
        () =>
            feed.value &&
            paced(feed.value.activityTick, () => {
                pulse.refresh();
                minutes.refresh();
            }),
        [feed.value],
    );
    const numbers = pulse.value.value;
    return html`<div class="page-head">
            <h1 tabindex="-1">Service Pulse</h1>
            <${Age} at=${pulse.at.value} problem=${pulse.problem.value ?? minutes.problem.value} />
        </div>
        <div class=${numbers || pulse.problem.value ? "pulse" : "pulse loading"}>
            <${Tiles} numbers=${numbers} days=${days.value.value} zone=${project.time_zone} />
            <${Hour} items=${minutes.value.value?.items ?? []} />
            <${Top} numbers=${numbers} zone=${project.time_zone} />
            <div class="stream">
                <${Stream} key=${project.project} project=${project.project} opened=${feed} />
            </div>
        </div>`;
}

/** Run `refresh` after `tick` moved, at most every 3 s, never in a hidden tab; the result ends it. */
function paced(tick, refresh) {
    let timer = 0;
    let ranAt = -BUSY_MS;
    let seen = tick.peek();
    const run = () => {
        timer = 0;
        if (document.hidden) return;
        ranAt = performance.now();
        refresh();
    };
    const stop = effect(() => {
        if (tick.value === seen) return;
        seen = tick.value;
        timer ||= setTimeout(run, Math.max(0, ranAt + BUSY_MS - performance.now()));
    });
    return () => {
        stop();
        clearTimeout(timer);
    };
}

/** How old the numbers are; a warning in the same place when they are too old. */
function Age({ at, problem }) {
    const oldS = (now.value - at) / 1000;
    if (problem && (!at || oldS > OLD_S || problem.status >= 400)) {
        const said = at ? `Numbers from ${relative(at)}` : "No numbers yet";
        return html`<p class="age warn" role="status">
            <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
                <path d="M8 2 15 14H1ZM8 6.5v3.5m0 2v.1" />
            </svg>
            <span>${said}: ${problem.message} ${problem.hint}</span>
        </p>`;
    }
    const said = oldS < 2 ? "as of now" : `as of ${span(Math.round(oldS))} ago`;
    return html`<p class="age soft">${at > 0 && said}</p>`;
}

/** The 14 days that end with `today`, each as 2026-11-22. */
function daysOf(today) {
    const first = Date.parse(today) - (DAYS - 1) * DAY_MS;
    return Array.from({ length: DAYS }, (_, n) => new Date(first + n * DAY_MS).toISOString().slice(0, 10));
}

function daysUpTo(today) {
    return today ? { from: daysOf(today)[0], to: today } : {};
}

function Tiles({ numbers, days, zone: zoneText }) {
    const today = { meaning: `today in ${zoneName(zoneText)}`, past: `${DAYS} days` };
    const windowS = numbers?.now_window_s ?? 300;
    const sums = useMemo(() => summed(days?.items ?? []), [days]);
    const daily = (byDay, present) =>
        days && daysOf(days.to).map((day) => (day === numbers.today ? present : (byDay?.[day] ?? 0)));
    const active = numbers?.active_users;
    return html`<section class="panel tiles" aria-label="Now and today">
        <${Tile} label="Active users now" figure=${active?.now} meaning=${`in the last ${span(windowS)}`}>
            ${active && html`<${Meter} part=${active.now} whole=${active.today} />`}
        <//>
        <${Tile} label="Active users today" figure=${active?.today} ...${today}>
            <${Daily} values=${daily(days?.active_users, active?.today)} what="Active users" />
        <//>
        <${Tile} label="New trial sign-ups" figure=${numbers?.trial_signups_today} ...${today}>
            <${Daily}
                values=${daily(days?.trial_signups, numbers?.trial_signups_today)}
                what="New trial sign-ups"
            />
        <//>
        <${Tile} label="Activities" figure=${numbers?.activities_today} ...${today}>
            <${Daily} values=${daily(sums, numbers?.activities_today)} what="Activities" />
        <//>
    </section>`;
}

function summed(items) {
    const sums = {};
    for (const item of items) sums[item.day] = (sums[item.day] ?? 0) + item.count;
    return sums;
}

function Tile({ label, figure, meaning, past = "", children }) {
    return html`<div class="tile">
        <h2>${label}</h2>
        <p class="figure">${figure === undefined ? html`<span class="blank" />` : count(figure)}</p>
        <div class="aside">${children}</div>
        <p class="meaning soft">${meaning}<span class="past faint">${past}</span></p>
    </div>`;
}

/** The last 14 days, the present one last. */
function Daily({ values, what }) {
    if (!values) return null;
    const [yesterday, present] = values.slice(-2);
    const told = values.map(count).join(", ");
    const ends = `Yesterday ${count(yesterday)}, today ${count(present)} so far.`;
    const label = `${what} by day, ${DAYS} days up to today: ${told}. ${ends}`;
    return html`<${Sparkline} values=${values} label=${label} width=${98} height=${32} />`;
}

const wide = (part, whole) => ({ width: `${(part / whole) * 100}%` });

/** How many of today's people are here now; nothing when today has none, or, just after midnight, fewer. */
function Meter({ part, whole }) {
    if (part > whole || !whole) return null;
    return html`<span class="faint">${share(part, whole)} of today's</span>
        <span class="meter" aria-hidden="true"><span style=${wide(part, whole)} /></span>`;
}

function Hour({ items }) {
    const points = useMemo(
        () => items.map((item) => ({ at: Date.parse(item.minute), count: item.count })),
        [items],
    );
    const all = items.reduce((sum, item) => sum + item.count, 0);
    const { from, to } = filters.value;
    const chosen = from && to ? { from: Date.parse(from), to: Date.parse(to) } : null;
    const stamp = (at) => new Date(at).toISOString();
    const brush = (start, end) => choose({ from: stamp(start), to: stamp(end) });
    return html`<section class="panel hour" aria-label="The last hour">
        <header>
            <h2>Last 60 minutes</h2>
            <span class="soft">${items.length > 0 && counted(all, "activity", "activities")}</span>
            <span class="tools faint hint">Drag over minutes to see them in the stream</span>
        </header>
        <div class="chart">
            ${points.length > 0 &&
            html`<${Timeline}
                label=${`Activities per minute in the last hour, ${zoneName(zone.value)} time`}
                kind="minutes"
                points=${points}
                span=${chosen}
                onBrush=${brush}
            />`}
        </div>
    </section>`;
}

function Top({ numbers, zone: zoneText }) {
    const all = useSignal(false);
    const rows = numbers?.top_activities ?? [];
    const most = rows[0]?.count ?? 0;
    const chosen = filters.value.action;
    const press = (action) => {
        choose({ action: action === chosen ? null : action });
        document.querySelector(".pulse > .stream").scrollIntoView({ block: "nearest" });
    };
    return html`<section class=${`panel top ${all.value ? "all" : ""}`} aria-label="Top activities today">
        <header>
            <h2>Top activities</h2>
            <span class="soft">today in ${zoneName(zoneText)}</span>
        </header>
        <ol>
            ${rows.map(
                ({ action, count: n }) => html`<li key=${action}>
                    <button
                        class="quiet"
                        aria-pressed=${String(action === chosen)}
                        title=${`Show ${action === chosen ? "all activities" : "only these"} in the stream`}
                        onClick=${() => press(action)}
                    >
                        <span class="name">
                            <span class="share" style=${wide(n, most)} /><span class="cut">${action}</span>
                        </span>
                        <span class="number">${count(n)}</span>
                    </button>
                </li>`,
            )}
            ${numbers && !rows.length && html`<li class="none soft">Nothing yet today.</li>`}
        </ol>
        ${rows.length > TOP_FIRST &&
        html`<button class="quiet more" aria-expanded=${String(all.value)} onClick=${() => (all.value = !all.value)}>
            ${all.value ? "Fewer" : `All ${rows.length}`}
        </button>`}
    </section>`;
}
