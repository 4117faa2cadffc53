/** What the filter field offers while one types. */
import { get } from "../api.js";
import { filters } from "./filters.js";

const TYPED = {
    account: "account",
    customer: "account",
    user: "user",
    person: "user",
    action: "action",
    text: "q",
};
const SUGGESTED = 5;

/** What was typed, as `{kind, wanted}`: `user: ada` asks for users only. */
export function parsed(text) {
    const typed = /^\s*(\w+):\s*(.*)$/.exec(text);
    const kind = typed && TYPED[typed[1].toLowerCase()];
    return kind ? { kind, wanted: typed[2].trim() } : { kind: null, wanted: text.trim() };
}

/** What can be chosen for what was typed, as `[{name, value, called?}]`, the best first. */
export function offersOf({ kind, wanted, found, fixed }) {
    const offers = [];
    if (wanted && (!kind || kind === "q")) offers.push({ name: "q", value: wanted });
    if (wanted && kind && kind !== "q" && !fixed[kind]) offers.push({ name: kind, value: wanted });
    const seen = new Set(offers.map(({ name, value }) => `${name} ${value}`));
    for (const offer of found) {
        const key = `${offer.name} ${offer.value}`;
        if ((kind && offer.name !== kind) || seen.has(key) || filters.peek()[offer.name] === offer.value)
            continue;
        seen.add(key);
        offers.push(offer);
    }
    const like = wanted.toLowerCase();
    const exact = offers.filter((offer) => offer.name !== "q" && offer.value.toLowerCase() === like);
    const sorted = ["q", "account", "user", "action"].flatMap((name) =>
        offers.filter((offer) => offer.name === name && !exact.includes(offer)).slice(0, SUGGESTED),
    );
    return [...exact, ...sorted];
}

/** The `values` of a filter that hold the text. */
export const matching = (name, values, wanted) =>
    values
        .filter((value) => value.toLowerCase().includes(wanted.toLowerCase()))
        .slice(0, SUGGESTED)
        .map((value) => ({ name, value }));

/** Accounts or users as the server finds them; none when it does not answer. */
export async function searched(name, wanted, stop) {
    try {
        const path = name === "account" ? "/v1/accounts" : "/v1/users";
        const query = { search: wanted, sort: "last_seen", limit: SUGGESTED };
        const { items } = await get(path, query, { signal: stop });
        return items.map((item) => ({ name, value: item[name], called: item.name }));
    } catch {
        // The page's own knowledge is still offered; that the server is away is said where it matters.
        return [];
    }
}
