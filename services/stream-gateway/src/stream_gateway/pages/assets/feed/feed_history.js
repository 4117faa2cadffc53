/** What a feed has of its rows: those that came joined to those of history, and the way further back. */
import { get } from "../api.js";
import { batch, signal } from "../ui.js";

export const SHOWN_MOST = 1000;
const SHOWN = 200;
const LOADED_MOST = 3000;
const FILLED_MOST = 2000;
const KNOWN_MOST = 20_000;
const PAGE = 200;
const PAGES_MOST = 10;
const AGAIN_MS = 5000;
const MET = 20;

const PATHS = { activity: "/v1/activity", actions: "/v1/actions" };
const at = (row) => Date.parse(row.occurred_at);

/** What a row is the same by, however often it comes. */
export function identityOf(row, topic = "activity") {
    if (row.gap) return `gap ${row.gap.from} ${row.gap.to}`;
    if (topic !== "activity") return row.id;
    const { user, anonymous_id: anonymousId, account, id } = row;
    return `${user ? "u:" + user : anonymousId ? "a:" + anonymousId : account ? "g:" + account : "e:"}\n${id}`;
}

/**
 * The rows of a feed that `wanted` lets pass, newest first. `stop` (an AbortSignal) ends its questions, and
 * `joined(apart)` hears that history was read, and which rows are not in it.
 *
 * Signals: `rows`, what is shown; `loaded`, whether history was read once; `problem`, why it could not be; `unshown`
 * and `older` as in feed.js.
 */
