"""GET /js/…: the browser client as a script and as a module, compressed once and cached by its content."""

import gzip
import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_MAX_AGE_S: Final = 3600
_JAVASCRIPT: Final = "text/javascript; charset=utf-8"
_COMMENT: Final = re.compile(r"^ *// .*\n", re.M)
_ABOUT: Final = """\
/* Footfall's browser client: <script src="https://HOST/js/footfall.js" data-key="ffw_…" async></script>
   footfall.track("ada@acme.example", "opened report", {account: "acme", rows: 12}) */
"""
_ABOUT_MODULE: Final = """\
/* Footfall's browser client: import { init, track } from "https://HOST/js/footfall.mjs"; init({ key: "ffw_…" });
   track("ada@acme.example", "opened report", { account: "acme", rows: 12 }) */
"""


def routes() -> Iterator[Route]:
    """The routes of all forms of the client, which are made of one source here, and of Totango's in its place."""
    core, classic, module = (_COMMENT.sub("", _text(name)) for name in ("core.js", "classic.js", "module.js"))
    script = f'{_ABOUT}(() => {{\n"use strict";\n{core}{classic}}})();\n'
    yield Route("/js/footfall.js", _File(script, _JAVASCRIPT).answer)
    yield Route("/js/footfall.mjs", _File(_ABOUT_MODULE + core + module, _JAVASCRIPT).answer)
    yield Route("/js/totango.js", _File(_text("totango.js"), _JAVASCRIPT).answer)
    yield Route("/js/footfall.d.mts", _File(_text("footfall.d.mts"), "text/plain; charset=utf-8").answer)


def _text(name: str) -> str:
    return (files("ingest_api") / "clients" / name).read_text(encoding="utf-8")


class _File:
    """A text in memory; `answer` is its route."""

    def __init__(self, text: str, media_type: str) -> None:
        self._plain = text.encode()
        self._media_type = media_type
        self._gzip = gzip.compress(self._plain, mtime=0)
        self._etag = f'W/"{hashlib.sha256(self._plain).hexdigest()[:20]}"'

    async def answer(self, request: Request) -> Response:
        """The text; 304 when the browser has it."""
        headers = {
            "etag": self._etag,
            "cache-control": f"public, max-age={_MAX_AGE_S}, stale-while-revalidate=86400",
            "cross-origin-resource-policy": "cross-origin",
            "x-content-type-options": "nosniff",
            "vary": "Accept-Encoding",
        }
        if self._etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        body = self._plain
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            body = self._gzip
        return Response(body, headers=headers, media_type=self._media_type)
