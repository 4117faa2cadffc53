/** Times as people read them: the zone of time stamps is the reader's choice, the project's days are not. */
import { computed, html, signal } from "./ui.js";

const ZONE_KEY = "footfall-zone";
const BROWSER_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** The project's zone (IANA name); the frame sets it. */
export const projectZone = signal("UTC");

/** Which zone time stamps are shown in: `local`, `project` or `utc`. */
export const zoneChoice = signal(kept() ?? "local");

/** The zone of time stamps, as an IANA name. */
export const zone = computed(() =>
    zoneChoice.value === "utc" ? "UTC" : zoneChoice.value === "project" ? projectZone.value : BROWSER_ZONE,
);

/** The present in ms; moves on every second while the tab is visible. */
export const now = signal(Date.now());

setInterval(() => {
    if (!document.hidden) now.value = Date.now();
}, 1000);
document.addEventListener("visibilitychange", () => {
    now.value = Date.now();
});

/** Choose the zone of time stamps; remembered in this browser. */
export function chooseZone(choice) {
    zoneChoice.value = choice;
    try {
        localStorage.setItem(ZONE_KEY, choice);
    } catch {
        // Without storage the choice lasts as long as the page.
    }
}

function kept() {
    try {
        const choice = localStorage.getItem(ZONE_KEY);
        return ["local", "project", "utc"].includes(choice) ? choice : null;
    } catch {
        return null;
    }
}

const formats = new Map();

function format(options, zoneName) {
    const key = zoneName + JSON.stringify(options);
    if (!formats.has(key)) {
        formats.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zoneName, hourCycle: "h23", ...options }));
    }
    return formats.get(key);
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const MINUTE = { hour: "2-digit", minute: "2-digit" };
const DAY = { day: "numeric", month: "short" };
const DAY_YEAR = { ...DAY, year: "numeric" };
const WHOLE = { ...DAY_YEAR, ...CLOCK, timeZoneName: "short" };

/** `09:30:05`. */
export const clock = (at, zoneName = zone.value) => format(CLOCK, zoneName).format(new Date(at));

/** `09:30`. */
export const minute = (at, zoneName = zone.value) => format(MINUTE, zoneName).format(new Date(at));

/** `22 Nov`, with the year when it is another one. */
export function day(at, zoneName = zone.value) {
    const date = new Date(at);
    const sameYear = date.getFullYear() === new Date(now.peek()).getFullYear();
    return format(sameYear ? DAY : DAY_YEAR, zoneName).format(date);
}

/** A calendar day such as 2026-11-22, which has no zone: `Sun 22 Nov`. */
export const calendarDay = (text) =>
    format({ weekday: "short", ...DAY }, "UTC").format(new Date(`${text}T00:00:00Z`));

/** The clock, with the day in front when it is not today. */
export function stamp(at, zoneName = zone.value) {
    const today = day(at, zoneName) === day(now.value, zoneName);
    return today ? clock(at, zoneName) : `${day(at, zoneName)} ${minute(at, zoneName)}`;
}

/** The whole of it, with its zone. */
export const whole = (at, zoneName = zone.value) => format(WHOLE, zoneName).format(new Date(at));

/** How long ago: `just now`, `12 s ago`, `5 min ago`, `3 h ago`, `4 days ago`, else the day. */
export function relative(at, present = now.value) {
    const seconds = Math.round((present - new Date(at).getTime()) / 1000);
    if (seconds < -60) return `in ${span(-seconds)}`;
    if (seconds < 5) return "just now";
    return seconds < 45 * 86400 ? `${span(seconds)} ago` : day(at);
}

/** A length of time in its largest unit: `45 s`, `5 min`, `3 h`, `4 days`. */
export function span(seconds) {
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 2 * 86400) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} days`;
}

/** `Europe/Berlin` as people say it: `Berlin`. */
export const zoneName = (name) => name.split("/").pop().replaceAll("_", " ");

/** A time as an element: relative or as a stamp, and the whole of it in UTC and here as its tooltip. */
export function Time({ at, as = "relative", class: className = "" }) {
    const text = as === "relative" ? relative(at) : as === "day" ? day(at) : stamp(at);
    const title = `${whole(at, "UTC")}\n${whole(at)}`;
    return html`<time datetime=${at} title=${title} class=${className}>${text}</time>`;
}
