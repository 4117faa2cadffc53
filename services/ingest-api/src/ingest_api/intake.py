"""From a decoded body to an answer: what the project may send, what is admitted of it, and that it is kept."""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from admission import Admitted, BodyRefused, Fault, admit, admit_items
from eventmodel import ProjectId, Sender
from ingest_api.accounting import Accounting
from ingest_api.allowance import Allowances
from ingest_api.keeping import Arrival, Headers, Keeper
from ingest_api.settings import IngestSettings
from ingest_api.storage import NOTHING_STORED
from lifecycle.clock import Clock
from lifecycle.errors import Problem
from policy import Client, Policy

_BURST_S = 10
# Below this, handing the work to a thread takes longer than the event loop would be held up.
_IN_THREAD_BYTES = 128 * 1024


class Taken(NamedTuple):
    """What became of a request's events, and the headers its answer carries in any protocol."""

    admitted: Admitted
    headers: Headers


class Received(NamedTuple):
    """A request whose events are admitted and not stored yet."""

    arrival: Arrival
    admitted: Admitted

    @property
    def plain(self) -> bool:
        """Whether it has events, and all of it is to be stored as live ones."""
        admitted = self.admitted
        apart = admitted.rejections or admitted.past or admitted.quarantined or admitted.violations
        return bool(admitted.messages) and not apart


class Intake:
    """Takes bodies of authenticated senders; returns once every accepted event is durable."""

    def __init__(
        self, keeper: Keeper, accounting: Accounting, clock: Clock, settings: IngestSettings
    ) -> None:
        self._keeper = keeper
        self._accounting = accounting
        self._clock = clock
        self._allowances = Allowances(settings.project_events_per_s, settings.project_events_per_s * _BURST_S)
        # Imports have a share of their own, so that they never use up that of live events.
        self._import_allowances = Allowances(
            settings.project_events_per_s, settings.project_events_per_s * _BURST_S
        )

    def check_rate(self, project: ProjectId, sender: Sender | None) -> None:
        """Raises Problem (429) while the project has sent more than its share; ask before reading its body."""
        self._check_rate(self._allowances, project, sender)

    def _check_rate(self, allowances: Allowances, project: ProjectId, sender: Sender | None) -> None:
        now_s = self._clock.monotonic()
        wait_s = allowances.wait_s(project, now_s)
        if wait_s > 0:
            after_s = math.ceil(wait_s)
            problem = Problem(
                429,
                "too_many_events",
                f"The project sends more events than it may. {NOTHING_STORED}",
                hint=f"Send the same request again in {after_s} s. The operator's setting is "
                "FOOTFALL_PROJECT_EVENTS_PER_S.",
                headers={
                    "retry-after": str(after_s),
                    **{name.decode(): value.decode() for name, value in allowances.headers(project, now_s)},
                },
            )
            self._accounting.refuse_request(project, sender, problem)
            raise problem

    async def take(
        self,
        project: ProjectId,
        body: bytes,
        *,
        place: str,
        sender: Sender | None,
        client: Client | None,
        policy: Policy,
        idempotency_key: str | None = None,
    ) -> Taken:
        """What became of the body's events. `place` is where they came in, for what is rejected.

        Raises BodyRefused, and Problem (503) when the log has not stored them within `ack_timeout_s`.
        """
        arrival = self._arrive(project, place)
        admit_body = partial(
            admit,
            body,
            project=project,
            received_at=arrival.received_at,
            idempotency_key=idempotency_key,
            sender=sender,
            client=client,
            policy=policy,
        )
        try:
            admitted = await _off_loop(len(body), admit_body)
        except BodyRefused as refused:
            await self.keep_refused(
                project, refused, body, place=place, sender=sender, client=client, policy=policy
            )
            raise
        return Taken(admitted, await self._keeper.keep(arrival, admitted))

    def receive_at_once(
        self, project: ProjectId, body: bytes, *, place: str, sender: Sender | None, policy: Policy
    ) -> Received | None:
        """As `take`, of a server's body, up to the storing.

        None, and nothing has happened, for a body that is large, that cannot be read, or whose project sent too much.
        """
        arrival = self._arrive(project, place)
        if len(body) > _IN_THREAD_BYTES or self._allowances.wait_s(project, arrival.began_s) > 0:
            return None
        try:
            admitted = admit(
                body, project=project, received_at=arrival.received_at, sender=sender, policy=policy
            )
        except BodyRefused:
            return None
        return Received(arrival, admitted)

    async def store(self, received: Sequence[Received]) -> Headers:
        """Store what requests of one project brought: a single one, or plain ones, then all of them or none.

        The headers are for each one's answer. Raises Problem as `take`.
        """
        arrival, admitted = received[0]
        if len(received) > 1:
            admitted = Admitted(
                messages=[message for one in received for message in one.admitted.messages],
                senders=[sender for one in received for sender in one.admitted.senders],
            )
        return await self._keeper.keep(arrival, admitted)

    async def take_items(
        self,
        project: ProjectId,
        items: Iterable[tuple[int, Mapping[str, Any] | Fault, Any]],
        *,
        size_bytes: int,
        imported_from: str | None = None,
        place: str,
        sender: Sender | None,
        client: Client | None,
        policy: Policy,
    ) -> Taken:
        """As `take`, for events that another protocol's decoder made: see `admission.admit_items`.

        `size_bytes` is what they were decoded from. `imported_from` is the vendor whose import call they came
        with: what is old of it goes to the backfill, as the run of that vendor and day. Raises Problem (429) while
        the project has imported more than its share.
        """
        allowances = self._allowances if imported_from is None else self._import_allowances
        if imported_from is not None:
            self._check_rate(allowances, project, sender)
        arrival = self._arrive(project, place, allowances)
        admitted = await _off_loop(
            size_bytes,
            partial(
                admit_items,
                items,
                project=project,
                received_at=arrival.received_at,
                import_run=imported_from and f"{imported_from}-import-{arrival.received_at:%Y-%m-%d}",
                sender=sender,
                client=client,
                policy=policy,
            ),
        )
        return Taken(admitted, await self._keeper.keep(arrival, admitted))

    async def keep_refused(
        self,
        project: ProjectId,
        refused: BodyRefused,
        body: bytes,
        *,
        place: str,
        sender: Sender | None,
        client: Client | None,
        policy: Policy,
    ) -> None:
        """Count the request, and keep the beginning of a body nobody could read; one too large is of no use."""
        self._accounting.refuse_request(project, sender, refused)
        if refused.reason == "malformed" and body:
            kept = policy.privacy.of_unknown(body, client)
            if kept is not None:
                await self._keeper.keep_unread(self._arrive(project, place), refused, kept, sender)

    def refuse_unread(
        self, project: ProjectId, sender: Sender | None, refusal: Problem | BodyRefused
    ) -> None:
        """Count a request that is refused before its body was read."""
        self._accounting.refuse_request(project, sender, refusal)

    def _arrive(self, project: ProjectId, place: str, allowances: Allowances | None = None) -> Arrival:
        began_s, received_at = self._clock.monotonic(), self._clock.now()
        return Arrival(project, place, began_s, received_at, allowances or self._allowances)


async def _off_loop(size_bytes: int, admitting: Callable[[], Admitted]) -> Admitted:
    return admitting() if size_bytes <= _IN_THREAD_BYTES else await asyncio.to_thread(admitting)
