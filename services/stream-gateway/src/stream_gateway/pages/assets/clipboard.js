/** Copying text, on plain http too. */
import { html, useEffect, useSignal } from "./ui.js";

const SAID_MS = 2000;

/** Put the text on the clipboard; whether it worked. Call it from a click. */
export async function copy(text) {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        return copySelected(text);
    }
}

/** Over plain http there is no clipboard object; the old command copies what is selected. */
function copySelected(text) {
    const focused = document.activeElement;
    const area = document.createElement("textarea");
    area.className = "hidden";
    area.readOnly = true;
    area.value = text;
    (focused?.closest("dialog") ?? document.body).append(area);
    area.select();
    const worked = document.execCommand("copy");
    area.remove();
    focused?.focus({ preventScroll: true });
    return worked;
}

/** A button that copies `text` and says so for a moment; `name` is what it is called beyond "Copy". */
export function CopyButton({ text, name = "Copy", class: className = "" }) {
    const said = useSignal("");
    useEffect(() => {
        if (!said.value) return undefined;
        const timer = setTimeout(() => (said.value = ""), SAID_MS);
        return () => clearTimeout(timer);
    }, [said.value]);
    const press = async () => {
        said.value = (await copy(text)) ? "Copied" : "Select it and press Ctrl+C";
    };
    return html`<button class=${`copy ${className}`} aria-label=${said.value ? undefined : name} onClick=${press}>
        ${said.value || "Copy"}<span class="hidden" role="status">${said.value}</span>
    </button>`;
}
