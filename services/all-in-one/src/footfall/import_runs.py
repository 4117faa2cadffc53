"""`footfall import`: plan, upload and follow imports; the work itself is the server's."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from footfall.connection import Connection, answer_of, connect, unreachable
from footfall.outcomes import FAILED, OK, CommandFailed, UsageProblem, answer

Source = Literal["access-log", "ndjson"]
Run = dict[str, Any]

PLAN_BYTES: Final = 8 * 1024 * 1024
_CHUNK_BYTES: Final = 256 * 1024
_UPLOAD_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_QUIET_S: Final = 45.0
_AGAIN_AFTER_S: Final = 1.0
_MAX_FAILURES_IN_A_ROW: Final = 60
_ACTIVE: Final = ("queued", "running")


class Upload(NamedTuple):
    """What is to be imported."""

    source: Source
    file: Path
    account: str | None

    def query(self) -> dict[str, str]:
        """The parameters every request about it carries."""
        account = {} if self.account is None else {"account": self.account}
        return {"source": self.source, **account}


async def plan_import(upload: Upload, data: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Say what an import of the file's beginning would bring; nothing is stored or sent on."""
    with _opened(upload.file) as file:
        beginning = await asyncio.to_thread(file.read, PLAN_BYTES)
    async with connect(data, environ) as installation:
        plan = await installation.request(
            "POST",
            "/v1/imports/plan",
            params=upload.query(),
            content=beginning,
            headers=installation.key_headers(),
            timeout=_UPLOAD_TIMEOUT,
        )
    answer(as_json, plan, lambda console: _show_plan(console, upload.file, plan))
    return OK if plan["usable"] else FAILED


async def run_import(
    upload: Upload, data: Path | None, environ: Mapping[str, str], *, again: bool, as_json: bool
) -> int:
    """Upload the file and follow its run to the end; the same bytes join the run they already have."""
    with _opened(upload.file) as file:
        async with connect(data, environ) as installation:
            with _progress(shown=not as_json) as progress:
                run = await _upload(installation, upload, file, progress, again=again)
                run = await _follow_or_tell(installation, run, progress)
    answer(as_json, run, lambda console: _show_run(console, run))
    return OK if run["state"] == "done" else FAILED


async def show_imports(
    run: str | None, data: Path | None, environ: Mapping[str, str], *, follow: bool, as_json: bool
) -> int:
    """One run, or the newest fifty; `follow` waits for the run's end."""
    async with connect(data, environ) as installation:
        headers = installation.key_headers()
        if run is None:
            found = await installation.request("GET", "/v1/imports", headers=headers)
            answer(as_json, found, lambda console: _show_runs(console, found["items"]))
            return OK
        one = await installation.request("GET", f"/v1/imports/{run}", headers=headers)
        if follow and one["state"] in _ACTIVE:
            with _progress(shown=not as_json) as progress:
                one = await _follow_or_tell(installation, one, progress)
    answer(as_json, one, lambda console: _show_run(console, one))
    return OK if one["state"] in (*_ACTIVE, "done") else FAILED


async def _upload(
    installation: Connection, upload: Upload, file: BinaryIO, progress: Progress, *, again: bool
) -> Run:
    total = upload.file.stat().st_size
    task = progress.add_task("upload", total=total)
    params = {**upload.query(), "name": upload.file.name, **({"again": "true"} if again else {})}
    try:
        response = await installation.client.post(
            "/v1/imports",
            params=params,
            content=_chunks(file, lambda done: progress.update(task, completed=done)),
            headers={**installation.key_headers(), "content-length": str(total)},
            timeout=_UPLOAD_TIMEOUT,
        )
    except httpx.HTTPError as error:
        raise unreachable(installation.url, error) from error
    progress.update(task, completed=total)
    return answer_of(response)


