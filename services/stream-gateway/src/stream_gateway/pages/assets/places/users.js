/** `/users`: every known user; anonymous visitors have pages, but no list. */
import { CustomerList } from "./customer_list.js";
import { accountLink, link, userLink } from "../links.js";
import { Named } from "./named.js";
import { count } from "../numbers.js";
import { Time } from "../time.js";
import { html } from "../ui.js";

export const title = () => "Users";

const COLUMNS = [
    {
        sort: "user",
        label: "User",
        kind: "who",
        key: (item) => item.user,
        cell: (item) => html`<${Named} href=${userLink(item.user)} id=${item.user} name=${item.name} />`,
    },
    {
        label: "Account",
        kind: "where wide",
        cell: ({ account }) =>
            account === null
                ? html`<span class="faint">none</span>`
                : html`<a class="cut above" href=${accountLink(account)}>${account}</a>`,
    },
    { sort: "activities", label: "Activities", kind: "number count", cell: (item) => count(item.activities) },
    {
        sort: "first_seen",
        label: "First seen",
        kind: "when wide",
        cell: (item) => html`<${Time} at=${item.first_seen} as="day" />`,
    },
    {
        sort: "last_seen",
        label: "Last seen",
        kind: "when",
        cell: (item) => html`<${Time} at=${item.last_seen} />`,
    },
];

export function Page() {
    return html`<${CustomerList}
        title="Users"
        path="/v1/users"
        columns=${COLUMNS}
        one="user"
        many="users"
    >
        <p>No user has done anything yet.</p>
        <p>A user appears with the first event that names them.</p>
        <p><a class="link" href=${link("/pulse")}>See how to send one</a></p>
    <//>`;
}
