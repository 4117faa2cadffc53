"""The demo's trials: who signs up when, and whether they stay. Two customers in five days, for ever."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Final, Literal, NamedTuple

from footfall.demo.cast import Account, Person, draw_person, trial_account
from footfall.demo.happenings import Stretch
from footfall.demo.rhythm import local_time

Fate = Literal["converts", "fades"]

TRIAL_DAYS: Final = 14
_FIRST_DAY: Final = -29
_BLOCK_DAYS: Final = 5
_PER_BLOCK: Final = 2
_FATES: Final[Sequence[Fate]] = ("converts", "fades", "converts", "fades", "fades", "converts")
_BOUGHT: Final = ("team", 10, 390)


class Trial(NamedTuple):
    """One customer's trial. `joins_s` are the seconds at which its people sign up, in their order."""

    account: Account
    fate: Fate
    start_s: float
    end_s: float
    joins_s: Sequence[float]

    def weight(self, at_s: float) -> float:
        """How much of the account's weight it has then: rising for who will stay, melting away for who will not."""
        days = (at_s - self.start_s) / 86_400
        if days < 0:
            return 0.0
        if self.fate == "converts":
            return self.account.weight * (0.6 + 0.5 * min(1.0, days / 10))
        left = math.exp(-days / 2.5)
        return self.account.weight * left if left > 0.02 and at_s < self.end_s else 0.0

    def people(self, at_s: float) -> int:
        """How many of the account's people have signed up by then."""
        return sum(joined_s <= at_s for joined_s in self.joins_s)

    def plan(self, at_s: float) -> str:
        """What the account pays for."""
        if at_s < self.end_s:
            return "trial"
        return _BOUGHT[0] if self.fate == "converts" else "expired"


def trial(number: int, anchor_day: datetime) -> Trial:
    """The trial with this number, from 0: the first begins 29 days before the demo was made."""
    return _trial(number, anchor_day)


def trials_begun(at_s: float, anchor_day: datetime) -> int:
    """How many trials have begun by the end of that day."""
    days = math.floor((at_s - anchor_day.timestamp()) / 86_400) - _FIRST_DAY
    block, within = divmod(days, _BLOCK_DAYS)
    return max(0, _PER_BLOCK * block + (1 if within < _PER_BLOCK else 2))


@lru_cache(maxsize=512)
def _trial(number: int, anchor_day: datetime) -> Trial:
    rng = Random(f"course of trial {number}")
    account = trial_account(number)
    fate = _FATES[number % len(_FATES)]
    block, within = divmod(number, _PER_BLOCK)
    day = anchor_day + timedelta(days=_FIRST_DAY + _BLOCK_DAYS * block + 2 * within)
    start = local_time(day, rng.uniform(8.5, 14.5), account.zone)
    people = len(account.people) if fate == "converts" else min(3, len(account.people))
    joins = [start.timestamp(), start.timestamp() + rng.uniform(3_000, 10_000)]
    joins += [
        local_time(day + timedelta(days=place - 1), rng.uniform(8.5, 16.5), account.zone).timestamp()
        for place in range(2, people)
    ]
    end = local_time(day + timedelta(days=TRIAL_DAYS), rng.uniform(9, 15), account.zone)
    return Trial(account, fate, start.timestamp(), end.timestamp(), sorted(joins))


def trial_stretches(number: int, anchor_day: datetime) -> Iterator[Stretch]:
    """The sign-ups of a trial, and its end."""
    found = trial(number, anchor_day)
    account = found.account
    for place, joined_s in enumerate(found.joins_s):
        name = f"trial {number} join {place}"
        yield _sign_up(
            Stretch(name, joined_s, Random(name), account.people[place], account), founds=place == 0
        )
    name = f"trial {number} end"
    rng = Random(name)
    if found.fate == "fades":
        expired = Stretch(name, found.end_s, rng, None, account)
        expired.describe_account("expired", account.seats)
        expired.step("trial expired", people=len(found.joins_s))
        yield expired
        return
    plan, seats, amount = _BOUGHT
    bought = Stretch(name, found.end_s, rng, account.people[0], account)
    bought.step("/pricing")
    bought.step("chose plan", plan=plan, seats=seats)
    bought.step("subscribed", plan=plan, seats=seats, amount=amount, currency=account.currency)
    bought.describe_account(plan, seats)
    bought.identify(plan)
    yield bought


def lone_sign_ups(day: datetime, company_sign_ups: int) -> Iterator[Stretch]:
    """People without a company who sign up that day: one just after midnight, so that no day begins without."""
    hours = [Random(f"{day:%F} early").uniform(0.02, 0.07)]
    if company_sign_ups < 2:
        hours.append(Random(f"{day:%F} late").uniform(5, 21))
    for place, hour in enumerate(hours):
        name = f"lone sign-up {day:%F} {place}"
        rng = Random(name)
        person: Person = draw_person(rng, "inbox.example", "owner")
        yield _sign_up(Stretch(name, day.timestamp() + 3600 * hour, rng, person, None), founds=False)


def _sign_up(stretch: Stretch, *, founds: bool) -> Stretch:
    anonymous_id = f"visitor-{stretch.rng.getrandbits(40):010x}"
    account = stretch.account
    # Who was invited comes by a link; the others read first.
    stretch.browse(anonymous_id, stretch.rng.randint(2, 4) if founds or account is None else 0)
    stretch.become_known(anonymous_id)
    stretch.identify("trial")
    if founds and account is not None:
        stretch.describe_account("trial", account.seats)
    stretch.step("signed up", via="site" if founds or account is None else "invitation")
    if founds:
        stretch.step("trial started", days=TRIAL_DAYS)
        stretch.step("imported customers")
        stretch.step("invited teammate")
    else:
        stretch.step("/schedule")
    return stretch
