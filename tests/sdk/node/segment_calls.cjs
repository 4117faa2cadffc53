// What an application does with @segment/analytics-node; each call once.
const { Analytics } = require("@segment/analytics-node");

const given = JSON.parse(process.argv[2]);
const failures = [];
const analytics = new Analytics({ writeKey: given.key, host: given.host, flushAt: given.flushAt, flushInterval: 200 });
analytics.on("error", (error) => failures.push(error));

const context = { groupId: "acme" };
const timestamp = new Date("2026-01-02T03:04:05.678Z");
analytics.identify({ userId: "ada", traits: { email: "ada@acme.example", plan: "pro" } });
analytics.track({ userId: "ada", event: "Opened Report", properties: { rows: 12 }, context, timestamp });
analytics.page({ userId: "ada", anonymousId: "visitor-1", category: "Docs", name: "Pricing", properties: { path: "/pricing" } });
analytics.screen({ userId: "ada", name: "Home", properties: { dark: true } });
analytics.group({ userId: "ada", groupId: "acme", traits: { seats: 25 } });
analytics.alias({ userId: "ada", previousId: "visitor-0" });
analytics.track({ anonymousId: "visitor-1", event: "Looked Around" });
analytics.closeAndFlush({ timeout: 60000 }).then(() => {
    if (failures.length) {
        console.error(JSON.stringify(failures));
        process.exitCode = 1;
    }
});
