/** What is shown, as a file: the events as JSON, or as a table for spreadsheets. */
import { flattened } from "./telling.js";

const COLUMNS = [
    "occurred_at",
    "type",
    "user",
    "anonymous_id",
    "account",
    "action",
    "id",
    "received_at",
    "origin",
];

/** Hand the events to the browser as a download; `form` is `json` or `csv`. */
export function download(events, form) {
    const text = form === "json" ? JSON.stringify(events, null, 2) : csvOf(events);
    const type = form === "json" ? "application/json" : "text/csv";
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
    anchor.download = `footfall-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.${form}`;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 60_000);
}

/** The events as CSV (RFC 4180): fixed columns, then one per property and trait. */
export function csvOf(events) {
    const rows = events.map((event) => ({
        ...Object.fromEntries(COLUMNS.map((name) => [name, event[name] ?? ""])),
        ...prefixed("properties", event),
        ...prefixed("traits", event),
    }));
    const more = new Set(rows.flatMap((row) => Object.keys(row).slice(COLUMNS.length)));
    const names = [...COLUMNS, ...[...more].sort()];
    const lines = [names, ...rows.map((row) => names.map((name) => row[name] ?? ""))];
    return lines.map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
}

const prefixed = (name, event) => Object.fromEntries(flattened({ [name]: event[name] ?? {} }));

// A spreadsheet runs a cell that begins like a formula; an apostrophe makes it text.
function cell(value) {
    const text = /^[=+\-@\t\r]/.test(value) && !Number.isFinite(Number(value)) ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
