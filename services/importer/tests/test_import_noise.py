"""Which requests of an access log are noise, and by which rule."""

import pytest

from importer.noise import noise

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


@pytest.mark.parametrize(
    ("method", "path", "status", "agent", "rule"),
    [
        ("GET", "/pricing", 200, FIREFOX, None),
        ("POST", "/login", 302, FIREFOX, None),
        ("GET", "/pricing", 304, None, None),
        ("HEAD", "/pricing", 200, FIREFOX, "method"),
        ("OPTIONS", "*", 200, FIREFOX, "method"),
        (
            "GET",
            "/pricing",
            200,
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "bot",
        ),
        ("GET", "/pricing", 200, "curl/8.5.0", "bot"),
        ("GET", "/anything", 200, "kube-probe/1.31", "health"),
        ("GET", "/", 200, "ELB-HealthChecker/2.0", "health"),
        ("GET", "/healthz", 200, FIREFOX, "health"),
        ("GET", "/assets/app.JS", 200, FIREFOX, "static"),
        ("GET", "/fonts/a.woff2", 304, FIREFOX, "static"),
        ("GET", "/favicon.ico", 404, FIREFOX, "static"),
        ("GET", "/js", 200, FIREFOX, None),
        ("GET", "/docs/node.js/guide", 200, FIREFOX, None),
        ("GET", "/wp-login.php", 200, FIREFOX, "scanner"),
        ("GET", "/.env", 404, FIREFOX, "scanner"),
        ("GET", "/missing", 404, FIREFOX, "status"),
        ("GET", "/broken", 500, FIREFOX, "status"),
        ("GET", "/switching", 101, FIREFOX, "status"),
    ],
)
def test_each_rule(method: str, path: str, status: int, agent: str | None, rule: str | None) -> None:
    assert noise(method, path, status, agent) == rule


def test_an_agent_of_any_length_is_judged_by_its_start() -> None:
    assert noise("GET", "/", 200, FIREFOX + " " * 400_000 + "Googlebot") is None
