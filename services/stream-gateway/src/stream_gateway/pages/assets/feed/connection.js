/** The state of a live connection in words, with a shape beside it. */
import { toLogin } from "../api.js";
import { count } from "../numbers.js";
import { now } from "../time.js";
import { html } from "../ui.js";

/** The words for a feed's state; `reconnecting` counts down. */
export function connectionWords(state, present = now.value) {
    switch (state.kind) {
        case "live":
            return "Live";
        case "catching up":
            return state.count ? `Catching up: ${count(state.count)} events` : "Catching up";
        case "reconnecting": {
            const inS = Math.ceil((state.retry_at - present) / 1000);
            return inS > 0 ? `Reconnecting in ${inS} s` : "Reconnecting";
        }
        case "resting":
            return "Resting while this tab is hidden";
        case "offline":
            return "Offline: no network";
        case "logged out":
            return "Logged out";
        case "ended":
            return "Ended";
        default:
            return "Connecting";
    }
}

/** The state as an element; a reason, when there is one, is its tooltip. */
export function Connection({ state }) {
    const live = state.kind === "live";
    const bad = ["reconnecting", "offline", "logged out", "ended"].includes(state.kind);
    return html`<span class=${`connection ${live ? "good" : bad ? "warn" : "soft"}`} title=${state.reason ?? ""}>
        <svg class="dot" viewBox="0 0 8 8" width="8" height="8" aria-hidden="true">
            ${live
                ? html`<circle cx="4" cy="4" r="4" fill="currentColor" />`
                : bad
                  ? html`<path d="M4 0 8 8H0Z" fill="currentColor" />`
                  : html`<circle cx="4" cy="4" r="3" fill="none" stroke="currentColor" stroke-width="1.5" />`}
        </svg>
        ${connectionWords(state)}
        ${state.kind === "logged out" && html`<button class="link" onClick=${toLogin}>Log in</button>`}
    </span>`;
}
