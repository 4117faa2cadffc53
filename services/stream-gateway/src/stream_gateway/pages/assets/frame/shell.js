/** The frame around every page: where one is, which project, whose zone, light or dark, and out. */
import { KeyboardHelp } from "./keyboard.js";
import { link, projectOf } from "../links.js";
import { Menu, MenuChoice, Tick } from "./menu.js";
import { chooseZone, now, projectZone, zone, zoneChoice, zoneName, minute } from "../time.js";
import { html, signal } from "../ui.js";

const PAGES = [
    ["pulse", "/pulse", "Pulse"],
    ["accounts", "/accounts", "Accounts"],
    ["users", "/users", "Users"],
    ["sources", "/sources", "Sources"],
    ["rejected", "/rejected", "Rejected"],
    ["actions", "/actions", "Actions"],
];
const WITHIN = { account: "accounts", user: "users", visitor: "users", event: "pulse" };
const THEME_KEY = "footfall-theme";

const theme = signal(readTheme());

function readTheme() {
    try {
        return localStorage.getItem(THEME_KEY) ?? "auto";
    } catch {
        return "auto";
    }
}

/** Light, dark, or as the system says; remembered in this browser. */
export function chooseTheme(choice) {
    theme.value = choice;
    applyTheme();
    try {
        localStorage.setItem(THEME_KEY, choice);
    } catch {
        // Without storage the choice lasts as long as the page.
    }
}

/** Put the remembered choice on the document. */
export function applyTheme() {
    const root = document.documentElement;
    if (theme.value === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme.value;
    dispatchEvent(new Event("footfall-theme"));
}

/**
 * The frame with the page in it. `place` is where we are and `project` which project, neither when it is unknown;
 * `session` is null while it is on its way, and `busy` says that the page is.
 */
export function Frame({ session, project, place, busy, children }) {
    const projects = session?.projects ?? [];
    const within = session && !project ? projects[0]?.project : projectOf();
    return html`
        <a class="skip button" href="#main" onClick=${skip}>Skip to the content</a>
        <header class=${`bar-top ${session || !busy ? "" : "waiting"}`}>
            <a class="brand" href=${link("/pulse", {}, within)} aria-label="Footfall: Service Pulse"><${Mark} />Footfall</a>
            ${projects.length > 0 && html`<${Switcher} projects=${projects} project=${project} place=${place} />`}
            <nav aria-label="Pages">
                <ul>
                    ${PAGES.map(([name, path, label]) => {
                        const here = name === (WITHIN[place?.name] ?? place?.name);
                        const current = here ? (name === place.name ? "page" : "true") : undefined;
                        return html`<li><a href=${link(path, {}, within)} aria-current=${current}>${label}</a></li>`;
                    })}
                </ul>
            </nav>
            <div class="tools">
                <${ZoneMenu} />
                <${ThemeMenu} />
                <form method="post" action="/logout"><button class="quiet">Log out</button></form>
            </div>
        </header>
        ${project?.demo && html`<${DemoBanner} own=${projects.find((item) => !item.demo)} />`}
        <main id="main" tabindex="-1" aria-busy=${String(busy)}>${children}</main>
        <${KeyboardHelp} />
    `;
}

function skip(event) {
    event.preventDefault();
    document.getElementById("main").focus();
}

function DemoBanner({ own }) {
    return html`<aside class="banner" aria-label="Demo">
        <span class="tag">Demo</span>
        <span>An invented product with invented customers.</span>
        ${own && html`<a class="link" href=${link("/pulse", {}, own.project)}>Send events of your own →</a>`}
    </aside>`;
}

/** Leads to the same list in another project; from a customer to the list of customers. */
function Switcher({ projects, project, place }) {
    const list = WITHIN[place?.name] ?? place?.name ?? "pulse";
    const here = (item) => item.project === project?.project;
    const name = project?.name ?? "Choose a project";
    const label = html`<span class="cut project-name"><bdi>${name}</bdi></span><${Down} />`;
    return html`<${Menu} label=${label} name=${project ? `Project: ${name}` : name} side="left">
        ${projects.map(
            (item) => html`<a
                role="menuitem"
                tabindex="-1"
                href=${link(`/${list}`, {}, item.project)}
                aria-current=${here(item) ? "true" : undefined}
                ><${Tick} shown=${here(item)} /><bdi class="cut">${item.name}</bdi>
                ${item.demo && html`<span class="note">demo</span>`}</a
            >`,
        )}
    <//>`;
}

function ZoneMenu() {
    const choices = [
        ["local", "Your time zone", Intl.DateTimeFormat().resolvedOptions().timeZone],
        ["project", "The project's", projectZone.value],
        ["utc", "UTC", "UTC"],
    ];
    return html`<${Menu}
        label=${html`<${Clock} /><span class="wide">${zoneName(zone.value)}</span>`}
        name=${`Time stamps in ${zoneName(zone.value)}`}
    >
        <p class="title" role="presentation">Time stamps in</p>
        ${choices.map(
            ([choice, label, zoneText]) => html`<${MenuChoice}
                chosen=${zoneChoice.value === choice}
                choose=${() => chooseZone(choice)}
                note=${`${zoneName(zoneText)} ${minute(now.value, zoneText)}`}
                >${label}<//
            >`,
        )}
        <p class="title" role="presentation">Days and “today” are always the project's: ${zoneName(projectZone.value)}</p>
    <//>`;
}

function ThemeMenu() {
    const choices = [
        ["auto", "As the system"],
        ["light", "Light"],
        ["dark", "Dark"],
    ];
    return html`<${Menu} label=${html`<${HalfMoon} />`} name="Light or dark" icon>
        ${choices.map(
            ([choice, label]) =>
                html`<${MenuChoice} chosen=${theme.value === choice} choose=${() => chooseTheme(choice)}>${label}<//>`,
        )}
    <//>`;
}

const Mark = () => html`<svg viewBox="0 0 20 20" aria-hidden="true">
    <path d="M2 15h3.5M7.2 11h3.6M12.4 7H18" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round" />
</svg>`;

const Down = () => html`<svg class="glyph down" viewBox="0 0 16 16" aria-hidden="true"><path d="m5 6.5 3 3 3-3" /></svg>`;

const Clock = () => html`<svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
    <circle cx="8" cy="8" r="6" />
    <path d="M8 4.5V8l2.5 1.5" />
</svg>`;

const HalfMoon = () => html`<svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
    <circle cx="8" cy="8" r="6" />
    <path d="M8 2a6 6 0 0 0 0 12Z" fill="currentColor" />
</svg>`;
