/** JSON of the gateway: answers, failures as sentences, and answers that are kept fresh. */
import { projectOf } from "./links.js";
import { useEffect, useSignal } from "./ui.js";

const REQUEST_S = 20;
const LEAVING_MS = 5000;

// While the browser leaves, as after a click on "Log out", an answer of 401 must not lead it elsewhere.
let leftAt = 0;
addEventListener("beforeunload", () => {
    leftAt = Date.now();
});

/** A failure in words: `message` says what happened, `hint` what to do. `status` 0 means no answer came. */
export class Problem extends Error {
    constructor(status, { code = "unavailable", message, hint = "", field = null }) {
        super(message);
        Object.assign(this, { status, code, hint, field });
    }
}

/** The answer to a GET, `query` beside the page's project. Raises Problem; a login that ended leads to /login. */
export const get = (path, query = {}, options = {}) => ask("GET", path, query, undefined, options);

/** The answer to a POST with a JSON body; a text is sent as it is. */
export const post = (path, body) => ask("POST", path, {}, body, {});

/** A path with its query, the page's project first. */
export function address(path, query = {}) {
    const url = new URL(path, location.origin);
    const project = projectOf();
    if (project) url.searchParams.set("project", project);
    for (const [name, value] of Object.entries(query)) {
        if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
    }
    return url.pathname + url.search;
}

const early = new Map();

/** Ask for what a page that is still being loaded will want; its first `useAnswer` takes the answer. */
export function askEarly(path, query = {}) {
    const answer = ask("GET", path, query, undefined, {});
    // Whoever takes it hears of the failure.
    answer.catch(() => {});
    early.set(address(path, query), answer);
}

function takeEarly(asked) {
    const answer = early.get(asked);
    early.delete(asked);
    return answer;
}

async function ask(method, path, query, body, { signal } = {}) {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), REQUEST_S * 1000);
    signal?.addEventListener("abort", () => timeout.abort(), { once: true });
    let answer;
    try {
        answer = await fetch(address(path, query), {
            method,
            signal: timeout.signal,
            headers: body === undefined ? {} : { "content-type": "application/json" },
            body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
        });
        if (answer.status === 401 && Date.now() - leftAt > LEAVING_MS) toLogin();
        const told = answer.status === 204 ? null : await answer.json();
        if (answer.ok) return told;
        throw new Problem(answer.status, told);
    } catch (error) {
        if (error instanceof Problem) throw error;
        throw new Problem(answer && !answer.ok ? answer.status : 0, {
            message: "Footfall does not answer.",
            hint: "Look whether it runs and the network is up; this page tries again by itself.",
        });
    } finally {
        clearTimeout(timer);
    }
}

/** Go to the login page and come back here after it. */
export function toLogin() {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/**
 * An answer kept fresh while the component lives: `{value, problem, at, refresh}`, the first three signals.
 *
 * `path` null asks for nothing. The last answer stays while the next is on its way or fails; `at` is when it
 * came (ms). With `everyS` it is asked for again while the tab is visible, more rarely when answers take long.
 */
export function useAnswer(path, query = {}, { everyS = 0 } = {}) {
    const value = useSignal(undefined);
    const problem = useSignal(null);
    const at = useSignal(0);
    const refresher = useSignal(() => {});
    const asked = path === null ? null : address(path, query);
    useEffect(() => {
        value.value = undefined;
        problem.value = null;
        if (asked === null) return undefined;
        const stop = new AbortController();
        let timer = 0;
        let failures = 0;
        let busy = false;
        let again = false;
        const refresh = async () => {
            if (busy) {
                again = true;
                return;
            }
            clearTimeout(timer);
            busy = true;
            const began = performance.now();
            try {
                const told = await (takeEarly(asked) ?? ask("GET", path, query, undefined, { signal: stop.signal }));
                if (stop.signal.aborted) return;
                value.value = told;
                problem.value = null;
                at.value = Date.now();
                failures = 0;
            } catch (error) {
                if (stop.signal.aborted) return;
                problem.value = error;
                failures += 1;
            } finally {
                busy = false;
            }
            const tookS = (performance.now() - began) / 1000;
            if (again && !failures) {
                again = false;
                timer = setTimeout(refresh, tookS * 2000);
            } else if (failures) {
                const retry = problem.value.status === 0 || problem.value.status >= 429;
                if (retry) timer = setTimeout(refresh, Math.min(30, 2 ** failures) * 1000);
            } else if (everyS && !document.hidden) {
                timer = setTimeout(refresh, Math.max(everyS, tookS * 10) * 1000);
            }
        };
        const shown = () => {
            if (!document.hidden && everyS && Date.now() - at.value > everyS * 1000) refresh();
        };
        refresher.value = refresh;
        document.addEventListener("visibilitychange", shown);
        refresh();
        return () => {
            document.removeEventListener("visibilitychange", shown);
            clearTimeout(timer);
            stop.abort();
        };
    }, [asked, everyS]);
    return { value, problem, at, refresh: () => refresher.value() };
}
