/** What pages are written with: markup as text (`html`), signals for state, hooks for the rest. */
import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export const html = htm.bind(h);
export { Fragment, render } from "./vendor/preact.js";
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/preact-hooks.js";
export {
    batch,
    computed,
    effect,
    signal,
    untracked,
    useComputed,
    useSignal,
    useSignalEffect,
} from "./vendor/signals.js";
