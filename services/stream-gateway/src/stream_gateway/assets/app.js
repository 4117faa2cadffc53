/** Starts the pages: who is logged in, which page this address is, and moving between them without a reload. */
import { get } from "./api.js";
import { link, placeOf, projectOf } from "./links.js";
import { applyTheme, Frame } from "./shell.js";
import { projectZone } from "./time.js";
import { effect, html, render, signal } from "./ui.js";

const MODULES = {
    pulse: () => import("./pulse.js"),
    accounts: () => import("./accounts.js"),
    account: () => import("./account.js"),
    users: () => import("./users.js"),
    user: () => import("./user.js"),
    visitor: () => import("./user.js"),
    event: () => import("./event.js"),
    sources: () => import("./sources.js"),
    actions: () => import("./actions.js"),
};

const session = signal(null);
const failure = signal(null);
/** What is shown: `{place, project, key, module}`; `module` is null while it loads. */
const shown = signal({ place: placeOf(location.pathname), project: projectOf(), key: "", module: null });

applyTheme();
effect(() => {
    const known = projectNow();
    if (known) projectZone.value = known.time_zone;
});
addEventListener("popstate", () => show());
document.addEventListener("click", follow);
render(html`<${App} />`, document.getElementById("app"));
show();
get("/v1/session").then(
    (told) => (session.value = told),
    (problem) => (failure.value = problem),
);

/** Go to one of our pages. */
export function visit(href) {
    history.pushState(null, "", href);
    show({ arrive: true });
}

async function show({ arrive = false } = {}) {
    const place = placeOf(location.pathname);
    const project = projectOf();
    const key = `${location.pathname}?${project}`;
    if (key === shown.value.key) return;
    const loading = place && MODULES[place.name]();
    const before = shown.value;
    shown.value = { place, project, key, module: place?.name === before.place?.name ? before.module : null };
    try {
        const module = await loading;
        if (shown.value.key !== key) return;
        shown.value = { ...shown.value, module };
        document.title = `${module?.title(place.id) ?? "Not found"} · Footfall`;
    } catch {
        failure.value = {
            message: "A part of this page could not be loaded.",
            hint: "Reload the page; Footfall may have been updated or be restarting.",
        };
    }
    if (arrive) {
        scrollTo(0, 0);
        requestAnimationFrame(() => document.querySelector("main h1")?.focus({ preventScroll: true }));
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

const projectNow = () => session.value?.projects.find((item) => item.project === shown.value.project);

function App() {
    if (failure.value) return html`<main id="main"><${Failed} problem=${failure.value} /></main>`;
    if (!session.value) return html`<main id="main" aria-busy="true"></main>`;
    const project = projectNow();
    const { place, key, module } = shown.value;
    return html`<${Frame} session=${session.value} project=${project} place=${place}>
        ${!place
            ? html`<${NotHere} title="There is no such page" />`
            : !project
              ? html`<${NotHere} title="There is no such project here" />`
              : module && html`<${module.Page} key=${key} ...${place} session=${session.value} project=${project} />`}
    <//>`;
}

function NotHere({ title }) {
    const first = session.value.projects[0];
    return html`<section class="empty">
        <h1 tabindex="-1">${title}</h1>
        <p>The address may be mistyped, or your login does not reach it.</p>
        ${first && html`<p><a class="link" href=${link("/pulse", {}, first.project)}>Open ${first.name}</a></p>`}
    </section>`;
}

function Failed({ problem }) {
    return html`<section class="empty" role="alert">
        <h1 tabindex="-1">${problem.message}</h1>
        <p>${problem.hint}</p>
        <p><button onClick=${() => location.reload()}>Reload</button></p>
    </section>`;
}
