"""Which requests of an access log say nothing about a customer: each rule has a name and is counted."""

from functools import lru_cache
from typing import Final, Literal, TypeAlias

from crawleruseragents import is_crawler

Rule: TypeAlias = Literal["blank", "not_http", "method", "health", "bot", "static", "scanner", "status"]

METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
"""The methods a person's click can cause; HEAD, OPTIONS, CONNECT and the rest are machinery."""

STATIC_SUFFIXES: Final = frozenset(
    (
        "avif", "bmp", "css", "cur", "eot", "gif", "ico", "jpeg", "jpg", "js", "map", "mjs", "mp3", "mp4", "ogg",
        "ogv", "otf", "png", "svg", "ttf", "txt", "wasm", "wav", "webm", "webmanifest", "webp", "woff", "woff2",
    )
)  # fmt: skip
HEALTH_PATHS: Final = frozenset(
    (
        "/health", "/healthcheck", "/healthz", "/livez", "/metrics", "/ping", "/ready", "/readyz",
        "/server-status", "/status",
    )
)  # fmt: skip
_PROBE_AGENTS: Final = (
    "kube-probe",
    "ELB-HealthChecker",
    "GoogleHC",
    "GoogleStackdriverMonitoring",
    "Consul Health",
)
_CLASSIFIED_CHARS: Final = 512
_SCANNER_STARTS: Final = (
    "/.env",
    "/.git/",
    "/.aws/",
    "/.svn/",
    "/.vscode/",
    "/boaform/",
    "/cgi-bin/",
    "/hnap1",
    "/phpmyadmin",
    "/vendor/phpunit",
    "/wp-admin",
    "/wp-content/",
    "/wp-includes/",
    "/wp-login.php",
    "/xmlrpc.php",
)


def noise(method: str, path: str, status: int, agent: str | None) -> Rule | None:
    """The first rule that makes this request noise, or None: a request by a person, as far as can be told."""
    if method not in METHODS:
        return "method"
    machine = machine_agent(agent[:_CLASSIFIED_CHARS]) if agent else None
    lowered = path.lower()
    if machine == "health" or lowered in HEALTH_PATHS:
        return "health"
    if machine == "bot":
        return "bot"
    if lowered.rpartition("/")[2].rpartition(".")[2] in STATIC_SUFFIXES and "." in lowered:
        return "static"
    if lowered.startswith(_SCANNER_STARTS):
        return "scanner"
    if not 200 <= status < 400:
        return "status"
    return None


# The list's patterns cost 150 µs an agent, and a log repeats its agents.
@lru_cache(maxsize=1 << 14)
def machine_agent(agent: str) -> Literal["bot", "health"] | None:
    """`health` for a balancer's probe, `bot` for a known crawler, None for anything else."""
    if any(probe in agent for probe in _PROBE_AGENTS):
        return "health"
    return "bot" if is_crawler(agent) else None
