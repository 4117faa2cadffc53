"""What the demo asks of the installation, as anyone would: over HTTP, with its project's keys."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Final, cast

import httpx
import msgspec

from footfall.demo.happenings import Happening, mistake_beside
from footfall.own_projects import OwnProject

_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_EVENTS_A_CHUNK: Final = 100


class DemoDelayed(Exception):
    """It was not taken now; the text says why. The same later counts once."""


class DemoDeleted(Exception):
    """The project is gone."""


class Requests:
    """Every method raises DemoDelayed, or DemoDeleted."""

    def __init__(self, client: httpx.AsyncClient, project: OwnProject) -> None:
        self._client = client
        self._write = {"authorization": f"Bearer {project.write_key}"}
        self._manage = {"authorization": f"Bearer {project.secret_key}"}

    async def send(self, happenings: Sequence[Happening]) -> None:
        """Live events, at least one, and the mistakes beside them; returns once they are stored."""
        mistakes = [mistake for one in happenings if (mistake := mistake_beside(one))]
        body = msgspec.json.encode([*happenings, *mistakes])
        await self._answer("POST", "/v1/events", headers=self._write, content=body)

    async def bring_in(self, happenings: Iterator[Happening], name: str) -> None:
        """History; returns once the upload is stored. Nothing is brought in when nothing happened."""
        first = list(islice(happenings, 1))
        if not first:
            return
        # Who is refused while an upload is on its way loses the connection, and does not hear why.
        await self._answer("GET", "/v1/imports", headers=self._manage, params={"limit": 1})
        await self._answer(
            "POST",
            "/v1/imports",
            headers=self._manage,
            params={"source": "ndjson", "name": name},
            content=_lines(first, happenings),
        )

    async def put_rules(self, text: str) -> None:
        """The rules of the text work when this returns."""
        await self._answer("POST", "/v1/rules", headers=self._manage, json={"text": text})

    async def _answer(self, method: str, path: str, **options: Any) -> Mapping[str, Any]:
        try:
            response = await self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise DemoDelayed(f"{path} did not answer: {str(error) or type(error).__name__}") from error
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise DemoDeleted
        if not response.is_success:
            raise DemoDelayed(f"{path} answered {response.status_code}: {response.text[:300]}")
        return cast("Mapping[str, Any]", response.json())


@asynccontextmanager
async def open_requests(url: str, project: OwnProject) -> AsyncIterator[Requests]:
    """Requests to the installation at `url`."""
    async with httpx.AsyncClient(
        base_url=url, timeout=_TIMEOUT, trust_env=False, headers={"user-agent": "footfall-demo"}
    ) as client:
        yield Requests(client, project)


async def _lines(first: Iterable[Happening], more: Iterator[Happening]) -> AsyncIterator[bytes]:
    chunk = list(first)
    while chunk:
        yield msgspec.json.Encoder().encode_lines(chunk)
        # The same loop answers people; a chunk is some milliseconds of it.
        await asyncio.sleep(0)
        chunk = list(islice(more, _EVENTS_A_CHUNK))
