"""Makes docs/settings.md, docs/metrics.md and the list of known settings from the code: they cannot drift.

`python tests/support/reference_pages.py` writes all three; tests compare.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from lifecycle.settings import Settings, variable
from telemetry import catalog

ROOT = Path(__file__).parents[2]
SETTINGS_PAGE = ROOT / "docs" / "settings.md"
METRICS_PAGE = ROOT / "docs" / "metrics.md"
KNOWN_SETTINGS = ROOT / "libs" / "lifecycle" / "src" / "lifecycle" / "known_settings.py"
COMMAND = ".venv/bin/python tests/support/reference_pages.py"
MODULES = {
    "ingest-api": "ingest_api.settings",
    "stream-gateway": "stream_gateway.settings",
    "rule-engine": "rule_engine.settings",
    "importer": "importer.settings",
    "all-in-one": "footfall.settings",
}
# Read by the operator's commands, which have no settings class.
COMMANDS = {
    "FOOTFALL_KEY": "The secret key, or the admin token for `footfall project`, that the commands use with "
    "`FOOTFALL_URL`.",
    "FOOTFALL_URL": "The address of a Footfall elsewhere, for the commands; without it they look for an "
    "embedded installation in `--data`.",
}
_UNITS = {
    "_per_s": "a second",
    "_s": "seconds",
    "_ms": "milliseconds",
    "_bytes": "bytes",
    "_days": "days",
    "_mb": "MB",
}
_SETTINGS_HEAD = """# Settings

Every service reads its settings once, at its start, from environment variables. What is wrong is said all
together, and a `FOOTFALL_` variable that nobody reads is refused with the name it is nearest to: a typing error
never passes for a default. An empty variable is an unset one. Lists are written with commas.

Ignored, because Kubernetes sets them beside ours: `FOOTFALL_*_SERVICE_HOST`, `FOOTFALL_*_SERVICE_PORT*`,
`FOOTFALL_*_PORT`, `FOOTFALL_*_PORT_*`, and a `FOOTFALL_PORT` that begins with `tcp://`.

`--check` after any service's command reads them, says what is wrong and ends with exit code 2, or with 0.
"""
_KNOWN_HEAD = """All environment variables Footfall reads, so that each service knows the others' from a typing error.

Written by tests/support/reference_pages.py from the settings classes of all members.
"""
_METRICS_HEAD = """# Metrics

`GET /metrics` on every service, in Prometheus' text format. Every series also has the label `service`, so that
the installation in one process shows all services on one port. Labels take few values: never an id, an account
or an action. `process_*` (memory, CPU, file descriptors) comes with them.
"""


def settings_classes() -> Mapping[str, type[Settings]]:
    """By service, the settings class of those that have one."""
    return {service: _class(module) for service, module in MODULES.items() if _exists(module)}


def settings_fields() -> Mapping[str, tuple[FieldInfo, list[str]]]:
    """By variable: the field, and the services that read it."""
    found: dict[str, tuple[FieldInfo, list[str]]] = {
        variable(name): (field, []) for name, field in Settings.model_fields.items()
    }
    for service, kind in settings_classes().items():
        for name, field in kind.model_fields.items():
            found.setdefault(variable(name), (field, []))[1].append(service)
    return found


def render_settings() -> str:
    """The text of docs/settings.md."""
    fields = settings_fields()
    shared = {variable(name) for name in Settings.model_fields}
    rows = ["| variable | default | unit | meaning | read by |", "| --- | --- | --- | --- | --- |"]
    for name in sorted({*fields, *COMMANDS}):
        if name in COMMANDS:
            rows.append(f"| `{name}` | unset | | {COMMANDS[name]} | the `footfall` command |")
            continue
        field, services = fields[name]
        readers = "every service" if name in shared else ", ".join(services)
        rows.append(
            f"| `{name}` | {_default(field)} | {_unit(name)} | {_cell(field.description)} | {readers} |"
        )
    return "\n".join([_SETTINGS_HEAD, *rows, ""])


def render_known() -> str:
    """The text of lifecycle/known_settings.py."""
    names = "".join(f'        "{name}",\n' for name in sorted({*settings_fields(), *COMMANDS}))
    known = f"KNOWN: frozenset[str] = frozenset(\n    {{\n{names}    }}\n)\n"
    return f'"""{_KNOWN_HEAD}"""\n\n{known}'


def render_metrics() -> str:
    """The text of docs/metrics.md."""
    rows = ["| metric | kind | labels | meaning |", "| --- | --- | --- | --- |"]
    for metric in sorted(catalog.ALL):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {_cell(metric.meaning)} |")
    return "\n".join([_METRICS_HEAD, *rows, ""])


def sources() -> Iterator[str]:
    """The text of every module of every member."""
    for folder in ("libs", "services"):
        for path in sorted((ROOT / folder).glob("*/src/**/*.py")):
            yield path.read_text()


def _exists(module: str) -> bool:
    return find_spec(module.partition(".")[0]) is not None and find_spec(module) is not None


def _class(module: str) -> type[Settings]:
    loaded = import_module(module)
    own = [
        kind
        for kind in vars(loaded).values()
        if isinstance(kind, type) and issubclass(kind, Settings) and kind.__module__ == module
    ]
    if len(own) != 1:
        raise AssertionError(f"{module} must hold one settings class; it holds {len(own)}")
    return own[0]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "**required**"
    if value is None or value in ("", ()):
        return "unset"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(str(item) for item in value)}`"
    return f"`{value}`"


def _unit(name: str) -> str:
    lower = name.lower()
    return next((unit for ending, unit in _UNITS.items() if lower.endswith(ending)), "")


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


if __name__ == "__main__":
    SETTINGS_PAGE.write_text(render_settings())
    METRICS_PAGE.write_text(render_metrics())
    KNOWN_SETTINGS.write_text(render_known())
