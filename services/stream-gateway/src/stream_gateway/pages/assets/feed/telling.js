/** What there is to tell about an event: what is unusual, its values, and the most telling of them. */
import { span } from "../time.js";

const PAIRS = 8;
const PLACES = ["title", "name", "path", "url"];
const LATE_S = 300;
const DEPTH = 3;
const MARKS = {
    skew_corrected: [
        "clock corrected",
        "The sender's clock was wrong; the time was corrected by its difference.",
    ],
    clamped: ["time set to receipt", "The sender's time lay ahead; the time of receipt stands in its place."],
};

/** What is unusual about an event, as `[words, explanation]`. */
export function remarksOf(event) {
    const found = [];
    if (event.origin === "import") found.push(["imported", "It came from a file, not live."]);
    if (event.origin === "replay") found.push(["replayed", "It was sent again from a replay."]);
    const lateS = (Date.parse(event.received_at) - Date.parse(event.occurred_at)) / 1000;
    if (event.origin === "live" && lateS > LATE_S) {
        found.push([`late by ${span(Math.round(lateS))}`, "It was received so long after it happened."]);
    }
    for (const mark of event.marks ?? []) found.push(MARKS[mark] ?? [mark, ""]);
    return found;
}

/** An object's values one under the other: `[["plan.name", "pro"], …]`; deeper ones stay JSON. */
export function flattened(object, prefix = "", depth = DEPTH) {
    return Object.entries(object ?? {}).flatMap(([name, value]) =>
        depth > 1 && value && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length
            ? flattened(value, `${prefix}${name}.`, depth - 1)
            : [[prefix + name, typeof value === "string" ? value : JSON.stringify(value)]],
    );
}

/** The most telling values of an event, as `[[name, value], …]`. */
export function tellingOf(event) {
    if (event.type === "alias") return [["was", event.previous_id ?? ""]];
    const aboutWhom = event.type === "identify" || event.type === "group";
    const [first, second] = aboutWhom ? [event.traits, event.properties] : [event.properties, event.traits];
    const pairs = [...flattened(first), ...flattened(second)].filter(
        ([, value]) => value !== "" && value !== "null",
    );
    if (event.type === "page" || event.type === "screen") {
        const rank = ([name]) => (PLACES.indexOf(name) + PLACES.length + 1) % (PLACES.length + 1);
        pairs.sort((one, other) => rank(one) - rank(other));
    }
    return pairs.slice(0, PAIRS);
}
