"""Issues stream tokens, and makes and rotates the keys that sign them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from access.cache import Access
from access.database import Connection, Pool, changing
from access.errors import InvalidValue
from access.keys import new_id, new_secret
from access.model import Principal
from access.tokens import DEFAULT_TOKEN_S, MAX_TOKEN_S, SigningKey, sign
from lifecycle.clock import Clock

MAX_RESTRICTION_CHARS = 512


@dataclass(frozen=True, slots=True)
class Issued:
    """A stream token and its end, in whole seconds."""

    token: str
    expires_at: datetime


class TokenIssuer:
    """Every method raises AccessUnavailable when the database is needed and away."""

    def __init__(self, pool: Pool, access: Access, clock: Clock) -> None:
        self._pool = pool
        self._access = access
        self._clock = clock

    async def issue(
        self,
        issuer: Principal,
        *,
        account: str | None = None,
        user: str | None = None,
        expires_in_s: int = DEFAULT_TOKEN_S,
    ) -> Issued:
        """A token that reads the issuer's project, restricted to the account and user when given.

        It ends with its time, or with the key or session it is issued with, whichever is first. Raises
        InvalidValue.
        """
        if not 1 <= expires_in_s <= MAX_TOKEN_S:
            raise InvalidValue("expires_in_s", f"expires_in_s is 1 to {MAX_TOKEN_S:,} seconds.")
        for field, value in (("account", account), ("user", user)):
            if value is not None and not _is_id(value):
                raise InvalidValue(
                    field, f"{field} is 1 to {MAX_RESTRICTION_CHARS} characters, none of them NUL."
                )
        expires_at = (self._clock.now() + timedelta(seconds=expires_in_s)).replace(microsecond=0)
        if issuer.expires_at is not None:
            expires_at = min(expires_at, issuer.expires_at.replace(microsecond=0))
        principal = Principal(issuer.project, "token", issuer.key_id, account, user, expires_at)
        return Issued(sign(principal, await self._signing_key()), expires_at)

    async def rotate(self) -> None:
        """Sign with a new key from now on; tokens of the old one hold until they expire."""
        async with changing(self._pool) as connection:
            await connection.execute(
                "UPDATE access.signing_key SET retired_at = $1 WHERE retired_at IS NULL", self._clock.now()
            )
            await self._insert(connection)
        await self._access.refresh()

    async def _signing_key(self) -> SigningKey:
        held = self._access.signing_key()
        if held is not None:
            return held
        async with changing(self._pool) as connection:
            exists = await connection.fetchval("SELECT true FROM access.signing_key WHERE retired_at IS NULL")
            if not exists:
                await self._insert(connection)
        await self._access.refresh()
        made = self._access.signing_key()
        assert made is not None, "a key that signs was found or made, and read after that"
        return made

    async def _insert(self, connection: Connection) -> None:
        await connection.execute(
            "INSERT INTO access.signing_key (id, secret, created_at) VALUES ($1, $2, $3)",
            new_id("signing"),
            new_secret().encode(),
            self._clock.now(),
        )


def _is_id(text: str) -> bool:
    """Whether an account or a user can have this id: no database stores NUL or half a surrogate pair."""
    return 1 <= len(text) <= MAX_RESTRICTION_CHARS and not any(
        letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text
    )
