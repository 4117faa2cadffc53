/** Actions: what the rules did, live, and the rules that are active. */
import { useAnswer } from "../api.js";
import { Connection } from "../feed/connection.js";
import { Failure } from "../failure.js";
import { createFeed } from "../feed/feed.js";
import { accountLink, eventLink, personOf, rewrite } from "../links.js";
import { count } from "../numbers.js";
import { Time } from "../time.js";
import { html, useEffect, useMemo, useRef, useSignal } from "../ui.js";

const EVERY_S = 5;
const RULES_EVERY_S = 30;
const HELD_MOST = 100;
const HELD = {
    shadow: ["only watched", "The rule is in mode shadow: it says what it would do, and tells nobody."],
    history: ["not acted on", "The event came from a file: rules do not act on the past."],
};
const MODES = { live: "", shadow: "watches only" };

export const title = () => "Actions";

/** The page. */
export function Page({ project }) {
    const filters = useSignal({ rule: new URLSearchParams(location.search).get("rule") });
    const feed = useMemo(() => createFeed({ project: project.project, topic: "actions", filters }), [project.project]);
    useEffect(() => () => feed.close(), [feed]);
    const rules = useAnswer("/v1/rules", {}, { everyS: RULES_EVERY_S });
    const rule = filters.value.rule;
    const choose = (name) => {
        filters.value = { rule: name };
        rewrite({ rule: name });
    };
    const items = rules.value.value?.items;
    const none = items?.length === 0;
    return html`
        <div class="page-head">
            <h1 tabindex="-1">Actions</h1>
            <p class="soft">What the rules did about what customers do</p>
        </div>
        <div class=${none ? "actions alone" : "actions"}>
            <${Taken} feed=${feed} rule=${rule} choose=${choose} none=${none} />
            ${!none && html`<${Rules} told=${rules} chosen=${rule} choose=${choose} />`}
        </div>
    `;
}

/** The feed's rows with those held back, which no stream tells, in their places. */
function merged(rows, held, ended) {
    const known = new Set(rows.map((row) => row.id));
    const all = [...rows];
    for (const row of held) {
        if (known.has(row.id)) continue;
        const place = all.findIndex((other) => !other.gap && other.received_at < row.received_at);
        if (place >= 0) all.splice(place, 0, row);
        else if (ended) all.push(row);
    }
    return all;
}

function Taken({ feed, rule, choose, none }) {
    const held = useAnswer("/v1/actions", { status: "suppressed", rule, limit: HELD_MOST }, { everyS: EVERY_S });
    const still = useRef([]);
    const paused = feed.paused.value === "by you";
    if (!paused) still.current = held.value.value?.items ?? [];
    const rows = merged(feed.rows.value, still.current, feed.older.value.end);
    const pending = feed.pending.value;
    const resume = pending ? `Resume, ${count(pending)} new` : "Resume";
    return html`<section class="panel" aria-label="Taken">
        <header>
            <h2>Taken</h2>
            <${Connection} state=${feed.state.value} />
            <div class="tools">
                ${rule &&
                html`<button class="chosen" onClick=${() => choose(null)} aria-label=${`Rule ${rule}: show all`}>
                    <span class="soft">Rule</span> <bdi class="cut">${rule}</bdi> <span aria-hidden="true">×</span>
                </button>`}
                <button aria-pressed=${String(paused)} onClick=${() => (paused ? feed.resume() : feed.pause())}>
                    ${paused ? resume : "Pause"}
                </button>
            </div>
        </header>
        <${Failure} problem=${feed.problem.value} />
        ${rows.length > 0
            ? html`<table class="rows taken" aria-label="Actions taken">
                      <thead>
                          <tr>
                              <th scope="col">When</th>
                              <th scope="col">Rule, because of</th>
                              <th scope="col">What it says</th>
                              <th scope="col">User, account</th>
                          </tr>
                      </thead>
                      <tbody>
                          ${rows.map((row) =>
                              row.gap
                                  ? html`<${Missing} key=${`gap ${row.gap.from} ${row.gap.to}`} feed=${feed} row=${row} />`
                                  : html`<${Row} key=${row.id} feed=${feed} row=${row} choose=${choose} />`,
                          )}
                      </tbody>
                  </table>
                  <${Older} feed=${feed} />`
            : html`<${Nothing} feed=${feed} rule=${rule} none=${none} choose=${choose} />`}
    </section>`;
}

function Nothing({ feed, rule, none, choose }) {
    if (feed.problem.value || feed.state.value.kind === "connecting") return html`<div class="blank"></div>`;
    if (none) return html`<${FirstRule} />`;
    return html`<div class="empty">
        <p>
            ${rule
                ? html`Rule “<bdi>${rule}</bdi>” did nothing yet.`
                : "No rule did anything yet. The first action appears here by itself."}
        </p>
        ${rule && html`<p><button onClick=${() => choose(null)}>Show what all rules did</button></p>`}
    </div>`;
}

