/** The state of a live feed: what came, newest first, joined to history without a hole. */
import { get } from "../api.js";
import { projectOf } from "../links.js";
import { follow } from "./relay.js";
import { batch, computed, signal } from "../ui.js";

export const SHOWN = 200;
export const SHOWN_MOST = 1000;
const COLLECTED_MOST = 1000;
const LOADED_MOST = 3000;
const FILLED_MOST = 2000;
const KNOWN_MOST = 20_000;
const FLUSH_MS = 150;
const TICK_MS = 1000;
const PAGE = 200;
const PAGES_MOST = 10;
const WITHOUT_STREAM_MS = 700;
const AGAIN_MS = 5000;
const RATE_S = 3;
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
 * The live feed of a project, or of the account, user or visitor given.
 *
 * `filters` is a signal of `{account?, user?, action?, rule?, q?, from?, to?}`; `setFilters` does the same by hand. `fixed` is
 * the account, user or visitor it is of. Signals:
 * `rows`, newest first: events (or actions) as the API gives them and `{gap, filled?}` where some are missing, at
 * most 200, after `loadOlder` 1,000; `state` as in relay.js; `paused`, `by you`, `while reading` or null;
 * `pending`, how many wait; `overflowed`, how many of those were let go; `rate`, events a second; `unshown`, how
 * many passed too fast to be shown; `received`, how many came; `activityTick`, rises when some came, at most once
 * a second; `problem`, why history could not be read; `older`, `{busy, end, problem}` of `loadOlder`.
 */
