// What an application does with posthog-node; each call once.
const { PostHog } = require("posthog-node");

const given = JSON.parse(process.argv[2]);
const failures = [];
const client = new PostHog(given.key, { host: given.host, flushAt: 20, flushInterval: 200, fetchRetryDelay: 500 });
client.on("error", (error) => failures.push(String(error)));

const groups = { project: "p1", company: "acme" };
const timestamp = new Date("2026-01-02T03:04:05.678Z");
client.identify({ distinctId: "ada", properties: { email: "ada@acme.example", plan: "pro" } });
client.capture({ distinctId: "ada", event: "Opened Report", properties: { rows: 12 }, groups, timestamp });
client.capture({ distinctId: "ada", event: "$pageview", properties: { $current_url: "https://app.example/p", $pathname: "/p" } });
client.groupIdentify({ groupType: "company", groupKey: "acme", properties: { seats: 25 } });
client.alias({ distinctId: "visitor-0", alias: "ada" });
client.shutdown(60000).then(() => {
    if (failures.length) {
        console.error(JSON.stringify(failures));
        process.exitCode = 1;
    }
});
