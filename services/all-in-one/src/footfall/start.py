"""`footfall up`: the launch, as one command among others."""

import sys
from collections.abc import Mapping
from pathlib import Path

from footfall.announcement import announce
from footfall.launch import Launch, Ready, launch, settings_of
from footfall.outcomes import FAILED, OK, USAGE, answer
from lifecycle.failures import SettingsError, StartError
from lifecycle.process import main as run_program


def start(options: Launch, environ: Mapping[str, str], *, ready_file: Path | None, as_json: bool) -> int:
    """Run until asked to stop; the exit code: 0 stopped as asked, 1 failed, 2 settings."""
    failed = False

    async def tell(ready: Ready) -> None:
        await announce(ready, as_json=as_json, ready_file=ready_file)

    async def run() -> None:
        nonlocal failed
        try:
            await launch(options, environ, tell)
        except SettingsError:
            raise
        except StartError as error:
            # People read this one; the log's lines are for what happens while it runs.
            sys.stderr.write(f"{error}\n")
            failed = True

    code = run_program(run())
    return FAILED if failed else code


def check_settings(options: Launch, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Say whether the settings are right."""
    try:
        settings_of(options, options.port, "", environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    answer(as_json, {"settings": "ok"}, lambda console: console.print("The settings are right."))
    return OK
