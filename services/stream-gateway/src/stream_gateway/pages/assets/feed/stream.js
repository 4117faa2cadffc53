/** One connection to the live stream: reads it, keeps its cursor, and comes back after any failure. */

const CONNECT_S = 20;
const SILENT_S = 40;
const CHECK_S = 5;
const SLEPT_S = 15;
const BACKOFF_MS = 1000;
const BACKOFF_MOST_MS = 30_000;
const STEADY_MS = 10_000;

const LINE_END = /\r\n|\n|\r/g;

/**
 * A reader of server-sent events: feed it text in pieces of any size.
 *
 * `block({event, data, id, retry})` is called per block; `data` is null for a block without, `id` for one
 * without or with one that holds U+0000, `retry` is in ms.
 */
export function createParser(block) {
    let rest = "";
    let afterReturn = false;
    let fields = {};
    const take = (line) => {
        if (line === "") {
            if (fields.data !== undefined || fields.id !== undefined || fields.retry !== undefined) {
                block({
                    event: fields.event || "message",
                    data: fields.data ?? null,
                    id: fields.id ?? null,
                    retry: fields.retry ?? null,
                });
            }
            fields = {};
            return;
        }
        const colon = line.indexOf(":");
        if (colon === 0) return;
        const name = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
        if (name === "data") fields.data = fields.data === undefined ? value : `${fields.data}\n${value}`;
        else if (name === "event") fields.event = value;
        else if (name === "id" && !value.includes("\0")) fields.id = value;
        else if (name === "retry" && /^\d+$/.test(value)) fields.retry = Number(value);
    };
    return (text) => {
        if (afterReturn && text !== "") {
            if (text[0] === "\n") text = text.slice(1);
            afterReturn = false;
        }
        const all = rest + text;
        let from = 0;
        LINE_END.lastIndex = rest.length;
        for (let end; (end = LINE_END.exec(all)); from = LINE_END.lastIndex) take(all.slice(from, end.index));
        rest = all.slice(from);
        if (rest === "" && all.endsWith("\r")) afterReturn = true;
    };
}

/** A status that asking again does not change; the message is for people. */
class Refused extends Error {
    constructor(status, { code, message }) {
        super(message);
        Object.assign(this, { status, code });
    }
}

class Unwell extends Error {
    constructor(message, afterMs = 0) {
        super(message);
        this.afterMs = afterMs;
    }
}

/**
 * Follow the stream at `url(cursor)` until `close()`, whatever happens to the network and the server.
 *
 * `onItems(items, cursor)` gets what came, oldest first, as `{event, data}` with `event` the block's type or
 * `gap`; only whole flushes, so that `cursor` is the place after the last item, and an empty list when only
 * the cursor moved. `onState` gets `{kind}`: `connecting`; `catching up` with `count`; `live`; `reconnecting`
 * and `offline` with `retry_at` (ms) and `reason`; and for good `logged out` or `ended` with `reason`.
 * Returned are `close()`, `reopen()` (connect anew, now, from the cursor) and `retry()` (do not wait longer).
 */
