/** The keys that work on this page and the shapes of events, in a dialog. */
import { groups, helpShown, PAGES } from "./keyboard.js";
import { KINDS, KindMark } from "../feed/marks.js";
import { html, useEffect, useRef } from "../ui.js";

const NAMES = { " ": "Space", Escape: "Esc", Control: "Ctrl" };

const named = (key) =>
    (key === " " ? [key] : key.split(/[ +]/)).map((part) => html`<kbd>${NAMES[part] ?? part}</kbd> `);

/** The dialog, open for as long as it is there. */
export function Help() {
    const dialog = useRef(null);
    useEffect(() => dialog.current.showModal(), []);
    const told = [...groups.value.map(({ title, latest }) => ({ title, keys: latest.current })), PAGES];
    return html`<dialog
        ref=${dialog}
        class="help"
        aria-labelledby="help-title"
        onClose=${() => (helpShown.value = false)}
        onClick=${(event) => event.target === dialog.current && dialog.current.close()}
    >
        <header>
            <h1 id="help-title">Keys and shapes</h1>
            <button class="quiet" onClick=${() => dialog.current.close()}>Close</button>
        </header>
        <div class="columns">
            ${told.map(({ title, keys }) => {
                const known = keys.filter(({ does }) => does);
                return (
                    known.length > 0 &&
                    html`<section>
                        <h2>${title}</h2>
                        <dl>
                            ${known.map(
                                ({ key, does }) =>
                                    html`<div>
                                        <dt>${named(key)}</dt>
                                        <dd>${does}</dd>
                                    </div>`,
                            )}
                        </dl>
                    </section>`
                );
            })}
            <section>
                <h2>Shapes</h2>
                <dl>
                    ${Object.entries(KINDS).map(
                        ([kind, [meaning]]) =>
                            html`<div>
                                <dt><${KindMark} kind=${kind} /> ${kind}</dt>
                                <dd>${meaning}</dd>
                            </div>`,
                    )}
                </dl>
            </section>
        </div>
    </dialog>`;
}
