// What an application does with mixpanel for Node; each call once. Prints what each callback was told.
const Mixpanel = require("mixpanel");

const given = JSON.parse(process.argv[2]);
const { hostname, port } = new URL(given.host);
const options = { protocol: "http", host: hostname, port, verbose: given.verbose };
const mixpanel = Mixpanel.init(given.key, { ...options, key: given.key });
const told = {};
const telling = (name) => (error) => { told[name] = error ? String(error.message ?? error) : "ok"; };

const event = { distinct_id: "ada", rows: 12, company: "acme", time: 1767323045678, $insert_id: "i1" };
mixpanel.track("Opened Report", event, telling("track"));
mixpanel.track("Looked Around", { distinct_id: "$device:visitor-1", mark: "??>" }, telling("visitor"));
mixpanel.track_batch(
    [
        { event: "Listed Reports", properties: { distinct_id: "ada", time: 1767323046, mark: "??>" } },
        { event: "Closed Report", properties: { distinct_id: "ada", time: 1767323047 } },
    ],
    (errors) => { told.batch = errors ? errors.join() : "ok"; },
);
mixpanel.import("Signed Up", new Date("2025-01-01T00:00:00Z"), { distinct_id: "ada", plan: "pro" }, telling("import"));
mixpanel.import_batch(
    [{ event: "Was Invited", properties: { distinct_id: "ada", time: 1735689000 } }],
    (errors) => { told.imports = errors ? errors.join() : "ok"; },
);
mixpanel.alias("visitor-0", "ada", telling("alias"));
mixpanel.people.set("ada", { $email: "ada@acme.example", plan: "pro" }, telling("set"));
mixpanel.people.increment("ada", "reports", telling("increment"));
mixpanel.people.track_charge("ada", 29.99, { $time: new Date("2026-01-03T00:00:00Z"), sku: "s1" }, telling("charge"));
mixpanel.groups.set("company", "acme", { $name: "Acme", seats: 25 }, telling("group"));
Mixpanel.init("ffw_unknown", options).track("Lost", { distinct_id: "ada" }, telling("lost"));
process.on("exit", () => console.log(JSON.stringify(told)));
