/** The shapes of event kinds: shape first, hue second, and the word for who sees neither. */
import { html } from "../ui.js";

/** By kind: what it means, and its shape in a box of 10 by 10. */
export const KINDS = {
    track: ["something done", html`<circle cx="5" cy="5" r="4" />`],
    page: ["a page viewed", html`<path d="M1 1h8v8H1Z" />`],
    screen: [
        "a screen viewed",
        html`<rect class="outline" x="1.75" y="1.75" width="6.5" height="6.5" rx="2" />`,
    ],
    identify: ["who somebody is", html`<path d="m5 0 5 5-5 5-5-5Z" />`],
    group: ["joined an account", html`<path d="m5 0 4.5 2.5v5L5 10 .5 7.5v-5Z" />`],
    alias: [
        "two identities merged",
        html`<g class="outline"><circle cx="3.5" cy="5" r="2.75" /><circle cx="6.5" cy="5" r="2.75" /></g>`,
    ],
};

/** The mark of a kind, with its word for screen readers and as a tooltip. */
export function KindMark({ kind }) {
    const known = KINDS[kind] ? kind : "track";
    return html`<svg class=${`kind ${known}`} viewBox="0 0 10 10" role="img" aria-label=${kind}>
        <title>${kind}</title>
        ${KINDS[known][1]}
    </svg>`;
}
