/** The list of the feed: a window of rows over the page's scrolling, which stands still while it is read. */
import { visit } from "../app.js";
import { identityOf } from "./feed_history.js";
import { EventRow, GapRow } from "./feed_row.js";
import { useKeys } from "../frame/keyboard.js";
import { accountLink, personOf } from "../links.js";
import { html, useComputed, useEffect, useLayoutEffect, useMemo, useRef, useSignal } from "../ui.js";

const NARROW_PX = 680;
const ROW_PX = 32;
const TWO_LINES_PX = 52;
const BEYOND_PX = 400;
const OLDER_WITHIN_PX = 600;
const ROWS_MOST = 150;
const FADES_MOST = 12;

const gapIds = new WeakMap();
let gaps = 0;

/** What a row is known by; a gap that was filled stays the same. */
function idOf(row) {
    if (!row.gap) return identityOf(row);
    if (!gapIds.has(row.gap)) gapIds.set(row.gap, `gap ${(gaps += 1)}`);
    return gapIds.get(row.gap);
}

/** Whether an element is too narrow for one line a row. */
export function useNarrow(ref) {
    const narrow = useSignal(false);
    useLayoutEffect(() => {
        const fit = () => (narrow.value = ref.current.clientWidth < NARROW_PX);
        fit();
        const watch = new ResizeObserver(fit);
        watch.observe(ref.current);
        return () => watch.disconnect();
    }, []);
    return narrow.value;
}

/** What holds the list still, as signals: `{scrolled, hovered, focused, opened, any}`; `opened` maps id to px. */
export function useReading(feed) {
    const scrolled = useSignal(false);
    const hovered = useSignal(false);
    const focused = useSignal(false);
    const opened = useSignal(new Map());
    const any = useComputed(() => scrolled.value || hovered.value || focused.value || opened.value.size > 0);
    useEffect(() => any.subscribe((value) => feed.reading(value)), [feed]);
    useEffect(() => {
        const left = () => (hovered.value = false);
        let last = "";
        // Browsers also report a move when the page moves below a pointer that rests.
        const moved = ({ target, pointerType, screenX, screenY }) => {
            const at = `${screenX} ${screenY}`;
            if (at !== last)
                hovered.value = pointerType === "mouse" && Boolean(target.closest?.(".feed-rows > article"));
            last = at;
        };
        addEventListener("pointermove", moved);
        addEventListener("blur", left);
        document.documentElement.addEventListener("pointerleave", left);
        return () => {
            removeEventListener("pointermove", moved);
            removeEventListener("blur", left);
            document.documentElement.removeEventListener("pointerleave", left);
        };
    }, []);
    return { scrolled, hovered, focused, opened, any };
}

