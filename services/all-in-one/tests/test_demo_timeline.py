from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest

from access.model import ProjectSettings
from access.project_settings import is_trial_action
from admission import admit
from eventmodel import ACTIVITY_KINDS, ProjectId
from footfall.demo.happenings import Happening, mistake_beside
from footfall.demo.timeline import Timeline

_ANCHOR = datetime(2026, 11, 22, 7, 34, 22, 123456, tzinfo=UTC)
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_TIMELINE = Timeline(_ANCHOR)


@pytest.fixture(scope="module")
def month() -> Sequence[Happening]:
    """The thirty days before the demo was made."""
    return list(_TIMELINE.happenings(_TIMELINE.begin, _ANCHOR))


@pytest.fixture(scope="module")
def week_after() -> Sequence[Happening]:
    return list(_TIMELINE.happenings(_ANCHOR, _ANCHOR + 7 * _DAY))


def _activities(happenings: Sequence[Happening], account: str, since: int, until: int) -> int:
    """Of the account, between these days after the demo was made."""
    return sum(
        one.account == account
        and one.type in ACTIVITY_KINDS
        and _ANCHOR + since * _DAY <= one.time < _ANCHOR + until * _DAY
        for one in happenings
    )


def _accounts(happenings: Sequence[Happening], action: str) -> Iterator[str]:
    return (one.account for one in happenings if one.action == action and one.account)


def test_the_same_anchor_tells_the_same_story(month: Sequence[Happening]) -> None:
    start, end = _ANCHOR - 2 * _DAY, _ANCHOR - _DAY
    again = list(Timeline(_ANCHOR).happenings(start, end))
    assert again == [one for one in month if start <= one.time < end]
    assert len({one.id for one in month}) == len(month)


@pytest.mark.parametrize("cut", [_ANCHOR, _ANCHOR - timedelta(hours=7, seconds=1.5)])
def test_spans_compose_without_a_hole_or_a_repetition(cut: datetime) -> None:
    start, end = cut - timedelta(hours=5), cut + timedelta(hours=5)
    before, after = list(_TIMELINE.happenings(start, cut)), list(_TIMELINE.happenings(cut, end))
    assert before + after == list(_TIMELINE.happenings(start, end))
    assert all(one.time < cut for one in before)
    assert all(one.time >= cut for one in after)


def test_time_never_goes_back_and_the_past_begins_thirty_days_before(month: Sequence[Happening]) -> None:
    assert all((a.time, a.id) < (b.time, b.id) for a, b in pairwise(month))
    assert list(_TIMELINE.happenings(_TIMELINE.begin - _DAY, _TIMELINE.begin)) == []
    assert _TIMELINE.begin <= month[0].time < _TIMELINE.begin + _MINUTE


def test_everything_that_happens_is_taken_by_admission(month: Sequence[Happening]) -> None:
    body = msgspec.json.encode([*month[:500], *month[-4_000:]])
    admitted = admit(body, project=ProjectId("p"), received_at=_ANCHOR, origin="live")
    assert admitted.rejections == []
    assert len(admitted.messages) == 4_500


def test_an_old_app_sends_what_is_refused_with_a_hint(month: Sequence[Happening]) -> None:
    mistakes = [mistake for one in month[-4_000:] if (mistake := mistake_beside(one))]
    assert 20 < len(mistakes) < 200
    admitted = admit(msgspec.json.encode(mistakes), project=ProjectId("p"), received_at=_ANCHOR)
    assert {rejection.code for rejection in admitted.rejections} == {"missing_action"}
    assert 'You sent "event": call it "action".' in {rejection.hint for rejection in admitted.rejections}
    assert len(admitted.rejections) == len(mistakes)


def test_about_forty_accounts_with_three_to_twelve_people_of_different_names(
    month: Sequence[Happening],
) -> None:
    people: dict[str, set[str]] = {}
    for one in month:
        if one.account and one.user:
            people.setdefault(one.account, set()).add(one.user)
    assert len(people) == 40
    assert {3, 12} <= {len(users) for users in people.values()} <= set(range(3, 13))
    names = {one.user: one.traits["name"] for one in month if one.type == "identify"}
    assert len(set(names.values())) > 0.97 * len(names)
    zones = {one.traits["time_zone"] for one in month if one.type == "group"}
    assert len(zones) > 15
    assert {"Asia/Kolkata", "Australia/Adelaide"} < zones, "whole hours and others"
    assert all(one.user is None or one.user.endswith(".example") for one in month)


def test_thirty_days_hold_about_a_hundred_thousand_events_of_thirty_actions(
    month: Sequence[Happening], week_after: Sequence[Happening]
) -> None:
    assert 80_000 < len(month) < 130_000
    actions = {one.action for one in month if one.action}
    assert 28 <= len(actions) <= 40
    assert {one.type for one in month} == {"track", "page", "identify", "group", "alias"}
    week_before = [one for one in month if one.time >= _ANCHOR - 7 * _DAY]
    assert len(week_after) == pytest.approx(len(week_before), rel=0.25), "no step on the charts"


