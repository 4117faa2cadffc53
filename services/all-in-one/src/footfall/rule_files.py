"""`footfall rules`: look at rules in a file before they act."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from footfall.outcomes import FAILED, OK, UsageProblem, answer
from rule_engine.errors import RuleError
from rule_engine.language import check


async def check_rules(file: Path, *, as_json: bool) -> int:
    """Say everything that is wrong with the rules in a file; nothing is sent anywhere."""
    text = await asyncio.to_thread(_read, file)
    errors = check(text)
    answer(
        as_json,
        {"errors": msgspec.to_builtins(errors)},
        lambda console: _show(console, file, text.splitlines(), errors),
    )
    return FAILED if errors else OK


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageProblem(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{file} is not UTF-8 (byte {error.start}).") from error


def _show(console: Console, file: Path, lines: Sequence[str], errors: Sequence[RuleError]) -> None:
    for error in errors:
        console.print(f"{file}:{error.line}:{error.column}: {error.message}", style="bold")
        if error.line <= len(lines):
            line = lines[error.line - 1].expandtabs(1)
            console.print(f"  {line}")
            console.print(f"  {' ' * (error.column - 1)}{'^' * error.length}", style="red")
        if error.hint:
            console.print(f"  {error.hint}", style="dim")
    console.print(
        f"{len(errors)} mistake{'s' if len(errors) > 1 else ''}." if errors else f"{file} is right."
    )
