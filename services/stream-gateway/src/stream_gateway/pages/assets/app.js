/** Starts the pages: who is logged in, which page this address is, and moving between them without a reload. */
import { askEarly, get } from "./api.js";
import { link, placeOf, projectOf } from "./links.js";
import { press } from "./frame/keyboard.js";
import { applyTheme, Frame } from "./frame/shell.js";
import { projectZone } from "./time.js";
import { computed, effect, html, render, signal } from "./ui.js";

const SETTLE_MS = 2000;
const MODULES = {
    pulse: () => import("./places/pulse.js"),
    accounts: () => import("./places/accounts.js"),
    account: () => import("./places/account.js"),
    users: () => import("./places/users.js"),
    user: () => import("./places/user.js"),
    visitor: () => import("./places/user.js"),
    event: () => import("./places/event.js"),
    sources: () => import("./places/sources.js"),
    rejected: () => import("./places/rejected.js"),
    actions: () => import("./places/actions.js"),
};
const FIRST_ASKED = { pulse: ["/v1/pulse", "/v1/pulse/minutes"] };
const NOT_LOADED = {
    message: "This page could not be loaded.",
    hint: "Look whether Footfall runs; it may be restarting. Then reload the page.",
};
const BROKEN = {
    message: "This page failed while it was drawn.",
    hint: "Reload it. If it fails again, the browser's console says more.",
};

const session = signal(null);
const away = signal(null);
/** What is shown: `{place, project, key, module, problem}`; `module` is null while it loads. */
const shown = signal({ key: 0, place: placeOf(location.pathname), project: projectOf(), module: null });
const missing = computed(() => {
    if (!shown.value.place) return "There is no such page";
    return session.value && !projectNow() ? "There is no such project here" : null;
});
let address = "";

applyTheme();
effect(() => {
    const known = projectNow();
    if (known) projectZone.value = known.time_zone;
});
effect(() => {
    const { place, module, problem } = shown.value;
    const title = missing.value ?? (problem ? "Failed" : module?.title(place.id));
    document.title = title ? `${title} · Footfall` : "Footfall";
});
addEventListener("popstate", ({ state }) => {
    if (location.pathname + location.search !== address) show(state?.scrolled ?? 0);
});
document.addEventListener("click", follow);
addEventListener("keydown", press);
render(html`<${App} />`, document.getElementById("app"));
if (shown.value.project) FIRST_ASKED[shown.value.place?.name]?.forEach((path) => askEarly(path));
show();
openSession();

/** Go to one of our pages. */
export function visit(href) {
    if (new URL(href, location.href).href === location.href) history.replaceState(null, "");
    else {
        history.replaceState({ ...history.state, scrolled: scrollY }, "");
        history.pushState(null, "", href);
    }
    show(0);
}

/** Show the page of the address; at `scrolled` px and with the focus on its heading, if it is one of several. */
async function show(scrolled) {
    address = location.pathname + location.search;
    const place = placeOf(location.pathname);
    const key = shown.value.key + 1;
    const loading = place && MODULES[place.name]();
    const kept = place?.name === shown.value.place?.name ? shown.value.module : null;
    shown.value = { key, place, project: projectOf(), module: kept };
    try {
        const module = await loading;
        if (shown.value.key !== key) return;
        shown.value = { ...shown.value, module };
    } catch {
        if (shown.value.key !== key) return;
        shown.value = { ...shown.value, problem: NOT_LOADED };
    }
    if (scrolled !== undefined) settle(key, scrolled);
}

function settle(key, scrolled) {
    const until = performance.now() + SETTLE_MS;
    const step = () => {
        if (shown.value.key !== key) return;
        const main = document.querySelector("main");
        const heading = main.querySelector("h1");
        if (heading && !main.contains(document.activeElement)) heading.focus({ preventScroll: true });
        scrollTo(0, scrolled);
        const settled = heading && scrollY >= scrolled - 1;
        if (!settled && performance.now() < until) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
}

async function openSession() {
    for (let tries = 1; !session.value; tries += 1) {
        try {
            session.value = await get("/v1/session");
            away.value = null;
        } catch (problem) {
            if (problem.status === 401) return;
            away.value = problem;
            await new Promise((done) => setTimeout(done, Math.min(30, 2 ** tries) * 1000));
        }
    }
}

function follow(event) {
    if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const anchor = event.target.closest?.("a[href]");
    if (!anchor || anchor.target || anchor.hasAttribute("download") || anchor.origin !== location.origin) return;
    if (!placeOf(anchor.pathname)) return;
    event.preventDefault();
    visit(anchor.href);
}

function projectNow() {
    return session.value?.projects.find((item) => item.project === shown.value.project);
}

function App() {
    const { place, key, module } = shown.value;
    const project = projectNow();
    const problem = away.value ?? shown.value.problem;
    const busy = !problem && !missing.value && !(project && module);
    return html`<${Frame} session=${session.value} project=${project} place=${place} busy=${busy}>
        ${problem
            ? html`<${Failed} problem=${problem} />`
            : missing.value
              ? html`<${NotHere} title=${missing.value} />`
              : project && module && html`<${Guarded} key=${key} page=${module.Page} ...${place} project=${project} />`}
    <//>`;
}

/** A page; when drawing it fails, that is said in its place. */
function Guarded({ page: Page, ...given }) {
    this.componentDidCatch = (error) => {
        reportError(error);
        shown.value = { ...shown.value, problem: BROKEN };
    };
    return html`<${Page} ...${given} session=${session.value} />`;
}

function NotHere({ title }) {
    const first = session.value?.projects[0];
    return html`<section class="empty">
        <h1 tabindex="-1">${title}</h1>
        <p>The address may be mistyped, or your login does not reach it.</p>
        ${first && html`<p><a class="button" href=${link("/pulse", {}, first.project)}>Open ${first.name}</a></p>`}
    </section>`;
}

function Failed({ problem }) {
    return html`<section class="empty" role="alert">
        <h1 tabindex="-1">${problem.message}</h1>
        <p>${problem.hint}</p>
        <p><button onClick=${() => location.reload()}>Reload</button></p>
    </section>`;
}
