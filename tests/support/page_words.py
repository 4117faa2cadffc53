"""How the pages word numbers, changes, days, zones and names."""

import math
from datetime import date
from fractions import Fraction


def grouped(number: int) -> str:
    """`12,480`."""
    return f"{number:,}"


def counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def share(part: int, whole: int) -> str:
    percent = Fraction(100 * part, whole)
    return "<1 %" if 0 < percent < 1 else f"{_rounded(percent)} %"


def changed(now: int, before: int) -> str:
    """A count against one before it."""
    if now == before:
        return "no change" if now else "none"
    if not before or not now:
        return "new" if now else "gone"
    percent = _rounded(Fraction(100 * (now - before), before))
    if percent >= 1000:
        return f"×{grouped(_rounded(Fraction(now, before)))}"
    sign = "+" if now > before else "−"
    return f"{sign} under 1 %" if percent == 0 else f"{sign}{abs(percent)} %"


def _rounded(number: Fraction) -> int:
    return math.floor(number + Fraction(1, 2))


def worded(day: date) -> str:
    """`Sun 22 Nov`."""
    return f"{day:%a} {day.day} {day:%b}".replace("Sep", "Sept")


def city(zone: str) -> str:
    """A zone as people say it."""
    return zone.rpartition("/")[2].replace("_", " ")


def called(id_: str, name: str | None) -> str:
    return id_ if name is None or name == id_ else f"{name} {id_}"


def titled(id_: str, name: str | None) -> str:
    return id_ if name is None or name == id_ else f"{name} ({id_})"
