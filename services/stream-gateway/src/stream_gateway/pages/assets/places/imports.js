/** The files that were brought in, and the lines of them that were refused. */
import { get, useAnswer } from "../api.js";
import { Failure } from "../failure.js";
import { count, counted } from "../numbers.js";
import { Time } from "../time.js";
import { html, useSignal } from "../ui.js";

const EVERY_S = 5;
const RUNS = 20;
const LINES = 10;
const STATES = { queued: "waiting", running: "running", done: "done", failed: "failed", cancelled: "cancelled" };

const sum = (numbers) => numbers.reduce((total, n) => total + n, 0);

/** The panel of the latest runs of the page's project. */
export function Imports() {
    const { value, problem } = useAnswer("/v1/imports", { limit: RUNS }, { everyS: EVERY_S });
    const items = value.value?.items;
    return html`<section class="panel" aria-label="Imports">
        <header>
            <h2>Imports</h2>
            ${items?.length > 0 && html`<p class="soft">${items.length < RUNS ? "files brought in" : `the latest ${RUNS} files brought in`}</p>`}
        </header>
        <${Failure} problem=${problem.value} />
        ${items?.length === 0 &&
        html`<p class="body soft">No file yet. History comes in with <code>footfall import run FILE</code>, access logs too.</p>`}
        ${items?.length > 0 &&
        html`<table class="rows imports" aria-label="Imports">
            <thead>
                <tr>
                    <th scope="col">File</th>
                    <th scope="col">State</th>
                    <th scope="col" class="number">Lines</th>
                    <th scope="col" class="number">Events</th>
                    <th scope="col" class="number">Left out</th>
                    <th scope="col" class="number">Refused</th>
                    <th scope="col" class="number">Started</th>
                </tr>
            </thead>
            ${items.map((run) => html`<${ImportRun} key=${run.run} run=${run} />`)}
        </table>`}
    </section>`;
}

function ImportRun({ run }) {
    const lines = useSignal(null);
    const problem = useSignal(null);
    const read = async (after) => {
        try {
            const told = await get(`/v1/imports/${run.run}/rejected`, { limit: LINES, after });
            lines.value = { items: [...(lines.value?.items ?? []), ...told.items], next: told.next };
            problem.value = null;
        } catch (failure) {
            problem.value = failure;
        }
    };
    const toggle = () => {
        if (lines.value) lines.value = null;
        else read();
    };
    const done = run.bytes_total ? Math.min(99, Math.floor((100 * run.bytes_done) / run.bytes_total)) : 0;
    const state = run.state === "running" ? `running, ${done} %` : (STATES[run.state] ?? run.state);
    const left = Object.entries(run.skipped);
    return html`<tbody>
        <tr>
            <td class="first"><bdi>${run.name}</bdi> <span class="faint">${run.source}</span></td>
            <td class=${run.state === "failed" ? "state bad" : "state"}>${state}</td>
            <td class="number" data-unit="lines">${count(run.lines)}</td>
            <td class="number" data-unit="events">${count(run.published)}</td>
            <td class="number" data-unit="left out" title=${left.map(([rule, n]) => `${rule}: ${count(n)}`).join("\n")}>
                ${count(sum(left.map(([, n]) => n)))}
            </td>
            <td class="number" data-unit="refused">
                ${run.rejected
                    ? html`<button class="quiet bad" aria-expanded=${String(Boolean(lines.value))} onClick=${toggle}>
                          ${count(run.rejected)}<span class="hidden"> refused: the lines</span>
                      </button>`
                    : count(run.rejected)}
            </td>
            <td class="number at"><${Time} at=${run.started_at ?? run.created_at} /></td>
        </tr>
        ${run.message &&
        html`<tr class="refusal">
            <td colspan="7"><bdi class=${run.state === "failed" ? "bad" : "soft"}>${run.message}</bdi></td>
        </tr>`}
        ${problem.value && html`<tr><td colspan="7"><${Failure} problem=${problem.value} /></td></tr>`}
        ${lines.value && html`<${BadLines} run=${run} lines=${lines.value} more=${() => read(lines.value.next)} />`}
    </tbody>`;
}

function BadLines({ run, lines: { items, next }, more }) {
    return html`<tr class="bad-lines">
        <td colspan="7">
            <ul>
                ${items.map(
                    (line) => html`<li key=${line.byte_offset}>
                        <span class="soft">line ${count(line.line)}</span>
                        <bdi>${line.message}</bdi>
                        <code>${line.text}</code>
                    </li>`,
                )}
            </ul>
            ${next !== null && html`<button onClick=${more}>More</button>`}
            ${next === null &&
            items.length < run.rejected &&
            html`<p class="soft">${counted(run.rejected - items.length, "more line was", "more lines were")} refused and not kept.</p>`}
        </td>
    </tr>`;
}
