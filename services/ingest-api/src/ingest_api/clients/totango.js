/* In place of Totango's own script: window.totango_options = { service_id: "ffw_…", user: {…}, account: {…} };
   <script src="https://HOST/js/totango.js"></script>  totango.track("Login", "App") */
(() => {
  "use strict";
  const options = window.totango_options || {};
  const pixel = new URL("/pixel.gif", document.currentScript.src);
  const named = (given, older) => (given && typeof given === "object" ? given : { id: given || older });
  let user = named(options.user, options.username), account = named(options.account, options.organization);
  let module = options.module, last = 0;

  function send(fields, of = account, by = user) {
    // A pixel of its own time is an event of its own; each try of it says the same, and counts once.
    last = Math.max(Date.now(), last + 1);
    const all = { sdr_s: options.service_id, sdr_o: of.id, sdr_u: by.id, ...fields, sdr_t: last, sdrurl: location.href };
    const body = new URLSearchParams();
    for (const name in all) if (all[name] != null) body.append(name, all[name]);
    const attempt = (left) =>
      fetch(pixel, { method: "POST", body, keepalive: true })
        .then((answer) => { if (!answer.ok) throw answer; })
        .catch(() => { if (left) setTimeout(attempt, 2000, left - 1); });
    attempt(5);
  }

  const attributes = (prefix, given) => Object.fromEntries(
    Object.entries(given || {}).filter(([name]) => name !== "id").map(([name, value]) => [prefix + name, value]));

  const known = () => ({ ...attributes("sdr_o.", account), ...attributes("sdr_u.", user) });

  window.totango = {
    track: (activity, of, inAccount, byUser) => send(
      { sdr_a: activity, sdr_m: of || module }, named(inAccount, account.id), named(byUser, user.id)),
    identify(given = {}) {
      user = given.user || given.username ? named(given.user, given.username) : user;
      account = given.account || given.organization ? named(given.account, given.organization) : account;
      module = given.module || module;
      send(known());
    },
    setAccountAttributes: (given) => send(attributes("sdr_o.", given)),
    setUserAttributes: (given) => send(attributes("sdr_u.", given)),
    go: () => send(known()),
  };
  if (user.id || account.id) window.totango.go();
})();
