"""What an application does with py-KISSmetrics; each call once. Prints the status of each answer."""

import json
import sys

import KISSmetrics

given = json.loads(sys.argv[1])
client = KISSmetrics.Client(given["key"], trk_host=given["host"].removeprefix("http://"), trk_scheme="http")
answers = [
    client.record("bob", "Signed Up", {"Plan Name": "Pro +", "name": "Jürgen & Co"}, timestamp=1767225600),
    client.record("bob", "Opened Report"),
    client.set("bob", {"Plan Name": "Pro +"}),
    client.alias("bob", "bob@acme.example"),
    KISSmetrics.Client("unknown", trk_host=client.trk_host, trk_scheme="http").record("bob", "Lost"),
]
print([answer.status for answer in answers], {answer.headers["content-type"] for answer in answers})