async def _chunks(file: BinaryIO, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
    done = 0
    while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
        yield chunk
        done += len(chunk)
        sent(done)


async def _follow_or_tell(installation: Connection, run: Run, progress: Progress) -> Run:
    """The run at its end. Whoever interrupts is told that only the watching ended."""
    task = progress.add_task("publish", total=run["bytes_total"])
    try:
        return await _follow(installation, run, progress, task)
    except asyncio.CancelledError:
        goes_on = (
            "It goes on when Footfall next runs here."
            if installation.temporary
            else "It goes on without this command."
        )
        progress.stop()
        progress.console.print(
            f"{goes_on} Watch it again with: footfall import status --follow {run['run']}", soft_wrap=True
        )
        raise


async def _follow(installation: Connection, run: Run, progress: Progress, task: TaskID) -> Run:
    failures = 0
    while run["state"] in _ACTIVE:
        try:
            async for kind, told in _told(installation, run["run"]):
                if kind in ("progress", "end"):
                    run, failures = told, 0
                    progress.update(task, total=run["bytes_total"], completed=run["bytes_done"])
        except (httpx.HTTPError, TimeoutError) as error:
            failures += 1
            if failures == _MAX_FAILURES_IN_A_ROW:
                raise CommandFailed(
                    f"{installation.url} does not answer any more ({type(error).__name__}). The import "
                    f"goes on by itself; look again with: footfall import status {run['run']}"
                ) from error
            await asyncio.sleep(_AGAIN_AFTER_S)
    return run


async def _told(installation: Connection, run: str) -> AsyncIterator[tuple[str, Run]]:
    """What one connection to the run's event stream says: the kind and the run; `bye` and comments are left out."""
    async with installation.client.stream(
        "GET",
        f"/v1/imports/{run}/events",
        headers=installation.key_headers(),
        timeout=httpx.Timeout(_QUIET_S, connect=5.0),
    ) as response:
        if not response.is_success:
            await response.aread()
            if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                response.raise_for_status()
            answer_of(response)
        kind = ""
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data" and kind in ("progress", "end"):
                yield kind, json.loads(value)


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise UsageProblem(f"{file} cannot be read: {error.strerror}.") from error


def _progress(*, shown: bool) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description:<8}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not shown or not console.is_terminal,
    )


def _show_plan(console: Console, file: Path, plan: Mapping[str, Any]) -> None:
    if not plan["usable"]:
        console.print(f"{file} cannot be imported: {plan['message']}", style="bold")
    part = "all" if plan["complete"] else "the first"
    console.print(f"Of {part} {plan['lines']:,} lines:")
    console.print(f"  {plan['publish']:>10,}  would become events")
    for rule, count in sorted(plan["skipped"].items(), key=lambda item: -item[1]):
        console.print(f"  {count:>10,}  are left out: {rule}")
    if plan["rejected"]:
        console.print(f"  {plan['rejected']:>10,}  cannot be read")
    if plan["first"]:
        console.print(f"From {plan['first']} to {plan['last']}.")
    for line in plan["bad_lines"][:5]:
        _show_bad_line(console, line)
    if plan["usable"] and plan["message"]:
        console.print(plan["message"])


def _show_runs(console: Console, runs: list[Run]) -> None:
    for run in runs:
        console.print(
            f"{run['run']}  {run['state']:<9}  {run['created_at']}  {run['published']:>12,} events  {run['name']}"
        )
    if not runs:
        console.print("Nothing was imported yet. Begin with: footfall import plan access-log FILE")


def _show_run(console: Console, run: Run) -> None:
    console.print(f"{run['run']}: {run['state']}", style="bold")
    if run["message"]:
        console.print(run["message"])
    console.print(f"  {run['lines']:>12,}  lines of {run['name']}")
    console.print(f"  {run['published']:>12,}  became events")
    for rule, count in sorted(run["skipped"].items(), key=lambda item: -item[1]):
        console.print(f"  {count:>12,}  left out: {rule}")
    if run["rejected"]:
        console.print(f"  {run['rejected']:>12,}  could not be read; the newest:")
    for line in run["last_rejected"]:
        _show_bad_line(console, line)


def _show_bad_line(console: Console, line: Mapping[str, Any]) -> None:
    console.print(f"  line {line['line']} (byte {line['byte_offset']:,}): {line['message']}")
    console.print(f"    {line['text']}", style="dim")
