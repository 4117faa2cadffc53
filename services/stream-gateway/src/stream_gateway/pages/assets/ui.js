/** What pages are written with: markup as text (`html`), signals for state, hooks for the rest. */
export * from "./vendor/preact-signals-htm.js";
