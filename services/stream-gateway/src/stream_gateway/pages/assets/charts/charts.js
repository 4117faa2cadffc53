/** Small figures: sparkline, bar, change in words, hours of the week. */
import { count, counted } from "../numbers.js";
import { html, useRef, useSignal } from "../ui.js";

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
const LEVELS = [0.15, 0.4, 0.7, 1];
const SHADES = [[], [2], [2, 4], [1, 2, 4], [1, 2, 3, 4]];

/**
 * Bars of `values`, oldest first, scaled to their largest; `label` tells the facts to who cannot see them.
 *
 * The last bar is the time that is not over yet and stands out.
 */
export function Sparkline({ values, label, width = 96, height = 24 }) {
    const step = width / values.length;
    const top = Math.max(4, ...values);
    const bar = (value, index) => {
        const tall = value ? Math.max(2, Math.round((value / top) * height)) : 1;
        const [x, w] = [Math.round(index * step), Math.max(1, Math.round(step) - 2)];
        return `M${x} ${height}v${-tall}h${w}v${tall}z`;
    };
    const drawn = values.map(bar);
    const last = drawn.pop();
    const none = values.every((value) => !value);
    const tone = none ? "var(--line)" : "var(--accent-bar)";
    return html`<svg class="sparkline" role="img" aria-label=${label} width=${width} height=${height}>
        <title>${label}</title>
        <path d=${drawn.join("")} style=${{ fill: tone }} />
        <path d=${last} style=${{ fill: none ? tone : "var(--accent)" }} />
    </svg>`;
}

/** A bar of `value` out of `max`, lying behind the label of a positioned row or cell. */
export function Bar({ value, max }) {
    const width = max && value ? `max(2px, ${(value / max) * 100}%)` : 0;
    const place = { position: "absolute", insetBlock: "4px", left: 0, width, zIndex: 0 };
    const look = { background: "var(--accent-wash)", borderRadius: "4px" };
    return html`<span class="bar" aria-hidden="true" style=${{ ...place, ...look }}></span>`;
}

/** How `now` compares with `before`: `+12 %`, `−3 %`, `×14`, `new`, `gone`, `no change`. */
export function changeText(now, before) {
    if (now === before) return now ? "no change" : "none";
    if (!before) return "new";
    if (!now) return "gone";
    const percent = Math.round((100 * (now - before)) / before);
    if (percent === 0) return now > before ? "+ under 1 %" : "− under 1 %";
    if (percent >= 1000) return `×${count(Math.round(now / before))}`;
    return `${percent > 0 ? "+" : "−"}${Math.abs(percent)} %`;
}

/** The change as text, both counts as its tooltip. */
export function Change({ now, before }) {
    const title = `${count(now)}, before that ${count(before)}`;
    return html`<span class="change" title=${title}>${changeText(now, before)}</span>`;
}

/**
 * Counts by hour of the week, Monday first: a grid to walk with the arrow keys, each cell told in words below it.
 *
 * `cells` `[{weekday: 1–7, hour: 0–23, count}]`, those missing are 0; `zone` says whose hours they are.
 */
export function HeatMap({ cells, zone }) {
    const counts = new Map(cells.map((cell) => [`${cell.weekday} ${cell.hour}`, cell.count]));
    const of = (weekday, hour) => counts.get(`${weekday} ${hour}`) ?? 0;
    const max = Math.max(0, ...cells.map((cell) => cell.count));
    const steps = stepsTo(max);
    const at = useSignal([1, 9]);
    const told = useSignal(null);
    const table = useRef(null);
    const busiest = cells.find((cell) => cell.count === max);

    const walk = (event) => {
        const [weekday, hour] = at.value;
        const to = {
            ArrowLeft: [weekday, hour - 1],
            ArrowRight: [weekday, hour + 1],
            ArrowUp: [weekday - 1, hour],
            ArrowDown: [weekday + 1, hour],
            Home: [weekday, 0],
            End: [weekday, 23],
        }[event.key];
        if (!to) return;
        event.preventDefault();
        at.value = [clamp(to[0], 1, 7), clamp(to[1], 0, 23)];
        table.current.rows[at.value[0]].cells[at.value[1] + 1].focus();
    };
    const tell = (event) => {
        const cell = event.target.closest("td");
        if (cell?.parentNode.rowIndex) told.value = [cell.parentNode.rowIndex, cell.cellIndex - 1];
    };
    const forget = () => (told.value = null);
    const words = ([weekday, hour]) =>
        `${WEEKDAYS[weekday - 1]} ${hours(hour)}: ${counted(of(weekday, hour), "activity", "activities")}`;
    return html`<figure class="heat">
        <table
            role="grid"
            aria-label=${`Activities by hour of the week, ${zone} time`}
            ref=${table}
            onKeyDown=${walk}
            onFocusIn=${tell}
            onFocusOut=${forget}
            onMouseOver=${tell}
            onMouseLeave=${forget}
        >
            <thead>
                <tr>
                    <td></td>
                    ${HOURS.map(
                        (hour) =>
                            html`<th scope="col"><span class=${hour % 6 ? "hidden" : ""}>${two(hour)}</span></th>`,
                    )}
                </tr>
            </thead>
            <tbody>
                ${WEEKDAYS.map(
                    (name, index) => html`<tr>
                        <th scope="row">${name}</th>
                        ${HOURS.map((hour) => {
                            const n = of(index + 1, hour);
                            const here = at.value[0] === index + 1 && at.value[1] === hour;
                            return html`<td
                                class=${shade(levelOf(n, steps), steps)}
                                tabindex=${here ? 0 : -1}
                                onFocus=${() => (at.value = [index + 1, hour])}
                            >
                                <span class="hidden">${count(n)}</span>
                            </td>`;
                        })}
                    </tr>`,
                )}
            </tbody>
        </table>
        <figcaption>
            <span class="told">
                ${told.value
                    ? words(told.value)
                    : busiest
                      ? `Busiest: ${words([busiest.weekday, busiest.hour])}`
                      : "No activity in these days"}
            </span>
            ${max > 0 &&
            html`<span class="legend"
                >${[0, ...steps].map(
                    (step, level) =>
                        html`<span><i class=${shade(level, steps)}></i>${rangeOf(level, step, steps)}</span>`,
                )}</span
            >`}
        </figcaption>
    </figure>`;
}

/** The largest count of each shade, rising; fewer shades when there is little to tell apart. */
function stepsTo(max) {
    return [...new Set(LEVELS.map((share) => Math.ceil(share * max)))].filter((step) => step > 0);
}

function levelOf(n, steps) {
    return n ? steps.findIndex((step) => n <= step) + 1 : 0;
}

/** Few shades are told apart best when they are far apart, and a single one should not shout. */
const shade = (level, steps) => `level-${level && SHADES[steps.length][level - 1]}`;

function rangeOf(level, step, steps) {
    if (!level) return "0";
    const from = (steps[level - 2] ?? 0) + 1;
    return from === step ? count(step) : `${count(from)}–${count(step)}`;
}

const two = (hour) => String(hour).padStart(2, "0");
const hours = (hour) => `${two(hour)}:00–${two((hour + 1) % 24)}:00`;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
