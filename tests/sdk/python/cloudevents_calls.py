"""What an application does with the CloudEvents SDK: it makes the message, requests carries it."""

import json
import sys
from datetime import UTC, datetime

import requests
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

given = json.loads(sys.argv[1])


def event(number: str, subject: str) -> CloudEvent:
    attributes = {
        "id": number,
        "source": "/crm",
        "type": "deal.won",
        "specversion": "1.0",
        "subject": subject,
        "time": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        "datacontenttype": "application/json",
    }
    return CloudEvent(attributes, {"value": 12, "name": "Ünal"})


for message in (to_binary_event(event("b1", "Jürgen 100%")), to_structured_event(event("s1", "Jürgen 100%"))):
    answer = requests.post(
        f"{given['host']}/v1/cloudevents",
        data=message.body,
        headers={**message.headers, "Authorization": f"Bearer {given['key']}"},
        timeout=10,
    )
    answer.raise_for_status()
