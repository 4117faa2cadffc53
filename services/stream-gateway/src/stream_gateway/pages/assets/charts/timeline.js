/** Counts over time as bars. uPlot, which draws them, is loaded when there is something to draw. */
import { count, counted } from "../numbers.js";
import { calendarDay, day, minute, zone } from "../time.js";
import { html, useEffect, useRef } from "../ui.js";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const AXIS_PX = 24;
const LABEL_PX = 44;
const DAY_LABEL_PX = 80;

const KINDS = {
    minutes: {
        stepMs: MINUTE_MS,
        mark: (at) => minute(at),
        told: (at) => minute(at),
        marks: (points, widthPx) => {
            const every = widthPx < 420 ? 20 : 10;
            const stepPx = widthPx / points.length;
            const fits = (n) => Math.min(n, points.length - n) * stepPx > LABEL_PX / 2;
            return points.filter((point, n) => fits(n) && Number(minute(point.at).slice(-2)) % every === 0);
        },
    },
    days: {
        stepMs: DAY_MS,
        mark: (at) => day(at, "UTC"),
        told: (at) => calendarDay(new Date(at).toISOString().slice(0, 10)),
        marks: (points, widthPx) => {
            const every = Math.max(1, Math.ceil((points.length * DAY_LABEL_PX) / widthPx));
            return points.filter((_, n) => (points.length - 1 - n) % every === Math.floor(every / 2));
        },
    },
};

/**
 * A figure of bars, with its numbers as a table for those who do not see it.
 *
 * `points` are `{at, count}`, oldest first: `at` is the start of a minute in ms (`kind` "minutes", said in the
 * zone of time stamps), or midnight UTC of a calendar day (`kind` "days"). The last one is the present. With
 * `onBrush(from_ms, to_ms)` a stretch can be dragged over, or one bar clicked; the end is exclusive.
 * `span` `{from, to}` in ms is shown as chosen. `height` in px is the least; it fills a taller flex column.
 */
export function Timeline({ label, kind, points, onBrush = null, span = null, height = 120 }) {
    const box = useRef(null);
    const chart = useRef(null);
    const given = useRef(null);
    given.current = { kind: KINDS[kind], points, onBrush, span };
    const ready = points.length > 0;
    useEffect(() => {
        if (!ready) return undefined;
        let gone = false;
        const start = async () => {
            const { default: uPlot } = await import("../vendor/uplot.js");
            if (!gone && box.current) chart.current = drawn(uPlot, box.current, given);
        };
        const soon = (window.requestIdleCallback ?? ((run) => setTimeout(run, 50)))(start, { timeout: 300 });
        return () => {
            gone = true;
            (window.cancelIdleCallback ?? clearTimeout)(soon);
            chart.current?.remove();
            chart.current = null;
        };
    }, [ready, kind]);
    useEffect(() => chart.current?.update(), [points, span?.from, span?.to, zone.value]);
    return html`<figure class="timeline">
        <div
            class=${onBrush ? "plot brush" : "plot"}
            ref=${box}
            style=${{ minHeight: `${height}px` }}
            aria-hidden="true"
        ></div>
        <figcaption class="hidden"><${Facts} label=${label} kind=${KINDS[kind]} points=${points} /></figcaption>
    </figure>`;
}

function Facts({ label, kind, points }) {
    const all = points.reduce((sum, point) => sum + point.count, 0);
    const most = points.reduce((top, point) => (point.count > (top?.count ?? 0) ? point : top), null);
    return html`<table>
        <caption>
            ${label}: ${count(all)} in all${most && `, most at ${kind.told(most.at)}: ${count(most.count)}`}.
        </caption>
        <tbody>
            ${points.map(
                (point) =>
                    point.count > 0 &&
                    html`<tr key=${point.at}>
                        <th scope="row">${kind.told(point.at)}</th>
                        <td>${count(point.count)}</td>
                    </tr>`,
            )}
        </tbody>
    </table>`;
}

