/** How a customer is called: by the name its traits give, and by its id where that says something else. */
import { html } from "../ui.js";

/** The first cell of a row: the link that the whole row follows. `anonymous` says that the id is a visitor's. */
export function Named({ href, id, name = null, anonymous = false }) {
    const called = name?.trim() || id;
    return html`<a class="cut row-link" href=${href} title=${called === id ? id : `${called} (${id})`}
        ><bdi>${called}</bdi>${called !== id && html`<bdi class="id faint">${" "}${id}</bdi>`}
        ${anonymous && html`${" "}<span class="faint">anonymous</span>`}</a
    >`;
}
