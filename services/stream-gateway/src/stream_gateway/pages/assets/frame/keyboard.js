/** The keys of the pages: one registry, deaf while somebody types or holds a modifier. */
import { visit } from "../app.js";
import { lazy } from "../lazy.js";
import { link } from "../links.js";
import { html, signal, useEffect, useRef } from "../ui.js";

const PREFIX_MS = 1500;
const TYPED_IN = "input, textarea, select, [contenteditable], dialog, [role=menu]";
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
        ["r", "/actions", "Actions of rules"],
    ]
        .map(([letter, path, does]) => ({ key: `g ${letter}`, does, run: () => visit(link(path)) }))
        .concat({ key: "?", does: "This list", run: () => (helpShown.value = true) }),
};

/**
 * The keys of a component while it lives: `[{key, also?, does, run}]`; without `does` it is not in the help.
 *
 * `key` is the name browsers give it (`j`, `Enter`, `Control+Home`, ` `), or two with a space between.
 * `run(event)` returns false to leave the key to the browser.
 */
export function useKeys(title, keys) {
    const latest = useRef(keys);
    latest.current = keys;
    useEffect(() => {
        const group = { title, latest };
        if (!groups.value.length) addEventListener("keydown", pressed);
        groups.value = [...groups.value, group];
        return () => {
            groups.value = groups.value.filter((other) => other !== group);
            if (!groups.value.length) removeEventListener("keydown", pressed);
        };
    }, [title]);
}

function pressed(event) {
    if (event.defaultPrevented || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest?.(TYPED_IN)) return;
    if ((event.key === " " || event.key === "Enter") && event.target.closest?.(PRESSED)) return;
    const name = (event.ctrlKey ? "Control+" : "") + event.key;
    const whole = prefix && Date.now() < prefix.until ? `${prefix.key} ${name}` : name;
    prefix = name === "g" ? { key: name, until: Date.now() + PREFIX_MS } : null;
    const known = [...groups.value].reverse().flatMap((group) => group.latest.current);
    const found = [...known, ...PAGES.keys].find((key) => key.key === whole || key.also === whole);
    if (found && found.run(event) !== false) event.preventDefault();
}

/** The dialog of keys and shapes; it is loaded when it is first asked for. */
const Help = lazy(() => import("./help.js"), "Help");

/** Stands once on a page that has keys. */
export const KeyboardHelp = () => helpShown.value && html`<${Help} />`;
