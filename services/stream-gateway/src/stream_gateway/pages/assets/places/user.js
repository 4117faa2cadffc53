/** `/users/{user}` and `/visitors/{anonymous_id}`: one person, what they do and where. */
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
import { accountLink, personOf, userLink } from "../links.js";
import { Named } from "./named.js";
import { count, counted } from "../numbers.js";
import { Time } from "../time.js";
import { Fact } from "./traits.js";
import { html } from "../ui.js";

export const title = (id) => id;

export function Page({ id, name, project }) {
    const anonymous = name === "visitor";
    const { customer, byDay, byHour, days, subject, feed, problem, missing, at, stale } = useCustomer(
        `/v1/${anonymous ? "visitors" : "users"}/${encodeURIComponent(id)}`,
        anonymous ? { anonymous_id: id } : { user: id },
    );
    if (missing && !customer) {
        return html`<${Unknown} kind=${anonymous ? "visitor" : "user"} id=${id} many="users" />`;
    }
    const accounts = customer?.accounts ?? [];
    return html`
        <${CustomerHead} kind=${anonymous ? "anonymous visitor" : "user"} id=${id} customer=${customer}>
            ${accounts.length === 1 &&
            html`<${Fact} label="Account">
                <a class="link" href=${accountLink(accounts[0].account)}>${accounts[0].account}</a>
            <//>`}
            ${customer?.known_as &&
            html`<${Fact} label="Now known as">
                <a class="link" href=${userLink(customer.known_as.user)}>${customer.known_as.user}</a>
            <//>`}
        <//>
        <${Trouble} problem=${problem} at=${at} />
        <${PeriodBar} days=${days} customer=${customer} project=${project} />
        <${Context} feed=${feed} subject=${subject} stale=${stale}>
            <${Amount} customer=${customer} byDay=${byDay} />
            <${Breakdown} period=${customer?.period} />
            <${Hours} byHour=${byHour} project=${project} />
            ${accounts.length > 1 && html`<${Accounts} accounts=${accounts} />`}
            ${customer?.identities.length > 0 && html`<${OtherIds} ids=${customer.identities} />`}
        <//>
    `;
}

/** Under which ids else they were met: visitors they were before they were known, users that were made part of them. */
function OtherIds({ ids }) {
    return html`<section class="panel people" aria-label="Other ids">
        <header>
            <h2>Also known as</h2>
            <span class="soft">${counted(ids.length, "other id")}</span>
        </header>
        <table class="rows">
            <thead>
                <tr>
                    <th scope="col" class="who">Id</th>
                    <th scope="col" class="number count">Activities</th>
                    <th scope="col" class="when wide">First seen</th>
                    <th scope="col" class="when">Last seen</th>
                </tr>
            </thead>
            <tbody>
                ${ids.map((one) => {
                    const { href, name, anonymous } = personOf(one);
                    return html`<tr key=${href}>
                        <td class="who"><${Named} href=${href} id=${name} anonymous=${anonymous} /></td>
                        <td class="number count">${count(one.activities)}</td>
                        <td class="when wide"><${Time} at=${one.first_seen} as="day" /></td>
                        <td class="when"><${Time} at=${one.last_seen} /></td>
                    </tr>`;
                })}
            </tbody>
        </table>
    </section>`;
}

function Accounts({ accounts }) {
    return html`<section class="panel people" aria-label="Accounts">
        <header>
            <h2>Where they belong</h2>
            <span class="soft">${counted(accounts.length, "account")}, counted from the beginning</span>
        </header>
        <table class="rows">
            <thead>
                <tr>
                    <th scope="col" class="who">Account</th>
                    <th scope="col" class="number count">Activities</th>
                    <th scope="col" class="when wide">First seen</th>
                    <th scope="col" class="when">Last seen</th>
                </tr>
            </thead>
            <tbody>
                ${accounts.map(
                    (one) => html`<tr key=${one.account}>
                        <td class="who"><${Named} href=${accountLink(one.account)} id=${one.account} /></td>
                        <td class="number count">${count(one.activities)}</td>
                        <td class="when wide"><${Time} at=${one.first_seen} as="day" /></td>
                        <td class="when"><${Time} at=${one.last_seen} /></td>
                    </tr>`,
                )}
            </tbody>
        </table>
    </section>`;
}
