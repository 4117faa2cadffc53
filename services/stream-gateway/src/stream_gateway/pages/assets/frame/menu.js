/** A button that opens a small menu: arrows move, Escape and leaving close it. */
import { html, useEffect, useRef, useSignal } from "../ui.js";

const ITEMS = "[role^='menuitem']";

/** `label` is what the button shows, `name` what it is called; children are MenuChoice or links with role menuitem. */
export function Menu({ label, name, side = "right", icon = false, children }) {
    const open = useSignal(false);
    const root = useRef(null);
    const items = () => [...root.current.querySelectorAll(ITEMS)];
    const close = (refocus) => {
        open.value = false;
        if (refocus) root.current.querySelector("button").focus();
    };
    useEffect(() => {
        if (!open.value) return undefined;
        const chosen = items().find((item) => item.getAttribute("aria-checked") === "true" || item.ariaCurrent);
        (chosen ?? items()[0])?.focus();
        const outside = (event) => {
            if (!root.current.contains(event.target)) close(false);
        };
        addEventListener("pointerdown", outside);
        return () => removeEventListener("pointerdown", outside);
    }, [open.value]);
    const keys = (event) => {
        if (!open.value) {
            if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
            event.preventDefault();
            open.value = true;
            return;
        }
        const all = items();
        const at = all.indexOf(document.activeElement);
        const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
        if (next !== undefined) all[(next + all.length) % all.length].focus();
        else if (event.key === "Escape") close(true);
        else {
            if (event.key === "Tab") close(false);
            return;
        }
        event.preventDefault();
        event.stopPropagation();
    };
    const chosen = (event) => {
        if (event.target.closest(ITEMS)) close(event.target.closest("button") !== null);
    };
    return html`<div class=${`menu ${side}`} ref=${root} onKeyDown=${keys}>
        <button
            class=${icon ? "quiet icon" : "quiet"}
            aria-label=${name}
            aria-haspopup="menu"
            aria-expanded=${String(open.value)}
            title=${name}
            onClick=${() => (open.value = !open.value)}
        >
            ${label}
        </button>
        ${open.value && html`<div role="menu" aria-label=${name} onClick=${chosen}>${children}</div>`}
    </div>`;
}

/** One of several choices. */
export function MenuChoice({ chosen, choose, note, children }) {
    return html`<button role="menuitemradio" aria-checked=${String(chosen)} tabindex="-1" onClick=${choose}>
        <${Tick} shown=${chosen} />
        <span>${children}</span>${note && html`<span class="note">${note}</span>`}
    </button>`;
}

/** The mark of what is chosen; its place stays without it. */
export const Tick = ({ shown }) =>
    html`<svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">${shown && html`<path d="m3 8.5 3.5 3.5L13 4.5" />`}</svg>`;
