"""Every metric of the suite: its name, kind, meaning, labels and buckets; docs/metrics.md is made from it.

Each series also carries the label `service`. Label values come from small closed sets: never an id, an
account, an action or a path with ids in it.
"""

from typing import Literal, NamedTuple

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Definition(NamedTuple):
    """One metric. `labels` are named without `service`; `buckets` are upper bounds, histograms only."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] | None = None


# every service
ACCESS_REFRESHES = Definition(
    "footfall_access_refreshes_total",
    "counter",
    "Reads of keys, projects and sessions: `unchanged`, `changed` (all were read again), `failed`.",
    ("outcome",),
)
ACCESS_SNAPSHOT_AGE_SECONDS = Definition(
    "footfall_access_snapshot_age_seconds",
    "gauge",
    "Seconds since keys, projects and sessions were last known to be as the database has them; at 900 they "
    "answer no more.",
)
CONNECTIONS_CLOSED = Definition(
    "footfall_connections_closed_total",
    "counter",
    "Connections the server ended: `header_deadline`, `header_bytes`, `body_deadline`, `unread_body` "
    "(answered before the body had come), `write_deadline` (the client did not read), `malformed`, `too_many` "
    "(more than `max_connections` were open).",
    ("reason",),
)
HTTP_REQUEST_SECONDS = Definition(
    "footfall_http_request_seconds",
    "histogram",
    "Seconds until the response began, by route; a stream counts when it opens, not when it ends.",
    ("method", "route", "status"),
    SECONDS,
)
LOOP_LAG_SECONDS = Definition(
    "footfall_loop_lag_seconds",
    "histogram",
    "How late the event loop woke from a timer: what every request waited on top.",
    (),
    SECONDS,
)

# importer
IMPORT_LINES = Definition(
    "footfall_import_lines_total",
    "counter",
    "Lines of imported files: `published` (durable in the log), `skipped` (bots, static files and other noise), "
    "`rejected` (could not become an event).",
    ("outcome",),
)
IMPORT_RUNS = Definition(
    "footfall_import_runs_total", "counter", "Imports that ended: `done`, `failed`.", ("state",)
)

# ingest-api
INGEST_APPEND_SECONDS = Definition(
    "footfall_ingest_append_seconds",
    "histogram",
    "Seconds until the log had stored a request's events for good.",
    (),
    SECONDS,
)
INGEST_BODY_BYTES = Definition(
    "footfall_ingest_body_bytes_total",
    "counter",
    "Bytes of bodies, as `received` and, after decompression, `decoded`.",
    ("stage",),
)
INGEST_EVENTS = Definition(
    "footfall_ingest_events_total",
    "counter",
    "Events received, by outcome: `accepted` (durable: they end as stored or as "
    '`footfall_consumer_records_total{group="projector",outcome="duplicate"}`), `quarantined` (durable in '
    "footfall.rejected, by the plan), `rejected` (answered by index), `limited` (429), `unavailable` (503: sent "
    "again, so not among the received). A request whose events were not told apart counts as one. Received = "
    "accepted + quarantined + rejected + limited.",
    ("outcome",),
)
INGEST_HOT_KEY_SHARE = Definition(
    "footfall_ingest_hot_key_share",
    "gauge",
    "Of the events of ten seconds, the share of the one user, visitor or account that sent most; 0 when there were "
    "fewer than 1,000. Near 1, one partition carries everything.",
)
INGEST_INFLIGHT_BYTES = Definition(
    "footfall_ingest_inflight_bytes",
    "gauge",
    "Bytes of the requests being worked on; at `max_inflight_bytes` more are answered 503.",
)
INGEST_REFUSED = Definition(
    "footfall_ingest_refused_total",
    "counter",
    "Requests of which no event was looked at, by the code they were answered with.",
    ("code",),
)
INGEST_REJECTED_DROPPED = Definition(
    "footfall_ingest_rejected_dropped_total",
    "counter",
    "Rejected events answered, but not kept in footfall.rejected: the project's `rate` was used up, or the `log` "
    "did not take them in time.",
    ("reason",),
)
INGEST_REJECTIONS = Definition(
    "footfall_ingest_rejections_total",
    "counter",
    "Rejected events by code.",
    ("code",),
)

PLAN_VIOLATIONS = Definition(
    "footfall_plan_violations_total",
    "counter",
    "Events that depart from their project's tracking plan, by the mode that decided what becomes of them "
    "(`observe`, `warn`, `quarantine`, `block`) and code: `unplanned_action`, `missing_property`, "
    "`unplanned_property`, `invalid_property`.",
    ("mode", "code"),
)
INGEST_SPOOL_BYTES = Definition(
    "footfall_ingest_spool_bytes",
    "gauge",
    "Bytes of events that wait on this process's disk for the log; at `spool_max_bytes` more are answered 503.",
)
INGEST_SPOOL_EVENTS = Definition(
    "footfall_ingest_spool_events_total",
    "counter",
    "Events of the spool: `kept` (on disk), `drained` (the log has them; after a crash some count twice), `damaged` "
    "(could not be read again, or were too large for the log), `refused` (no room, answered 503).",
    ("outcome",),
)

# consumer groups
CONSUMER_DELAY = Definition(
    "footfall_consumer_delay_seconds",
    "gauge",
    "Seconds between the append of the newest applied record and its commit here.",
    ("group",),
)
CONSUMER_FAILURES = Definition(
    "footfall_consumer_failures_total",
    "counter",
    "Times a consumer waited because the log or the database did not answer.",
    ("group",),
)
CONSUMER_LAG = Definition(
    "footfall_consumer_lag_records",
    "gauge",
    "Records between the group's positions and the heads, over the parts this process owns.",
    ("group", "topic"),
)
CONSUMER_PARTS = Definition(
    "footfall_consumer_parts",
    "gauge",
    "Parts of the group in this process: `owned`, or `halted` by too much poison in a row.",
    ("group", "state"),
)
CONSUMER_RECORDS = Definition(
    "footfall_consumer_records_total",
    "counter",
    "Records consumed: `applied`, `duplicate` (counted before), `poison` (set aside in footfall.rejected, or"
    " passed over there).",
    ("group", "outcome"),
)

# rule-engine
RULES_ACTIONS = Definition(
    "footfall_rules_actions_total",
    "counter",
    "Actions kept, by outcome: `sent`, or suppressed as `history`, `stale` or `shadow`.",
    ("outcome",),
)
RULES_ACTIVE = Definition(
    "footfall_rules_active", "gauge", "Rules this process asks, over all projects; mode off not counted."
)
RULES_EVALUATED = Definition(
    "footfall_rules_evaluated_total",
    "counter",
    "Rules whose trigger named an event, so their condition was asked.",
)
RULES_FAILED = Definition(
    "footfall_rules_failed_total", "counter", "Rules that a defect kept from answering about an event."
)
RULES_OUTBOX = Definition(
    "footfall_rules_outbox", "gauge", "Actions of this process's parts that wait for their place in the log."
)
RULES_RELAYED = Definition(
    "footfall_rules_relayed_total", "counter", "Actions appended to footfall.actions, repeats counted."
)
RULES_UNREADABLE = Definition(
    "footfall_rules_unreadable", "gauge", "Stored rules this release cannot read; they are not asked."
)

# stream-gateway
STREAM_CONNECTIONS = Definition(
    "footfall_stream_connections",
    "gauge",
    "Open streams, by channel.",
    ("channel",),
)
STREAM_DELIVERIES = Definition(
    "footfall_stream_deliveries_total",
    "counter",
    "Records handed to streams, by channel: one record to three streams counts three.",
    ("channel",),
)
STREAM_GAPS = Definition(
    "footfall_stream_gaps_total",
    "counter",
    "Gaps announced to clients because what they missed could not be filled.",
    ("channel",),
)
LINKS_REFUSED = Definition(
    "footfall_links_refused_total",
    "counter",
    "Links from an id to a user that were not kept because the user has 500 earlier ones.",
)

ALL: tuple[Definition, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Definition)
)
