/** Actions: what the rules did, live, and the rules that are active. */
import { useAnswer } from "./api.js";
import { Failure } from "./failure.js";
import { createFeed } from "./feed.js";
import { accountLink, eventLink, personOf, rewrite } from "./links.js";
import { count } from "./numbers.js";
import { Connection } from "./connection.js";
import { Time } from "./time.js";
import { html, useEffect, useMemo, useSignal } from "./ui.js";

const REASONS = { history: "imported: rules do not act on the past", shadow: "the rule only watches" };

export const title = () => "Actions";

/** The page. */
export function Page({ project }) {
    const asked = new URLSearchParams(location.search);
    const rule = useSignal(asked.get("rule"));
    const feed = useMemo(() => createFeed({ project: project.project, topic: "actions" }), [project.project]);
    useEffect(() => () => feed.close(), [feed]);
    const rules = useAnswer("/v1/rules");
    const choose = (name) => {
        rule.value = name;
        rewrite({ rule: name });
    };
    return html`
        <div class="page-head">
            <h1 tabindex="-1">Actions</h1>
            <p class="soft">What the rules did about what customers do</p>
        </div>
        <div class="actions">
            <${Taken} feed=${feed} rule=${rule.value} choose=${choose} rules=${rules.value.value?.items} />
            <${Rules} told=${rules} chosen=${rule.value} choose=${choose} />
        </div>
    `;
}

function Taken({ feed, rule, choose, rules }) {
    const rows = feed.rows.value.filter((row) => row.gap || !rule || row.rule === rule);
    return html`<section class="panel">
        <header>
            <h2>Taken</h2>
            <${Connection} state=${feed.state.value} />
            ${rule && html`<button onClick=${() => choose(null)} aria-label=${`Rule ${rule}: show all`}>Rule: ${rule} ×</button>`}
            <div class="tools">
                <button
                    aria-pressed=${String(feed.paused.value === "by you")}
                    onClick=${() => (feed.paused.value ? feed.resume() : feed.pause())}
                >
                    ${feed.paused.value ? `Resume${feed.pending.value ? `, ${count(feed.pending.value)} new` : ""}` : "Pause"}
                </button>
            </div>
        </header>
        ${rows.length === 0 &&
        html`<p class="empty">
            ${rules?.length === 0
                ? "There is no rule yet. Write one, and what it does appears here."
                : rule
                  ? `Rule “${rule}” did nothing lately.`
                  : "No rule did anything yet."}
        </p>`}
        ${rows.length > 0 &&
        html`<div class="scroll-x">
            <table class="rows taken">
                <thead>
                    <tr>
                        <th scope="col">When</th>
                        <th scope="col">Rule</th>
                        <th scope="col" class="note">What it says</th>
                        <th scope="col">User</th>
                        <th scope="col">Account</th>
                        <th scope="col">Because of</th>
                        <th scope="col">Outcome</th>
                    </tr>
                </thead>
                <tbody>
                    ${rows.map((row) =>
                        row.gap
                            ? html`<${Missing} key=${`gap ${row.gap.from}`} feed=${feed} row=${row} />`
                            : html`<${Row} key=${row.id} row=${row} choose=${choose} />`,
                    )}
                </tbody>
            </table>
        </div>`}
    </section>`;
}

function Row({ row, choose }) {
    const person = personOf(row);
    const outcome = row.status === "sent" ? "shown" : `held back: ${REASONS[row.reason] ?? row.reason}`;
    return html`<tr class=${row.arrived ? "arrived" : ""}>
        <td><${Time} at=${row.received_at} as="stamp" /></td>
        <td><button class="quiet cut" onClick=${() => choose(row.rule)} title="Only this rule">${row.rule}</button></td>
        <td class="note cut" title=${row.note}>${row.note ?? html`<span class="faint">no note</span>`}</td>
        <td class="cut">${person ? html`<a href=${person.href}>${person.name}</a>` : html`<span class="faint">nobody</span>`}</td>
        <td class="cut">${row.account && html`<a href=${accountLink(row.account)}>${row.account}</a>`}</td>
        <td class="cut"><a href=${eventLink(row.event.id)}>${row.event.action}</a></td>
        <td class=${row.status === "sent" ? "cut" : "cut faint"} title=${outcome}>${outcome}</td>
    </tr>`;
}

function Missing({ feed, row }) {
    return html`<tr>
        <td colspan="7" class="warn">
            ${row.filled
                ? "What was missing here has been loaded."
                : html`About ${count(row.gap.approx_count ?? 0)} actions are missing here.${" "}
                      <button onClick=${() => feed.fillGap(row)}>Load them</button>`}
        </td>
    </tr>`;
}

function Rules({ told, chosen, choose }) {
    const items = told.value.value?.items;
    return html`<section class="panel">
        <header><h2>Active rules</h2></header>
        <${Failure} problem=${told.problem.value} />
        ${items?.length === 0 &&
        html`<div class="body soft">
            <p>None yet. A rule reads like this:</p>
            <pre class="code">
rule "upgrade" {
  on upgraded
  do dashboard(note: "{{ user }} chose {{ event.plan }}")
}</pre
            >
            <p>Send it to <code>POST /v1/rules</code> with the secret key; <code>footfall rules check</code> looks at a file.</p>
        </div>`}
        <ul class="rule-list">
            ${items?.map(
                (item) => html`<li key=${item.name}>
                    <details>
                        <summary>
                            <span class="cut">${item.name}</span>
                            <span class="faint">${item.mode}, version ${item.version}</span>
                        </summary>
                        <pre class="code" tabindex="0">${item.text}</pre>
                        <button aria-pressed=${String(chosen === item.name)} onClick=${() => choose(item.name)}>
                            Only what this rule did
                        </button>
                    </details>
                </li>`,
            )}
        </ul>
    </section>`;
}
