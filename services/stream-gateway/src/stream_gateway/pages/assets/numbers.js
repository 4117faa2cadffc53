/** Numbers as people read them. */

const grouped = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

/** `12,480`. */
export const count = (n) => grouped.format(n);

/** A count with its noun: `1 event`, `1,204 events`. */
export const counted = (n, noun, nouns = `${noun}s`) => `${count(n)} ${n === 1 ? noun : nouns}`;

/** A part of a whole: `12 %`, `<1 %`; of nothing it is empty. */
export function share(part, whole) {
    if (!whole) return "";
    const percent = (part / whole) * 100;
    return percent > 0 && percent < 1 ? "<1 %" : `${Math.round(percent)} %`;
}
