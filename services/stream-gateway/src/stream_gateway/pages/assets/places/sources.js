/** Sources: what arrives from where, what was refused and why, and the imports. */
import { useAnswer } from "../api.js";
import { Sparkline } from "../charts/charts.js";
import { Failure } from "../failure.js";
import { Imports } from "./imports.js";
import { lazy } from "../lazy.js";
import { link } from "../links.js";
import { count, counted } from "../numbers.js";
import { now, Time } from "../time.js";
import { html, useComputed } from "../ui.js";
import { Equation } from "./accounting.js";
import { Tail } from "./tail.js";

const EVERY_S = 5;
const KEYS_EVERY_S = 30;
const RATE_MINUTES = 5;
const QUIET_S = 300;
const MOST = 200;

const Snippets = lazy(() => import("./snippets.js"), "Snippets");

export const title = () => "Sources";

/** The page. */
export function Page({ project }) {
    const sources = useAnswer("/v1/sources", {}, { everyS: EVERY_S });
    const keys = useAnswer(`/v1/projects/${project.project}/keys`, {}, { everyS: KEYS_EVERY_S });
    const state = useComputed(() => ({ kind: sources.problem.value ? "reconnecting" : "live", retry_at: 0 }));
    const items = sources.value.value?.items;
    return html`
        <div class="page-head">
            <h1 tabindex="-1">Sources</h1>
            <p class="soft">Does what is sent to ${project.name} arrive?</p>
            <p class="tools faint">
                ${sources.at.value > 0 && html`<span>as of <${Time} at=${sources.at.value} /></span>`}
            </p>
        </div>
        <div class="stack">
            <${Failure} problem=${sources.problem.value} at=${sources.at.value} />
            ${items?.length === 0
                ? html`<section class="panel"><${Snippets} project=${project.project} state=${state} /></section>`
                : html`<${Arrival} items=${items} account=${sources.value.value?.accounting} />`}
            <${Senders} items=${items} keys=${keys.value.value?.items ?? []} />
            <${Failure} problem=${keys.problem.value} />
            <${Tail} project=${project.project} items=${items} />
            <${Imports} />
        </div>
    `;
}

const sum = (numbers) => numbers.reduce((total, n) => total + n, 0);
const rateOf = ({ per_minute: minutes }) => sum(minutes.slice(-RATE_MINUTES - 1, -1)) / RATE_MINUTES;
const rateText = (rate) => (rate >= 10 || rate === 0 ? count(Math.round(rate)) : rate.toFixed(1));
const latest = (times) => times.reduce((last, at) => (at > last ? at : last), "");

/** The three figures: what arrives now, in the last hour, and what was refused. */
function Arrival({ items, account }) {
    const known = items ?? [];
    const seen = latest(known.map((item) => item.last_seen));
    const refusedAt = latest(known.flatMap((item) => item.last_error?.at ?? []));
    const refused = sum(known.map((item) => item.rejected));
    const figure = (label, value, meaning, tone = "") => html`<div>
        <h2>${label}</h2>
        <p class=${`value ${tone}`}>${items ? value : html`<span class="faint">–</span>`}</p>
        <p class="soft">${items ? meaning : "…"}</p>
    </div>`;
    return html`<section class="panel arrival" aria-label="In all" aria-busy=${String(!items)}>
        ${figure("A minute", rateText(sum(known.map(rateOf))), `events, over ${RATE_MINUTES} min`)}
        ${figure(
            "Last hour",
            count(sum(known.flatMap((item) => item.per_minute))),
            html`events, last <${Time} at=${seen} />`,
        )}
        ${figure(
            "Refused",
            count(refused),
            refused ? html`last <${Time} at=${refusedAt} />` : `of ${counted(sum(known.map((item) => item.events)), "event")}`,
            refused ? "bad" : "",
        )}
        ${account &&
        html`<div class="whole">
            <h2>What became of it, last 24 hours</h2>
            <${Equation} account=${account} />
        </div>`}
    </section>`;
}

