"""What protocols whose clients show an image answer: one transparent pixel, whatever became of the event."""

from typing import Final

from ingest_api.pixel import GIF
from ingest_api.protocols.exchange import Outcome, Reply, Request

_HEADERS: Final = {"cache-control": "no-store, private", "cross-origin-resource-policy": "cross-origin"}


def answer(request: Request, outcome: Outcome) -> Reply:
    """The image: 200 also for what was refused, 413 for too much, 503 when the same should be sent again."""
    problem = outcome.problem
    if problem is None or problem.status not in (413, 429, 503):
        return Reply(200, GIF, "image/gif", _HEADERS)
    # Their clients send again after 503 alone.
    status = 413 if problem.status == 413 else 503
    return Reply(status, GIF, "image/gif", {**_HEADERS, **problem.headers})
