"""`/assets`: what the pages are made of, in memory, under an address that changes with any of it."""

import gzip
import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lifecycle.errors import Problem

MAX_TOTAL_BYTES: Final = 4 * 1024 * 1024

_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_MAX_AGE_S: Final = 365 * 86_400
# What a module loads with it: `import … from "./x.js"` and `export … from "./x.js"`, not `import("./x.js")`.
_STATIC_IMPORT: Final = re.compile(
    r"(?:^|[;\n}])\s*(?:import|export)\s*(?:[\w$*{},\s]+?\s*from\s*)?[\"'](\.{1,2}/[^\"']+)[\"']"
)


_COMMENT_LINES: Final = re.compile(r"^[ \t]*(?:/\*(?:(?!\*/)[\s\S])*\*/[ \t]*|//[^\n]*)\n", re.MULTILINE)
"""Lines that are nothing but comment: a seventh of what a page would load."""


@dataclass(frozen=True, slots=True)
class _File:
    media_type: str
    plain: bytes
    packed: bytes | None
    """The bytes as gzip, where that is shorter."""
    etag: str


class Assets:
    """The files below `assets/` as they were at the start; `version` is a hash of all names and bytes."""

    def __init__(self, sources: Mapping[str, bytes]) -> None:
        self._files = {path: _file(path, sources[path]) for path in sorted(sources)}
        digest = hashlib.sha256()
        for path, file in self._files.items():
            digest.update(f"{path}\0{len(file.plain)}\0".encode() + file.plain)
        self.version = digest.hexdigest()[:16]
        self._imports = {
            path: static_imports(path, file.plain.decode())
            for path, file in self._files.items()
            if path.endswith(".js")
        }

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def address(self, path: str) -> str:
        """Where the file is served."""
        return f"/assets/{self.version}/{path}"

    def stylesheets(self) -> list[str]:
        """The style sheets of the pages, in the order in which they build on each other."""
        first = ("tokens.css", "base.css")
        found = [path for path in self._files if path.endswith(".css") and "/" not in path]
        return sorted(found, key=lambda path: (first.index(path) if path in first else len(first), path))

    def modules(self, *entries: str) -> list[str]:
        """These modules and all they import statically, the entries first; what is not there is left out."""
        found: dict[str, None] = {}
        waiting = list(entries)
        while waiting:
            path = waiting.pop(0)
            if path in self._imports and path not in found:
                found[path] = None
                waiting.extend(self._imports[path])
        return list(found)

    async def answer(self, request: Request) -> Response:
        """The file, for a year under the present version.

        Under an earlier one it is the present file, not to be kept: a tab that was open before an update still
        loads the rest of its modules. 304 when the browser has it.
        """
        file = self._files.get(request.path_params["path"])
        if file is None:
            raise Problem(
                404,
                "not_found",
                f"There is nothing at {request.url.path}.",
                headers={"cache-control": "no-store"},
            )
        present = request.path_params["version"] == self.version
        headers = {
            "etag": file.etag,
            "cache-control": f"public, max-age={_MAX_AGE_S}, immutable" if present else "no-store",
            "x-content-type-options": "nosniff",
            "vary": "Accept-Encoding",
        }
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        body = file.plain
        if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            body = file.packed
        return Response(body, headers={**headers, "content-type": file.media_type})


def load_assets() -> Assets:
    """The package's assets; files of a kind that no page uses are left out."""
    sources: dict[str, bytes] = {}
    for path, file in _below(files("stream_gateway.pages") / "assets", PurePosixPath()):
        if path.suffix in _MEDIA_TYPES:
            sources[str(path)] = lean(str(path), file.read_bytes())
    total_bytes = sum(map(len, sources.values()))
    assert total_bytes <= MAX_TOTAL_BYTES, f"{total_bytes:,} bytes of assets would stay in memory"
    return Assets(sources)


def lean(path: str, plain: bytes) -> bytes:
    """Our scripts and style sheets without the lines that are only comment; anything else as it is.

    A text in a script has no line that begins with `//` or `/*`.
    """
    if not path.endswith((".js", ".css")) or path.startswith("vendor/"):
        return plain
    return _COMMENT_LINES.sub("", plain.decode()).encode()


def asset_routes(assets: Assets) -> APIRouter:
    """The route, without a credential: everybody's pages are made of the same."""
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route("/assets/{version}/{path:path}", assets.answer, methods=["GET", "HEAD"])
    return routes


def static_imports(path: str, source: str) -> list[str]:
    """The paths of the modules that load with the module at `path`."""
    folder = posixpath.dirname(path)
    return [posixpath.normpath(posixpath.join(folder, name)) for name in _STATIC_IMPORT.findall(source)]


def _below(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _below(entry, path / entry.name)
        else:
            yield path / entry.name, entry


def _file(path: str, plain: bytes) -> _File:
    packed = gzip.compress(plain, 9, mtime=0)
    return _File(
        _MEDIA_TYPES[PurePosixPath(path).suffix],
        plain,
        packed if len(packed) < len(plain) else None,
        f'W/"{hashlib.sha256(plain).hexdigest()[:20]}"',
    )
