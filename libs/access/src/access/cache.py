"""The reading side of access: one per process, a dictionary lookup a question, alive without the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from access.database import Pool
from access.errors import AccessUnavailable
from access.forgotten import ForgetRequest, Forgotten
from access.keys import digest, is_id, is_secret, kind_of
from access.model import Principal, Project, Session
from access.policies import Policies
from access.snapshot import DatabaseStore, Snapshot, Store
from access.tokens import SigningKey, signing_key_id, verify
from eventmodel import ProjectId
from lifecycle.clock import Clock
from policy import OPEN, Policy
from telemetry.catalog import ACCESS_REFRESHES, ACCESS_SNAPSHOT_AGE_SECONDS
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

POLL_S = 1.0
HOLD_S = 900.0
"""How long what is held answers while the database is away."""
RECHECK_EVERY_S = 0.1
RECHECK_WITHIN_S = 1.0
"""How long a request with an unknown key waits for the database; ingest answers within 2 s."""
MAX_GONE = 10_000

_UNCHECKED = "A credential unknown here cannot be checked: the database does not answer."
_log = get_logger(__name__)


class Access:
    """Who is asking, and what their project's settings are, from a snapshot that follows the database.

    Questions about keys, tokens and sessions raise AccessUnavailable when nothing was ever read, or when
    the database has been away for HOLD_S. Before a key, token or session is called unknown, the version
    number is read once more: all who wait share one read, at most one each RECHECK_EVERY_S. When that read
    fails they get AccessUnavailable, for the key may be good.
    """

    def __init__(self, store: Store, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._held: Snapshot | None = None
        self._asked: dict[str, Principal] = {}
        self._key_ids: frozenset[str] = frozenset()
        self._session_ids: dict[str, Session] = {}
        self._policies = Policies()
        self._gone: set[ProjectId] = set()
        self._confirmed_at = clock.monotonic()
        self._tried_at = float("-inf")
        self._reads_begun = 0
        self._failure: str | None = "Access was not read yet."
        self._reading = asyncio.Lock()
        self._age = metrics.gauge(ACCESS_SNAPSHOT_AGE_SECONDS)
        self._refreshes = {
            outcome: metrics.counter(ACCESS_REFRESHES, outcome)
            for outcome in ("changed", "unchanged", "failed")
        }

    async def by_key(self, key: str) -> Principal | None:
        """The principal of a live write or secret key of a live project."""
        found = self.asked_before(key)
        if found is not None or kind_of(key) is None:
            return found
        stored = digest(key)
        found = self._current().keys.get(stored) or (await self._recheck()).keys.get(stored)
        if found is not None:
            self._asked[key] = found
        return found

    def asked_before(self, key: str) -> Principal | None:
        """As `by_key`, of a key that was found since keys were last read; None says nothing about a key."""
        self._current()
        return self._asked.get(key)

    async def by_token(self, token: str) -> Principal | None:
        """The principal of a stream token that has not expired, of a key or session that still lives."""
        held = self._current()
        key_id = signing_key_id(token)
        if key_id is None or not is_id("signing", key_id):
            return None
        if all(key.id != key_id for key in held.signing_keys):
            held = await self._recheck()
        for key in held.signing_keys:
            if key.id == key_id:
                principal = verify(token, key, self._clock.now())
                return principal if principal is not None and self.still_valid(principal) else None
        return None

    async def by_session(self, cookie: str) -> Session | None:
        """The session whose cookie this is, unless it ended."""
        held = self._current()
        if not is_secret(cookie):
            return None
        stored = digest(cookie)
        session = held.sessions.get(stored) or (await self._recheck()).sessions.get(stored)
        return session if session is not None and session.expires_at > self._clock.now() else None

    def project(self, project: ProjectId) -> Project | None:
        """The project, as of at most a second ago; None when unknown or deleted, or made since then.

        Answers as long as the process lives, however long the database is away. Raises AccessUnavailable
        only while nothing was ever read. Who drops data of a project that is None asks `resolve` first.
        """
        return self._read_once().projects.get(project)

    def projects(self) -> tuple[Project, ...]:
        """All live projects, oldest first. Raises AccessUnavailable while nothing was ever read."""
        return tuple(self._read_once().projects.values())

    def policy(self, project: ProjectId) -> Policy:
        """What admission asks about the project's events, compiled once for each change of its rules and plan.

        For a project that is unknown here, the policy of one that decided nothing. Raises as `project`.
        """
        found = self._read_once().projects.get(project)
        return OPEN if found is None else self._policies.of(found)

    @property
    def forgotten(self) -> Forgotten:
        """Whose records are passed over; the same object until access changes. Raises as `project`."""
        return self._read_once().forgotten

    @property
    def forget_requests(self) -> tuple[ForgetRequest, ...]:
        """Who is to be removed from what this process owns, as far as it knows."""
        return () if self._held is None else self._held.forget_requests

    async def resolve(self, project: ProjectId) -> Project | None:
        """As `project`, but None is certain: the project is deleted for good.

        For consumers: a record may arrive before this process has heard of its project. Raises
        AccessUnavailable when that cannot be told.
        """
        held = self._read_once()
        found = held.projects.get(project)
        if found is not None or project in self._gone:
            return found
        found = (await self._recheck()).projects.get(project)
        if found is None:
            # Ids are never used again, so what is gone stays so.
            if len(self._gone) >= MAX_GONE:
                self._gone.clear()
            self._gone.add(project)
        return found

    def signing_key(self) -> SigningKey | None:
        """The key that signs now; None before the first token."""
        return next((key for key in self._current().signing_keys if not key.retired), None)

    def still_valid(self, principal: Principal) -> bool:
        """Whether what was admitted may go on: for long-lived streams, cheap enough for each heartbeat.

        False once its key or session is revoked, its project deleted, its time over, or the database away
        for HOLD_S.
        """
        now = self._clock.now()
        if self._held is None or self._too_old() or principal.project not in self._held.projects:
            return False
        if principal.expires_at is not None and principal.expires_at <= now:
            return False
        if principal.key_id in self._key_ids:
            return True
        session = self._session_ids.get(principal.key_id or "")
        return session is not None and session.expires_at > now and session.may_see(principal.project)

    def state(self) -> str:
        """ "ok", or a sentence that says since when the database is away and until when it matters not."""
        if self._failure is None:
            return "ok"
        if self._held is None:
            return f"{self._failure} No key is known yet, so requests are answered 503."
        age_s = self._age_s()
        if self._too_old():
            return f"{self._failure} Keys were last read {age_s:.0f} s ago; requests are answered 503."
        return f"{self._failure} Keys read {age_s:.0f} s ago still answer, for {HOLD_S - age_s:.0f} s more."

    async def refresh(self) -> None:
        """Hold what is in the database now. Raises AccessUnavailable; what is held then stays."""
        async with self._reading:
            await self._read()

    async def run(self) -> None:
        """Follow the database until cancelled: one number a second, everything when it moved."""
        while True:
            try:
                await self.refresh()
            except AccessUnavailable:
                self._age.set(self._age_s())
            await asyncio.sleep(POLL_S)

    def _current(self) -> Snapshot:
        held = self._read_once()
        if self._too_old():
            raise AccessUnavailable(
                f"Keys cannot be checked: the database has been away for {self._age_s():.0f} s."
            )
        return held

    def _read_once(self) -> Snapshot:
        if self._held is None:
            raise AccessUnavailable("Keys cannot be checked yet: the database has not answered so far.")
        return self._held

    def _age_s(self) -> float:
        return self._clock.monotonic() - self._confirmed_at

    def _too_old(self) -> bool:
        return self._age_s() > HOLD_S

    async def _recheck(self) -> Snapshot:
        """What the database holds at some moment after the call."""
        begun = self._reads_begun
        if self._failure is not None and self._clock.monotonic() - self._tried_at < POLL_S:
            raise AccessUnavailable(_UNCHECKED)
        try:
            async with asyncio.timeout(RECHECK_WITHIN_S), self._reading:
                if self._reads_begun == begun:
                    await asyncio.sleep(self._tried_at + RECHECK_EVERY_S - self._clock.monotonic())
                    await self._read()
        except TimeoutError as error:
            raise AccessUnavailable(_UNCHECKED) from error
        if self._failure is not None:
            raise AccessUnavailable(_UNCHECKED)
        return self._read_once()

    async def _read(self) -> None:
        began_at = self._tried_at = self._clock.monotonic()
        self._reads_begun += 1
        try:
            version = await self._store.version()
            if self._held is None or version != self._held.version:
                self._hold(await self._store.load(self._clock.now()))
                self._refreshes["changed"].inc()
            else:
                self._refreshes["unchanged"].inc()
        except AccessUnavailable as error:
            self._refreshes["failed"].inc()
            if self._failure is None:
                _log.warning("keys cannot be read; those held still answer", reason=str(error), for_s=HOLD_S)
            self._failure = str(error)
            raise
        if self._failure is not None:
            _log.info("keys were read", version=version)
        self._failure = None
        self._confirmed_at = began_at
        self._age.set(0)

    def _hold(self, snapshot: Snapshot) -> None:
        self._held = snapshot
        self._policies.forget_others(snapshot.projects)
        self._asked = {}
        self._key_ids = frozenset(key.key_id for key in snapshot.keys.values() if key.key_id)
        self._session_ids = {session.id: session for session in snapshot.sessions.values()}


@asynccontextmanager
async def open_access(pool: Pool, clock: Clock, metrics: Metrics) -> AsyncIterator[Access]:
    """The process's Access, read once; opens also while the database is away, and then answers nothing yet.

    Somebody must own its `run`.
    """
    access = Access(DatabaseStore(pool), clock, metrics)
    try:
        await access.refresh()
    except AccessUnavailable as error:
        _log.warning(
            "no keys could be read at start; requests are answered 503 until then", reason=str(error)
        )
    yield access
