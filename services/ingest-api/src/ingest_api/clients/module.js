// What the module adds to core.js. Bundlers may put a file's address here, which is no place to send to.
if (/^http/.test(import.meta.url)) host = new URL(import.meta.url).origin;
export const { init, track, page, group, identify, alias, flush } = footfall;
