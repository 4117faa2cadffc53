"""Removes the bad lines that name somebody who is to be forgotten."""

import asyncio
from typing import Final

from access.cache import Access
from access.errors import AccessUnavailable
from access.forgetting import Forgetting
from access.forgotten import ForgetRequest
from access.mentions import mention_pattern
from importer.runs import Runs, RunsUnavailable
from telemetry.logs import get_logger

_EVERY_S: Final = 1.0

_log = get_logger("removal")


class Removal:
    """`run` needs an owner. Several processes may remove at once."""

    def __init__(self, runs: Runs, access: Access, forgetting: Forgetting) -> None:
        self._runs = runs
        self._access = access
        self._forgetting = forgetting
        self._removed: set[str] = set()

    async def run(self) -> None:
        """Look every second until cancelled; outages are waited out."""
        while True:
            try:
                await self.remove()
            except (AccessUnavailable, RunsUnavailable) as error:
                _log.warning("removal_waits", reason=str(error))
            await asyncio.sleep(_EVERY_S)

    async def remove(self) -> None:
        """Carry out the open requests that this process has not carried out yet, and confirm them."""
        requests = self._access.forget_requests
        self._removed &= {request.id for request in requests}
        for request in requests:
            if request.id not in self._removed:
                await self._remove(request)
                self._removed.add(request.id)

    async def _remove(self, request: ForgetRequest) -> None:
        lines = 0
        if request.mentions:
            lines = await self._runs.remove_lines(request.project, mention_pattern(request.mentions))
        await self._forgetting.confirm(request, "importer", {"importer.rejected_line": lines})