export function connect({ url, cursor = null, onItems, onState }) {
    let closed = false;
    let final = false;
    let attempts = 0;
    let retryMs = BACKOFF_MS;
    let heardAt = 0;
    let limitS = CONNECT_S;
    let current = null;
    let waiting = 0;
    let lastCheck = Date.now();

    const open = async () => {
        clearTimeout(waiting);
        waiting = 0;
        const mine = (current = new AbortController());
        heardAt = Date.now();
        limitS = CONNECT_S;
        if (!attempts) onState({ kind: "connecting" });
        try {
            await read(mine);
            if (current === mine) later(new Unwell("the connection ended"));
        } catch (error) {
            if (current === mine) failed(error);
        }
    };

    const read = async (mine) => {
        const answer = await fetch(url(cursor), {
            headers: { accept: "text/event-stream" },
            cache: "no-store",
            signal: mine.signal,
        });
        if (!answer.ok) throw await refusal(answer);
        if (!answer.headers.get("content-type")?.startsWith("text/event-stream")) {
            throw new Unwell("something else answered instead of Footfall");
        }
        const resumed = cursor !== null;
        let liveAt = 0;
        let held = [];
        let goodbye = null;
        const parse = createParser(({ event, data, id, retry }) => {
            if (retry !== null) retryMs = retry;
            if (event === "bye" && data !== null) goodbye = JSON.parse(data);
            else if (data !== null && event !== "hb") held.push({ event, data: JSON.parse(data) });
            if (id === null) return;
            cursor = id;
            const items = held;
            held = [];
            deliver(items);
            if (liveAt) return;
            liveAt = Date.now();
            if (!mine.signal.aborted) onState({ kind: "live" });
        });
        const text = new TextDecoder();
        const reader = answer.body.getReader();
        for (;;) {
            const { value, done } = await reader.read();
            if (mine.signal.aborted) return;
            if (done) break;
            heardAt = Date.now();
            limitS = SILENT_S;
            parse(text.decode(value, { stream: true }));
            if (attempts && liveAt && heardAt - liveAt > STEADY_MS) attempts = 0;
            if (!liveAt && (held.length || resumed)) onState({ kind: "catching up", count: held.length });
        }
        if (goodbye === null) return;
        attempts = 0;
        throw new Unwell(
            goodbye.reason === "drain" ? "the server restarts" : "the login is checked again",
            goodbye.retry_ms || 1,
        );
    };

    // A fault of whoever listens is no fault of the connection.
    const deliver = (items) => {
        try {
            onItems(items, cursor);
        } catch (error) {
            reportError(error);
        }
    };

    const failed = (error) => {
        if (error instanceof Refused && error.code === "invalid_cursor" && cursor !== null) {
            const gap = { reason: "log_changed", from: cursor, to: null, approx_count: null, fill_url: null };
            cursor = null;
            deliver([{ event: "gap", data: gap }]);
            later(error);
        } else if (error instanceof Refused) {
            final = true;
            current = null;
            onState({ kind: error.status === 401 ? "logged out" : "ended", reason: error.message });
        } else later(error);
    };

    const later = (error) => {
        current = null;
        const most = Math.min(BACKOFF_MOST_MS, retryMs * 2 ** attempts);
        attempts += 1;
        const wait = error.afterMs ? error.afterMs * (1 + Math.random() / 4) : Math.random() * most;
        const told = error instanceof Unwell || error instanceof Refused;
        const offline = !told && navigator.onLine === false;
        onState({
            kind: offline ? "offline" : "reconnecting",
            retry_at: Date.now() + wait,
            reason: told ? error.message : "the server does not answer",
        });
        waiting = setTimeout(open, wait);
    };

    const reopen = () => {
        if (closed || final) return;
        current?.abort();
        attempts = 0;
        open();
    };

    const check = () => {
        const at = Date.now();
        const slept = at - lastCheck > (CHECK_S + SLEPT_S) * 1000;
        lastCheck = at;
        if (slept) reopen();
        else if (current && at - heardAt > limitS * 1000) {
            current.abort();
            later(new Unwell("nothing was heard from the server"));
        }
    };

    const checking = setInterval(check, CHECK_S * 1000);
    addEventListener("online", reopen);
    open();
    return {
        close() {
            closed = true;
            clearInterval(checking);
            clearTimeout(waiting);
            removeEventListener("online", reopen);
            const last = current;
            current = null;
            last?.abort();
        },
        reopen,
        retry() {
            if (waiting) reopen();
        },
    };
}

/** What an answer that is no stream means. */
async function refusal(answer) {
    const told = await answer.json().catch(() => null);
    const known = told?.code && answer.status < 500 && answer.status !== 429 && answer.status !== 408;
    if (answer.status === 401) return new Refused(401, told ?? { message: "The login has ended." });
    if (known) return new Refused(answer.status, told);
    return new Unwell(told?.message ?? `the server answered ${answer.status}`, retryAfterMs(answer));
}

function retryAfterMs(answer) {
    const text = answer.headers.get("retry-after");
    if (text === null) return 0;
    const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
    return ms > 0 ? Math.min(ms, 60_000) : 0;
}
