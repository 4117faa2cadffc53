"""Pages of a few words that need no script: logging in, and what keeps the real pages from opening."""

from collections.abc import Mapping

from starlette.responses import HTMLResponse

from access.errors import AccessUnavailable
from stream_gateway.pages.assets import Assets

DATABASE_AWAY = "Footfall’s database does not answer"

_RETRY_S = 5
_STYLES = ("tokens.css", "base.css", "plain/notice.css")
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    # Not no-referrer: with it browsers send `Origin: null` with a form.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class Notices:
    """Puts content into the frame that all such pages share."""

    def __init__(self, assets: Assets) -> None:
        self._mark = f'<img src="{assets.address("favicon.svg")}" width="24" height="24" alt="">'
        self._head = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            f'<link rel="icon" href="{assets.address("favicon.svg")}" type="image/svg+xml">'
            + "".join(
                f'<link rel="stylesheet" href="{assets.address(path)}">' for path in _STYLES if path in assets
            )
        )

    def page(
        self, status: int, title: str, content: str, headers: Mapping[str, str] | None = None
    ) -> HTMLResponse:
        """The page; `title` and `content` are HTML, what stands in them of others is escaped already."""
        return HTMLResponse(
            f'{self._head}<title>{title} · Footfall</title></head><body class="notice-page"><main>'
            f'<p class="mark">{self._mark}Footfall</p><h1>{title}</h1>{content}</main></body></html>',
            status,
            {**_HEADERS, **(headers or {})},
        )

    def away(self, error: AccessUnavailable) -> HTMLResponse:
        """503, and the browser asks again by itself."""
        return self.page(
            503,
            DATABASE_AWAY,
            "<p>So nobody can be let in at the moment. Nothing needs to be done here: this page tries again every "
            f"{_RETRY_S} seconds, and opens as soon as the database is back.</p>",
            {"retry-after": str(error.retry_after_s), "refresh": str(_RETRY_S)},
        )
