/** What the pages of an account, a user and a visitor share: a period, its numbers, and what happens live. */
import { useAnswer } from "../api.js";
import { Bar, Change, HeatMap } from "../charts/charts.js";
import { Failure } from "../failure.js";
import { createFeed } from "../feed/feed.js";
import { FeedView } from "../feed/feed_view.js";
import { link, rewrite } from "../links.js";
import { count, counted } from "../numbers.js";
import { calendarDay, now, stamp, Time, zoneName } from "../time.js";
import { Timeline } from "../charts/timeline.js";
import { Fact, Facts } from "./traits.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useSignal } from "../ui.js";

const PERIODS = [7, 30, 90];
const DAYS = 30;
const TICK_MS = 5000;
const EVERY_S = 60;
const ACTIONS_SHOWN = 8;
const DAY_MS = 86_400_000;
const BAR_PX = 48;
const GAP_PX = 16;

/**
 * A customer and the numbers of the chosen period, refreshed by its own live events: `{customer, period, byDay,
 * byHour, days, feed, problem, at, stale}`. `path` is the customer's, `subject` the same as a query.
 */
export function useCustomer(path, subject) {
    const asked = new URLSearchParams(location.search).get("days");
    const days = useSignal(PERIODS.find((one) => String(one) === asked) ?? DAYS);
    const answer = useAnswer(path, { days: days.value }, { everyS: EVERY_S });
    const customer = useKept(answer);
    const range = customer && { ...subject, from: customer.period.from, to: customer.period.to };
    const daily = useAnswer(range ? "/v1/pulse/days" : null, range);
    const hourly = useAnswer(range ? "/v1/pulse/hours" : null, range);
    const byDay = useKept(daily);
    const byHour = useKept(hourly);
    const feed = useMemo(() => createFeed({ ...subject, topic: "activity" }), []);

    useEffect(() => rewrite({ days: days.value === DAYS ? "" : days.value }), [days.value]);
    useEffect(() => () => feed.close(), [feed]);
    useTicks(feed, () => [answer, daily, hourly].forEach((one) => one.refresh()));
    return {
        customer,
        byDay: byDay && everyDay(byDay),
        byHour,
        days,
        subject,
        feed,
        problem: answer.problem.value ?? daily.problem.value ?? hourly.problem.value,
        missing: answer.problem.value?.status === 404,
        at: answer.at.value,
        stale: answer.value.value === undefined,
    };
}

/** The last value of an answer, also while another is on its way. */
function useKept({ value }) {
    const last = useRef(undefined);
    if (value.value !== undefined) last.current = value.value;
    return last.current;
}

/** Calls `refresh` when events came, at most every five seconds. */
function useTicks(feed, refresh) {
    const latest = useRef(refresh);
    latest.current = refresh;
    useEffect(() => {
        let timer = 0;
        let first = true;
        const stop = feed.activityTick.subscribe(() => {
            if (!first) timer ||= setTimeout(run, TICK_MS);
            first = false;
        });
        const run = () => {
            timer = 0;
            latest.current();
        };
        return () => {
            stop();
            clearTimeout(timer);
        };
    }, [feed]);
}

/** Activities of every day of the answer, oldest first, days without any included: `[{day, at: ms, count}]`. */
function everyDay({ items, from, to }) {
    const counts = new Map();
    for (const item of items) counts.set(item.day, (counts.get(item.day) ?? 0) + item.count);
    const found = [];
    for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) {
        const day = new Date(at).toISOString().slice(0, 10);
        found.push({ day, at, count: counts.get(day) ?? 0 });
    }
    return found;
}

