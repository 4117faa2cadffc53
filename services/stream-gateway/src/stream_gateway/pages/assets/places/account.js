/** `/accounts/{account}`, Customer Context: what an account does, who is in it, and what happens there now. */
import {
    Amount,
    Breakdown,
    Context,
    CustomerHead,
    Hours,
    PeriodBar,
    Trouble,
    Unknown,
    useCustomer,
} from "./customer_context.js";
import { personOf } from "../links.js";
import { Named } from "./named.js";
import { count, counted } from "../numbers.js";
import { Time } from "../time.js";
import { html } from "../ui.js";

export const title = (id) => id;

export function Page({ id, project }) {
    const { customer, byDay, byHour, days, subject, feed, problem, missing, at, stale } = useCustomer(
        `/v1/accounts/${encodeURIComponent(id)}`,
        { account: id },
    );
    if (missing && !customer) {
        return html`<${Unknown} kind="account" id=${id} many="accounts" />`;
    }
    const period = customer?.period;
    const people = {
        label: "People",
        value: period && count(period.people),
        note: customer && html`<span class="faint">of ${count(customer.users)} ever</span>`,
    };
    return html`
        <${CustomerHead} kind="account" id=${id} customer=${customer} />
        <${Trouble} problem=${problem} at=${at} />
        <${PeriodBar} days=${days} customer=${customer} project=${project} />
        <${Context} feed=${feed} subject=${subject} stale=${stale}>
            <${Amount} customer=${customer} byDay=${byDay} figures=${[people]} />
            <${Breakdown} period=${period} />
            <${Hours} byHour=${byHour} project=${project} />
            <${People} customer=${customer} />
        <//>
    `;
}

function People({ customer }) {
    const people = customer?.people ?? [];
    const some = customer && customer.users > people.length;
    return html`<section class="panel people" aria-label="Users">
        <header>
            <h2>Who they are</h2>
            <span class="soft">
                ${customer &&
                (some
                    ? `the ${people.length} seen last of ${count(customer.users)}`
                    : counted(people.length, "person", "people")) + ", counted from the beginning"}
            </span>
        </header>
        <table class="rows">
            <thead>
                <tr>
                    <th scope="col" class="who">Who</th>
                    <th scope="col" class="doing wide">Most often</th>
                    <th scope="col" class="number count">Activities</th>
                    <th scope="col" class="when">Last seen</th>
                </tr>
            </thead>
            <tbody>
                ${people.map(
                    (one) => html`<${Person} key=${one.user ?? `anonymous ${one.anonymous_id}`} person=${one} />`,
                )}
            </tbody>
        </table>
        ${customer && !people.length && html`<p class="empty">No event named a person yet.</p>`}
    </section>`;
}

function Person({ person }) {
    const { href, name, anonymous } = personOf(person);
    const often = person.actions.map((one) => `${one.action} ${count(one.count)}`);
    return html`<tr>
        <td class="who"><${Named} href=${href} id=${name} name=${person.name} anonymous=${anonymous} /></td>
        <td class="doing wide" title=${often.join("\n")}>
            <span class="cut">
                ${person.actions.map(
                    (one) => html`<span class="often"
                        ><bdi>${one.action}</bdi> <span class="faint">${count(one.count)}</span></span
                    >`,
                )}
            </span>
        </td>
        <td class="number count">${count(person.activities)}</td>
        <td class="when"><${Time} at=${person.last_seen} /></td>
    </tr>`;
}
