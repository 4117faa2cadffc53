"""Bytes that no sender would write, through the native API's reading and every vendor's decoder and answer.

What may come out is a refusal or an answer below 500, in bounded time and memory; anything else ends the run and
leaves the bytes behind. Run with `make fuzz`, for longer with `make fuzz SECONDS=3600`.
"""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["admission", "ingest_api", "policy"]):
    from admission import BodyRefused, admit, admit_items, inflate
    from eventmodel import ProjectId
    from ingest_api.events import refused_problem
    from ingest_api.protocols.examples import EXAMPLES
    from ingest_api.protocols.exchange import EventProtocol, Outcome, Request
    from ingest_api.protocols.table import Table

PROJECT: Final = ProjectId("pabcdefgh234")
NOW: Final = datetime(2026, 11, 22, 9, 31, tzinfo=UTC)
ENCODINGS: Final = ("", "gzip", "deflate", "br", "zstd")
TABLE: Final = Table()
ROUTES: Final = [
    (path, row.vendor, row.speaks, method)
    for path, row in TABLE.routes()
    if isinstance(row.speaks, EventProtocol)
    for method in row.methods
]
"""The first byte of an input chooses one of these, or the native API in one of the encodings."""


def one(data: bytes) -> None:
    """One input: its first byte says who reads the rest."""
    if not data:
        return
    chosen, rest = data[0] % (len(ROUTES) + len(ENCODINGS)), data[1:]
    if chosen < len(ROUTES):
        _vendor(*ROUTES[chosen], rest)
    else:
        _native(rest, ENCODINGS[chosen - len(ROUTES)])


def _native(body: bytes, encoding: str) -> None:
    try:
        admit(inflate(body, encoding), project=PROJECT, received_at=NOW)
    except BodyRefused:
        return


def _vendor(path: str, vendor: str, protocol: EventProtocol, method: str, sent: bytes) -> None:
    # A GET has no body; of a POST, what stands before a line of its own is the query.
    query, found, body = sent.partition(b"\n\n")
    if method == "GET":
        query, body = sent, b""
    elif not found:
        query, body = b"", sent
    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": []}
    match = TABLE.find(re.sub(r"\{\w+\}", "main", path))
    assert match is not None
    request = Request(scope, vendor, match.path, match.parameters, body)
    try:
        decoded = protocol.decode(request)
        admitted = admit_items(decoded.items, project=PROJECT, received_at=NOW)
        outcome = Outcome(admitted, items=decoded.items)
    except BodyRefused as refused:
        outcome = Outcome(None, refused_problem(refused))
    reply = protocol.answer(request, outcome)
    assert reply.status < 500, (reply, sent)


def seed(corpus: Path) -> None:
    """Begin with what SDKs send."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(EXAMPLES):
        for index, (path, vendor, _, method) in enumerate(ROUTES):
            if (path, vendor, method) == (example.route, example.vendor, example.method):
                sent = example.query.encode() + b"\n\n" * (method != "GET") + example.content()
                (corpus / f"{number}-{index}").write_bytes(bytes([index]) + sent)
    native = b'[{"user": "ada", "action": "opened report", "time": "2026-11-22T09:30:00Z", "properties": {"n": 1}}]'
    (corpus / "native").write_bytes(bytes([len(ROUTES)]) + native)


def main() -> None:
    """As libFuzzer's own command line; the last argument is the corpus."""
    seed(Path(sys.argv[-1]))
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
