"""Removes from one part what rules did about a person, in the owner's transactions."""

from typing import Final

from access.forgetting import note_removed
from access.forgotten import ForgetRequest
from rule_engine.database import Connection, Fenced

_ROWS: Final = 1_000
_ACTIONS: Final = """
    delete from rules.action where ctid = any(array(
        select ctid from rules.action where part = $1 and project = $2 and subject = any($3::text[]) limit $4))
"""
_OUTBOX: Final = """
    delete from rules.outbox where ctid = any(array(
        select ctid from rules.outbox where part = $1 and project = $2 and key = any($3::bytea[]) limit $4))
"""


async def remove_person(request: ForgetRequest, part: int, fenced: Fenced) -> None:
    """Remove what the part holds of the person, a batch a transaction, and confirm it with the last."""
    while True:
        async with fenced([part]) as tx:
            actions = await _remove(tx, _ACTIONS, part, request.project, list(request.subjects))
            waiting = await _remove(tx, _OUTBOX, part, request.project, request.keys)
            done = actions < _ROWS and waiting < _ROWS
            removed = {"rules.action": actions, "rules.outbox": waiting}
            await note_removed(tx, request, "rules", part, removed, done=done)
        if done:
            return


async def _remove(tx: Connection, statement: str, *values: object) -> int:
    return int((await tx.execute(statement, *values, _ROWS)).split()[-1])
