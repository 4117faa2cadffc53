/** `/activity/{id}`: one event for ever, and what the same person did around it. */
import { useAnswer } from "../api.js";
import { EventDetails } from "../feed/event_details.js";
import { Failure } from "../failure.js";
import { useNarrow } from "../feed/feed_list.js";
import { EventRow } from "../feed/feed_row.js";
import { accountLink, link, personOf } from "../links.js";
import { KindMark } from "../feed/marks.js";
import { Time, whole } from "../time.js";
import { html, useRef, useSignal } from "../ui.js";

const AROUND = 10;
const LATER_MS = 1_800_000;
const ASKED = 200;

export const title = (id) => `Event ${id}`;

export function Page({ id }) {
    const answer = useAnswer(`/v1/activity/${encodeURIComponent(id)}`);
    const event = answer.value.value;
    const problem = answer.problem.value;
    if (problem?.status === 404) {
        return html`<section class="empty">
            <h1 tabindex="-1">There is no such event here</h1>
            <p>
                No event of this project has the id <code>${id}</code>. It may belong to another project, or
                still be on its way.
            </p>
            <p><a class="link" href=${link("/pulse")}>Go to the stream</a></p>
        </section>`;
    }
    const person = event && personOf(event);
    return html`
        <div class="page-head event-head">
            <h1 tabindex="-1">
                ${event ? html`<${KindMark} kind=${event.type} /> ${event.action}` : "Event"}
            </h1>
            ${
                event &&
                html`<p class="soft">
                    ${person && html`<a class="link" href=${person.href}>${person.name}</a>`}
                    ${event.account && person && " of "}
                    ${
                        event.account &&
                        html`<a class="link" href=${accountLink(event.account)}>${event.account}</a>`
                    }
                    ${person || event.account ? ", " : ""}<${Time} at=${event.occurred_at} /> ·
                    ${whole(event.occurred_at)}
                </p>`
            }
        </div>
        <${Failure} problem=${problem} at=${answer.at.value} />
        <section class="panel event" aria-label="The event" aria-busy=${String(!event)}>
            <h2 class="hidden">The event</h2>
            ${event && html`<${EventDetails} event=${event} only=${false} />`}
        </section>
        ${event && person && html`<${Around} event=${event} person=${person} />`}
    `;
}

function Around({ event, person }) {
    const panel = useRef(null);
    const narrow = useNarrow(panel);
    const opened = useSignal(null);
    const whose = event.user ? { user: event.user } : { anonymous_id: event.anonymous_id };
    const upTo = (laterMs) => new Date(Date.parse(event.occurred_at) + laterMs).toISOString();
    const wide = useAnswer("/v1/activity", { ...whose, before: upTo(LATER_MS), limit: ASKED });
    const wideItems = wide.value.value?.items;
    const inWide = wideItems?.some((other) => other.id === event.id);
    const close = useAnswer(wideItems && !inWide ? "/v1/activity" : null, {
        ...whose,
        before: upTo(1),
        limit: AROUND,
    });
    const items = inWide ? wideItems : close.value.value?.items;
    const at = items?.findIndex((other) => other.id === event.id) ?? -1;
    const shown = items?.slice(Math.max(0, at - AROUND), at + AROUND + 1) ?? [];
    const newest = shown[0];
    return html`<section
        ref=${panel}
        class=${`panel feed no-who ${narrow ? "narrow" : ""}`}
        aria-label="Around it"
    >
        <header>
            <h2>Around it</h2>
            <span class="soft">what ${person.name} did before and after, newest first</span>
        </header>
        <${Failure} problem=${wide.problem.value ?? close.problem.value} />
        <div role="feed" aria-label="Around it" class="feed-rows" aria-busy=${String(!newest)}>
            ${shown.map(
                (row, index) =>
                    html`<${EventRow}
                        key=${row.id}
                        row=${row}
                        id=${row.id}
                        index=${index}
                        here=${row.id === event.id}
                        opened=${opened.value === row.id}
                        toggle=${(id) => (opened.value = opened.value === id ? null : id)}
                        resized=${() => {}}
                        as="stamp"
                        fixed=${{ user: event.user, account: true, action: true }}
                    />`,
            )}
        </div>
    </section>`;
}
