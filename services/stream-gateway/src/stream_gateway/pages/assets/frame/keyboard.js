/** The keys of the pages: one registry, deaf while somebody types or holds a modifier. */
import { visit } from "../app.js";
import { lazy } from "../lazy.js";
import { link } from "../links.js";
import { html, signal, useLayoutEffect, useRef } from "../ui.js";

const PREFIX_MS = 1500;
// A dialog that closed has the focus until the next frame.
const TYPED_IN = "input, textarea, select, [contenteditable], dialog[open], [role=menu]";
const PRESSED = "a, button, summary";

/** Whether the list of keys is shown. */
export const helpShown = signal(false);

/** The keys of what is on the page now: `[{title, latest: {current: keys}}]`. */
export const groups = signal([]);
let prefix = null;

/** The keys that work on every page. */
export const PAGES = {
    title: "Pages",
    keys: [
        ["p", "/pulse", "Service Pulse"],
        ["a", "/accounts", "Accounts"],
        ["u", "/users", "Users"],
        ["s", "/sources", "Sources"],
        ["x", "/rejected", "Rejected events"],
        ["r", "/actions", "Actions of rules"],
    ]
        .map(([letter, path, does]) => ({ key: `g ${letter}`, does, run: () => visit(link(path)) }))
        .concat({ key: "?", does: "This list", run: () => (helpShown.value = true) }),
};

/**
 * The keys of a component from when it is seen for as long as it lives: `[{key, also?, does, run}]`; without `does`
 * one is not in the help.
 *
 * `key` is the name browsers give it (`j`, `Enter`, `Control+Home`, ` `), or two with a space between.
 * `run(event)` returns false to leave the key to the browser.
 */
export function useKeys(title, keys) {
    const latest = useRef(keys);
    latest.current = keys;
    useLayoutEffect(() => {
        const group = { title, latest };
        groups.value = [...groups.peek(), group];
        return () => {
            groups.value = groups.peek().filter((other) => other !== group);
        };
    }, [title]);
}

/** Do what a key stands for, on this page or on every; two that belong together may have a change of page between. */
export function press(event) {
    if (event.defaultPrevented || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest?.(TYPED_IN)) return;
    if ((event.key === " " || event.key === "Enter") && event.target.closest?.(PRESSED)) return;
    const name = (event.ctrlKey ? "Control+" : "") + event.key;
    // The second key counts from when it was pressed: a busy page hears of it later.
    const whole = prefix && event.timeStamp < prefix.until ? `${prefix.key} ${name}` : name;
    prefix = name === "g" ? { key: name, until: performance.now() + PREFIX_MS } : null;
    const known = [...groups.value].reverse().flatMap((group) => group.latest.current);
    const found = [...known, ...PAGES.keys].find((key) => key.key === whole || key.also === whole);
    if (found && found.run(event) !== false) event.preventDefault();
}

/** The dialog of keys and shapes; it is loaded when it is first asked for. */
const Help = lazy(() => import("./help.js"), "Help");

/** Stands once, in the frame. */
export const KeyboardHelp = () => helpShown.value && html`<${Help} />`;
