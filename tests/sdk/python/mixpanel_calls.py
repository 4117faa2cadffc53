"""What an application does with mixpanel-python; each call once. Prints what a call that fails raises."""

import json
import sys

from mixpanel import BufferedConsumer, Consumer, Mixpanel, MixpanelException

given = json.loads(sys.argv[1])
host = given["host"]
consumer = (BufferedConsumer if given["buffered"] else Consumer)(
    events_url=f"{host}/track",
    people_url=f"{host}/engage",
    groups_url=f"{host}/groups",
    import_url=f"{host}/import",
)
mixpanel = Mixpanel(given["key"], consumer)
mixpanel.track(
    "ada", "Opened Report", {"rows": 12, "company": "acme", "time": 1767323045.678, "$insert_id": "i1"}
)
mixpanel.track("$device:visitor-1", "Looked Around")
mixpanel.import_data(None, "ada", "Signed Up", 1735689600, {"plan": "pro"}, api_secret=given["key"])
mixpanel.merge(None, "ada", "ada@acme.example", api_secret=given["key"])
mixpanel.people_set("ada", {"$email": "ada@acme.example", "plan": "pro"})
mixpanel.people_increment("ada", {"reports": 1})
mixpanel.people_track_charge("ada", 29.99, {"$time": "2026-01-03T00:00:00", "sku": "s1"})
mixpanel.group_set("company", "acme", {"$name": "Acme", "seats": 25})
if given["buffered"]:
    consumer.flush()
try:
    Mixpanel("ffw_unknown", Consumer(events_url=f"{host}/track")).track("ada", "Lost")
except MixpanelException as error:
    print(error)
