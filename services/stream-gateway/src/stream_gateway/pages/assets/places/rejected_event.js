/** One rejected event: as it came, with what is wrong in it marked, and as it should have been. */
import { post, useAnswer } from "../api.js";
import { CopyButton } from "../clipboard.js";
import { Failure } from "../failure.js";
import { eventLink } from "../links.js";
import { stamp, Time } from "../time.js";
import { html, useEffect, useRef, useSignal } from "../ui.js";
import { inWords } from "./rejected_alike.js";
import { linesOf, pretty } from "./rejected_text.js";

const MOST_LINES = 24;
const LINE_CHARS = 72;

/** What a row opens to. `settle` is told what became of it: `replayed` or `dismissed`. */
export function RejectedEvent({ id, settle }) {
    const told = useAnswer(`/v1/rejected/${encodeURIComponent(id)}`);
    const event = told.value.value;
    const notice = useRef(null);
    const done = async (how) => {
        settle(how);
        await told.refresh();
        notice.current?.focus();
    };
    if (!event) return html`<div class="blank"><${Failure} problem=${told.problem.value} /></div>`;
    return html`<div class="rejected-event">
        ${event.outcome && html`<${Outcome} ...${event} notice=${notice} />`}
        <${AsItCame} event=${event} />
        ${event.state !== "replayed" && html`<${Editor} event=${event} done=${done} />`}
    </div>`;
}

function Outcome({ state, outcome: { at, by, events }, notice }) {
    const who = by === "login" ? "somebody logged in" : html`key <code>${by}</code>`;
    return html`<p class="notice told" tabindex="-1" ref=${notice}>
        <span>${state === "replayed" ? "Replayed" : "Dismissed"} <${Time} at=${at} /> by ${who}.</span>
        ${events.length === 1 && html`<a class="link" href=${eventLink(events[0])}>The event it became</a>`}
        ${events.length > 1 && html`<span>It became ${events.length} events.</span>`}
        ${state === "dismissed" && html`<span class="soft">It can still be replayed.</span>`}
    </p>`;
}

function AsItCame({ event }) {
    const lines = linesOf(event);
    const cut = event.body_truncated && "only its beginning was kept";
    const coded = event.body_encoding === "base64" && "no UTF-8, so it is shown in base64";
    const remarks = [coded, cut].filter(Boolean).join("; ");
    return html`<section>
        <header>
            <h3>As it came</h3>
            <span class="soft">${remarks}</span>
            <${CopyButton} text=${event.body} name="Copy as it came" />
        </header>
        <pre class="code" tabindex="0" aria-label="As it came">
${lines.map(({ text, wrong, missing }) => (wrong ? html`<mark class=${missing ? "missing" : ""}>${text}</mark>` : text))}</pre
        >
        <dl>
            <dt>Wrong</dt>
            <dd><bdi>${event.message}</bdi> ${event.hint && html`<bdi class="soft">${event.hint}</bdi>`}</dd>
            <dt>Came</dt>
            <dd><${Time} at=${event.received_at} as="stamp" /> ${event.sender?.key && html`with key <code>${event.sender.key}</code>`}</dd>
            ${event.run && html`<dt>Import</dt><dd><code>${event.run}</code></dd>`}
        </dl>
    </section>`;
}

/** The text to replay: checked as often as one likes, stored by Replay alone. */
function Editor({ event, done }) {
    const text = useSignal(pretty(event.event ?? (event.body_encoding === "utf-8" ? event.body : "")));
    const verdict = useSignal(null);
    const busy = useSignal(false);
    const area = useRef(null);
    const label = `event-${event.id}`;
    const field = area.current;
    useEffect(() => {
        const lines = text.value.split("\n").reduce((sum, line) => sum + Math.ceil((line.length + 1) / LINE_CHARS), 0);
        if (field) field.rows = Math.min(MOST_LINES, lines + 1);
    }, [field, text.value]);

    const hand = async (dryRun) => {
        const wrong = notJson(text.value);
        if (wrong) return void (verdict.value = wrong);
        busy.value = true;
        try {
            // As it is written: admission judges the text, such as a key that stands twice.
            const body = `{"event":${text.value},"dry_run":${dryRun}}`;
            const told = await post(`/v1/rejected/${encodeURIComponent(event.id)}/replay`, body);
            verdict.value = told.rejected.length ? told.rejected[0] : { good: "It would be accepted." };
            if (!dryRun) await done("replayed");
        } catch (problem) {
            verdict.value = problem;
        }
        busy.value = false;
    };
    const dismiss = async () => {
        busy.value = true;
        try {
            await post(`/v1/rejected/${encodeURIComponent(event.id)}/dismiss`);
            await done("dismissed");
        } catch (problem) {
            verdict.value = problem;
        }
        busy.value = false;
    };
    const typed = ({ target }) => {
        text.value = target.value;
        verdict.value = null;
    };
    const keyed = (pressed) => {
        if (pressed.key === "Enter" && (pressed.ctrlKey || pressed.metaKey)) {
            pressed.preventDefault();
            hand(true);
        }
    };
    const apply = () => {
        text.value = applied(text.value, event.fix);
        verdict.value = null;
        area.current.focus();
    };
    const said = verdict.value;
    const counts = /"time"\s*:/.test(text.value)
        ? "It counts at the time it names."
        : `Without a time of its own it counts at ${stamp(event.received_at)}, when it came.`;
    return html`<section>
        <header>
            <h3><label for=${label}>As it should be</label></h3>
            ${event.fix && !notJson(text.value) && applied(text.value, event.fix) !== text.value &&
            html`<button onClick=${apply}>Apply: ${inWords(event.fix)}</button>`}
        </header>
        ${event.obstacle && html`<p class="notice"><span>${event.obstacle.message} Write the event here as it should be.</span></p>`}
        <textarea
            id=${label}
            class="code"
            ref=${area}
            value=${text.value}
            spellcheck=${false}
            autocomplete="off"
            aria-invalid=${String(Boolean(said && !said.good))}
            aria-describedby=${`${label}-verdict`}
            onInput=${typed}
            onKeyDown=${keyed}
        ></textarea>
        <p class="verdict" id=${`${label}-verdict`} role="status">
            ${said
                ? html`<span class=${said.good ? "good" : "bad"}>${said.good ?? said.message}</span> ${said.hint && html`<span class="soft">${said.hint}</span>`}`
                : html`<span class="soft">${counts} Rules do nothing about it.</span>`}
        </p>
        <p class="acts">
            <button disabled=${busy.value} onClick=${() => hand(true)}>Check</button>
            <button class="primary" disabled=${busy.value} onClick=${() => hand(false)}>Replay</button>
            ${event.state === "open" && html`<button class="quiet" disabled=${busy.value} onClick=${dismiss}>Dismiss</button>`}
        </p>
    </section>`;
}

/** What keeps the text from being JSON, or null. */
function notJson(text) {
    try {
        JSON.parse(text);
        return null;
    } catch (error) {
        return { message: "This is not JSON yet.", hint: error.message };
    }
}

/** The event with the correction, its fields in their order; the same text where there is nothing to correct. */
function applied(text, { rename = {}, remove = [] }) {
    const event = JSON.parse(text);
    if (typeof event !== "object" || event === null || Array.isArray(event)) return text;
    const changes = Object.keys(event).some((name) => name in rename || remove.includes(name));
    if (!changes) return text;
    const kept = Object.entries(event).filter(([name]) => !remove.includes(name));
    return JSON.stringify(Object.fromEntries(kept.map(([name, value]) => [rename[name] ?? name, value])), null, 2);
}
