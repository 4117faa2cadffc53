// What a page holds that loads the client by a script element; stands behind core.js.
const script = document.currentScript, early = window.footfall;
if (script) {
  key = script.dataset.key;
  host = new URL(script.src).origin;
}
window.footfall = footfall;
footfall.push = ([name, ...given]) => footfall[name](...given);
if (early) early.forEach(footfall.push);
restore();