def test_no_hour_is_empty_and_live_traffic_keeps_a_human_pace(
    month: Sequence[Happening], week_after: Sequence[Happening]
) -> None:
    def hours(happenings: Sequence[Happening]) -> list[int]:
        first = happenings[0].time
        counts = Counter((one.time - first) // timedelta(hours=1) for one in happenings)
        return [counts[hour] for hour in range(max(counts))]

    assert min(hours(month)) > 30
    assert min(hours(week_after)) > 2.6 * 60
    assert max(hours(week_after)) < 12 * 60


def test_everybody_is_introduced_in_the_first_minutes(month: Sequence[Happening]) -> None:
    introduced = [one for one in month if one.time < _TIMELINE.begin + 5 * _MINUTE]
    accounts = {one.account for one in introduced if one.type == "group"}
    assert len(accounts) == 28
    joined_later = {one.user for one in month if one.type == "alias"}
    known = {one.user for one in introduced if one.type == "identify"} | joined_later
    assert {one.user for one in month if one.user} == known


def test_people_work_on_weekdays_in_office_hours_of_their_own_zone(month: Sequence[Happening]) -> None:
    for account, zone in (("kazahaya-vending", "Asia/Tokyo"), ("kestrel-lane-electric", "America/Chicago")):
        local = [one.time.astimezone(ZoneInfo(zone)) for one in month if one.account == account]
        by_day = Counter(at.isoweekday() for at in local)
        assert by_day[6] + by_day[7] < 0.25 * len(local) < by_day[2] + by_day[3] + by_day[4]
        assert sum(7 <= at.hour < 18 for at in local) > 0.75 * len(local)


def test_two_to_five_people_sign_up_a_day_and_the_first_just_after_midnight(
    month: Sequence[Happening], week_after: Sequence[Happening]
) -> None:
    settings = ProjectSettings()
    first: dict[str, datetime] = {}
    for one in [*month, *week_after]:
        if one.user and one.action and is_trial_action(settings, one.action):
            first.setdefault(one.user, one.time)
    by_day = Counter(at.date() for at in first.values())
    whole = [(_TIMELINE.begin + day * _DAY).date() for day in range(1, 36)]
    assert {by_day[day] for day in whole} <= {2, 3, 4, 5}
    for day in whole:
        assert min(at for at in first.values() if at.date() == day).hour == 0


def test_who_signs_up_was_a_visitor_before(month: Sequence[Happening]) -> None:
    visitors = {one.anonymous_id for one in month if one.anonymous_id}
    joined = [one for one in month if one.type == "alias"]
    assert len(joined) > 50
    assert sum(one.previous_id in visitors for one in joined) > 30


def test_trials_convert_or_fade(month: Sequence[Happening]) -> None:
    bought, expired = set(_accounts(month, "subscribed")), set(_accounts(month, "trial expired"))
    assert len(set(_accounts(month, "trial started"))) == 12
    assert len(bought) >= 3
    assert len(expired) >= 3
    assert not bought & expired
    for account in bought:
        assert _activities(month, account, -4, 0) > 100
    for account in expired:
        ended = next(one.time for one in month if one.account == account and one.action == "trial expired")
        after = [one for one in month if one.account == account and one.time > ended + _MINUTE]
        assert after == []


def test_the_champion_leaves_and_the_account_sinks(month: Sequence[Happening]) -> None:
    account = "brindlewater-heating"
    farewell = next(one for one in month if one.action == "handed over account")
    assert farewell.account == account
    of_champion = [one for one in month if one.user == farewell.user]
    assert max(one.time for one in of_champion) < farewell.time + timedelta(minutes=30)
    before = [one for one in month if one.account == account and one.time < farewell.time]
    assert sum(one.user == farewell.user for one in before) > 0.3 * len(before)
    assert _activities(month, account, -7, 0) < 0.6 * _activities(month, account, -17, -10)


def test_one_account_is_in_trouble(month: Sequence[Happening]) -> None:
    errors = Counter(_accounts([one for one in month if one.time > _ANCHOR - 7 * _DAY], "saw error"))
    [(account, most), (_, second)] = errors.most_common(2)
    assert (account, most > 5 * second) == ("quillmoor-plumbing", True)
    assert "opened ticket" in {one.action for one in month[-30_000:] if one.account == account}
    assert _activities(month, account, -5, 0) < 0.6 * _activities(month, account, -12, -7)


def test_a_new_feature_appears_and_spreads(month: Sequence[Happening]) -> None:
    launched = [one for one in month if one.action == "auto-planned day"]
    assert launched[0].time > _ANCHOR - 14 * _DAY
    weeks = [
        {one.account for one in launched if _ANCHOR - (week + 7) * _DAY <= one.time < _ANCHOR - week * _DAY}
        for week in (7, 0)
    ]
    assert 5 < len(weeks[0]) < len(weeks[1]) < 40


def test_it_goes_on_for_years() -> None:
    later = _ANCHOR + timedelta(days=800)
    happenings = list(_TIMELINE.happenings(later, later + timedelta(hours=2)))
    assert 2 * 60 * 2.6 < len(happenings) < 2 * 60 * 12