export function createHistory({ project, topic, wanted, stop, joined }) {
    const rows = signal([]);
    const loaded = signal(false);
    const problem = signal(null);
    const unshown = signal(0);
    const older = signal({ busy: false, end: false, problem: null });
    const known = new Set();
    const texts = new WeakMap();
    const readFor = new WeakMap();
    let all = [];
    let during = null;
    let next = null;
    let limit = SHOWN;
    let loading = 0;
    let again = 0;

    const identity = (row) => identityOf(row, topic);
    const note = (row) => {
        known.add(identity(row));
        if (known.size > KNOWN_MOST) known.delete(known.values().next().value);
    };

    const matches = (row) => {
        if (row.gap) return true;
        const { account, user, anonymous_id: visitor, action, rule, from, to } = wanted;
        return (
            (!account || row.account === account) &&
            (!user || row.user === user || readFor.get(row) === user) &&
            (!visitor || (row.anonymous_id === visitor && !row.user)) &&
            (!action || (row.event?.action ?? row.action) === action) &&
            (!rule || row.rule === rule) &&
            (!from || at(row) >= Date.parse(from)) &&
            (!to || at(row) < Date.parse(to))
        );
    };
    const stays = (row) => !row.gap && matches(row);
    const says = (row) => {
        if (!wanted.q || row.gap) return true;
        if (!texts.has(row)) texts.set(row, JSON.stringify(row).toLowerCase());
        return texts.get(row).includes(wanted.q.toLowerCase());
    };

    const publish = () => {
        const shown = [];
        for (const row of all) {
            if (says(row) && shown.push(row) === limit) break;
        }
        rows.value = shown;
    };

    const put = (fresh) => {
        if (during) during.unshift(...fresh);
        all = [...fresh, ...all];
        if (all.length > LOADED_MOST) {
            const kept = all.filter((row, index) => index < SHOWN_MOST || (wanted.q && index < LOADED_MOST && says(row)));
            const held = new Set(kept);
            const latest = Math.max(...all.filter((row) => !row.gap && !held.has(row)).map(at));
            next = topic === "activity" ? new Date(latest + 1).toISOString() : "";
            older.value = { ...older.peek(), end: false };
            all = kept;
        }
        unshown.value += Math.max(0, fresh.length - limit);
        publish();
    };

    const read = async (before) => {
        const { account, user, anonymous_id: visitor, action, rule } = wanted;
        const query = { project, account, anonymous_id: visitor, user: visitor ? null : user, before, limit: PAGE };
        const asked = topic === "activity" ? { ...query, action } : { ...query, rule };
        const page = await get(PATHS[topic], asked, { signal: stop });
        // What was done under other ids of the user's comes with the user's own.
        for (const row of page.items) readFor.set(row, user);
        return page;
    };
    const following = (page) => {
        const last = page.items.at(-1);
        return wanted.from && last && at(last) < Date.parse(wanted.from) ? null : page.next;
    };

    const load = async () => {
        const mine = (loading += 1);
        clearTimeout(again);
        during = [];
        try {
            const page = await read(wanted.to);
            if (mine !== loading) return;
            const items = page.items.filter(matches);
            const ids = new Set(items.map(identity));
            const apart = (row) => !ids.has(identity(row));
            items.forEach(note);
            all = [...during.filter(apart), ...items];
            joined(apart);
            next = following(page);
            batch(() => {
                problem.value = null;
                loaded.value = true;
                older.value = { busy: false, end: next === null, problem: null };
                publish();
            });
        } catch (error) {
            if (mine !== loading || stop.aborted) return;
            problem.value = Object.assign(error, { retry_at: Date.now() + AGAIN_MS });
            again = setTimeout(load, AGAIN_MS);
        }
        during = null;
    };

    const loadOlder = async () => {
        if (older.peek().busy || during || limit >= SHOWN_MOST) return;
        const shown = rows.peek().length;
        limit = Math.min(SHOWN_MOST, limit + PAGE);
        publish();
        if (rows.peek().length > shown || next === null) return;
        const mine = loading;
        older.value = { busy: true, end: false, problem: null };
        let failure = null;
        try {
            for (let pages = 0; pages < PAGES_MOST && next !== null && rows.peek().length === shown; pages += 1) {
                const page = await read(next || null);
                if (mine !== loading) return;
                const ids = new Set(all.map(identity));
                const fresh = page.items.filter((row) => matches(row) && !ids.has(identity(row)));
                fresh.forEach(note);
                all = [...all, ...fresh];
                next = following(page);
                publish();
            }
        } catch (error) {
            if (mine !== loading || stop.aborted) return;
            failure = error;
            limit -= PAGE;
        }
        older.value = { busy: false, end: next === null, problem: failure };
    };

    const fillGap = async (row) => {
        const index = all.indexOf(row);
        if (index < 0) return;
        const below = new Set(all.slice(index + 1).filter((one) => !one.gap).map(identity));
        const ids = new Set(all.map(identity));
        const above = all.slice(Math.max(0, index - MET), index).filter((one) => !one.gap);
        const bounded = topic === "activity" && above.length === MET;
        let before = bounded ? new Date(Math.max(...above.map(at)) + 1).toISOString() : wanted.to;
        const missing = [];
        let met = 0;
        while (before !== null && met < Math.min(MET, below.size || 1) && missing.length < FILLED_MOST) {
            const page = await read(before);
            for (const item of page.items) {
                if (below.has(identity(item))) met += 1;
                else if (matches(item) && !ids.has(identity(item))) missing.push(item);
                if (met === MET || missing.length === FILLED_MOST) break;
            }
            before = following(page);
        }
        const place = all.indexOf(row);
        if (place < 0) return;
        missing.forEach(note);
        const more = missing.length === FILLED_MOST;
        const rest = row.gap.approx_count && Math.max(0, row.gap.approx_count - missing.length);
        const filled = more
            ? [...missing, { gap: { ...row.gap, approx_count: rest } }]
            : [{ ...row, filled: missing.length }, ...missing];
        all.splice(place, 1, ...filled);
        limit = Math.min(SHOWN_MOST, Math.max(limit, place + filled.length + MET));
        publish();
    };

    return {
        rows,
        loaded,
        problem,
        unshown,
        older,
        /** How often it was read, the reading under way included. */
        get readings() {
            return loading;
        },
        load,
        loadOlder,
        fillGap,
        put,
        publish,
        matches,
        /** Whether a row still belongs here after `want`. */
        stays,
        /** Whether the text looked for is in the row. */
        says,
        /** Whether the row was not here before; from now on it was. */
        isNew(row) {
            if (known.has(identity(row))) return false;
            note(row);
            return true;
        },
        /** Show no more than at first. */
        shorten() {
            limit = SHOWN;
        },
        /** From now on let these pass; true when that is about more than the text looked for. */
        want(given) {
            const whole = (what) => JSON.stringify({ ...what, q: "" });
            const other = whole(wanted) !== whole(given);
            wanted = given;
            unshown.value = 0;
            if (other) {
                all = all.filter(stays);
                limit = SHOWN;
            }
            return other;
        },
        close: () => clearTimeout(again),
    };
}