/** The rows. `top()` is where the list may begin on the screen (px), `narrow` gives each row two lines. */
export function FeedList({ feed, reading, narrow, top, fixed, as, label }) {
    const list = useRef(null);
    const wanted = useRef(null);
    const view = useSignal({ from: 0, to: 1200 });
    const rows = feed.rows.value;
    const opened = reading.opened.value;
    const base = narrow ? TWO_LINES_PX : ROW_PX;
    const ids = useMemo(() => rows.map(idOf), [rows]);
    const fresh = useFresh(feed, rows);
    const measures = useMemo(() => measuresOf(ids, opened, base), [rows, opened, base]);
    const { first, last, before, after } = measures.within(view.value.from, view.value.to);

    const measure = () => {
        // A scroll can be told after the page was left.
        if (!list.current) return;
        const box = list.current.getBoundingClientRect();
        const above = top() - box.top;
        reading.scrolled.value = above > base;
        const from = Math.floor((above - BEYOND_PX) / BEYOND_PX) * BEYOND_PX;
        const to = Math.ceil((innerHeight - box.top + BEYOND_PX) / BEYOND_PX) * BEYOND_PX;
        if (from !== view.peek().from || to !== view.peek().to) view.value = { from, to };
        if (box.bottom - innerHeight < OLDER_WITHIN_PX && reading.scrolled.value) feed.loadOlder();
    };
    useLayoutEffect(measure, [rows, narrow]);
    useEffect(() => {
        addEventListener("scroll", measure, { passive: true });
        addEventListener("resize", measure);
        return () => {
            removeEventListener("scroll", measure);
            removeEventListener("resize", measure);
        };
    });

    useLayoutEffect(() => {
        if (wanted.current === null) return;
        list.current.querySelector(`[data-index="${wanted.current}"]`)?.focus({ preventScroll: true });
        wanted.current = null;
    });

    const toggle = (id) => {
        const changed = new Map(opened);
        if (!changed.delete(id)) changed.set(id, 0);
        reading.opened.value = changed;
    };
    const resized = (id, px) => {
        if (reading.opened.peek().get(id) === px || !reading.opened.peek().has(id)) return;
        reading.opened.value = new Map(reading.opened.peek()).set(id, px);
    };
    const current = () => {
        const article =
            list.current.contains(document.activeElement) && document.activeElement.closest("article");
        return article ? Number(article.dataset.index) : null;
    };
    const step = (by) => {
        const at = current();
        const seen = measures.at(top() - list.current.getBoundingClientRect().top);
        const next = at === null ? seen : Math.max(0, Math.min(rows.length - 1, at + by));
        if (!rows[next]) return false;
        const box = list.current.getBoundingClientRect();
        const above = box.top + measures.top(next) - top() - 4;
        const below = box.top + measures.top(next) + base + 8 - innerHeight;
        if (above < 0) scrollBy(0, above);
        else if (below > 0) scrollBy(0, below);
        wanted.current = next;
        reading.focused.value = true;
        measure();
        const shown = list.current.querySelector(`[data-index="${next}"]`);
        if (shown) {
            wanted.current = null;
            shown.focus({ preventScroll: true });
        }
    };
    const go = (href) => {
        const row = rows[current()];
        const to = row && href(row);
        if (to) visit(to);
        return Boolean(to);
    };
    const leave = (edge) => {
        if (current() === null) return false;
        const all = [
            ...document.querySelectorAll("a[href], button:not([disabled]), input, select, [tabindex='0']"),
        ];
        const outside = all.filter(
            (one) => !list.current.contains(one) && one.tabIndex >= 0 && one.offsetParent,
        );
        const position =
            edge === "before" ? Node.DOCUMENT_POSITION_PRECEDING : Node.DOCUMENT_POSITION_FOLLOWING;
        const side = outside.filter((one) => list.current.compareDocumentPosition(one) & position);
        (edge === "before" ? side.at(-1) : side[0])?.focus();
    };
    useKeys("Rows", [
        { key: "j", does: "Next event", run: () => step(1) },
        { key: "k", does: "Previous event", run: () => step(-1) },
        { key: "PageDown", run: () => current() !== null && step(1) },
        { key: "PageUp", run: () => current() !== null && step(-1) },
        { key: "Control+Home", run: () => leave("before") },
        { key: "Control+End", run: () => leave("after") },
        {
            key: "Enter",
            does: "Open or close its details",
            run: () => {
                if (document.activeElement?.tagName !== "ARTICLE" || rows[current()]?.gap) return false;
                toggle(ids[current()]);
            },
        },
        {
            key: "o",
            does: "Go to its customer",
            run: () => go((row) => row.account && accountLink(row.account)),
        },
        { key: "u", does: "Go to its user", run: () => go((row) => personOf(row)?.href) },
    ]);

    return html`<div
        ref=${list}
        role="feed"
        aria-label=${label}
        aria-busy="false"
        class="feed-rows"
        style=${{ paddingTop: `${before}px`, paddingBottom: `${after}px` }}
        onFocusIn=${(event) => (reading.focused.value = event.target.matches(":focus-visible"))}
        onFocusOut=${() => (reading.focused.value = false)}
    >
        ${rows.slice(first, last).map((row, n) => {
            const shared = { key: ids[first + n], row, index: first + n };
            if (row.gap) return html`<${GapRow} ...${shared} fill=${feed.fillGap} />`;
            return html`<${EventRow}
                ...${shared}
                id=${shared.key}
                opened=${opened.has(shared.key)}
                fresh=${fresh.has(row)}
                toggle=${toggle}
                resized=${resized}
                fixed=${fixed}
                as=${as}
            />`;
        })}
    </div>`;
}

/** The rows that came by the stream just now at the top, when they are few: those fade in. */
function useFresh(feed, rows) {
    const before = useRef({ rows: null, fresh: new Set() });
    const known = before.current;
    if (known.rows !== rows) {
        const newest = known.rows?.find((row) => !row.gap);
        const came = known.rows ? (newest ? rows.indexOf(newest) : rows.length) : 0;
        const few = came > 0 && came <= FADES_MOST;
        before.current = { rows, fresh: new Set(few ? rows.slice(0, came).filter(feed.arrived) : []) };
    }
    return before.current.fresh;
}

/** Where rows stand: each `base` high, opened ones as much more as the map says. */
function measuresOf(ids, opened, base) {
    const heights = ids.map((id) => base + (opened.get(id) ?? 0));
    const tops = [0];
    for (const height of heights) tops.push(tops.at(-1) + height);
    const at = (y) => {
        let low = 0;
        let high = ids.length;
        while (low < high) {
            const middle = (low + high) >> 1;
            if (tops[middle + 1] > y) high = middle;
            else low = middle + 1;
        }
        return low;
    };
    return {
        at,
        top: (index) => tops[index],
        within(from, to) {
            const first = Math.min(at(from), Math.max(0, ids.length - 1));
            const last = Math.min(ids.length, at(to) + 1, first + ROWS_MOST);
            return { first, last, before: tops[first], after: tops[ids.length] - tops[last] };
        },
    };
}