const drawn = new WeakSet();

function Row({ feed, row, choose }) {
    const fresh = useMemo(() => feed.arrived(row) && !drawn.has(row), []);
    drawn.add(row);
    const person = personOf(row);
    const held = row.status !== "sent" && (HELD[row.reason] ?? [`held back: ${row.reason}`, ""]);
    return html`<tr class=${fresh ? "arrived" : ""}>
        <td class="when"><${Time} at=${row.received_at} as="stamp" /></td>
        <td class="rule">
            <button class="quiet" onClick=${() => choose(row.rule)} title=${`${row.rule}\nShow only what this rule did`}>
                <bdi class="cut">${row.rule}</bdi>
            </button>
            <a class="cut soft" href=${eventLink(row.event.id)} title=${row.event.action}><bdi>${row.event.action}</bdi></a>
        </td>
        <td class=${held ? "says soft" : "says"}>
            ${held && html`<span class="tag" title=${held[1]}>${held[0]}</span> `}<bdi>${row.note ?? html`<span class="faint">no note</span>`}</bdi>
        </td>
        <td class="who">
            ${person
                ? html`<a class="cut" href=${person.href} title=${person.name}><bdi>${person.name}</bdi></a>`
                : html`<span class="faint">nobody</span>`}
            ${row.account && html`<a class="cut soft" href=${accountLink(row.account)} title=${row.account}><bdi>${row.account}</bdi></a>`}
        </td>
    </tr>`;
}

function Missing({ feed, row }) {
    const problem = useSignal(null);
    const load = async () => {
        try {
            problem.value = null;
            await feed.fillGap(row);
        } catch (failure) {
            problem.value = failure;
        }
    };
    const about = row.gap.approx_count ? `About ${count(row.gap.approx_count)} actions are` : "Some actions may be";
    return html`<tr class="missing">
        <td colspan="4">
            ${row.filled === undefined
                ? html`<span class="warn">${about} missing here.</span> <button onClick=${load}>Load them</button>`
                : html`<span class="soft">What was missing here has been loaded.</span>`}
            <${Failure} problem=${problem.value} />
        </td>
    </tr>`;
}

function Older({ feed }) {
    const { busy, end, problem } = feed.older.value;
    return html`<footer class="older soft">
        ${end ? "Nothing older." : html`<button disabled=${busy} onClick=${feed.loadOlder}>${busy ? "Loading older" : "Older"}</button>`}
        <${Failure} problem=${problem} />
    </footer>`;
}

function Rules({ told, chosen, choose }) {
    const items = told.value.value?.items;
    return html`<section class="panel" aria-label="Active rules">
        <header>
            <h2>Active rules</h2>
            ${items?.length > 0 && html`<p class="soft number">${count(items.length)}</p>`}
        </header>
        <${Failure} problem=${told.problem.value} />
        ${!told.problem.value && !items && html`<div class="blank"></div>`}
        ${items?.length > 0 &&
        html`<ul class="rule-list">
            ${items.map((item) => html`<${Rule} key=${item.name} item=${item} chosen=${chosen === item.name} choose=${choose} />`)}
        </ul>`}
    </section>`;
}

function Rule({ item, chosen, choose }) {
    const mode = MODES[item.mode] ?? item.mode;
    return html`<li class=${chosen ? "here" : ""}>
        <details>
            <summary title=${item.name}>
                <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true"><path d="m6 4.5 3.5 3.5L6 11.5" /></svg>
                <bdi class="cut">${item.name}</bdi>${mode && html`<span class="tag">${mode}</span>`}
            </summary>
            <pre class="code" tabindex="0">${item.text}</pre>
            <p>
                <button aria-pressed=${String(chosen)} onClick=${() => choose(chosen ? null : item.name)}>Only this rule</button>
                <span class="faint">version ${item.version}, of <${Time} at=${item.created_at} as="day" /></span>
            </p>
        </details>
    </li>`;
}

function FirstRule() {
    return html`<div class="body">
        <p class="soft">There is no rule yet. Write one, say to <code>upgrade.rules</code>:</p>
        <pre class="code" tabindex="0">
rule "upgrade" {
  on upgraded
  do dashboard(note: "{{ user }} of {{ account }} chose {{ event.plan }}")
}</pre
        >
        <p class="soft">Look whether it is right, then put it in place with the project's secret key. What it does appears here by itself.</p>
        <pre class="code" tabindex="0">
footfall rules check upgrade.rules
curl -H "Authorization: Bearer $SECRET_KEY" -H 'Content-Type: application/json' \\
     -d "$(jq -Rs '{text: .}' upgrade.rules)" ${location.origin}/v1/rules</pre
        >
    </div>`;
}
