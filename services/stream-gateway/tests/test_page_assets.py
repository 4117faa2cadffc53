"""The files of the pages: what they weigh, where they come from, and what docs/design.md allows in them."""

import gzip
import hashlib
import re
from importlib.resources import files
from pathlib import Path

import pytest

from stream_gateway.pages.assets import lean

_ASSETS = Path(str(files("stream_gateway.pages"))) / "assets"
_OWN_SCRIPTS = sorted(path for path in _ASSETS.rglob("*.js") if path.parent.name != "vendor")
_STYLES = sorted(_ASSETS.glob("*.css"))
_STATIC_IMPORT = re.compile(
    r"(?:^|[;}])\s*(?:import|export)\s*(?:[^'\"();]*?from\s*)?[\"'](\.[^\"']+)[\"']", re.MULTILINE
)
_FIRST_LOAD_MAX_BYTES = 40 * 1024
_FONT_MAX_BYTES = 30 * 1024


def _graph(*entries: str) -> set[Path]:
    """The modules that the entries load statically, themselves included."""
    found: set[Path] = set()
    waiting = [_ASSETS / entry for entry in entries]
    while waiting:
        module = waiting.pop().resolve()
        if module not in found:
            found.add(module)
            waiting += [module.parent / name for name in _STATIC_IMPORT.findall(module.read_text())]
    return found


def _weight(path: Path) -> int:
    served = lean(str(path.relative_to(_ASSETS)), path.read_bytes())
    return len(gzip.compress(served, 9, mtime=0))


def test_the_first_load_of_service_pulse_stays_within_its_weight() -> None:
    loaded = [*_graph("app.js", "places/pulse.js"), *_STYLES]
    weights = {path.name: _weight(path) for path in loaded}
    assert "preact-signals-htm.js" in weights, "the graph of imports was not followed"
    assert "uplot.js" not in weights, "uPlot is for after the first paint"
    assert sum(weights.values()) <= _FIRST_LOAD_MAX_BYTES, sorted(weights.items(), key=lambda item: -item[1])


def test_the_font_stays_within_its_weight() -> None:
    assert (_ASSETS / "inter.woff2").stat().st_size <= _FONT_MAX_BYTES
    assert len(list(_ASSETS.rglob("*.woff*"))) == 1


def test_vendored_files_are_the_ones_that_were_looked_at() -> None:
    vendor = _ASSETS / "vendor"
    lines = re.findall(r"^([0-9a-f]{64})  (\S+)$", (vendor / "README.md").read_text(), re.MULTILINE)
    told = {name: digest for digest, name in lines}
    present = {path.name for path in vendor.iterdir() if path.suffix in (".js", ".css")} | {"../inter.woff2"}
    assert set(told) == present
    for name, wanted in told.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == wanted, name


@pytest.mark.parametrize("script", _OWN_SCRIPTS, ids=lambda path: path.name)
def test_scripts_write_text_as_text_and_ask_nobody_else(script: Path) -> None:
    text = script.read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|\beval\(|new Function", text
    )
    addresses = re.findall(r"https?://[^\s\"'`)]+", text)
    assert [found for found in addresses if "w3.org/2000/svg" not in found and ".example" not in found] == []
    vendored = re.findall(r"from \"[./]*/vendor/([\w-]+)\.js\"", text)
    assert not vendored or script.name == "ui.js", "import from ./ui.js"


@pytest.mark.parametrize("style", _STYLES, ids=lambda path: path.name)
def test_styles_keep_to_the_design(style: Path) -> None:
    text = re.sub(r"/\*.*?\*/", "", style.read_text(), flags=re.DOTALL)
    if style.name != "tokens.css":
        colours = re.findall(r":[^;{]*(#[0-9a-f]{3,8}\b|\brgba?\(|\bhsla?\()", text)
        assert colours in ([], ["#0006"]), "colours stand in tokens.css"
    sizes = set(re.findall(r"font-size:\s*([^;]+);", text))
    assert sizes <= {"13px", "var(--small)", "var(--text)", "var(--title)", "var(--figure)", "inherit"}
