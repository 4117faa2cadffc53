"""What an application does with rudder-sdk-python; each call once."""

import json
import sys
from datetime import UTC, datetime

from rudderstack.analytics import Client

given = json.loads(sys.argv[1])
failures: list[str] = []
client = Client(
    given["key"],
    host=given["host"],
    gzip=given["gzip"],
    on_error=lambda error, _: failures.append(str(error)),
)
at = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
client.identify("ada", {"email": "ada@acme.example", "plan": "pro"}, message_id="m-identify")
client.track("ada", "Opened Report", {"rows": 12}, {"groupId": "acme"}, timestamp=at, message_id="m-track")
client.page("ada", "Docs", "Pricing", {"path": "/pricing"}, anonymous_id="visitor-1", message_id="m-page")
client.screen("ada", None, "Home", {"dark": True}, message_id="m-screen")
client.group("ada", "acme", {"seats": 25}, message_id="m-group")
client.alias("visitor-0", "ada", message_id="m-alias")
client.track(event="Looked Around", anonymous_id="visitor-1", message_id="m-visitor")
client.shutdown()
sys.exit("\n".join(failures) or None)
