"""How a command ends: its answer on stdout, a sentence on stderr, an exit code."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, NoReturn

import typer
import uvloop
from rich.console import Console

from lifecycle.failures import SettingsError, StartError

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130


class CommandFailed(Exception):
    """What was asked for could not be done; the text says why and what to do."""


class UsageProblem(CommandFailed):
    """The command was called with what it cannot work with."""


def finish(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command and leave with its code: 0 done, 1 failed, 2 usage or settings, 130 interrupted."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code = runner.run(work)
    except (SettingsError, UsageProblem) as error:
        code = _complain(error, USAGE)
    except (StartError, CommandFailed) as error:
        code = _complain(error, FAILED)
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader, such as head, has enough; what Python would still flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = OK
    raise typer.Exit(code)


def answer(as_json: bool, data: Mapping[str, object], show: Callable[[Console], None]) -> None:
    """Print the answer: one JSON object a line, or `show` for people."""
    if as_json:
        sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    else:
        show(plain_console())


def plain_console() -> Console:
    """A console that never breaks lines where they would no longer work when pasted, nor colours a pipe."""
    return Console(soft_wrap=True, highlight=False, emoji=False, markup=False)


def _complain(error: Exception, code: int) -> int:
    sys.stderr.write(f"{error}\n")
    return code
