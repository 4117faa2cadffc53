/** The field filters are chosen from; it suggests accounts, users and actions while one types. */
import { choose, filters, NAMES, WORDS } from "./filters.js";
import { matching, offersOf, parsed, searched } from "./suggestions.js";
import { html, useEffect, useRef, useSignal } from "../ui.js";

const SUGGEST_AFTER_MS = 150;

/** The field. `fixed` is not asked for; `known(name)` gives the values of a filter that the page has seen. */
export function FilterField({ fixed, known }) {
    const text = useSignal("");
    const open = useSignal(false);
    const at = useSignal(0);
    const found = useSignal([]);
    const field = useRef(null);
    const { kind, wanted } = parsed(text.value);
    const asked = [
        !fixed.account && "customer",
        !fixed.user && !fixed.anonymous_id && "user",
        "action",
        "text",
    ].filter(Boolean);

    useEffect(() => {
        if (!open.value) return undefined;
        const stop = new AbortController();
        const local = NAMES.slice(0, 3).flatMap((name) =>
            fixed[name] ? [] : matching(name, known(name), wanted),
        );
        found.value = local;
        const timer = setTimeout(async () => {
            const asked = ["account", "user"].filter((name) => !fixed[name] && (!kind || kind === name));
            const answers = await Promise.all(asked.map((name) => searched(name, wanted, stop.signal)));
            if (!stop.signal.aborted) found.value = [...answers.flat(), ...local];
        }, SUGGEST_AFTER_MS);
        return () => {
            clearTimeout(timer);
            stop.abort();
        };
    }, [open.value, text.value]);

    const offers = offersOf({ kind, wanted, found: found.value, fixed });
    const active = Math.min(at.value, offers.length - 1);
    const shown = open.value && offers.length > 0;

    const take = (offer) => {
        choose({ [offer.name]: offer.value });
        text.value = "";
        at.value = 0;
        open.value = false;
    };
    const keys = (event) => {
        if (event.isComposing) return;
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            open.value = true;
            at.value =
                (active + (event.key === "ArrowDown" ? 1 : -1) + offers.length) % Math.max(1, offers.length);
        } else if (event.key === "Enter") {
            if (offers[active] && (wanted || at.value)) take(offers[active]);
        } else if (event.key === "Escape") {
            if (!text.value) field.current.blur();
            text.value = "";
            open.value = false;
        } else if (event.key === "Backspace" && !text.value) {
            const last = NAMES.slice(0, 4).findLast((name) => filters.value[name] && !fixed[name]);
            if (last) choose({ [last]: null });
            return;
        } else return;
        event.preventDefault();
    };
    return html`<div class="filter-field" role="search">
        <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
            <circle cx="7" cy="7" r="4.5" />
            <path d="m10.5 10.5 3 3" />
        </svg>
        <input
            ref=${field}
            class="feed-search"
            type="text"
            role="combobox"
            aria-label="Filter events"
            aria-autocomplete="list"
            aria-expanded=${String(shown)}
            aria-controls="filter-offers"
            aria-activedescendant=${shown ? `filter-offer-${active}` : undefined}
            autocomplete="off"
            spellcheck=${false}
            placeholder=${`Filter by ${asked.join(", ")}`}
            value=${text.value}
            onInput=${(event) => {
                text.value = event.target.value;
                at.value = 0;
                open.value = true;
            }}
            onFocus=${() => (open.value = true)}
            onClick=${() => (open.value = true)}
            onBlur=${() => (open.value = false)}
            onKeyDown=${keys}
        />
        <kbd aria-hidden="true">/</kbd>
        <ul id="filter-offers" role="listbox" aria-label="Suggestions" hidden=${!shown}>
            ${
                shown &&
                offers.map(
                    (offer, index) =>
                        html`<li
                            key=${offer.name + offer.value}
                            id=${`filter-offer-${index}`}
                            role="option"
                            aria-selected=${String(index === active)}
                            onPointerDown=${(event) => {
                                event.preventDefault();
                                take(offer);
                            }}
                        >
                            <span class="soft">${WORDS[offer.name]}</span>
                            <span class="cut">${offer.value}</span>
                            ${offer.called && html`<span class="cut soft">${offer.called}</span>`}
                        </li>`,
                )
            }
        </ul>
    </div>`;
}
