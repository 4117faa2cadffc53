import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.keys import new_id, new_secret
from access.model import Principal
from access.tokens import AUDIENCE, SigningKey, sign, signing_key_id, verify
from eventmodel import ProjectId

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
KEY = SigningKey(new_id("signing"), new_secret().encode())
PRINCIPAL = Principal(
    ProjectId(new_id("project")), "token", new_id("key"), "acme", "ada", NOW + timedelta(hours=1)
)
CLAIMS = {
    "aud": AUDIENCE,
    "project": PRINCIPAL.project,
    "by": PRINCIPAL.key_id,
    "exp": int(NOW.timestamp()) + 60,
    "jti": "1",
}


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def forged(claims: dict[str, Any], algorithm: str = "HS256", secret: bytes = KEY.secret) -> str:
    return jwt.encode(claims, secret, algorithm=algorithm, headers={"kid": KEY.id})


def test_a_token_says_what_was_signed() -> None:
    token = sign(PRINCIPAL, KEY)
    assert signing_key_id(token) == KEY.id
    assert verify(token, KEY, NOW) == PRINCIPAL


def test_two_tokens_of_the_same_content_differ() -> None:
    assert sign(PRINCIPAL, KEY) != sign(PRINCIPAL, KEY)


def test_a_token_ends_at_its_expiry() -> None:
    token = sign(PRINCIPAL, KEY)
    assert verify(token, KEY, NOW + timedelta(minutes=59, seconds=59)) is not None
    assert verify(token, KEY, NOW + timedelta(hours=1)) is None


def test_without_a_signature_a_token_is_nothing() -> None:
    for algorithm in ("none", "None", "NONE"):
        header = {"alg": algorithm, "typ": "JWT", "kid": KEY.id}
        token = f"{encoded(header)}.{encoded(CLAIMS)}."
        assert signing_key_id(token) is None
        assert verify(token, KEY, NOW) is None


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_another_algorithm_is_refused_with_the_right_secret() -> None:
    for algorithm in ("HS384", "HS512"):
        token = forged(CLAIMS, algorithm)
        assert signing_key_id(token) is None
        assert verify(token, KEY, NOW) is None


def test_another_secret_is_refused() -> None:
    assert verify(forged(CLAIMS, secret=new_secret().encode()), KEY, NOW) is None


def test_changed_claims_are_refused() -> None:
    header, _, signature = forged(CLAIMS).split(".")
    assert verify(f"{header}.{encoded({**CLAIMS, 'project': 'p2'})}.{signature}", KEY, NOW) is None


@pytest.mark.parametrize("claim", ["aud", "project", "by", "exp", "jti"])
def test_a_token_lacking_a_claim_is_refused(claim: str) -> None:
    assert verify(forged(CLAIMS), KEY, NOW) is not None
    assert verify(forged({name: value for name, value in CLAIMS.items() if name != claim}), KEY, NOW) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "other"},
        {"aud": ["x"]},
        {"exp": "soon"},
        {"exp": 1e300},
        {"exp": None},
        {"project": 7},
        {"account": ["acme"]},
        {"user": 1},
    ],
)
def test_a_claim_of_the_wrong_kind_is_refused(wrong: dict[str, Any]) -> None:
    assert verify(forged({**CLAIMS, **wrong}), KEY, NOW) is None


@given(st.text(max_size=300))
def test_garbage_is_no_token(text: str) -> None:
    assert signing_key_id(text) is None
    assert verify(text, KEY, NOW) is None


def test_deep_garbage_is_no_token() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 2900).decode().rstrip("=")
    assert signing_key_id(f"{deep}.e30.x") is None
    assert signing_key_id("a" * 5000 + "..") is None
