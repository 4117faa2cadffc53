/** Everything about one event: grouped for people, or as the JSON it is. */
import { copy } from "../clipboard.js";
import { accountLink, eventLink, personOf } from "../links.js";
import { choose } from "./filters.js";
import { flattened, remarksOf } from "./telling.js";
import { whole, zone } from "../time.js";
import { Fragment, html, useSignal } from "../ui.js";

/** The event, pretty or raw. `only` offers to narrow the feed to what it has, beyond what is `fixed`. */
export function EventDetails({ event, only = true, fixed = {} }) {
    const raw = useSignal(false);
    const said = useSignal("");
    const json = () => JSON.stringify(event, null, 2);
    const copied = async (text, what) => {
        said.value = (await copy(text))
            ? `${what} copied`
            : "The browser refuses to copy; mark the text by hand.";
    };
    const narrower = ["user", "account", "action"].filter((name) => event[name] && !fixed[name]);
    return html`<div class="details">
        <div class="acts">
            <div class="buttons">
                ${[
                    [false, "Pretty"],
                    [true, "JSON"],
                ].map(
                    ([value, label]) =>
                        html`<button
                            aria-pressed=${String(raw.value === value)}
                            onClick=${() => (raw.value = value)}
                        >
                            ${label}
                        </button>`,
                )}
            </div>
            <button onClick=${() => copied(json(), "JSON")}>Copy JSON</button>
            <button onClick=${() => copied(location.origin + eventLink(event.id), "Link")}>Copy link</button>
            <span class="soft" role="status">${said.value}</span>
            ${
                only &&
                narrower.length > 0 &&
                html`<span class="only"
                    ><span class="soft">Only this</span> ${narrower.map(
                        (name) =>
                            html`<button onClick=${() => choose({ [name]: event[name] })}>${name}</button>`,
                    )}</span
                >`
            }
        </div>
        ${
            raw.value
                ? html`<pre tabindex="0" aria-label="JSON">${json()}</pre>`
                : html`<${Pretty} event=${event} />`
        }
    </div>`;
}

function Pretty({ event }) {
    const person = personOf(event);
    const when = (at) =>
        html`<time datetime=${at}>${whole(at)}</time
            >${zone.value !== "UTC" && html`<span class="faint">${whole(at, "UTC")}</span>`}`;
    const groups = [
        [
            "What",
            [
                ["action", event.action],
                ["kind", event.type],
                ["id", html`<a class="link" href=${eventLink(event.id)}>${event.id}</a>`],
                ...remarksOf(event).map(([words, why]) => [words, why]),
            ],
        ],
        [
            "Who",
            [
                person && [
                    person.anonymous ? "visitor" : "user",
                    html`<a class="link" href=${person.href}>${person.name}</a>`,
                ],
                event.user && event.anonymous_id && ["anonymous id", event.anonymous_id],
                event.previous_id && ["previous id", event.previous_id],
                event.account && [
                    "account",
                    html`<a class="link" href=${accountLink(event.account)}>${event.account}</a>`,
                ],
            ],
        ],
        [
            "When",
            [
                ["occurred", when(event.occurred_at)],
                event.sent_at && ["sent", when(event.sent_at)],
                ["received", when(event.received_at)],
                event.recorded_at && ["recorded", when(event.recorded_at)],
            ],
        ],
        ["Properties", flattened(event.properties)],
        ["Traits", flattened(event.traits)],
        ["From", origin(event.enriched)],
        ["Context", flattened(event.context)],
        ["Sender", [...flattened(event.sender), event.run && ["run", event.run]]],
    ];
    return html`<div class="groups">
        ${groups.map(([title, pairs]) => {
            const told = pairs.filter(Boolean);
            return (
                told.length > 0 &&
                html`<section>
                    <h3>${title}</h3>
                    <dl>
                        ${told.map(
                            ([name, value]) =>
                                html`<${Fragment}
                                    ><dt>${name}</dt>
                                    <dd>${value}</dd><//
                                >`,
                        )}
                    </dl>
                </section>`
            );
        })}
    </div>`;
}

/** Where an activity came from, in words: what the gateway makes of its context. */
function origin(enriched) {
    if (!enriched) return [];
    const { browser, os, device, bot, referrer_domain: referrer, campaign, country } = enriched;
    const named = (thing) => thing && [thing.name, thing.version].filter(Boolean).join(" ");
    return [
        bot && ["bot", "yes: a program without a person"],
        browser && ["browser", named(browser)],
        os && ["system", named(os)],
        device && ["device", device.type],
        country && ["country", countryName(country)],
        referrer && ["came from", referrer],
        campaign && ["campaign", [campaign.name, campaign.source, campaign.medium].filter(Boolean).join(" · ")],
    ];
}

function countryName(code) {
    try {
        return new Intl.DisplayNames(["en"], { type: "region" }).of(code);
    } catch {
        return code;
    }
}
