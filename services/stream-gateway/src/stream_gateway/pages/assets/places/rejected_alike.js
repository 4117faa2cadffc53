/** One reason: what it is about, and what can be done about all its events at once. */
import { post } from "../api.js";
import { Failure } from "../failure.js";
import { count, counted } from "../numbers.js";
import { Time } from "../time.js";
import { html, useSignal } from "../ui.js";

/**
 * The panel. `items` are its newest events, among which a correction that many need is looked for. `changed` is
 * called when events were replayed or dismissed.
 *
 * Nothing is replayed that was not checked first: the button that replays says the number the check found.
 */
export function Alike({ reason, items, changed }) {
    const checked = useSignal(null);
    const busy = useSignal("");
    const said = useSignal("");
    const problem = useSignal(null);
    const asking = useSignal(false);
    const { fix, times } = common(items);
    const run = async (what, work) => {
        busy.value = what;
        problem.value = null;
        said.value = "";
        try {
            await work();
        } catch (failure) {
            problem.value = failure;
        }
        busy.value = "";
    };
    const check = (by) =>
        run("check", async () => {
            checked.value = { by, ...(await replay(reason.code, by, true)) };
        });
    const replayAll = () =>
        run("replay", async () => {
            const told = await replay(reason.code, checked.value.by, false);
            checked.value = null;
            said.value = `${counted(told.accepted, "event")} replayed.${again(told)}`;
            changed();
        });
    const dismissAll = () =>
        run("dismiss", async () => {
            said.value = `${counted(await dismiss(reason.code), "event")} dismissed. They can still be replayed.`;
            asking.value = false;
            checked.value = null;
            changed();
        });
    const found = checked.value;
    return html`<section class="panel alike" aria-label=${`Reason ${reason.code}`}>
        <header>
            <h2><code>${reason.code}</code></h2>
            <p class="soft">
                ${count(reason.last_24_h)} in 24 h, ${count(reason.last_7_d)} in 7 days, last <${Time} at=${reason.last_seen} />
            </p>
        </header>
        <div class="body">
            ${reason.open === 0
                ? html`<p class="soft">None of them is open.</p>`
                : html`
                      <p>
                          ${fix
                              ? html`${count(times)} of the newest ${count(items.length)} need: <strong>${inWords(fix)}</strong>.`
                              : "No correction suggests itself for many of them. Open one below."}
                      </p>
                      <p class="acts">
                          ${fix &&
                          html`<button disabled=${Boolean(busy.value)} onClick=${() => check(fix)}>
                              Check all with it
                          </button>`}
                          <button disabled=${Boolean(busy.value)} onClick=${() => check({})}>Check all as they are</button>
                          ${asking.value
                              ? html`<span>Dismiss all ${count(reason.open)}?</span>
                                    <button disabled=${Boolean(busy.value)} onClick=${dismissAll}>Dismiss them</button>
                                    <button class="quiet" onClick=${() => (asking.value = false)}>Keep them</button>`
                              : html`<button class="quiet" disabled=${Boolean(busy.value)} onClick=${() => (asking.value = true)}>
                                    Dismiss all
                                </button>`}
                      </p>
                  `}
            <p class="acts">
                <span role="status">${busy.value ? html`<span class="soft">Working …</span>` : found ? verdictOf(found) : said.value}</span>
                ${found?.accepted > 0 &&
                html`<button class="primary" disabled=${Boolean(busy.value)} onClick=${replayAll}>
                    Replay ${counted(found.accepted, "event")}
                </button>`}
            </p>
            <${Failure} problem=${problem.value} />
        </div>
    </section>`;
}

const verdictOf = (found) => html`<span class=${found.accepted ? "good" : "bad"}
        >${counted(found.accepted, "event")} would be accepted.</span
    ><span class="soft">${again(found)}</span>`;

/** `Rename userId to user, remove account`. */
export function inWords({ rename = {}, remove = [] }) {
    const parts = [
        ...Object.entries(rename).map(([old, name]) => `rename ${old} to ${name}`),
        ...remove.map((name) => `remove ${name}`),
    ];
    return parts.join(", ");
}

/** The correction that most of these events need, and how many do. */
function common(items) {
    const fixes = new Map();
    for (const { fix } of items) {
        if (fix) fixes.set(JSON.stringify(fix), (fixes.get(JSON.stringify(fix)) ?? 0) + 1);
    }
    const [[text, times] = []] = [...fixes].sort(([, one], [, other]) => other - one);
    return text ? { fix: JSON.parse(text), times } : { fix: null, times: 0 };
}

/** Which are refused again, by reason. */
function again({ rejected }) {
    if (!rejected.length) return "";
    const codes = new Map();
    for (const { code } of rejected) codes.set(code, (codes.get(code) ?? 0) + 1);
    return ` ${count(rejected.length)} refused again: ${[...codes].map(([code, n]) => `${code} (${count(n)})`).join(", ")}.`;
}

/** What came of all open ones of the reason, in as many requests as it takes. */
async function replay(code, fix, dryRun) {
    const whole = { accepted: 0, rejected: [] };
    for (let after; after !== null; ) {
        const told = await post("/v1/rejected/replay", { code, ...fix, dry_run: dryRun, after });
        whole.accepted += told.accepted;
        whole.rejected.push(...told.rejected);
        after = told.next;
    }
    return whole;
}

async function dismiss(code) {
    for (let number = 0; ; ) {
        const told = await post("/v1/rejected/dismiss", { code });
        number += told.dismissed;
        if (!told.left || !told.dismissed) return number;
    }
}
