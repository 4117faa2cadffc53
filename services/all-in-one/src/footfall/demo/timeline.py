"""Everything that ever happens in the demo, as a function of the time its project was made."""

import math
from bisect import bisect
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from footfall.demo.cast import Account
from footfall.demo.happenings import LONGEST_S, Happening, Stretch
from footfall.demo.product import draw_flow
from footfall.demo.rhythm import presence, rate_per_min
from footfall.demo.stories import Stories
from footfall.demo.trials import lone_sign_ups, trial, trial_stretches, trials_begun

HISTORY: Final = timedelta(days=30)
ROLL_CALL: Final = timedelta(minutes=5)
"""The beginning of the past, when everybody is introduced."""
_SLOT_S: Final = 600
_PER_STRETCH: Final = 5.2
"""Events of a stretch, on average."""
_VISITORS: Final = 0.08
_IDENTIFIED: Final = 0.05
_LAUNCH_USED: Final = 0.5
_TICKET: Final = 0.5
_TRIALS_AT_WORK: Final = 12
"""How many of the newest trials may still have something to say."""


class _Active(NamedTuple):
    """A customer at some moment: `people` of its list are there."""

    account: Account
    plan: str
    people: int
    weight: float
    error_chance: float
    launched: Sequence[str]


class Timeline:
    """The demo whose project was made at `anchor`; its past begins 30 days before.

    The same anchor gives the same happenings with the same ids and times, however they are asked for.
    """

    def __init__(self, anchor: datetime) -> None:
        self.anchor = anchor
        self.begin = anchor.replace(microsecond=0) - HISTORY
        self._begin_s = self.begin.timestamp()
        self._midnight = anchor.replace(hour=0, minute=0, second=0, microsecond=0)
        self._stories = Stories(anchor)
        self._day = lru_cache(maxsize=4)(self._scripted)

    def happenings(self, start: datetime, end: datetime) -> Iterator[Happening]:
        """All of `start` (inclusive, but nothing before `begin`) to `end` (exclusive), in order of time, then id."""
        start = max(start, self.begin)
        slot = math.floor((start.timestamp() - LONGEST_S) / _SLOT_S)
        pending: list[Happening] = []
        while pending or _SLOT_S * slot < end.timestamp():
            if _SLOT_S * slot < end.timestamp():
                pending += self._slot(slot)
            slot += 1
            complete_until = datetime.fromtimestamp(_SLOT_S * slot, UTC)
            pending.sort(key=_order)
            ready = bisect(pending, complete_until, key=_time)
            for happening in pending[:ready]:
                if start <= happening.time < end:
                    yield happening
            del pending[:ready]

    def _slot(self, slot: int) -> Iterator[Happening]:
        """What begins in the slot, as stretches that may last longer than it."""
        start_s = float(_SLOT_S * slot)
        at = datetime.fromtimestamp(start_s, UTC)
        for stretch in self._day(at.date().toordinal()):
            if start_s <= stretch.start_s < start_s + _SLOT_S:
                yield from stretch.happenings
        rng = Random(slot)
        active = self._active(at)
        cumulated = list(accumulate(one.weight for one in active))
        wanted = rate_per_min(cumulated[-1], (start_s - self._begin_s) / HISTORY.total_seconds())
        # Spread evenly and rounded by chance: no slot is empty, and the average is what is wanted.
        number = int(wanted * _SLOT_S / 60 / _PER_STRETCH + rng.random())
        for place in range(number):
            name = f"{slot} {place}"
            began_s = start_s + _SLOT_S * (place + rng.random()) / number
            if rng.random() < _VISITORS:
                visit = Stretch(name, began_s, rng, None, None)
                visit.browse(f"visitor-{rng.getrandbits(40):010x}", rng.randint(1, 6))
                yield from visit.happenings
            else:
                one = active[bisect(cumulated, rng.random() * cumulated[-1])]
                yield from _stretch(name, began_s, rng, one).happenings

    def _active(self, at: datetime) -> list[_Active]:
        at_s, found = at.timestamp(), []
        for account in self._stories.accounts:
            mood = self._stories.mood(account, at_s)
            present = presence(at, account.zone, around_the_clock=account.around_the_clock)
            launched = self._stories.launched(account, at_s)
            found.append(
                _Active(
                    account, account.plan, mood.people, mood.weight * present, mood.error_chance, launched
                )
            )
        for number in range(trials_begun(at_s, self._midnight)):
            one = trial(number, self._midnight)
            weight = one.weight(at_s)
            if weight:
                present = presence(at, one.account.zone, around_the_clock=False)
                launched = self._stories.launched(one.account, at_s)
                found.append(
                    _Active(one.account, one.plan(at_s), one.people(at_s), weight * present, 0.01, launched)
                )
        return found

    def _scripted(self, ordinal: int) -> Sequence[Stretch]:
        """The stretches that begin on that day because a story says so."""
        day = datetime.fromordinal(ordinal).replace(tzinfo=UTC)
        since_s, until_s = day.timestamp(), day.timestamp() + 86_400
        begun = trials_begun(until_s, self._midnight)
        stretches = [
            stretch
            # A zone's day may lie on two of ours.
            for number in range(
                max(0, begun - _TRIALS_AT_WORK), trials_begun(until_s + 86_400, self._midnight)
            )
            for stretch in trial_stretches(number, self._midnight)
            if since_s <= stretch.start_s < until_s
        ]
        sign_ups = sum("signed up" in (one.action for one in stretch.happenings) for stretch in stretches)
        stretches += lone_sign_ups(day, sign_ups)
        stretches += [one for one in self._stories.stretches() if since_s <= one.start_s < until_s]
        if since_s <= self._begin_s < until_s:
            stretches += self._roll_call()
        return stretches

    def _roll_call(self) -> Iterator[Stretch]:
        """Everybody who was there before, told once at the very beginning."""
        everybody = [(account, person) for account in self._stories.accounts for person in account.people]
        for place, (account, person) in enumerate(everybody):
            start_s = self._begin_s + ROLL_CALL.total_seconds() * place / len(everybody)
            stretch = Stretch(f"roll call {place}", start_s, Random(place), person, account)
            stretch.identify(account.plan)
            if person is account.people[0]:
                stretch.describe_account(account.plan, account.seats)
            yield stretch


def _stretch(name: str, start_s: float, rng: Random, active: _Active) -> Stretch:
    account = active.account
    shares = account.shares[: active.people]
    person = account.people[bisect(shares, rng.random() * shares[-1])]
    stretch = Stretch(name, start_s, rng, person, account)
    if rng.random() < _IDENTIFIED:
        stretch.identify(active.plan)
        if person.role == "owner":
            stretch.describe_account(active.plan, account.seats)
    for _ in range(rng.choice((1, 1, 2))):
        for step in draw_flow(rng, person.role).steps:
            stretch.step(step)
        stretch.turn_to_other_work()
    if person.role in ("dispatcher", "manager") and active.launched and rng.random() < _LAUNCH_USED:
        stretch.step(rng.choice(active.launched))
    if rng.random() < active.error_chance:
        stretch.step("saw error")
        if rng.random() < _TICKET:
            stretch.step("/help")
            stretch.step(rng.choice(("opened ticket", "replied to ticket")))
    return stretch


def _order(happening: Happening) -> tuple[datetime, str]:
    return happening.time, happening.id


def _time(happening: Happening) -> datetime:
    return happening.time
