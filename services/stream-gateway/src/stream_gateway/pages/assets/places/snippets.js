/** For a project that has nothing yet: a first event to paste, with the project's own address and key. */
import { post, useAnswer } from "../api.js";
import { CopyButton } from "../clipboard.js";
import { Connection } from "../feed/connection.js";
import { html, useRef, useSignal } from "../ui.js";

const SNIPPETS = [
    [
        "curl",
        (origin, key) => `curl ${origin}/v1/events \\
  -H 'Authorization: Bearer ${key}' \\
  -d '{"user": "ada@example.com", "account": "Example Ltd", "action": "opened report"}'`,
    ],
    [
        "Python",
        (origin, key) => `import json
from urllib.request import Request, urlopen

event = {"user": "ada@example.com", "account": "Example Ltd", "action": "opened report"}
request = Request(
    "${origin}/v1/events",
    data=json.dumps(event).encode(),
    headers={"Authorization": "Bearer ${key}"},
)
print(urlopen(request).read().decode())`,
    ],
    [
        "JavaScript",
        (origin, key) => `fetch("${origin}/v1/events", {
    method: "POST",
    headers: { Authorization: "Bearer ${key}" },
    body: JSON.stringify({
        user: "ada@example.com",
        account: "Example Ltd",
        action: "opened report",
    }),
});`,
    ],
    [
        "HTML",
        (origin, key) => `<script src="${origin}/js/footfall.js" data-key="${key}"></script>
<script>
    footfall.track("ada@example.com", "opened report", { account: "Example Ltd" });
</script>`,
    ],
];

/**
 * The snippets of `project`, by its id; `state` is the signal of the connection that waits for the event.
 *
 * Whoever shows them takes them away when the first event has come.
 */
export function Snippets({ project, state }) {
    const keys = useAnswer(`/v1/projects/${encodeURIComponent(project)}/keys`);
    const made = useSignal(null);
    const problem = useSignal(null);
    const at = useSignal(0);
    const tabs = useRef(null);
    const items = keys.value.value?.items;
    const key = made.value ?? items?.find((item) => item.kind === "write" && item.key && !item.revoked_at)?.key;
    const text = SNIPPETS[at.value][1](location.origin, key ?? "…");

    const make = async () => {
        try {
            made.value = (await post(`/v1/projects/${encodeURIComponent(project)}/keys`, { kind: "write" })).key;
            problem.value = null;
        } catch (failure) {
            problem.value = failure;
        }
    };
    const walk = (event) => {
        const last = SNIPPETS.length - 1;
        const to = { ArrowRight: at.value + 1, ArrowLeft: at.value - 1, Home: 0, End: last }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        at.value = (to + SNIPPETS.length) % SNIPPETS.length;
        tabs.current.children[at.value].focus();
    };
    const failed = problem.value ?? keys.problem.value;
    return html`<div class="snippets">
            <header>
                <h2>Send your first event</h2>
                <p class="waiting" role="status">
                    <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
                        <circle cx="8" cy="8" r="5.5" stroke-dasharray="2.2 2.1" />
                    </svg>
                    Waiting for the first event…
                </p>
                <${Connection} state=${state.value} />
            </header>
            <p class="soft">
                An event says that someone (<code>user</code>) of a customer (<code>account</code>) did something${" "}
                (<code>action</code>). These lines work as they stand, with the key of this project.
            </p>
            <div class="snippet">
                <div class="choices"><div role="tablist" aria-label="Language" ref=${tabs} onKeyDown=${walk}>
                    ${SNIPPETS.map(
                        ([name], n) => html`<button
                            class="quiet"
                            role="tab"
                            id=${`snippet-tab-${n}`}
                            aria-selected=${String(n === at.value)}
                            aria-controls="snippet"
                            tabindex=${n === at.value ? 0 : -1}
                            onClick=${() => (at.value = n)}
                        >
                            ${name}
                        </button>`,
                    )}</div>
                    ${key && html`<${CopyButton} text=${text} name=${`Copy the ${SNIPPETS[at.value][0]} lines`} />`}
                </div>
                <div role="tabpanel" id="snippet" aria-labelledby=${`snippet-tab-${at.value}`} tabindex="0">
                    ${key
                        ? html`<pre><code>${text}</code></pre>`
                        : html`<p class="soft">
                              ${items &&
                              html`The lines need a write key whose text can be shown, and this project has
                                  none.${" "}<button class="primary" onClick=${make}>Make a write key</button>`}
                          </p>`}
                </div>
            </div>
            ${failed && html`<p class="bad" role="alert">${failed.message} ${failed.hint}</p>`}
    </div>`;
}
