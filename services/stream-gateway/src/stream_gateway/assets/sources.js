/** Sources: what arrives from where, what was refused and why, and the imports. */
import { get, useAnswer } from "./api.js";
import { Sparkline } from "./charts.js";
import { Failure } from "./failure.js";
import { count } from "./numbers.js";
import { Snippets } from "./snippets.js";
import { now, Time } from "./time.js";
import { html, useSignal } from "./ui.js";

const EVERY_S = 5;
const RATE_MINUTES = 5;
const QUIET_S = 300;
const STATES = { queued: "waiting", running: "running", done: "done", failed: "failed", cancelled: "cancelled" };

export const title = () => "Sources";

/** The page. */
export function Page({ project }) {
    const sources = useAnswer("/v1/sources", {}, { everyS: EVERY_S });
    const keys = useAnswer(`/v1/projects/${project.project}/keys`);
    const imports = useAnswer("/v1/imports", { limit: 20 }, { everyS: EVERY_S });
    return html`
        <div class="page-head">
            <h1 tabindex="-1">Sources</h1>
            <p class="soft">Who sends events to ${project.name}, and whether they arrive</p>
            <p class="tools faint">${sources.at.value > 0 && html`as of <${Time} at=${sources.at.value} />`}</p>
        </div>
        <div class="stack">
            <${Failure} problem=${sources.problem.value} at=${sources.at.value} />
            <${Senders} told=${sources.value.value} keys=${keys.value.value?.items ?? []} project=${project} />
            <${Imports} told=${imports.value.value} problem=${imports.problem.value} />
        </div>
    `;
}

function Senders({ told, keys, project }) {
    if (told === undefined) return html`<section class="panel loading" aria-busy="true"></section>`;
    const used = new Set(told.items.map((item) => item.key));
    const unused = keys.filter((key) => !used.has(key.id) && !key.revoked_at);
    return html`<section class="panel">
        <header>
            <h2>Live</h2>
            <p class="soft">by key and library, the last hour minute by minute</p>
        </header>
        ${told.items.length === 0 && html`<div class="body"><${Snippets} project=${project} /></div>`}
        ${(told.items.length > 0 || unused.length > 0) &&
        html`<div class="scroll-x">
            <table class="rows sources">
                <thead>
                    <tr>
                        <th scope="col">Key</th>
                        <th scope="col">Library</th>
                        <th scope="col">Last hour</th>
                        <th scope="col" class="number">A minute</th>
                        <th scope="col" class="number">Events</th>
                        <th scope="col" class="number">Refused</th>
                        <th scope="col">Last seen</th>
                        <th scope="col" class="reason">Last refusal</th>
                    </tr>
                </thead>
                <tbody>
                    ${told.items.map((item) => html`<${Sender} key=${`${item.key} ${item.sdk}`} item=${item} />`)}
                    ${unused.map(
                        (key) => html`<tr key=${key.id}>
                            <td class="cut"><${KeyName} ...${key} /></td>
                            <td colspan="7" class="faint">nothing received with this key yet</td>
                        </tr>`,
                    )}
                </tbody>
            </table>
        </div>`}
    </section>`;
}

function Sender({ item }) {
    const lately = item.per_minute.slice(-RATE_MINUTES - 1, -1);
    const rate = lately.reduce((sum, n) => sum + n, 0) / RATE_MINUTES;
    const quiet = (now.value - new Date(item.last_seen)) / 1000 > QUIET_S;
    const refusal = item.last_rejection;
    return html`<tr>
        <td class="cut"><${KeyName} ...${item} /></td>
        <td class="cut" title=${item.sdk}>${item.sdk ?? html`<span class="faint">not said</span>`}</td>
        <td><${Sparkline} values=${item.per_minute} width=${120} label="Events by minute, the last hour" /></td>
        <td class="number">${rate >= 10 ? count(Math.round(rate)) : rate.toFixed(1)}</td>
        <td class="number">${count(item.events)}</td>
        <td class=${item.rejected ? "number bad" : "number faint"}>${count(item.rejected)}</td>
        <td class=${quiet ? "cut soft" : "cut"}><${Time} at=${item.last_seen} /></td>
        <td class="reason">
            ${refusal
                ? html`<span class="cut" title=${[refusal.message, refusal.hint].filter(Boolean).join(" ")}
                      ><${Time} at=${refusal.at} class="faint" />${" "}${refusal.message} ${refusal.hint}</span
                  >`
                : html`<span class="faint">none</span>`}
        </td>
    </tr>`;
}

function KeyName({ label, kind, last_four: lastFour }) {
    if (!kind) return html`<span class="faint">no key known</span>`;
    const text = `${kind} key …${lastFour}`;
    return label ? html`<span title=${text}>${label} <span class="faint">${text}</span></span>` : text;
}

function Imports({ told, problem }) {
    return html`<section class="panel">
        <header>
            <h2>Imports</h2>
            <p class="soft">files brought in with <code>footfall import run</code></p>
        </header>
        <${Failure} problem=${problem} />
        ${told?.items.length === 0 && html`<p class="empty">No file was imported yet.</p>`}
        ${told?.items.length > 0 &&
        html`<div class="scroll-x">
            <table class="rows imports">
                <thead>
                    <tr>
                        <th scope="col">File</th>
                        <th scope="col">Kind</th>
                        <th scope="col">State</th>
                        <th scope="col" class="number">Lines</th>
                        <th scope="col" class="number">Events</th>
                        <th scope="col" class="number">Refused</th>
                        <th scope="col">Started</th>
                    </tr>
                </thead>
                <tbody>
                    ${told.items.map((run) => html`<${ImportRun} key=${run.run} run=${run} />`)}
                </tbody>
            </table>
        </div>`}
    </section>`;
}

function ImportRun({ run }) {
    const lines = useSignal(null);
    const show = async () => {
        lines.value = { items: [] };
        try {
            lines.value = await get(`/v1/imports/${run.run}/rejected`, { limit: 5 });
        } catch (problem) {
            lines.value = { items: [], problem };
        }
    };
    const done = run.bytes_total ? Math.floor((100 * run.bytes_done) / run.bytes_total) : 0;
    const state = run.state === "running" ? `running, ${done} %` : STATES[run.state];
    return html`
        <tr>
            <td class="cut" title=${run.name}>${run.name}</td>
            <td class="cut">${run.source}</td>
            <td class=${run.state === "failed" ? "bad cut" : "cut"} title=${run.message}>${state}</td>
            <td class="number">${count(run.lines)}</td>
            <td class="number">${count(run.published)}</td>
            <td class="number">
                ${run.rejected && !lines.value
                    ? html`<button class="quiet bad" onClick=${show} aria-label=${`${run.rejected} refused: show why`}>
                          ${count(run.rejected)}
                      </button>`
                    : count(run.rejected)}
            </td>
            <td class="cut"><${Time} at=${run.started_at ?? run.created_at} /></td>
        </tr>
        ${lines.value?.problem && html`<tr><td colspan="7"><${Failure} problem=${lines.value.problem} /></td></tr>`}
        ${lines.value?.items.map(
            (line) => html`<tr key=${line.byte_offset} class="bad-line">
                <td class="cut faint">line ${count(line.line)}</td>
                <td colspan="3" class="cut" title=${line.message}>${line.message}</td>
                <td colspan="3" class="cut mono" title=${line.text}>${line.text}</td>
            </tr>`,
        )}
    `;
}
