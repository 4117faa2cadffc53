"""The SDKs of other vendors as their registries give them, pinned, installed once outside the repository."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

INSTALL_S = 600

_SDK = Path(__file__).parents[1] / "sdk"


def node_packages() -> Path:
    """The `node_modules` that tests/sdk/node/package-lock.json pins."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise AssertionError(
                f"The tests of other vendors' SDKs need {program}. Debian: apt-get install nodejs npm"
            )
    home = _installed("node", _SDK / "node" / "package-lock.json", _install_node)
    return home / "node_modules"


def python_sdks() -> Path:
    """A Python interpreter with what tests/sdk/python/requirements.lock pins."""
    lock = _SDK / "python" / "requirements.lock"
    return _installed("python", lock, _install_python) / "venv" / "bin" / "python"


def _installed(name: str, lock: Path, install: Callable[[Path], None]) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "footfall"
    home = cache / f"sdk-{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"sdk-{name}.lock").open("w") as held:
        # Two test runs at once must not install into one directory.
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            install(home)
            (home / "complete").touch()
    return home


def _install_node(home: Path) -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(_SDK / "node" / name, home / name)
    _run(["npm", "ci"], cwd=home)


def _install_python(home: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    python = home / "venv" / "bin" / "python"
    _run([uv, "venv", "-q", "--python", sys.executable, home / "venv"])
    lock = _SDK / "python" / "requirements.lock"
    _run([uv, "pip", "sync", "-q", "--python", python, "--require-hashes", lock])


def _run(command: list[str | Path], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    if done.returncode:
        shown = " ".join(str(part) for part in command)
        raise AssertionError(f"{shown} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
