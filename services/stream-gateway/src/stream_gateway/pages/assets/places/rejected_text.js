/** The text of a rejected event, laid out to be read, with the place that is wrong. */

const INDENT = "  ";
const MARKED = 20;

/** JSON laid out, where that changes nothing in it; any other text as it is. */
export function pretty(text) {
    const value = parsed(text);
    return value === undefined ? text : JSON.stringify(value, null, 2);
}

/**
 * What came, as pieces of text: `{text, wrong, missing}`. `wrong` marks the field that is at fault, or where the
 * text breaks; `missing` says that the line stands for a field that is not there.
 */
export function linesOf({ body, event, body_encoding: encoding, field, code, message }) {
    if (encoding !== "utf-8") return [{ text: body }];
    // Where a project erases properties, another vendor's form is not kept beside the event.
    if (body === "" && event) return linesOf({ body: event, event, body_encoding: encoding, field, code, message });
    const value = parsed(body);
    if (value === undefined) return piecesOf(body, field, message);
    const lines = [];
    write(lines, value, "", "", field, "");
    // In another vendor's form the field has another name.
    const native = event === null || event === body;
    if (code.startsWith("missing_") && native && field && isObject(value) && !(field in value)) {
        lines.splice(-1, 0, { text: `${INDENT}"${field}": …\n`, wrong: true, missing: true });
    }
    return lines;
}

/** Text that cannot be laid out: marked are the fields of that name, else what stands at the byte that is told. */
function piecesOf(body, field, message) {
    const name = field?.split(/[.[]/).filter((step) => !step.endsWith("]")).pop();
    if (name) {
        const form = new RegExp(`("${name.replace(/[^\w]/g, "\\$&")}"\\s*:\\s*[^,}\\]]*)`);
        return body.split(form).map((text, index) => ({ text, wrong: index % 2 === 1 }));
    }
    const byte = /at byte ([\d,]+)/.exec(message);
    if (!byte) return [{ text: body }];
    const bytes = new TextEncoder().encode(body);
    const at = new TextDecoder().decode(bytes.slice(0, Number(byte[1].replaceAll(",", "")))).length;
    return [{ text: body.slice(0, at) }, { text: body.slice(at, at + MARKED) || " ", wrong: true }, { text: body.slice(at + MARKED) }];
}

/** The value, unless reading and writing it again would lose something: a repeated key, a digit, an escape. */
function parsed(text) {
    try {
        const value = JSON.parse(text);
        const without = text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, "$1");
        return JSON.stringify(value) === without ? value : undefined;
    } catch {
        return undefined;
    }
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** Add the lines of a value; `path` is its name as admission writes it, `head` what stands before it. */
function write(lines, value, path, head, field, indent, tail = "") {
    const wrong = path !== "" && path === field;
    const add = (text) => lines.push({ text: `${indent}${text}\n`, wrong });
    if (typeof value !== "object" || value === null || Object.keys(value).length === 0) {
        add(`${head}${JSON.stringify(value)}${tail}`);
        return;
    }
    const [opening, closing] = Array.isArray(value) ? "[]" : "{}";
    add(head + opening);
    const entries = Object.entries(value);
    entries.forEach(([name, item], index) => {
        const below = Array.isArray(value) ? `${path}[${name}]` : path ? `${path}.${name}` : name;
        const before = Array.isArray(value) ? "" : `${JSON.stringify(name)}: `;
        write(lines, item, below, before, field, indent + INDENT, index < entries.length - 1 ? "," : "");
    });
    add(closing + tail);
}
