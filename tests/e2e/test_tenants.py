"""Another project's credential on every route: refused, and never a word of what is not theirs."""

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import jwt
import pytest

from footfall.embedded import running_url
from footfall_process import eventually
from route_cases import Case, Kind, cases
from suite_routes import collect_routes
from two_tenants import CANARY, Tenants, bearer, running_tenants

pytestmark = pytest.mark.e2e

Who: TypeAlias = Literal[
    "nobody", "garbage", "bytes", "unsigned token", "forged token", "expired token",
    "revoked key", "token of a revoked key", "our write key", "our narrow token",
    "their secret key", "their secret key, our project", "their write key", "their token",
    "their session", "their session, our project", "their session, both projects",
]  # fmt: skip

_UNKNOWN: tuple[Who, ...] = (
    "nobody", "garbage", "bytes", "unsigned token", "forged token", "expired token", "revoked key",
    "token of a revoked key",
)  # fmt: skip


def expected(kind: Kind, who: Who) -> set[int]:
    """The statuses that are right. 2xx on another's credential is about their own project alone."""
    if kind == "public":
        return {200, 303, 410}
    if kind == "pixel":
        return {200}
    if kind == "page":
        return {404} if who in ("their session, our project", "their session, both projects") else {303}
    if kind == "session":
        return {200} if who in _SESSIONS else {401}
    if who in _UNKNOWN:
        return {401}
    if kind == "send":
        return _SENDING.get(who, {401})
    return _STATUSES[kind].get(who, _BY_DEFAULT[who])


_SESSIONS: tuple[Who, ...] = (
    "their session",
    "their session, our project",
    "their session, both projects",
)
_ADMINISTRATORS: tuple[Who, ...] = ("their secret key", "their secret key, our project", *_SESSIONS)
# Of these the key decides, whichever project the address names.
_SENDING: dict[Who, set[int]] = {
    "our write key": {200}, "our narrow token": {403}, "their token": {403},
    "their secret key": {200}, "their secret key, our project": {200}, "their write key": {200},
}  # fmt: skip
_BY_DEFAULT: dict[Who, set[int]] = {
    "our write key": {403}, "our narrow token": {403}, "their secret key": {404},
    "their secret key, our project": {404}, "their write key": {403}, "their token": {403},
    "their session": {400}, "their session, our project": {404}, "their session, both projects": {400},
}  # fmt: skip
_STATUSES: dict[Kind, dict[Who, set[int]]] = {
    "read list": {"our narrow token": {200}, "their secret key": {200}, "their token": {200}},
    "read whole": {"their secret key": {200}, "their token": {200}},
    "read one": {"their token": {404}},
    "change own": {"their secret key": {200, 201, 202}},
    "change one": {},
    "project": {who: {404} for who in _SESSIONS},
    "projects": {who: {200} for who in _ADMINISTRATORS},
    "new project": {who: {403} for who in _ADMINISTRATORS},
    "login link": {who: {403} for who in _SESSIONS},
}


