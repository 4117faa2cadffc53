/** Addresses of pages. Ids may hold any character; every address names its project. */

const PLACES = {
    pulse: /^\/pulse$/,
    accounts: /^\/accounts$/,
    account: /^\/accounts\/([^/]+)$/,
    users: /^\/users$/,
    user: /^\/users\/([^/]+)$/,
    visitor: /^\/visitors\/([^/]+)$/,
    event: /^\/activity\/([^/]+)$/,
    sources: /^\/sources$/,
    rejected: /^\/rejected$/,
    actions: /^\/actions$/,
};

/** The page of a path, as `{name, id}`, or null. */
export function placeOf(pathname) {
    for (const [name, form] of Object.entries(PLACES)) {
        const found = form.exec(pathname);
        if (found) return { name, id: found[1] === undefined ? null : decoded(found[1]) };
    }
    return null;
}

function decoded(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

/** The project of this page's address, or null. */
export const projectOf = (search = location.search) => new URLSearchParams(search).get("project");

/** The address of a page: `path` as served, `query` beside the project; empty values are left out. */
export function link(path, query = {}, project = projectOf()) {
    const asked = new URLSearchParams();
    if (project) asked.set("project", project);
    for (const [name, value] of Object.entries(query)) {
        if (value !== null && value !== undefined && value !== "") asked.set(name, value);
    }
    const text = asked.toString();
    return path + (text ? "?" + text : "");
}

export const accountLink = (account) => link(`/accounts/${encodeURIComponent(account)}`);
export const userLink = (user) => link(`/users/${encodeURIComponent(user)}`);
export const visitorLink = (anonymousId) => link(`/visitors/${encodeURIComponent(anonymousId)}`);
export const eventLink = (id) => link(`/activity/${encodeURIComponent(id)}`);

/** Whoever an event or a row is about: `{href, name, anonymous}`, or null for nobody. */
export function personOf({ user, anonymous_id: anonymousId }) {
    if (user) return { href: userLink(user), name: user, anonymous: false };
    if (anonymousId) return { href: visitorLink(anonymousId), name: anonymousId, anonymous: true };
    return null;
}

/** Change parameters of this page's address in place, without a new entry of the history. */
export function rewrite(changes) {
    const asked = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) {
        if (value === null || value === undefined || value === "") asked.delete(name);
        else asked.set(name, value);
    }
    history.replaceState(history.state, "", `${location.pathname}?${asked}`);
}