export function createFeed({ project = projectOf(), topic = "activity", account, user, anonymous_id, filters }) {
    const fixed = Object.fromEntries(
        Object.entries({ account, user, anonymous_id }).filter(([, value]) => value !== undefined && value !== null),
    );
    const rows = signal([]);
    const connection = signal({ kind: "connecting" });
    const loaded = signal(false);
    const problem = signal(null);
    const paused = signal(null);
    const pending = signal(0);
    const overflowed = signal(0);
    const rate = signal(0);
    const unshown = signal(0);
    const received = signal(0);
    const activityTick = signal(0);
    const older = signal({ busy: false, end: false, problem: null });
    const state = computed(() => {
        const told = connection.value;
        if (told.kind !== "live" || (loaded.value && !problem.value)) return told;
        if (!problem.value) return { kind: "connecting" };
        return { kind: "reconnecting", retry_at: problem.value.retry_at, reason: problem.value.message };
    });

    const stop = new AbortController();
    const known = new Set();
    const texts = new WeakMap();
    const readFor = new WeakMap();
    const arrived = new WeakSet();
    let chosen = {};
    let wanted = fixed;
    let all = [];
    let incoming = [];
    let collected = [];
    let during = null;
    let next = null;
    let limit = SHOWN;
    let byYou = false;
    let isReading = false;
    let flushing = 0;
    let flushedAt = 0;
    let tickedAt = 0;
    let ticking = 0;
    let loading = 0;
    let again = 0;
    let seconds = [0];

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
            const stays = new Set(kept);
            const latest = Math.max(...all.filter((row) => !row.gap && !stays.has(row)).map(at));
            next = topic === "activity" ? new Date(latest + 1).toISOString() : "";
            older.value = { ...older.peek(), end: false };
            all = kept;
        }
        unshown.value += Math.max(0, fresh.length - limit);
        publish();
    };

    const flush = () => {
        flushing = 0;
        flushedAt = Date.now();
        const fresh = incoming.reverse();
        incoming = [];
        batch(() => {
            const count = fresh.filter((row) => !row.gap && says(row)).length;
            received.value += count;
            if (paused.peek()) {
                collected.unshift(...fresh);
                overflowed.value += collected.splice(COLLECTED_MOST).length;
                pending.value = collected.filter((row) => !row.gap && says(row)).length + overflowed.peek();
            } else if (fresh.length) put(fresh);
        });
    };

    const tick = () => {
        ticking = 0;
        tickedAt = Date.now();
        activityTick.value += 1;
    };

    const onItems = (items) => {
        for (const { event, data } of items) {
            const row = event === "gap" ? { gap: data } : data;
            if (known.has(identity(row))) continue;
            note(row);
            arrived.add(row);
            seconds[0] += 1;
            if (matches(row)) incoming.push(row);
        }
        if (incoming.length) flushing ||= setTimeout(flush, Math.max(0, flushedAt + FLUSH_MS - Date.now()));
        if (items.length) ticking ||= setTimeout(tick, Math.max(0, tickedAt + TICK_MS - Date.now()));
    };

    const read = async (before) => {
        const { account, user, anonymous_id: visitor, action, rule } = wanted;
        const query = { project, account, anonymous_id: visitor, user: visitor ? null : user, before, limit: PAGE };
        const asked = topic === "activity" ? { ...query, action } : { ...query, rule };
        const page = await get(PATHS[topic], asked, { signal: stop.signal });
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
            incoming = incoming.filter(apart);
            collected = collected.filter(apart);
            next = following(page);
            batch(() => {
                problem.value = null;
                loaded.value = true;
                older.value = { busy: false, end: next === null, problem: null };
                publish();
            });
        } catch (error) {
            if (mine !== loading || stop.signal.aborted) return;
            problem.value = Object.assign(error, { retry_at: Date.now() + AGAIN_MS });
            again = setTimeout(load, AGAIN_MS);
        }
        during = null;
    };

    const settle = () => {
        const now = byYou ? "by you" : isReading ? "while reading" : null;
        if (now === paused.peek()) return;
        batch(() => {
            paused.value = now;
            if (now) return;
            const gap = { reason: "paused", from: null, to: Date.now(), approx_count: overflowed.peek() };
            const fresh = overflowed.peek() ? [...collected, { gap }] : collected;
            collected = [];
            pending.value = overflowed.value = 0;
            limit = SHOWN;
            put(fresh);
        });
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
            if (mine !== loading || stop.signal.aborted) return;
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
        const put = more
            ? [...missing, { gap: { ...row.gap, approx_count: rest } }]
            : [{ ...row, filled: missing.length }, ...missing];
        all.splice(place, 1, ...put);
        limit = Math.min(SHOWN_MOST, Math.max(limit, place + put.length + MET));
        publish();
    };

    const relay = follow({
        project,
        topic,
        filter: streamFilter(wanted, topic),
        onItems,
        onReady: load,
        onState: (told) => (connection.value = told),
    });

    const setFilters = (given) => {
        const clean = Object.fromEntries(Object.entries(given).filter(([, value]) => value));
        if (JSON.stringify(clean) === JSON.stringify(chosen)) return;
        const was = wanted;
        chosen = clean;
        wanted = { ...chosen, ...fixed };
        unshown.value = 0;
        if (JSON.stringify({ ...was, q: "" }) !== JSON.stringify({ ...wanted, q: "" })) {
            const stays = (row) => !row.gap && matches(row);
            all = all.filter(stays);
            incoming = incoming.filter(stays);
            collected = collected.filter(stays);
            limit = SHOWN;
            const turn = loading;
            const asked = streamFilter(wanted, topic);
            if (JSON.stringify(asked) !== JSON.stringify(streamFilter(was, topic))) relay.setFilter(asked);
            if (turn === loading) load();
        }
        batch(() => {
            pending.value = collected.filter(says).length + overflowed.peek();
            publish();
        });
    };

    const stopFollowing = filters?.subscribe(setFilters);
    const provisional = setTimeout(() => {
        if (!loading) load();
    }, WITHOUT_STREAM_MS);
    const counting = setInterval(() => {
        rate.value = Math.round(seconds.reduce((sum, count) => sum + count, 0) / seconds.length);
        seconds = [0, ...seconds.slice(0, RATE_S - 1)];
    }, 1000);

    return {
        fixed,
        rows,
        state,
        paused,
        pending,
        overflowed,
        rate,
        unshown,
        received,
        activityTick,
        problem,
        older,
        /** Whether the row came by the stream, not from history. */
        arrived: (row) => arrived.has(row),
        setFilters,
        pause() {
            byYou = true;
            settle();
        },
        resume() {
            byYou = false;
            settle();
        },
        reading(value) {
            isReading = value;
            settle();
        },
        loadOlder,
        /** Read what a gap row stands for and put it in its place; raises Problem. */
        fillGap,
        retry: relay.retry,
        close() {
            stopFollowing?.();
            relay.close();
            stop.abort();
            for (const timer of [provisional, flushing, ticking, again]) clearTimeout(timer);
            clearInterval(counting);
        },
    };
}

const streamFilter = ({ account, user, action }, topic) =>
    Object.fromEntries(
        Object.entries({ account, user, action: topic === "activity" ? action : undefined }).filter(([, v]) => v),
    );
