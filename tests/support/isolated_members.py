"""Imports every module of every member where only the member and what it declares is installed.

The shared environment holds everybody's dependencies, so a module that imports what its member does not
declare works there and fails for whoever installs the member alone. Run by `make isolated`.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
UV = str(Path(sys.executable).with_name("uv"))
_IMPORT_ALL = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"


def members() -> list[Path]:
    """The workspace's members, libs first."""
    return [
        path.parent
        for folder in ("libs", "services", "clients")
        for path in sorted((ROOT / folder).glob("*/pyproject.toml"))
    ]


def modules(member: Path) -> Iterator[str]:
    """The dotted names of the member's modules."""
    source = member / "src"
    for path in sorted(source.rglob("*.py")):
        name = ".".join(path.relative_to(source).with_suffix("").parts)
        yield name.removesuffix(".__init__")


def import_alone(member: Path, directory: Path) -> str | None:
    """Install the member into `directory` and import its modules; what went wrong, if anything."""
    environ = {**os.environ, "VIRTUAL_ENV": str(directory), "PYTHONDONTWRITEBYTECODE": "1"}
    python = str(directory / "bin" / "python")
    steps = [
        [UV, "venv", "-q", "--no-project", "--python", sys.executable, str(directory)],
        [UV, "pip", "install", "-q", "--python", python, "--constraint", str(LOCK),
         "--build-constraint", str(LOCK), "--editable", str(member)],
        [python, "-c", _IMPORT_ALL, *modules(member)],
    ]  # fmt: skip
    for step in steps:
        done = subprocess.run(
            step, env=environ, cwd=directory.parent, capture_output=True, text=True, check=False
        )
        if done.returncode:
            return done.stderr.strip() or done.stdout.strip()
    return None


def main() -> int:
    """Try all members; 1 when one of them cannot stand alone."""
    failed = 0
    for member in members():
        began_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="footfall-alone-") as directory:
            wrong = import_alone(member, Path(directory) / "venv")
        name = member.relative_to(ROOT)
        sys.stdout.write(f"{name}: {'fails' if wrong else 'ok'} ({time.monotonic() - began_s:.1f} s)\n")
        if wrong:
            failed += 1
            sys.stdout.write(f"{wrong}\n")
    if failed:
        sys.stdout.write("Declare what a member imports in its own pyproject.toml.\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
