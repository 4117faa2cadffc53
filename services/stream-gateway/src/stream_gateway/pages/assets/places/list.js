/** A list that the server pages. */
import { get } from "../api.js";
import { useEffect, useRef, useSignal } from "../ui.js";

export const PAGE = 50;
const MOST_REFRESHED = 500;

/**
 * The rows of a question to the server: `state` `{items, next, searched, problem, busy, at}`, `more()`, `refresh()`.
 *
 * `searched` is what the rows were found by, which is not yet what is being typed. `onward` is the parameter into
 * which `next` goes.
 */
export function useList(path, query, onward = "after") {
    const state = useSignal({ items: null, next: null, searched: "", problem: null, busy: true, at: 0 });
    const list = useRef({ state, running: null });
    const ask = async (changes, join) => {
        list.current.running?.abort();
        const running = (list.current.running = new AbortController());
        state.value = { ...state.value, busy: true };
        try {
            const told = await get(path, { ...query, ...changes }, { signal: running.signal });
            if (running.signal.aborted) return;
            const items = join(told.items);
            state.value = { items, next: told.next, searched: query.search, problem: null, busy: false, at: Date.now() };
        } catch (problem) {
            if (!running.signal.aborted) state.value = { ...state.value, problem, busy: false };
        }
    };
    list.current.more = () =>
        ask({ limit: PAGE, [onward]: state.value.next }, (items) => [...state.value.items, ...items]);
    list.current.refresh = () => {
        const shown = state.value.items?.length ?? 0;
        if (shown > MOST_REFRESHED || (state.value.busy && !state.value.problem)) return;
        ask({ limit: Math.max(PAGE, shown) }, (items) => items);
    };
    const asked = JSON.stringify(query);
    useEffect(() => {
        ask({ limit: PAGE }, (items) => items);
        return () => list.current.running.abort();
    }, [path, asked]);
    return list.current;
}