/** Name, id, when it all began and ended, and the traits; children are further terms. */
export function CustomerHead({ kind, id, customer, children }) {
    const called = customer?.name?.trim() || id;
    return html`<div class="page-head customer-head">
            <h1 tabindex="-1"><bdi>${called}</bdi></h1>
            <span class="soft">${kind}${called !== id && html`${" "}<bdi class="mono">${id}</bdi>`}</span>
        </div>
        ${customer
            ? html`<${Facts} traits=${customer.traits ?? {}}>
                  <${Fact} label="Started using">
                      <${Time} at=${customer.first_seen} as="day" />
                      <span class="faint"> ${longAgo(customer.first_seen)}</span>
                  <//>
                  <${Fact} label="Last used">
                      <${Time} at=${customer.last_seen} />
                      <span class="faint"> ${stamp(customer.last_seen)}</span>
                  <//>
                  <${Fact} label="In all">${counted(customer.activities, "activity", "activities")}<//>
                  ${children}
              <//>`
            : html`<div class="facts" aria-busy="true"></div>`}`;
}

/** How long somebody has been a customer: `today`, `12 days ago`, `4 months ago`, `3 years ago`. */
function longAgo(at) {
    const days = Math.floor((now.value - new Date(at)) / DAY_MS);
    if (days < 1) return "today";
    if (days < 60) return `${counted(days, "day")} ago`;
    return days < 730 ? `${Math.floor(days / 30.44)} months ago` : `${Math.floor(days / 365.25)} years ago`;
}

/** Which days the numbers below are of, and what they are compared with. */
export function PeriodBar({ days, customer, project }) {
    const period = customer?.period;
    return html`<div class="period">
        <div class="buttons" role="group" aria-label="Period">
            ${PERIODS.map(
                (one) => html`<button aria-pressed=${String(days.value === one)} onClick=${() => (days.value = one)}>
                    ${one} days
                </button>`,
            )}
        </div>
        <p class="soft">
            ${period &&
            html`${rangeOf(period)} against the ${period.days} days before, up to the same time of day.${" "}
            Days and hours in ${zoneName(project.time_zone)} time.`}
        </p>
    </div>`;
}

/** `24 Oct – 22 Nov`. */
function rangeOf({ from, to }) {
    const short = (day) => calendarDay(day).replace(/^\S+ /, "");
    return `${short(from)} – ${short(to)}`;
}

/** The period's figures and its days. `figures` are further ones: `[{label, value, note}]`. */
export function Amount({ customer, byDay, figures = [] }) {
    const period = customer?.period;
    const active = byDay?.filter((point) => point.count > 0).length;
    return html`<section class="panel amount" aria-label="Amount">
        <div class="figures">
            <${Figure} label="Activities" value=${period && count(period.activities)}>
                ${period &&
                html`<${Change} now=${period.activities} before=${period.previous} />
                    <span class="faint"
                        >${period.previous ? ` from ${count(period.previous)}` : period.activities ? ", none before" : ""}</span
                    >`}
            <//>
            ${figures.map(({ label, value, note }) => html`<${Figure} label=${label} value=${value}>${note}<//>`)}
            <${Figure} label="Days in use" value=${byDay && count(active)}>
                ${byDay && html`<span class="faint">of ${byDay.length}</span>`}
            <//>
        </div>
        <div class="days">
            ${byDay && html`<${Timeline} label="Activities by day" kind="days" points=${byDay} height=${160} />`}
        </div>
    </section>`;
}

function Figure({ label, value, children }) {
    return html`<div class="figure">
        <h2>${label}</h2>
        <p class="value">${value ?? "–"}</p>
        <p class="note">${children}</p>
    </div>`;
}

/** What was done, most first, and how that changed. */
export function Breakdown({ period }) {
    const all = useSignal(false);
    const rows = period?.breakdown ?? [];
    const max = Math.max(1, ...rows.map((row) => row.count));
    const shown = all.value ? rows : rows.slice(0, ACTIONS_SHOWN);
    return html`<section class="panel breakdown" aria-label="Activities by action">
        <header>
            <h2>What they do</h2>
            ${rows.length > 0 && html`<span class="soft">${counted(rows.length, "action")}</span>`}
        </header>
        <table class="rows">
            <thead>
                <tr>
                    <th scope="col">Action</th>
                    <th scope="col" class="number count">Count</th>
                    <th scope="col" class="number change">Change</th>
                </tr>
            </thead>
            <tbody>
                ${shown.map(
                    (row) => html`<tr key=${row.action}>
                        <td class="with-bar">
                            <${Bar} value=${row.count} max=${max} />
                            <span class="cut over-bar" title=${row.action}><bdi>${row.action}</bdi></span>
                        </td>
                        <td class="number count">${count(row.count)}</td>
                        <td class="number change"><${Change} now=${row.count} before=${row.previous} /></td>
                    </tr>`,
                )}
            </tbody>
        </table>
        ${period && !rows.length && html`<p class="empty">Nothing in these days, nor in the ${period.days} before.</p>`}
        ${rows.length > ACTIONS_SHOWN &&
        html`<footer>
            <button class="quiet" aria-expanded=${String(all.value)} onClick=${() => (all.value = !all.value)}>
                ${all.value ? `Show the first ${ACTIONS_SHOWN}` : `Show all ${rows.length}`}
            </button>
        </footer>`}
    </section>`;
}

/** When in the week they are there. */
export function Hours({ byHour, project }) {
    return html`<section class="panel hours" aria-label="By hour of the week">
        <header><h2>When in the week</h2><span class="soft">${zoneName(project.time_zone)} time</span></header>
        <div class="body">
            ${byHour && html`<${HeatMap} cells=${byHour.items} zone=${zoneName(byHour.time_zone)} />`}
        </div>
    </section>`;
}

/**
 * The numbers (children) and, beside or below them, what happens now. The stream scrolls with the page, and the
 * numbers stay in sight while it does.
 */
export function Context({ feed, subject, stale, children }) {
    const numbers = useRef(null);
    useLayoutEffect(() => {
        const place = () => {
            const free = innerHeight - numbers.current.offsetHeight - GAP_PX;
            numbers.current.style.setProperty("--top", `${Math.min(BAR_PX + GAP_PX, free)}px`);
        };
        const watch = new ResizeObserver(place);
        watch.observe(numbers.current);
        addEventListener("resize", place);
        return () => {
            watch.disconnect();
            removeEventListener("resize", place);
        };
    }, []);
    return html`<div class="context">
        <div class="numbers" ref=${numbers} aria-busy=${String(stale)}>${children}</div>
        <div class="live"><${FeedView} feed=${feed} title="Stream" compact fixed=${subject} /></div>
    </div>`;
}

/** In place of a page: nobody is known by this id. */
export function Unknown({ kind, id, many }) {
    return html`<section class="empty unknown">
        <h1 tabindex="-1">No ${kind} is known by this id</h1>
        <p><bdi class="mono">${id}</bdi></p>
        <p>No event named it yet, or the id differs by a capital letter or a space.</p>
        <p>
            <a class="button primary" href=${link(`/${many}`)}>All ${many}</a>
            ${kind !== "visitor" && html`<a class="button" href=${link(`/${many}`, { q: id })}>Search ${many} for it</a>`}
        </p>
    </section>`;
}

/** The failure of any of the page's questions. */
export const Trouble = ({ problem, at }) => html`<${Failure} problem=${problem} at=${at} />`;