@dataclass(frozen=True)
class Attempt:
    """A credential as it is sent: headers, and what the address says beside."""

    headers: dict[str, Any]
    query: tuple[str, ...] = ()


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    with running_tenants(tmp_path_factory.mktemp("tenants") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def attempts(tenants: Tenants) -> dict[Who, Attempt]:
    ours, theirs = tenants.ours, tenants.theirs
    revoked = tenants.ask(
        "POST", f"/v1/projects/{ours.project}/keys", json={"kind": "secret"}, headers=bearer(ours.secret_key)
    ).json()
    of_revoked = _token(tenants, revoked["key"])
    expired = _token(tenants, ours.secret_key, expires_in_s=1)
    ends = time.monotonic() + 2
    narrow = _token(tenants, ours.secret_key, account="acme", user="ada")
    gone = tenants.ask(
        "DELETE", f"/v1/projects/{ours.project}/keys/{revoked['id']}", headers=bearer(ours.secret_key)
    )
    assert gone.status_code == 204
    browser = {**theirs.session, "origin": tenants.up.url}
    other_way = (f"project={ours.project}",)
    made: dict[Who, Attempt] = {
        "nobody": Attempt({}),
        "garbage": Attempt(bearer("ffs_" + "x" * 43)),
        "bytes": Attempt({"authorization": b"Bearer \xff\xfe\x00".rstrip(b"\x00")}),
        "unsigned token": Attempt(bearer(_unsigned(narrow))),
        "forged token": Attempt(bearer(_forged(narrow))),
        "expired token": Attempt(bearer(expired)),
        "revoked key": Attempt(bearer(revoked["key"])),
        "token of a revoked key": Attempt(bearer(of_revoked)),
        "our write key": Attempt(bearer(ours.write_key)),
        "our narrow token": Attempt(bearer(narrow)),
        "their secret key": Attempt(bearer(theirs.secret_key)),
        "their secret key, our project": Attempt(bearer(theirs.secret_key), other_way),
        "their write key": Attempt(bearer(theirs.write_key), other_way),
        "their token": Attempt(bearer(_token(tenants, theirs.secret_key))),
        "their session": Attempt(browser),
        "their session, our project": Attempt(browser, other_way),
        "their session, both projects": Attempt(browser, (*other_way, f"project={theirs.project}")),
    }
    for who in ("revoked key", "token of a revoked key"):
        eventually(lambda who=who: _is_refused(tenants, made[who]), 5)  # type: ignore[misc]  # bound here
    eventually(lambda: time.monotonic() > ends)
    return made


def _is_refused(tenants: Tenants, attempt: Attempt) -> bool:
    return tenants.ask("GET", "/v1/activity", headers=attempt.headers).status_code == 401


def _token(tenants: Tenants, key: str, **wanted: Any) -> str:
    return str(tenants.ask("POST", "/v1/tokens", json=wanted, headers=bearer(key)).json()["token"])


def _unsigned(token: str) -> str:
    """The same claims, without restriction, and the algorithm `none`."""
    claims = {**_claims(token), "account": None, "user": None}
    parts = ({**jwt.get_unverified_header(token), "alg": "none"}, claims)
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
        + "."
    )


def _forged(token: str) -> str:
    headers = jwt.get_unverified_header(token)
    return jwt.encode(_claims(token), "f" * 43, algorithm="HS256", headers={"kid": headers["kid"]})


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


async def test_every_route_has_an_expectation(tenants: Tenants, tmp_path: Path) -> None:
    found = await collect_routes(running_url(tenants.up.directory), tmp_path)
    known = set(cases(tenants))
    assert found - known == set(), "say in cases() what another project's credential may do on these routes"
    assert known - found == set(), "these routes are gone"


def test_the_canary_would_be_seen_where_it_is_shown(tenants: Tenants) -> None:
    """The matrix proves nothing about a route whose answer to ourselves holds no canary."""
    own = Attempt(bearer(tenants.ours.secret_key))
    blind = [
        route
        for route, case in cases(tenants).items()
        if case.shows and CANARY not in _send(tenants, route[0], case, own)[1]
    ]
    assert blind == []


def test_another_credential_gets_a_refusal_or_its_own_and_never_our_data(
    tenants: Tenants, attempts: dict[Who, Attempt]
) -> None:
    def judge(route: tuple[str, str], case: Case, who: Who) -> str | None:
        attempt = attempts[who]
        status, said = _send(tenants, route[0], case, attempt)
        asked = json.dumps([case.path, case.body, attempt.query])
        if status not in expected(case.kind, who):
            return f"{route} as {who}: {status}, expected {expected(case.kind, who)}: {said[:200]}"
        if words := _leaked(said, asked):
            return f"{route} as {who} shows {words}"
        if status >= 400 and case.kind not in ("public", "pixel", "page") and not _in_contract(said):
            return f"{route} as {who} answers no error of the contract: {said[:200]}"
        return None

    pairs = [
        (route, case, who)
        for route, case in cases(tenants).items()
        for who in attempts
        if not (case.path == "/logout" and "session" in who)  # which would end it for the others
    ]
    with ThreadPoolExecutor(8) as pool:
        wrong = [found for found in pool.map(lambda pair: judge(*pair), pairs) if found]
    assert wrong == []


