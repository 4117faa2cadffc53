/** The state of a live feed: what came, newest first, joined to history without a hole. */
import { createHistory } from "./feed_history.js";
import { projectOf } from "../links.js";
import { follow } from "./relay.js";
import { batch, computed, signal } from "../ui.js";

const COLLECTED_MOST = 1000;
const FLUSH_MS = 150;
const TICK_MS = 1000;
const WITHOUT_STREAM_MS = 700;
const RATE_S = 3;

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
    const connection = signal({ kind: "connecting" });
    const paused = signal(null);
    const pending = signal(0);
    const overflowed = signal(0);
    const rate = signal(0);
    const received = signal(0);
    const activityTick = signal(0);

    const stop = new AbortController();
    const arrived = new WeakSet();
    let chosen = {};
    let wanted = fixed;
    let incoming = [];
    let collected = [];
    let byYou = false;
    let isReading = false;
    let flushing = 0;
    let flushedAt = 0;
    let tickedAt = 0;
    let ticking = 0;
    let seconds = [0];

    const history = createHistory({
        project,
        topic,
        wanted,
        stop: stop.signal,
        joined(apart) {
            incoming = incoming.filter(apart);
            collected = collected.filter(apart);
        },
    });
    const { rows, loaded, problem, unshown, older, says } = history;
    const state = computed(() => {
        const told = connection.value;
        if (told.kind !== "live" || (loaded.value && !problem.value)) return told;
        if (!problem.value) return { kind: "connecting" };
        return { kind: "reconnecting", retry_at: problem.value.retry_at, reason: problem.value.message };
    });

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
            } else if (fresh.length) history.put(fresh);
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
            if (!history.isNew(row)) continue;
            arrived.add(row);
            seconds[0] += 1;
            if (history.matches(row)) incoming.push(row);
        }
        if (incoming.length) flushing ||= setTimeout(flush, Math.max(0, flushedAt + FLUSH_MS - Date.now()));
        if (items.length) ticking ||= setTimeout(tick, Math.max(0, tickedAt + TICK_MS - Date.now()));
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
            history.shorten();
            history.put(fresh);
        });
    };

    const relay = follow({
        project,
        topic,
        filter: streamFilter(wanted, topic),
        onItems,
        onReady: history.load,
        onState: (told) => (connection.value = told),
    });

    const setFilters = (given) => {
        const clean = Object.fromEntries(Object.entries(given).filter(([, value]) => value));
        if (JSON.stringify(clean) === JSON.stringify(chosen)) return;
        const was = wanted;
        chosen = clean;
        wanted = { ...chosen, ...fixed };
        if (history.want(wanted)) {
            incoming = incoming.filter(history.stays);
            collected = collected.filter(history.stays);
            const turn = history.readings;
            const asked = streamFilter(wanted, topic);
            if (JSON.stringify(asked) !== JSON.stringify(streamFilter(was, topic))) relay.setFilter(asked);
            if (turn === history.readings) history.load();
        }
        batch(() => {
            pending.value = collected.filter(says).length + overflowed.peek();
            history.publish();
        });
    };

    const stopFollowing = filters?.subscribe(setFilters);
    const provisional = setTimeout(() => {
        if (!history.readings) history.load();
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
        loadOlder: history.loadOlder,
        /** Read what a gap row stands for and put it in its place; raises Problem. */
        fillGap: history.fillGap,
        retry: relay.retry,
        close() {
            stopFollowing?.();
            relay.close();
            stop.abort();
            history.close();
            for (const timer of [provisional, flushing, ticking]) clearTimeout(timer);
            clearInterval(counting);
        },
    };
}

const streamFilter = ({ account, user, action }, topic) =>
    Object.fromEntries(
        Object.entries({ account, user, action: topic === "activity" ? action : undefined }).filter(([, v]) => v),
    );
