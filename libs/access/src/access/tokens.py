"""Stream tokens: short-lived JWTs for browsers, signed with HMAC-SHA-256 and nothing else."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt

from access.keys import new_secret
from access.model import Principal
from eventmodel import ProjectId

AUDIENCE = "footfall.stream"
DEFAULT_TOKEN_S = 3_600
MAX_TOKEN_S = 86_400
MAX_TOKEN_CHARS = 4_096

_ALGORITHM = "HS256"
# The expiry is compared with the injected clock; the library would take the system's.
_OPTIONS: Any = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "require": ["aud", "exp", "jti", "project", "by"],
}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret that signs stream tokens. A retired one still verifies, until what it signed has expired."""

    id: str
    secret: bytes
    retired: bool = False


def sign(principal: Principal, key: SigningKey) -> str:
    """The token that says what the principal says. It needs an expiry and the key id it is issued with."""
    assert principal.expires_at is not None
    claims = {
        "aud": AUDIENCE,
        "project": principal.project,
        "by": principal.key_id,
        "exp": int(principal.expires_at.timestamp()),
        "jti": new_secret(),
    }
    if principal.account is not None:
        claims["account"] = principal.account
    if principal.user is not None:
        claims["user"] = principal.user
    return jwt.encode(claims, key.secret, algorithm=_ALGORITHM, headers={"kid": key.id})


def signing_key_id(token: str) -> str | None:
    """The id of the signing key a token names; None when the text is no token. Nothing is verified yet."""
    if len(token) > MAX_TOKEN_CHARS or token.count(".") != 2:
        return None
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    key_id = header.get("kid")
    return key_id if isinstance(key_id, str) and header.get("alg") == _ALGORITHM else None


def verify(token: str, key: SigningKey, now: datetime) -> Principal | None:
    """What the token says, if the key signed it, for streams, and it has not expired."""
    try:
        claims = jwt.decode(token, key.secret, algorithms=[_ALGORITHM], audience=AUDIENCE, options=_OPTIONS)
        expires_at = datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, OSError, RecursionError):
        return None
    project, by, account, user = (claims.get(name) for name in ("project", "by", "account", "user"))
    if not isinstance(project, str) or not isinstance(by, str) or expires_at <= now:
        return None
    if not isinstance(account, str | None) or not isinstance(user, str | None):
        return None
    return Principal(ProjectId(project), "token", by, account, user, expires_at)
