/** Parts of a page that are loaded when they are first shown. */
import { html, signal } from "./ui.js";

/** The component `name` of the module that `load()` brings; a sentence in its place when it cannot be had. */
export function lazy(load, name) {
    const got = signal(null);
    let asked = false;
    const ask = async () => {
        asked = true;
        try {
            got.value = (await load())[name];
        } catch {
            asked = false;
            got.value = NotLoaded;
        }
    };
    return function Lazy(props) {
        if (!asked) ask();
        return got.value && html`<${got.value} ...${props} />`;
    };
}

const NotLoaded = () =>
    html`<p class="notice failed" role="alert">
        This part of the page could not be loaded. Look whether Footfall runs, then reload the page.
    </p>`;
