"""What an application does with posthog for Python; each call once."""

import json
import sys
from datetime import UTC, datetime

from posthog import Posthog

given = json.loads(sys.argv[1])
failures: list[str] = []
client = Posthog(
    given["key"],
    host=given["host"],
    gzip=given["gzip"],
    capture_mode=given["mode"],
    historical_migration=given["historical"],
    on_error=lambda error, _: failures.append(str(error)),
)
at = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
client.set(
    distinct_id="ada", properties={"email": "ada@acme.example", "plan": "pro"}, uuid=given["ids"]["set"]
)
client.capture(
    "Opened Report",
    distinct_id="ada",
    properties={"rows": 12},
    groups={"project": "p1", "company": "acme"},
    timestamp=at,
    uuid=given["ids"]["track"],
)
client.capture(
    "$pageview", distinct_id="ada", properties={"$current_url": "https://app.example/p", "$pathname": "/p"}
)
client.group_identify("company", "acme", {"seats": 25})
client.alias("visitor-0", "ada")
client.capture("Looked Around")
client.shutdown()
sys.exit("\n".join(failures) or None)
