"""What happens in the demo, as it is sent to Footfall, and how a stretch of it is put together."""

from datetime import UTC, datetime
from random import Random
from typing import Any, Final

import msgspec

from eventmodel import Kind, derived_event_id
from footfall.demo.cast import Account, Person
from footfall.demo.product import SITE, draw_work, page_properties, properties_of

LONGEST_S: Final = 1_500.0
"""No stretch lasts longer."""
_WEB: Final = {"name": "wayrota-web", "version": "5.2.1"}
_MOBILE: Final = {"name": "wayrota-mobile", "version": "3.9.0"}
_BACKEND: Final = {"name": "wayrota-backend", "version": "5.2.1"}


class Happening(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event, in the words of POST /v1/events."""

    id: str
    time: datetime
    type: Kind = "track"
    action: str | None = None
    user: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    account: str | None = None
    properties: dict[str, Any] = msgspec.field(default_factory=dict)
    traits: dict[str, Any] = msgspec.field(default_factory=dict)
    context: dict[str, Any] = msgspec.field(default_factory=dict)


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """An event as an old release of the mobile app sends it: Footfall refuses it, and says why on the sources page."""

    id: str
    time: datetime
    user: str | None
    event: str | None
    context: dict[str, Any]


def mistake_beside(happening: Happening) -> Mistake | None:
    """What somebody with the old app sends at that moment; about one in eight of the mobile app's actions."""
    if (
        happening.context.get("library") is not _MOBILE
        or happening.action is None
        or happening.id[-1] not in "08"
    ):
        return None
    return Mistake(
        id=derived_event_id("mistake", happening.id),
        time=happening.time,
        user=happening.user,
        event=happening.action,
        context={"library": {**_MOBILE, "version": "3.8.2"}},
    )


class Stretch:
    """What somebody does without a longer pause; `happenings` in order, none later than LONGEST_S.

    `person` is None for an account's own happenings and for visitors. Equal names, starts and generators give
    equal happenings.
    """

    def __init__(
        self, name: str, start_s: float, rng: Random, person: Person | None, account: Account | None
    ) -> None:
        self.happenings: list[Happening] = []
        self.start_s = start_s
        self.person = person
        self.account = account
        self.rng = rng
        self._name = name
        self._after_s = 0.0
        self._work = draw_work(rng, account)
        self._app = _MOBILE if person is not None and person.role == "technician" else _WEB

    def turn_to_other_work(self) -> None:
        """What follows is about another job, another sum."""
        self._work = draw_work(self.rng, self.account)

    def step(self, step: str, **properties: Any) -> None:
        """A page when it begins with /, else an action; then some seconds. Without properties they are drawn."""
        if step.startswith("/"):
            self._view(step, self._who())
        else:
            given = properties or properties_of(step, self.rng, self._work)
            app = self._app if self.person is not None else _BACKEND
            self._add(self._who(), action=step, properties=given, context={"library": app})
        self._wait(6, 70)

    def identify(self, plan: str) -> None:
        """Say who the person is."""
        person = self.person
        assert person is not None
        traits = {"name": person.name, "email": person.user, "role": person.role, "plan": plan}
        self._add(self._who(), type="identify", traits=traits, context={"library": _BACKEND})

    def describe_account(self, plan: str, seats: int) -> None:
        """Say what the account is."""
        account = self.account
        assert account is not None
        traits = {
            "name": account.name,
            "plan": plan,
            "seats": seats,
            "industry": account.industry,
            "owner": account.owner,
            "time_zone": account.zone.key,
        }
        self._add(self._who(), type="group", traits=traits, context={"library": _BACKEND})

    def browse(self, anonymous_id: str, pages: int) -> None:
        """Pages of the site, seen by a browser that is nobody yet."""
        for _ in range(pages):
            path = self.rng.choice(("/", "/", "/pricing", "/features/rounds", "/stories/lifts", "/help"))
            self._view(path, {"anonymous_id": anonymous_id})
            self._wait(8, 60)

    def become_known(self, anonymous_id: str) -> None:
        """Join what the browser did before to the person."""
        self._add(self._who(), type="alias", previous_id=anonymous_id, context={"library": _WEB})

    def _view(self, path: str, who: dict[str, Any]) -> None:
        context = {"library": self._app, "page": {"url": SITE + path}}
        self._add(who, type="page", properties=page_properties(path), context=context)

    def _who(self) -> dict[str, Any]:
        who: dict[str, Any] = {}
        if self.person is not None:
            who["user"] = self.person.user
        if self.account is not None:
            who["account"] = self.account.id
        return who

    def _wait(self, at_least_s: float, at_most_s: float) -> None:
        self._after_s += self.rng.uniform(at_least_s, at_most_s)

    def _add(self, who: dict[str, Any], **fields: Any) -> None:
        if self._after_s > LONGEST_S:
            return
        self.happenings.append(
            Happening(
                id=derived_event_id("demo", self._name, len(self.happenings)),
                time=datetime.fromtimestamp(int(1000 * (self.start_s + self._after_s)) / 1000, UTC),
                **who,
                **fields,
            )
        )
        # No two happenings of a stretch share a moment: they are sent in the order of their times.
        self._after_s += 0.05
