import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from footfall.command_line import app

_DOCUMENT = Path(__file__).parents[3] / "docs" / "cli.md"


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name, one in below.items():
        yield from _commands(one, f"{path} {name}")


_ALL = dict(_commands(typer.main.get_command(app), "footfall"))


def _section(path: str) -> str:
    found = re.search(rf"^## {re.escape(path)}\n(.*?)(?=^## |\Z)", _DOCUMENT.read_text(), re.M | re.S)
    assert found, f"docs/cli.md has no section “## {path}”"
    return found[1]


@pytest.mark.parametrize("path", _ALL)
def test_every_option_and_argument_of_a_command_is_documented(path: str) -> None:
    section = _section(path)
    for parameter in _ALL[path].params:
        if parameter.name == "help":
            continue
        names = (
            parameter.opts
            if parameter.param_type_name == "option"
            else [parameter.metavar or parameter.name.upper()]
        )
        for name in names:
            assert re.search(rf"{re.escape(name)}\b", section), f"{name} of {path} is not in docs/cli.md"


@pytest.mark.parametrize("path", _ALL)
def test_every_documented_option_exists(path: str) -> None:
    known = {name for parameter in _ALL[path].params for name in parameter.opts}
    assert set(re.findall(r"^\| `(--[a-z-]+)", _section(path), re.M)) == known - {
        parameter.opts[0] for parameter in _ALL[path].params if parameter.param_type_name != "option"
    }


def test_every_documented_command_exists() -> None:
    assert set(re.findall(r"^## (footfall .*)$", _DOCUMENT.read_text(), re.M)) == set(_ALL)


@pytest.mark.parametrize("path", _ALL)
def test_help_teaches_with_an_example(path: str) -> None:
    assert re.search(rf"^\s*([A-Z_]+=\S+ )?{re.escape(path)}\b", _ALL[path].help, re.M)
    assert all(parameter.help for parameter in _ALL[path].params)