/** Draws into `box` what `given.current` says at each `update`; `remove` ends it. */
function drawn(uPlot, box, given) {
    const columns = () => {
        const { points, kind } = given.current;
        const last = points.length - 1;
        return {
            data: [
                points.map((point) => point.at),
                points.map((point, n) => (n < last ? point.count : null)),
                points.map((point, n) => (n === last ? point.count : null)),
            ],
            ends: points[last].at + kind.stepMs,
        };
    };
    let { data, ends } = columns();
    let colours = coloursOf(box);
    const bars = uPlot.paths.bars({ size: [0.72, 20], align: 1, radius: 0.12 });
    const series = { paths: bars, points: { show: false }, width: 0 };
    const axis = { font: colours.font, stroke: () => colours.label, ticks: { show: false }, gap: 8 };
    const chart = new uPlot(
        {
            width: box.clientWidth,
            height: box.clientHeight,
            padding: [8, 4, 0, 0],
            legend: { show: false },
            cursor: {
                y: false,
                points: { show: false },
                drag: { x: given.current.onBrush !== null, setScale: false },
            },
            scales: {
                x: { time: false, range: () => [data[0][0], ends] },
                y: { range: (_, __, most) => [0, topOf(most)] },
            },
            axes: [
                {
                    ...axis,
                    size: AXIS_PX,
                    grid: { show: false },
                    splits: (u) => given.current.kind.marks(given.current.points, u.width).map(({ at }) => at),
                    values: (_, places) => places.map((at) => given.current.kind.mark(at)),
                },
                {
                    ...axis,
                    size: (_, values) => 12 + 8 * Math.max(2, ...(values ?? []).map((text) => text.length)),
                    grid: { stroke: () => colours.grid, width: 1 },
                    splits: (u) => [0, u.scales.y.max / 2, u.scales.y.max],
                    values: (_, places) => places.map(count),
                },
            ],
            series: [{}, ...["bar", "present"].map((name) => ({ ...series, fill: () => colours[name] }))],
            hooks: { setCursor: [(u) => point(u)], setSelect: [(u) => brushed(u)] },
        },
        data,
        box,
    );
    const mark = chart.over.appendChild(Object.assign(document.createElement("div"), { className: "mark" }));
    const tip = chart.over.appendChild(Object.assign(document.createElement("div"), { className: "tip" }));

    const pointAt = (left) => {
        const { points, kind } = given.current;
        const at = chart.posToVal(left, "x");
        return points.findLast((one) => one.at <= at && at < one.at + kind.stepMs);
    };
    const place = (at) => chart.valToPos(at, "x");

    function point(u) {
        const found = u.cursor.left >= 0 ? pointAt(u.cursor.left) : undefined;
        mark.hidden = tip.hidden = !found;
        if (!found) return;
        const { kind } = given.current;
        const left = place(found.at);
        const width = place(found.at + kind.stepMs) - left;
        mark.style.transform = `translateX(${left}px)`;
        mark.style.width = `${width}px`;
        tip.textContent = `${kind.told(found.at)}  ${counted(found.count, "activity", "activities")}`;
        const free = u.over.clientWidth - tip.offsetWidth;
        tip.style.transform = `translateX(${Math.max(0, Math.min(free, left + width / 2 - tip.offsetWidth / 2))}px)`;
    }

    function brushed(u) {
        const { onBrush, kind, points } = given.current;
        if (!onBrush || !u.select.width) return;
        const from = pointAt(Math.max(0, u.select.left)) ?? points[0];
        const to = pointAt(u.select.left + u.select.width - 1) ?? points[points.length - 1];
        onBrush(from.at, to.at + kind.stepMs);
    }

    function showSpan() {
        const { span } = given.current;
        const [first] = data[0];
        const from = span ? Math.max(span.from, first) : 0;
        const to = span ? Math.min(span.to, ends) : 0;
        const left = from < to ? place(from) : 0;
        const width = from < to ? place(to) - left : 0;
        chart.setSelect({ left, width, top: 0, height: chart.over.clientHeight }, false);
    }

    const clicked = () => {
        const found = chart.cursor.left >= 0 && pointAt(chart.cursor.left);
        if (found) given.current.onBrush?.(found.at, found.at + given.current.kind.stepMs);
    };
    const recolour = () => {
        colours = coloursOf(box);
        chart.redraw(false, true);
    };
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const sized = new ResizeObserver(() => {
        const [width, height] = [box.clientWidth, box.clientHeight];
        if (width && (width !== chart.width || height !== chart.height)) chart.setSize({ width, height });
        showSpan();
    });
    chart.over.addEventListener("click", clicked);
    dark.addEventListener("change", recolour);
    addEventListener("footfall-theme", recolour);
    sized.observe(box);
    document.fonts.ready.then(recolour);
    point(chart);
    return {
        update() {
            ({ data, ends } = columns());
            chart.setData(data);
            showSpan();
            point(chart);
        },
        remove() {
            dark.removeEventListener("change", recolour);
            removeEventListener("footfall-theme", recolour);
            sized.disconnect();
            chart.destroy();
        },
    };
}

/** The scale's end: round, with a whole middle, above every bar; never so low that one event fills it. */
function topOf(most) {
    const unit = 10 ** Math.max(0, Math.floor(Math.log10(most || 1)) - 1);
    return [4, 6, 8, 10, 12, 16, 20, 24, 30, 40, 50, 60, 80, 100].find((top) => top * unit >= most) * unit;
}

/** What canvas needs of the custom properties: it understands neither `var()` nor `light-dark()`. */
function coloursOf(box) {
    const probe = box.appendChild(document.createElement("i"));
    const colour = (name) => {
        probe.style.color = `var(--${name})`;
        return getComputedStyle(probe).color;
    };
    const found = {
        bar: colour("accent-bar"),
        present: colour("accent"),
        label: colour("ink-faint"),
        grid: colour("line"),
        font: `13px ${getComputedStyle(box).fontFamily}`,
    };
    probe.remove();
    return found;
}
