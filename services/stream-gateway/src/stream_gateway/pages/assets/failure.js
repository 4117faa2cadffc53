/** A failure shown in its place: what happened, what to do, and how old the numbers around it are. */
import { Time } from "./time.js";
import { html } from "./ui.js";

/** Nothing without a problem. `at` is when the last good answer came (ms), 0 for never. */
export function Failure({ problem, at = 0 }) {
    if (!problem) return null;
    return html`<div class="notice failed">
        <span role="alert"><strong>${problem.message}</strong> ${problem.hint}</span>
        ${at > 0 && html`<span class="soft">What is shown is from <${Time} at=${at} />.</span>`}
    </div>`;
}
