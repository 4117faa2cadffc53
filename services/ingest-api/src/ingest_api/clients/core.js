const waiting = [];
const fields = /^(account|anonymous_id|previous_id|id|time|traits|context)$/;
let key, host = "";
let user, failures = 0, busy, timer;

// Private windows may refuse storage; then nothing outlives the page.
const stored = (name, value) => {
  try {
    return value ? localStorage.setItem(name, value) : localStorage.getItem(name);
  } catch {
    return null;
  }
};
const kept = (events) => events ? stored("footfall.queue", JSON.stringify(events.slice(-1000))) : JSON.parse(stored("footfall.queue") || "[]");
const random = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => (byte + 256).toString(16).slice(1)).join("");
const visitor = () => {
  const id = stored("footfall.visitor") || random();
  stored("footfall.visitor", id);
  return id;
};

function add(type, who, action, given) {
  const event = { type, id: Date.now().toString(36) + random(), time: new Date(), user: who || user, action, properties: {} };
  if (!event.user && type !== "group") event.anonymous_id = visitor();
  for (const name in given) {
    if (name === "properties") Object.assign(event.properties, given[name]);
    else (fields.test(name) ? event : event.properties)[name] = given[name];
  }
  waiting.push(event);
  if (waiting.length > 1000) console.warn("Footfall: too many events wait; dropped", waiting.shift());
  if (!timer && !busy) timer = setTimeout(send, 500);
  return event.id;
}

// The key in the address and a body of plain text spare the browser a preflight.
const address = () => host + "/v1/events?key=" + encodeURIComponent(key);
const body = (events) => JSON.stringify(events.map((event) => ({ ...event, context: { library: { name: "footfall.js" }, ...event.context }, sent_at: new Date() })));

function batch() {
  let size = 0, count = 0;
  while (count < waiting.length && count < 100 && size < 3e4) size += JSON.stringify(waiting[count++]).length;
  return waiting.slice(0, count);
}

async function send() {
  timer = 0;
  if (busy || !key || !waiting.length) return;
  busy = true;
  const events = batch(), text = body(events);
  let wait = 0;
  try {
    // Browsers refuse keepalive above 64 KiB, and a character may be three bytes.
    const answer = await fetch(address(), { method: "POST", body: text, keepalive: text.length < 2e4 });
    if (answer.status > 499 || /408|429/.test(answer.status)) wait = answer.headers.get("Retry-After") * 1000 || -1;
    else {
      const told = await (answer.ok ? answer.json() : answer.text());
      if (!answer.ok || told.rejected.length) console.warn("Footfall:", told);
    }
  } catch {
    wait = -1;
  }
  busy = false;
  failures = wait && failures + 1;
  if (!wait) events.forEach((event) => waiting.includes(event) && waiting.splice(waiting.indexOf(event), 1));
  if (waiting.length) timer = setTimeout(send, wait < 0 ? Math.min(6e4, 500 * 2 ** failures) * (0.5 + Math.random()) : wait);
}

// What is under way is sent again: the same id counts once, and the page may end before the answer.
function leave() {
  while (key && !failures && waiting.length) {
    const events = batch();
    if (!navigator.sendBeacon(address(), body(events))) break;
    waiting.splice(0, events.length);
  }
  if (waiting.length) kept([...kept(), ...waiting.splice(0)]);
}

function restore() {
  if (!key) return;
  waiting.unshift(...kept());
  kept([]);
  send();
}

const footfall = {
  init(options) {
    key = options.key || key;
    host = (options.host || host).replace(/\/$/, "");
    restore();
  },
  track: (who, action, given) => add("track", who, action, given),
  page: (given) => add("page", null, undefined, { url: location.href, title: document.title, ...given }),
  group: (account, traits) => add("group", null, undefined, { account, traits }),
  identify: (who, traits) => add("identify", user = who, undefined, { traits, anonymous_id: stored("footfall.visitor") }),
  alias: (who, previous_id) => add("alias", who, undefined, { previous_id }),
  flush: send,
};

// Workers and servers have no page that ends.
if (typeof document === "object") {
  addEventListener("pagehide", leave);
  addEventListener("pageshow", restore);
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" ? leave() : restore());
}
