"""Jitsu, where it differs from Segment: a header for the key, and answers that count events."""

import msgspec

from ingest_api.protocols import segment
from ingest_api.protocols.exchange import Decoded, Outcome, Reply, Request
from lifecycle.errors import Problem


def decode(request: Request) -> Decoded:
    """As Segment's; the key may stand in `X-Write-Key`. Raises BodyRefused."""
    decoded = segment.decode(request)
    return decoded._replace(key=request.header(b"x-write-key") or decoded.key)


def answer(request: Request, outcome: Outcome) -> Reply:
    """200 and what became of each event."""
    if outcome.problem is not None:
        return _refused(outcome.problem)
    admitted = outcome.admitted
    assert admitted is not None
    said: dict[str, object] = {"ok": bool(admitted.taken or not admitted.rejections)}
    if request.path.endswith("/batch"):
        taken = admitted.taken
        said |= {"receivedEvents": taken + len(admitted.rejections), "okEvents": taken}
    if admitted.rejections:
        said["errors"] = [f"{rejected.index}: {rejected.message}" for rejected in admitted.rejections]
    status = 200 if said["ok"] else 400
    return Reply(status, msgspec.json.encode(said), segment.JSON)


def _refused(problem: Problem) -> Reply:
    said = {"ok": False, "error": problem.message}
    return Reply(problem.status, msgspec.json.encode(said), segment.JSON, problem.headers)
