/** What arrives now, accepted and refused, from all sources or one: newest first, nothing before the page was opened. */
import { Connection } from "../feed/connection.js";
import { follow } from "../feed/relay.js";
import { count } from "../numbers.js";
import { Time } from "../time.js";
import { batch, html, signal, useEffect, useMemo, useSignal } from "../ui.js";

const SHOWN = 100;
const WAITING_MOST = 1000;
const DRAW_MS = 150;
const TOPICS = ["activity", "rejected"];
const OK = ["live", "resting"];

/** Both streams as one list; `source` is `{key, sdk}` with null for none, or null for all. */
function createTail(project, source) {
    const rows = signal([]);
    const waiting = signal(0);
    const paused = signal(false);
    const states = signal(Object.fromEntries(TOPICS.map((topic) => [topic, { kind: "connecting" }])));
    const met = new Set();
    let fresh = [];
    let drawing = 0;

    // What was refused of an import is the run's.
    const wants = ({ sender, source: from }) =>
        from !== "import" && (!source || ((sender?.key ?? null) === source.key && (sender?.sdk ?? null) === source.sdk));
    const draw = () => {
        drawing = 0;
        batch(() => {
            if (paused.peek()) waiting.value = fresh.length;
            else {
                rows.value = [...fresh, ...rows.peek()].slice(0, SHOWN);
                fresh = [];
                waiting.value = 0;
            }
        });
    };
    const take = (topic) => (items) => {
        for (const { event, data } of items) {
            const id = event === "gap" ? `gap ${topic} ${data.to}` : `${topic} ${data.id} ${data.recorded_at}`;
            if (met.has(id) || (event !== "gap" && !wants(data))) continue;
            met.add(id);
            if (met.size > 2 * WAITING_MOST) met.delete(met.values().next().value);
            fresh.unshift({ id, topic, gap: event === "gap", data });
        }
        fresh.length = Math.min(fresh.length, WAITING_MOST);
        if (fresh.length) drawing ||= setTimeout(draw, DRAW_MS);
    };
    const filter = source ? { key: source.key, sdk: source.sdk } : {};
    const relays = TOPICS.map((topic) =>
        follow({
            project,
            topic,
            filter: Object.fromEntries(Object.entries(filter).filter(([, value]) => value)),
            onItems: take(topic),
            onReady() {},
            onState: (told) => (states.value = { ...states.peek(), [topic]: told }),
        }),
    );
    return {
        rows,
        waiting,
        paused,
        states,
        pause(value) {
            paused.value = value;
            draw();
        },
        close() {
            clearTimeout(drawing);
            for (const relay of relays) relay.close();
        },
    };
}

const nameOf = ({ label, kind, last_four: lastFour, sdk }) =>
    `${sdk ?? "does not say"} · ${label || (kind ? `${kind} key …${lastFour}` : "no key known")}`;

/** The panel. */
export function Tail({ project, items }) {
    const chosen = useSignal("");
    const sources = (items ?? []).map((item) => [JSON.stringify([item.key, item.sdk]), item]);
    const tail = useMemo(() => {
        const [key, sdk] = chosen.value ? JSON.parse(chosen.value) : [];
        return createTail(project, chosen.value ? { key, sdk } : null);
    }, [project, chosen.value]);
    useEffect(() => () => tail.close(), [tail]);
    const rows = tail.rows.value;
    const paused = tail.paused.value;
    const states = Object.values(tail.states.value);
    const state = states.find(({ kind }) => !OK.includes(kind)) ?? states[0];
    const more = tail.waiting.value >= WAITING_MOST ? " or more" : "";
    const resume = tail.waiting.value ? `Resume, ${count(tail.waiting.value)}${more} new` : "Resume";
    return html`<section class="panel" aria-label="Arriving now">
        <header>
            <h2>Arriving now</h2>
            <${Connection} state=${state} />
            <div class="tools">
                <select class="which" aria-label="Source" value=${chosen.value} onChange=${(event) => (chosen.value = event.target.value)}>
                    <option value="">All sources</option>
                    ${sources.map(([value, item]) => html`<option key=${value} value=${value}>${nameOf(item)}</option>`)}
                </select>
                <button aria-pressed=${String(paused)} onClick=${() => tail.pause(!paused)}>${paused ? resume : "Pause"}</button>
            </div>
        </header>
        ${rows.length === 0
            ? html`<div class="empty">
                  <p>${paused ? "Paused." : "What is sent from now on appears here, accepted or refused."}</p>
              </div>`
            : html`<div class="tail-rows"><table class="rows tail" aria-label="Events arriving now">
                  <thead>
                      <tr>
                          <th scope="col">When</th>
                          <th scope="col">Outcome</th>
                          <th scope="col">Action or reason</th>
                          <th scope="col">User</th>
                          <th scope="col">Library</th>
                      </tr>
                  </thead>
                  ${rows.map((row) => (row.gap ? html`<${Missing} key=${row.id} />` : html`<${Row} key=${row.id} row=${row} />`))}
              </table></div>`}
    </section>`;
}

function Missing() {
    return html`<tbody>
        <tr class="missing">
            <td colspan="5"><span class="warn">Some may be missing here: the connection lagged.</span></td>
        </tr>
    </tbody>`;
}

function Row({ row: { topic, data } }) {
    const open = useSignal(false);
    const refused = topic === "rejected";
    const outcome = !refused ? "stored" : data.quarantined ? "set aside" : "refused";
    const toggle = () => (open.value = !open.value);
    const pressed = (event) => {
        if (!event.target.closest("button, a") && getSelection().isCollapsed) toggle();
    };
    const who = data.user ?? data.anonymous_id;
    return html`<tbody class=${open.value ? "opened" : ""}>
        <tr class="one" onClick=${pressed}>
            <td class="when">
                <button class="quiet" aria-expanded=${String(open.value)} onClick=${toggle}>
                    <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true"><path d="m6 4.5 3.5 3.5L6 11.5" /></svg>
                    <${Time} at=${data.received_at} as="stamp" />
                </button>
            </td>
            <td class=${refused ? (data.quarantined ? "outcome warn" : "outcome bad") : "outcome good"}>${outcome}</td>
            <td class="says">
                ${refused
                    ? html`<code>${data.code}</code> <bdi class="soft">${data.message}</bdi>`
                    : html`<bdi>${data.action}</bdi>`}
            </td>
            <td class="who">${who ? html`<bdi class="cut" title=${who}>${who}</bdi>` : html`<span class="faint">${refused ? "" : "nobody"}</span>`}</td>
            <td class="with"><bdi class="cut soft" title=${data.sender?.sdk ?? ""}>${data.sender?.sdk ?? "does not say"}</bdi></td>
        </tr>
        ${open.value &&
        html`<tr class="inside">
            <td colspan="5"><pre class="code" tabindex="0" aria-label="JSON">${JSON.stringify(data, null, 2)}</pre></td>
        </tr>`}
    </tbody>`;
}