def test_after_all_those_attempts_our_project_is_as_it_was(tenants: Tenants) -> None:
    names, key = tenants.names, bearer(tenants.ours.secret_key)
    assert tenants.ask("GET", f"/v1/rules/{names.rule}", headers=key).status_code == 200
    assert tenants.ask("GET", f"/v1/imports/{names.run}", headers=key).json()["state"] == "done"
    keys = tenants.ask("GET", f"/v1/projects/{tenants.ours.project}/keys", headers=key).json()["items"]
    assert {entry["label"] for entry in keys if entry["revoked_at"] is None} == {"", f"{CANARY} label"}
    assert len(keys) == 4, "two it began with, one with a label, one revoked"
    rules = tenants.ask("GET", "/v1/rules", headers=key).json()["items"]
    assert [rule["name"] for rule in rules] == [names.rule]
    view = tenants.ask("GET", f"/v1/projects/{tenants.ours.project}", headers=key).json()
    assert view["name"] == f"{CANARY} project"


def test_a_stream_carries_its_own_project_and_its_own_restriction_only(tenants: Tenants) -> None:
    ours, theirs = tenants.ours, tenants.theirs
    rule = 'rule "marks" { on marked do dashboard(note: "their note") }'
    made = tenants.ask("POST", "/v1/rules", json={"text": rule}, headers=bearer(theirs.secret_key))
    assert made.status_code == 200
    narrow = _token(tenants, ours.secret_key, account="acme")
    # Who follows, with what in the address, until which word has come.
    followers: list[tuple[dict[str, str], str, str]] = [
        (bearer(theirs.secret_key), "", "their-marker"),
        ({}, f"token={_token(tenants, theirs.secret_key)}", "their-marker"),
        (theirs.session, f"project={theirs.project}", "their-marker"),
        (bearer(theirs.secret_key), "topic=actions", "their note"),
        (bearer(narrow), "", "our-marker"),
    ]
    with (
        ExitStack() as stack,
        ThreadPoolExecutor(len(followers)) as pool,
    ):
        read = []
        for headers, query, word in followers:
            opening = tenants.client.stream("GET", f"/v1/stream?{query}", headers=headers)
            stream = stack.enter_context(opening)
            assert stream.status_code == 200
            chunks = stream.iter_text()
            next(chunks)
            read.append(pool.submit(_read_until, chunks, word))
        for tenant, sent in (
            (ours, {"user": f"{CANARY}-live", "account": f"{CANARY}-account"}),
            (ours, {"user": "our-marker", "account": "acme"}),
            (theirs, {"user": "their-marker", "account": "acme"}),
        ):
            event = {**sent, "action": "marked"}
            accepted = tenants.ask("POST", "/v1/events", json=event, headers=bearer(tenant.write_key))
            assert accepted.json()["accepted"] == 1
        said = [future.result(timeout=30) for future in read]
    assert [text for text, (*_, word) in zip(said, followers, strict=True) if word not in text] == []
    assert [text for text in said if CANARY in text] == []
    assert [text for text in said[:-1] if "our-marker" in text] == []


def _read_until(chunks: Iterator[str], word: str) -> str:
    """What came; the word is its end, or missing after some heartbeats."""
    said = ""
    while word not in said and said.count("event: hb") < 1:
        said += next(chunks)
    return said


def _send(tenants: Tenants, method: str, case: Case, attempt: Attempt) -> tuple[int, str]:
    """The status, and the headers and body as text; of a stream that stays open, its beginning."""
    parts = [part for part in (case.path.partition("?")[2], *attempt.query) if part]
    address = case.path.partition("?")[0] + (f"?{'&'.join(parts)}" if parts else "")
    sent = {"json": case.body} if case.body is not None else {"content": case.content}
    with tenants.client.stream(method, address, headers=attempt.headers, **sent) as answer:
        endless = case.path == "/v1/stream" and answer.status_code == 200
        body = next(answer.iter_text()) if endless else answer.read().decode(errors="replace")
        return answer.status_code, f"{answer.headers}\n{body}"


def _leaked(said: str, asked: str) -> list[str]:
    """The words with the canary in them that the question did not hold itself."""
    words = {word for word in said.replace("\\", '"').split('"') if CANARY in word}
    return sorted(word for word in words if word not in asked)


def _in_contract(said: str) -> bool:
    try:
        body = json.loads(said.partition("\n")[2])
    except ValueError:
        return False
    return isinstance(body, dict) and {"code", "message"} <= body.keys()
