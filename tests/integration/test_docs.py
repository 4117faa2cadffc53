"""What docs/ says against what the code has: routes, errors, names, files and links."""

import ast
import importlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Route

import importer.app
import ingest_api.app
import rule_engine.app
import stream_gateway.app
from access.cache import open_access
from access.usage import Usage
from eventlog.memory import MemoryLog
from eventmodel import topics
from footfall.suite_settings import load_settings
from ingest_api.protocols.table import TABLE
from lifecycle.clock import SystemClock
from lifecycle.database import open_pool
from telemetry.metrics import Metrics

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HTTP = (DOCS / "http.md").read_text()
ARCHITECTURE = (DOCS / "architecture.md").read_text()
MEMBERS = sorted(path.parent.name for path in ROOT.glob("[ls]*/*/pyproject.toml"))
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("*/*/README.md"), *ROOT.glob("contracts/*.md"))
)  # fmt: skip
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
_REASONS = {"malformed": "400", "too_large": "413", "unsupported": "415"}
_ROW = re.compile(r"^\| `(GET|POST|PUT|PATCH|DELETE) (/\S*?)`", re.M)


def _documented_routes(service: str) -> set[tuple[str, str]]:
    section = re.search(rf"^## {service}\n(.*?)(?=^## |\Z)", HTTP, re.M | re.S)
    assert section, f"docs/http.md has no section {service}"
    return {(method, _shape(path)) for method, path in _ROW.findall(section[1])}


def _shape(path: str) -> str:
    """The path with its parameters' names left out, and without a slash at its end."""
    return re.sub(r"{[^}]*}", "{}", path).rstrip("/")


async def test_every_route_of_the_services_is_documented_and_every_documented_route_exists(
    migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, FastAPI] = {}
    for module in (ingest_api.app, stream_gateway.app, rule_engine.app, importer.app):
        monkeypatch.setattr(module, "FastAPI", _remembering(made, module.__name__))
    settings = load_settings(
        {
            "FOOTFALL_DATABASE_URL": migrated_url,
            "FOOTFALL_LOG": "postgres",
            "FOOTFALL_IMPORT_SPOOL_DIR": str(tmp_path),
        }
    )
    clock, metrics = SystemClock(), Metrics("docs")
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(migrated_url))
        access = await stack.enter_async_context(open_access(pool, clock, metrics))
        shared: dict[str, Any] = {"log": MemoryLog(), "access": access, "clock": clock, "metrics": metrics}
        await stack.enter_async_context(
            ingest_api.app.open_service(settings.ingest, usage=Usage(pool), **shared)
        )
        await stack.enter_async_context(
            stream_gateway.app.open_service(settings.gateway, pool=pool, **shared)
        )
        await stack.enter_async_context(rule_engine.app.open_service(settings.rules, pool=pool, **shared))
        await stack.enter_async_context(importer.app.open_service(settings.importer, pool=pool, **shared))
    assert len(made) == 4
    for module_name, app in made.items():
        service = module_name.partition(".")[0].replace("_", "-")
        # The stream answers beside the gateway's app, not inside it.
        beside = {("GET", "/v1/stream")} if service == "stream-gateway" else set()
        assert _documented_routes(service) == _routes(app) | beside, service
    health = {("GET", "/livez"), ("GET", "/readyz"), ("GET", "/metrics")}
    assert _documented_routes("Every service") == health


def _remembering(made: dict[str, FastAPI], name: str) -> type[FastAPI]:
    class Remembered(FastAPI):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            made[name] = self

    return Remembered


def _routes(app: FastAPI) -> set[tuple[str, str]]:
    routes = list(_leaves(app.routes))
    assert all(isinstance(route, Route | APIRoute) for route in routes), (
        "docs would miss what is below a mount"
    )
    return {
        (method, _shape(route.path))
        for route in routes
        for method in route.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }


