"""Whom a command talks to: the installation in a directory, running or started for it, or one elsewhere."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import httpx

from footfall.installation import DEFAULT_DIRECTORY, Installation
from footfall.outcomes import CommandFailed, UsageProblem

if TYPE_CHECKING:
    from footfall.launch import Ready

_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)


class Connection:
    """An installation over HTTP, with the credentials at hand.

    `admin` administers all projects, `key` is a project's; either may be missing. `temporary` when the
    installation ends with the command.
    """

    def __init__(
        self, client: httpx.AsyncClient, admin: str | None, key: str | None, *, temporary: bool = False
    ) -> None:
        self.client = client
        self.temporary = temporary
        self._admin = admin
        self._key = key

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return str(self.client.base_url).rstrip("/")

    def admin_headers(self) -> dict[str, str]:
        """Raises UsageProblem when no credential is known."""
        return _bearer(self._admin or self._key, "the admin token in FOOTFALL_ADMIN_TOKEN")

    def key_headers(self) -> dict[str, str]:
        """Raises UsageProblem when no key is known."""
        return _bearer(self._key, "a project's secret key in FOOTFALL_KEY")

    async def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The answer's JSON object, empty for none; raises CommandFailed with what the server says is wrong."""
        try:
            response = await self.client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise unreachable(self.url, error) from error
        return answer_of(response)


def answer_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a whole response; raises CommandFailed with the server's sentence and hint."""
    try:
        body = response.json() if response.content else {}
    except ValueError:
        body = {}
    if response.is_success:
        return cast("dict[str, Any]", body)
    said = body.get("message") if isinstance(body, dict) else None
    sentence = said or f"{response.request.url.path} answered {response.status_code}."
    hint = body.get("hint") if isinstance(body, dict) else None
    raise CommandFailed(f"{sentence} {hint}" if hint else sentence)


def unreachable(url: str, error: httpx.HTTPError) -> CommandFailed:
    """The sentence for a server that does not answer."""
    reason = str(error) or type(error).__name__
    return CommandFailed(f"{url} does not answer ({reason}). Check that Footfall runs there.")


@asynccontextmanager
async def connect(
    data: Path | None, environ: Mapping[str, str], *, start: bool = True
) -> AsyncIterator[Connection]:
    """The installation of `--data`, else of FOOTFALL_URL, else of .footfall here.

    Where none runs in the directory, one is started and lasts as long as the block, if `start`; else raises
    CommandFailed that says how to start it.
    """
    if data is None and (url := environ.get("FOOTFALL_URL")):
        if not url.startswith(("http://", "https://")):
            raise UsageProblem(f"FOOTFALL_URL must start with http:// or https:// (it is {url[:80]!r}).")
        async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT) as client:
            yield Connection(client, environ.get("FOOTFALL_ADMIN_TOKEN"), environ.get("FOOTFALL_KEY"))
        return
    installation = Installation(data or DEFAULT_DIRECTORY)
    running = installation.running()
    if running is not None:
        async with _local(running.url) as client:
            kept = installation.read_keys()
            key = environ.get("FOOTFALL_KEY") or (kept.secret_key if kept else None)
            yield Connection(client, running.admin_token, key)
        return
    if not start:
        raise CommandFailed(
            f"No Footfall runs on {installation.directory}. Start it with: footfall up --data "
            f"{data or DEFAULT_DIRECTORY}"
        )
    quiet = {"FOOTFALL_LOG_LEVEL": "error", **environ}
    async with _started(installation.directory, quiet) as ready, _local(ready.url) as client:
        key = environ.get("FOOTFALL_KEY") or ready.main.secret_key
        yield Connection(client, ready.admin_token, key, temporary=True)


def _local(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=_TIMEOUT, trust_env=False)


def _bearer(credential: str | None, what: str) -> dict[str, str]:
    if credential is None:
        raise UsageProblem(f"This command needs {what}.")
    return {"authorization": f"Bearer {credential}"}


@asynccontextmanager
async def _started(directory: Path, environ: Mapping[str, str]) -> AsyncIterator["Ready"]:
    """An installation in this process. A signal ends it, and the block with it."""
    # Four services are loaded only when there is none to talk to.
    from footfall.launch import Launch, launch

    told: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
    caller = asyncio.current_task()
    assert caller is not None

    async def announce(ready: "Ready") -> None:
        told.set_result(ready)

    options = Launch(
        directory,
        "127.0.0.1",
        0,
        "kafka" if environ.get("FOOTFALL_LOG") == "kafka" else "postgres",
        environ.get("FOOTFALL_KAFKA", ""),
        demo=False,
    )

    def end_block(_: "asyncio.Task[None]") -> None:
        caller.cancel()

    serving = asyncio.create_task(launch(options, environ, announce))
    try:
        parts: set[asyncio.Future[Any]] = {serving, told}
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        if not told.done():
            await serving
            raise asyncio.CancelledError  # a signal ended the start
        serving.add_done_callback(end_block)
        yield told.result()
    finally:
        serving.remove_done_callback(end_block)
        if not serving.done():
            # It ends as it does for anyone: by draining.
            signal.raise_signal(signal.SIGTERM)
        await serving