/** Senders by key, in the order in which they first came, then the keys that nobody has used. */
function grouped(senders, keys) {
    const groups = new Map();
    for (const sender of senders) {
        const group = groups.get(sender.key) ?? { ...sender, senders: [] };
        group.senders.push(sender);
        if (sender.first_seen < group.first_seen) group.first_seen = sender.first_seen;
        groups.set(sender.key, group);
    }
    for (const key of keys) {
        const group = groups.get(key.id);
        if (group) group.revoked = Boolean(key.revoked_at);
        else if (!key.revoked_at) groups.set(key.id, { ...key, first_seen: `~${key.created_at}`, senders: [] });
    }
    const by = (of) => (one, other) => (of(one) < of(other) ? -1 : 1);
    for (const group of groups.values()) group.senders.sort(by((sender) => sender.sdk ?? "~"));
    return [...groups.values()].sort(by((group) => group.first_seen));
}

function Senders({ items, keys }) {
    if (!items) return html`<section class="panel loading" aria-busy="true"></section>`;
    const groups = grouped(items, keys);
    if (groups.length === 0) return null;
    return html`<section class="panel">
        <header>
            <h2>${items.length ? "Live" : "Keys"}</h2>
            <p class="soft">${items.length > 0 && "by key and library"}</p>
            ${items.length >= MOST && html`<p class="tools soft">The ${MOST} that sent last are shown.</p>`}
        </header>
        <table class="rows sources" aria-label="Senders">
            ${items.length > 0 &&
            html`<thead>
                <tr>
                    <th scope="col">Library</th>
                    <th scope="col" class="sparks">Last hour</th>
                    <th scope="col" class="number">A minute</th>
                    <th scope="col" class="number">Events</th>
                    <th scope="col" class="number">Refused</th>
                    <th scope="col" class="number">Last seen</th>
                </tr>
            </thead>`}
            ${groups.map(
                (group) => html`<tbody key=${group.key ?? group.id}>
                    <tr class="key">
                        <th scope="rowgroup" colspan="6"><${KeyName} ...${group} /></th>
                    </tr>
                    ${group.senders.map((item) => html`<${Sender} key=${item.sdk} item=${item} />`)}
                </tbody>`,
            )}
        </table>
    </section>`;
}

function Sender({ item }) {
    const quiet = (now.value - new Date(item.last_seen)) / 1000 > QUIET_S;
    const refusal = item.last_error;
    const hour = `${counted(sum(item.per_minute), "event")} in the last hour, by minute`;
    return html`<tr>
            <td class="first"><bdi>${item.sdk ?? html`<span class="faint">does not say</span>`}</bdi></td>
            <td class="sparks"><${Sparkline} values=${item.per_minute} width=${240} label=${hour} /></td>
            <td class="number" data-unit="a minute">${rateText(rateOf(item))}</td>
            <td class="number" data-unit="events">${count(item.events)}</td>
            <td class=${item.rejected ? "number bad" : "number faint"} data-unit="refused">${count(item.rejected)}</td>
            <td class=${quiet ? "number at soft" : "number at"}><${Time} at=${item.last_seen} /></td>
        </tr>
        ${(item.accounting.received > 0 || item.accounting.unavailable > 0) &&
        html`<tr class="account">
            <td colspan="6"><${Equation} account=${item.accounting} /></td>
        </tr>`}
        ${refusal &&
        html`<tr class="refusal">
            <td colspan="6">
                <span class="bad">Refused <${Time} at=${refusal.at} />:</span>${" "}
                <bdi>${refusal.message}</bdi>${refusal.hint && html`${" "}<bdi class="soft">${refusal.hint}</bdi>`}
                ${refusal.rejected && html`${" "}<a class="link" href=${link("/rejected", { code: refusal.code })}>Correct it</a>`}
            </td>
        </tr>`}`;
}

function KeyName({ label, kind, last_four: lastFour, revoked, created_at: madeAt, senders }) {
    if (!kind) return html`<span class="soft">No key known</span>`;
    const name = `${kind === "write" ? "Write" : "Secret"} key …${lastFour}`;
    return html`<bdi>${label || name}</bdi> ${label && html`<span class="soft">${name}</span>`}
        ${revoked && html`<span class="tag">revoked</span>`}
        ${senders.length === 0 && html`<span class="soft">made <${Time} at=${madeAt} />, nothing sent with it yet</span>`}`;
}
