/** What became of everything that was received, as a bar and an equation. */
import { count } from "../numbers.js";
import { html } from "../ui.js";

const PARTS = [
    ["stored", "stored", "Counted, shown, in history"],
    ["duplicate", "duplicate", "Sent again: the same id counts once"],
    ["quarantined", "set aside", "The tracking plan set them aside, to be replayed"],
    ["rejected", "rejected", "Refused with a reason"],
    ["limited", "limited", "Requests answered 429: more than the project may send"],
    ["pending", "on the way", "Accepted, and not counted yet"],
];

/** Received = its parts; those that are 0 are left out. */
export function Equation({ account }) {
    const parts = PARTS.filter(([name]) => account[name] > 0);
    return html`<p class="equation">
        <span class="bar" aria-hidden="true">
            ${parts.map(([name]) => html`<span class=${`part ${name}`} style=${{ flexGrow: account[name] }}></span>`)}
        </span>
        <span><strong>${count(account.received)}</strong> received</span>
        ${parts.map(
            ([name, word, meaning], index) => html`${" "}<span class="term" title=${meaning}>
                <span class="soft">${index ? "+" : "="}</span>
                <span class=${`part ${name}`} aria-hidden="true"></span>${" "}
                <span class=${name === "pending" ? "warn" : ""}>${count(account[name])} ${word}</span>
            </span>`,
        )}
        ${account.unavailable > 0 &&
        html`${" "}<span class="soft" title="Answered 503: their senders send them again">
            and ${count(account.unavailable)} could not be taken, to be sent again
        </span>`}
    </p>`;
}
