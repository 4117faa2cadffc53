"""The demo's stories about established customers, told in days before and after the demo was made."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from footfall.demo.cast import Account, established
from footfall.demo.happenings import Stretch
from footfall.demo.rhythm import local_time

_LEFT: Final = "Brindlewater Heating"
_LEFT_DAY: Final = -9
_CHAMPION_SHARE: Final = 0.4
_IN_TROUBLE: Final = "Quillmoor Plumbing"
_TROUBLE_DAYS: Final = (-7.0, 6.0)
_LAUNCHES: Final = (("auto-planned day", -14.0), ("shared live map", 12.0))
"""Actions that exist from that day on."""
_ADOPTED_WITHIN_DAYS: Final = 17.0
_NEVER_ADOPTS: Final = 0.12


class Mood(NamedTuple):
    """How an established customer is at some moment. `people` of its list are there, from the first on."""

    weight: float
    people: int
    error_chance: float


class Stories:
    """What happens to whom; `anchor` is when the demo was made."""

    def __init__(self, anchor: datetime) -> None:
        self._anchor = anchor
        self._anchor_s = anchor.timestamp()
        self.accounts = [
            _with_champion_last(account) if account.name == _LEFT else account for account in established()
        ]
        self._champions = next(account for account in self.accounts if account.name == _LEFT)
        self._left_s = local_time(
            anchor.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=_LEFT_DAY),
            16.5,
            self._champions.zone,
        ).timestamp()

    def mood(self, account: Account, at_s: float) -> Mood:
        """How the customer is then."""
        people = len(account.people)
        if account.name == _LEFT and at_s > self._left_s:
            days = (at_s - self._left_s) / 86_400
            return Mood(account.weight * (0.2 + 0.8 * math.exp(-days / 2)), people - 1, 0.004)
        if account.name == _IN_TROUBLE:
            begins, ends = _TROUBLE_DAYS
            days = (at_s - self._anchor_s) / 86_400 - begins
            if 0 < days < ends - begins:
                return Mood(account.weight * (1 - 0.75 * min(1.0, days / 3)), people, 0.45)
        return Mood(account.weight, people, 0.004)

    def launched(self, account: Account, at_s: float) -> Sequence[str]:
        """The new actions this customer has taken up by then."""
        return [
            action
            for action, day in _LAUNCHES
            if at_s > self._anchor_s + 86_400 * (day + _adoption_days(account.id, action))
        ]

    def stretches(self) -> Iterator[Stretch]:
        """What was bound to happen once: the champion's last steps."""
        name = "the champion leaves"
        farewell = Stretch(
            name, self._left_s - 600, Random(name), self._champions.people[-1], self._champions
        )
        for step in ("/team", "handed over account", "removed teammate"):
            farewell.step(step)
        yield farewell


@lru_cache(maxsize=4096)
def _adoption_days(account: str, action: str) -> float:
    rng = Random(f"{account} takes up {action}")
    if rng.random() < _NEVER_ADOPTS:
        return math.inf
    return _ADOPTED_WITHIN_DAYS * math.pow(rng.random(), 1.3)


def _with_champion_last(account: Account) -> Account:
    """The same with a manager at the end who does more than anybody: so the others alone are a shorter list."""
    place = next(place for place, person in enumerate(account.people) if person.role == "manager")
    steps = [after - before for before, after in zip([0.0, *account.shares], account.shares, strict=False)]
    others = steps[:place] + steps[place + 1 :]
    champion = sum(others) * _CHAMPION_SHARE / (1 - _CHAMPION_SHARE)
    people = [*account.people[:place], *account.people[place + 1 :], account.people[place]]
    return account._replace(people=people, shares=list(accumulate([*others, champion])))
