"""GET /js/footfall.js: the browser client, compressed once and cached by its content."""

import gzip
import hashlib
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

PATH: Final = "/js/footfall.js"
_MAX_AGE_S = 3600


class BrowserClient:
    """The script in memory; `answer` is the route."""

    def __init__(self) -> None:
        self._plain = (files("ingest_api") / "clients" / "footfall.js").read_bytes()
        self._gzip = gzip.compress(self._plain, mtime=0)
        self._etag = f'W/"{hashlib.sha256(self._plain).hexdigest()[:20]}"'

    async def answer(self, request: Request) -> Response:
        """The script; 304 when the browser has it."""
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
        return Response(body, headers=headers, media_type="text/javascript; charset=utf-8")
