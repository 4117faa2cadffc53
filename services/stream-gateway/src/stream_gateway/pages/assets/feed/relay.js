/** Tabs of one browser share one stream: a visible tab leads, the others hear from it, hidden ones rest. */
import { connect } from "./stream.js";

const REST_AFTER_MS = 5000;
const SEND_EVERY_MS = 100;
const SAY_EVERY_S = 10;
const GONE_AFTER_S = 35;
const UNHEARD_S = 3;
const FILTERS_AFTER_MS = 200;
const VALUES_MOST = 20;
const KEPT_MESSAGES = 100;
const LEASE_MS = 6000;
const LEASE_EVERY_MS = 2000;
const DIMENSIONS = ["account", "user", "action", "key", "sdk"];

const newId = () => Array.from({ length: 4 }, () => Math.random().toString(36).slice(2, 8)).join("");

/** A cursor's log and positions, or null. Source: stream_gateway/live/cursor.py. */
function positionsOf(cursor) {
    if (!cursor) return null;
    const raw = Uint8Array.from(atob(cursor.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
    const positions = [];
    let value = 0;
    let scale = 1;
    for (const byte of raw.subarray(9)) {
        value += (byte & 0x7f) * scale;
        scale *= 128;
        if (byte < 0x80) {
            positions.push(value);
            value = 0;
            scale = 1;
        }
    }
    return { log: String(raw.subarray(0, 9)), positions };
}

/** Whether whoever stands at `mine` has everything before `theirs`. */
export function reaches(mine, theirs) {
    if (mine === theirs) return true;
    const [one, other] = [positionsOf(mine), positionsOf(theirs)];
    return one?.log === other?.log && one?.positions.every((at, part) => at >= other.positions[part]) === true;
}

/** What one connection must ask for to serve all `filters`; {} for everything. */
export function unionOf(filters) {
    const union = {};
    for (const name of DIMENSIONS) {
        const values = [...new Set(filters.map((filter) => filter[name]))];
        if (values.length <= VALUES_MOST && values.every(Boolean)) union[name] = values.sort();
    }
    return union;
}

const covers = (served, filter) =>
    DIMENSIONS.every((name) => !served[name] || served[name].includes(filter[name]));

/**
 * Follow the stream of a project together with the other tabs, for as long as this tab is visible.
 *
 * `onItems(items)` gets at least what passes `filter` ({account?, user?, action?, key?, sdk?}), in order and without a
 * hole from the moment `onReady()` was called, which happens anew after each `setFilter`. Nothing is lost
 * or given twice by design; after a change of the leader items may come again, so drop what is known.
 * `onState` gets the states of stream.js and `resting`. Returned are `setFilter`, `retry` and `close`.
 */
export function follow({ project, topic, filter, onItems, onReady, onState }) {
    const id = newId();
    const name = `footfall:${project}:${topic}`;
    const others = new Map();
    let channel = null;
    let release = null;
    let stream = null;
    let leading = false;
    let served = null;
    let place = null;
    let ready = false;
    let lead = null;
    let heard = [];
    let heardAt = 0;
    let sent = { place: null, items: [], timer: 0 };
    let state = null;
    let hiding = 0;
    let saying = 0;
    let saidAt = 0;
    let filtering = 0;

    const url = (cursor) => {
        const asked = new URLSearchParams({ project, topic });
        for (const one of DIMENSIONS) for (const value of served[one] ?? []) asked.append(one, value);
        if (cursor) asked.set("cursor", cursor);
        return `/v1/stream?${asked}`;
    };
    const tell = (told) => {
        if (JSON.stringify(told) === JSON.stringify(state)) return;
        state = told;
        onState(told);
        if (leading) send();
    };
    const post = (message) => channel?.postMessage({ ...message, id });
    const here = () => post({ here: filter });

    const nowReady = () => {
        if (ready || place === null || (stream && !covers(served, filter))) return;
        ready = true;
        onReady();
    };

    /** Take what follows `from`: true when there was no hole before it. */
    const take = (items, from, to) => {
        if (place !== null && from !== null && !reaches(place, from)) return false;
        const known = place !== null && reaches(place, to);
        if (!known) {
            place = to;
            if (items.length) onItems(items);
        }
        return true;
    };

    const open = () => {
        // What came for the filter so far leaves under its name: the next is another.
        if (leading && stream) send();
        stream?.close();
        served = leading ? unionOf([filter, ...[...others.values()].map((other) => other.filter)]) : unionOf([filter]);
        stream = connect({
            url,
            cursor: place,
            onState: tell,
            onItems(items, cursor) {
                place = cursor;
                if (items.length) onItems(items);
                nowReady();
                if (!leading) return meet();
                for (const item of items) sent.items.push(item);
                if (Date.now() - saidAt > SEND_EVERY_MS) send();
                else sent.timer ||= setTimeout(send, SEND_EVERY_MS);
            },
        });
        if (leading) send();
        nowReady();
    };

    const send = () => {
        clearTimeout(sent.timer);
        const { items, place: from } = sent;
        sent = { place, items: [], timer: 0 };
        saidAt = Date.now();
        post({ lead: { from, to: place, items, served, state } });
    };

    /** Own and shared stream have met: go on with the shared one. */
    const meet = () => {
        for (const one of heard.splice(0)) take(one.items, one.from, one.to);
        if (!lead || !covers(lead.served, filter) || lead.to === null || !reaches(place, lead.to)) return;
        stream.close();
        stream = null;
        tell(lead.state);
    };

    const hear = (message) => {
        lead = message;
        if (leading) return;
        if (!covers(message.served, filter)) return here();
        heardAt = Date.now();
        if (message.to === null) return;
        if (stream) {
            heard.push(message);
            heard.splice(0, heard.length - KEPT_MESSAGES);
            if (place !== null) meet();
        } else if (place === null) {
            place = message.to;
            nowReady();
            tell(message.state);
        } else if (take(message.items, message.from ?? message.to, message.to)) {
            nowReady();
            tell(message.state);
        } else open();
    };

    const refilter = () => {
        clearTimeout(filtering);
        filtering = setTimeout(() => {
            if (!leading) return;
            const wanted = unionOf([filter, ...[...others.values()].map((other) => other.filter)]);
            if (JSON.stringify(wanted) === JSON.stringify(served)) send();
            else open();
        }, FILTERS_AFTER_MS);
    };

    const onMessage = ({ data: message }) => {
        if (message.here) {
            const known = others.get(message.id);
            others.set(message.id, { filter: message.here, at: Date.now() });
            if (!leading) return;
            if (!known || JSON.stringify(known.filter) !== JSON.stringify(message.here)) refilter();
            if (!known) send();
        } else if (message.gone) {
            others.delete(message.id);
            refilter();
        } else if (message.retry && leading) stream.retry();
        else if (message.lead) hear(message.lead);
    };

    const begin = () => {
        leading = true;
        sent.place = place;
        heard = [];
        open();
    };
    const step = () => {
        leading = false;
        stream?.close();
        stream = null;
        heardAt = Date.now();
    };

    const tick = () => {
        const at = Date.now();
        // After sleep nobody has been heard for long, and all would connect at once.
        if (at - saying.at > 5000) heardAt = at;
        saying.at = at;
        for (const [other, { at: seen }] of others) {
            if (at - seen > GONE_AFTER_S * 1000) onMessage({ data: { gone: true, id: other } });
        }
        if (at - saidAt > SAY_EVERY_S * 1000) {
            saidAt = at;
            if (leading) send();
            else here();
        }
        const limitS = lead && covers(lead.served, filter) ? GONE_AFTER_S : UNHEARD_S;
        if (!stream && at - heardAt > limitS * 1000) open();
    };

    const wake = () => {
        clearTimeout(hiding);
        if (release) return;
        heardAt = saidAt = Date.now();
        lead = null;
        tell({ kind: "connecting" });
        saying = { at: Date.now(), timer: setInterval(tick, 1000) };
        if (typeof BroadcastChannel === "undefined") {
            release = () => {};
            begin();
            return;
        }
        channel = new BroadcastChannel(name);
        channel.onmessage = onMessage;
        here();
        release = navigator.locks ? lock(name, begin) : lease(name, id, begin, step);
    };

    const rest = () => {
        clearTimeout(hiding);
        if (!release) return;
        if (leading) send();
        post({ gone: true });
        clearInterval(saying.timer);
        clearTimeout(filtering);
        step();
        others.clear();
        clearTimeout(sent.timer);
        channel?.close();
        channel = null;
        release();
        release = null;
        tell({ kind: "resting" });
    };

    const onVisibility = () => {
        clearTimeout(hiding);
        if (document.visibilityState === "visible") wake();
        else hiding = setTimeout(rest, REST_AFTER_MS);
    };
    const onShow = ({ persisted }) => {
        if (persisted && document.visibilityState === "visible") wake();
    };

    document.addEventListener("visibilitychange", onVisibility);
    addEventListener("pagehide", rest);
    addEventListener("pageshow", onShow);
    if (document.visibilityState === "visible") wake();
    else tell({ kind: "resting" });
    return {
        setFilter(wanted) {
            filter = wanted;
            ready = false;
            if (leading) {
                refilter();
                nowReady();
                return;
            }
            place = null;
            heard = [];
            stream?.close();
            stream = null;
            heardAt = Date.now();
            here();
            if (lead && lead.to !== null && covers(lead.served, filter)) {
                place = lead.to;
                nowReady();
            }
        },
        retry: () => (stream ? stream.retry() : post({ retry: true })),
        close() {
            document.removeEventListener("visibilitychange", onVisibility);
            removeEventListener("pagehide", rest);
            removeEventListener("pageshow", onShow);
            onState = () => {};
            rest();
        },
    };
}

/** Hold the browser's lock `name` once it is free: `lead()` then; the result gives it back. */
function lock(name, lead) {
    const stop = new AbortController();
    let release = null;
    const held = () =>
        new Promise((resolve) => {
            release = resolve;
            if (stop.signal.aborted) resolve();
            else lead();
        });
    navigator.locks.request(name, { signal: stop.signal }, held).catch((error) => {
        if (error.name !== "AbortError") throw error;
    });
    return () => {
        stop.abort();
        release?.();
    };
}

/** The same without locks, by a lease in the storage that is renewed: `lost()` when another tab took it. */
function lease(name, id, lead, lost) {
    let leading = false;
    let timer = 0;
    const owner = () => {
        const [held, until] = (localStorage.getItem(name) ?? "").split(" ");
        return Number(until) > Date.now() ? held : null;
    };
    const claim = () => localStorage.setItem(name, `${id} ${Date.now() + LEASE_MS}`);
    const turn = () => {
        const held = owner();
        let next = LEASE_EVERY_MS;
        if (held === id || (leading && held === null)) {
            claim();
            if (!leading) {
                leading = true;
                lead();
            }
        } else if (leading) {
            leading = false;
            lost();
        } else if (held === null) {
            claim();
            next = 50 + Math.random() * 100;
        }
        clearTimeout(timer);
        timer = setTimeout(turn, next);
    };
    const changed = ({ key, newValue }) => {
        if (key !== name || newValue !== null || leading) return;
        clearTimeout(timer);
        timer = setTimeout(turn, Math.random() * 100);
    };
    try {
        turn();
    } catch {
        // Without storage nobody can be asked: this tab leads for itself.
        lead();
        return () => {};
    }
    addEventListener("storage", changed);
    return () => {
        clearTimeout(timer);
        removeEventListener("storage", changed);
        if (owner() === id) localStorage.removeItem(name);
    };
}