def _leaves(routes: Iterable[Any]) -> Iterator[Any]:
    """The routes themselves; FastAPI keeps an included router as one entry."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from _leaves(included.routes)


def _calls(name: str) -> Iterator[ast.Call]:
    for path in sorted(ROOT.glob("[ls]*/*/src/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                yield node


def _constant(node: ast.expr) -> str | None:
    return str(node.value) if isinstance(node, ast.Constant) else None


def _section(title: str) -> str:
    found = re.search(rf"^#+ {title}\n(.*?)(?=^#|\Z)", HTTP, re.M | re.S)
    assert found
    return found[1]


def test_every_error_code_is_documented_with_its_status() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", _section("Errors"), re.M))
    raised = {
        (code, status)
        for call in _calls("Problem")
        if (status := _constant(call.args[0])) and (code := _constant(call.args[1]))
    } | {
        (code, _REASONS[reason])
        for call in _calls("BodyRefused")
        if (reason := _constant(call.args[0])) and (code := _constant(call.args[1]))
    }
    assert len(raised) > 30
    assert raised - documented == set()
    known = " ".join(path.read_text() for path in ROOT.glob("[ls]*/*/src/**/*.py"))
    assert {code for code, _ in documented if f'"{code}"' not in known} == set()


def test_every_reason_of_a_rejection_is_documented() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", _section("Rejections"), re.M))
    raised = {code for call in _calls("Fault") if (code := _constant(call.args[0]))}
    fields = {f"missing_{field}" for call in _calls("_missing") if (field := _constant(call.args[1]))}
    assert raised | fields == documented


@pytest.mark.parametrize("member", MEMBERS)
def test_the_architecture_page_names_every_member(member: str) -> None:
    assert re.search(rf"`{member}`", ARCHITECTURE)


def test_the_architecture_page_names_every_topic_and_schema() -> None:
    schemas = {path.name for path in ROOT.glob("contracts/schemas/*.json")}
    assert {name for name in (*topics.ALL, *schemas) if name not in ARCHITECTURE} == set()


@pytest.mark.parametrize("name", topics.ALL)
def test_every_topic_has_its_contract_and_a_contract_names_what_there_is(name: str) -> None:
    contract = yaml.safe_load((ROOT / "contracts" / "topics" / f"{name}.yaml").read_text())
    assert contract["name"] == name
    assert contract["max_record_bytes"] == topics.MAX_RECORD_BYTES
    assert {*contract["producers"], *contract["consumers"]} <= set(MEMBERS)


def test_every_contract_is_of_a_topic() -> None:
    assert {path.stem for path in ROOT.glob("contracts/topics/*.yaml")} == set(topics.ALL)


def test_every_file_and_name_of_the_code_that_the_architecture_page_cites_exists() -> None:
    cited = set(re.findall(r"`([^`\s]+)`", ARCHITECTURE))
    files = {path for path in cited if re.search(r"/\S*\.(py|sql|js|lark|yaml|json|md)$", path)}
    assert len(files) > 20
    assert {path for path in files if not list(ROOT.glob(path))} == set()
    packages = {path.parent.name for path in ROOT.glob("[ls]*/*/src/*/__init__.py")}
    names = {
        name for name in cited if re.fullmatch(r"(\w+)(\.\w+)+", name) and name.split(".")[0] in packages
    }
    names -= set(topics.ALL)
    assert len(names) > 10
    assert {name for name in names if not _importable(name)} == set()


def _importable(name: str) -> bool:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[length:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{target} in {page.name}"
        assert ROOT in (linked, *linked.parents), f"{target} leaves the repository"
        if anchor:
            assert anchor in _anchors(linked), f"{target} in {page.name}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_its_parts_and_one_line_that_can_be_quoted(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^## (.+)$", text, re.M) == [
        "Context", "Decision", "Consequences", "Alternatives", "What enforces it",
    ]  # fmt: skip
    decision = text.partition("## Decision\n")[2].strip().partition("\n\n")[0]
    assert decision.startswith("**")
    assert decision.endswith("**")
    assert text.startswith(f"# {page.name[:4]}: ")


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert {page.name for page in DECISIONS if f"decisions/{page.name}" not in ARCHITECTURE} == set()


def test_every_vendor_of_the_table_has_its_migration_page_and_the_index_lists_all() -> None:
    pages = {page.stem for page in (DOCS / "migrating").glob("*.md")} - {"README"}
    assert pages == {row.vendor for row in TABLE}
    index = (DOCS / "migrating" / "README.md").read_text()
    assert {page for page in pages if f"({page}.md)" not in index} == set()


def test_every_service_has_a_page_that_says_how_to_run_it() -> None:
    for service in ROOT.glob("services/*"):
        text = (service / "README.md").read_text()
        package = next(path.parent.name for path in service.glob("src/*/__main__.py"))
        assert f"python -m {package}" in text
        assert "docs/settings.md" in text


def test_the_glossary_is_in_order_and_says_everything_once() -> None:
    terms = re.findall(r"^\*\*([^*]+)\*\*", (DOCS / "glossary.md").read_text(), re.M)
    assert len(terms) > 50
    assert terms == sorted(set(terms), key=str.casefold)


def test_what_the_docs_call_json_is_json() -> None:
    for page in PAGES:
        for text in re.findall(r"^```json\n(.*?)^```$", page.read_text(), re.M | re.S):
            json.loads(text)
