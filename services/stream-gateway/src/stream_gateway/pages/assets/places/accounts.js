/** `/accounts`: every customer account. */
import { Sparkline } from "../charts/charts.js";
import { CustomerList } from "./customer_list.js";
import { accountLink, link } from "../links.js";
import { Named } from "./named.js";
import { count, counted } from "../numbers.js";
import { Time } from "../time.js";
import { html } from "../ui.js";

const DAYS = 14;

export const title = () => "Accounts";

const COLUMNS = [
    {
        sort: "account",
        label: "Account",
        kind: "who",
        key: (item) => item.account,
        cell: ({ account, name }) => html`<${Named} href=${accountLink(account)} id=${account} name=${name} />`,
    },
    {
        label: "14 days",
        kind: "trend wide",
        cell: ({ daily }) => daily && html`<${Sparkline} values=${daily} label=${trend(daily)} />`,
    },
    { sort: "activities", label: "Activities", kind: "number count", cell: (item) => count(item.activities) },
    { sort: "users", label: "Users", kind: "number count wide", cell: (item) => count(item.users) },
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

function trend(daily) {
    const sum = daily.reduce((total, count) => total + count, 0);
    return `${counted(sum, "activity", "activities")} in ${DAYS} days, ${count(daily[daily.length - 1])} today`;
}

export function Page() {
    return html`<${CustomerList}
        title="Accounts"
        path="/v1/accounts"
        query=${{ days: DAYS }}
        columns=${COLUMNS}
        one="account"
        many="accounts"
    >
        <p>No account has done anything yet.</p>
        <p>An account appears with the first event that names it.</p>
        <p><a class="link" href=${link("/pulse")}>See how to send one</a></p>
    <//>`;
}
