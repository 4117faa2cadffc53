"""Every number of the pages against the same number computed from the events alone."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from eventmodel import topics
from generated_stream import ACCOUNTS, Sent, Truth, generate, text_of
from running_gateway import NOW, Gateway, running_gateway

_ZONES = ["Asia/Kolkata", "Europe/Berlin", "America/St_Johns"]
_BY_DAY = date(2026, 3, 27), date(2026, 10, 26)


@asynccontextmanager
async def filled(url: str, zone: str, late_s: float = 0) -> AsyncIterator[tuple[Gateway, Truth]]:
    """A gateway in the zone, after everything is projected, `late_s` after NOW."""
    async with running_gateway(url) as gateway:
        gateway.clock.advance(late_s)
        now = NOW + timedelta(seconds=late_s)
        changed = await gateway.client.patch(
            f"/v1/projects/{gateway.project.project}", json={"time_zone": zone}
        )
        assert changed.status_code == 200, changed.text
        await gateway.refresh()
        sent = generate(now)
        for topic, live in ((topics.EVENTS, True), (topics.BACKFILL, False)):
            wanted = [event for event in sent if (event.origin == "live") is live]
            for start in range(0, len(wanted), 100):
                await gateway.post(
                    *(gateway.event(**event.fields()) for event in wanted[start : start + 100]), topic=topic
                )
            await gateway.settled()
        yield gateway, Truth(sent, zone, now)


def named(subject: str) -> dict[str, str]:
    return {"user" if subject.startswith("u:") else "anonymous_id": subject[2:]}


def accounts_of(truth: Truth, days: int | None) -> list[dict[str, Any]]:
    rows = []
    for account in ACCOUNTS:
        events = [event for event in truth.events if event.account == account]
        if events:
            which = truth.of(account=account)
            people = {truth.person(event.subject) for event in events if event.person}
            row = {"account": account, "users": len(people), **truth.span(events)}
            row["name"] = truth.name(which)
            rows.append(row | ({} if days is None else {"daily": truth.daily(days, which)}))
    return rows


def users_of(truth: Truth) -> list[dict[str, Any]]:
    rows = []
    for subject in truth.users:
        events = list(filter(truth.of(subject=subject), truth.events))
        home = [event for event in events if event.account is not None]
        home.sort(key=lambda event: (-event.at.timestamp(), (event.account or "").encode()))
        row = {"user": subject[2:], **truth.span(events), "account": home[0].account if home else None}
        rows.append(row | {"name": truth.called(subject)})
    return rows


def sorted_rows(rows: list[dict[str, Any]], sort: str, order: str, name: str) -> list[dict[str, Any]]:
    by_name = sorted(rows, key=lambda row: row[name].encode())
    if sort == name:
        return by_name if order == "asc" else by_name[::-1]
    return sorted(by_name, key=lambda row: row[sort], reverse=order == "desc")


async def pages(gateway: Gateway, path: str, **wanted: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = await gateway.get(path, **wanted)
    while True:
        found += page["items"]
        if page["next"] is None:
            return found
        page = await gateway.get(path, **wanted, after=page["next"])


def without_traits(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "traits"} for row in rows]


@pytest.mark.parametrize("zone", _ZONES)
async def test_accounts_and_people_and_their_periods(migrated_url: str, zone: str) -> None:
    async with filled(migrated_url, zone, late_s=7 * 60 + 23) as (gateway, truth):
        assert without_traits(await pages(gateway, "/v1/accounts", days=90)) == sorted_rows(
            accounts_of(truth, 90), "account", "asc", "account"
        )
        for row in accounts_of(truth, None):
            account = row["account"]
            for days in (1, 7, 30, 300, 366):
                told = await gateway.get(f"/v1/accounts/{quote(account, safe='')}", days=days)
                wanted = truth.period(days, truth.of(account=account))
                assert told["period"] == wanted | {"people": truth.people(days, account)}, (account, days)
            assert {name: told[name] for name in row} == row
            assert told["breakdown"] == truth.actions(truth.activities(truth.of(account=account)))
            assert told["people"] == members(truth, account)
        for subject in {event.subject for event in truth.events if event.person}:
            kind = "users" if subject.startswith("u:") else "visitors"
            for days in (1, 8, 240):
                told = await gateway.get(f"/v1/{kind}/{quote(subject[2:], safe='')}", days=days)
                assert told["period"] == truth.period(days, truth.of(subject=subject)), (subject, days)
            events = list(filter(truth.of(subject=subject), truth.events))
            wanted = named(subject) | truth.span(events) | {"traits": truth.traits(subject)}
            wanted |= {"name": truth.called(subject), "identities": identities(truth, subject)}
            person = truth.person(subject)
            wanted |= {"known_as": None if person == subject else named(person)}
            assert {name: told[name] for name in wanted} == wanted
            assert told["breakdown"] == truth.actions(truth.activities(truth.of(subject=subject)))
            assert told["accounts"] == memberships(truth, events)


def members(truth: Truth, account: str) -> list[dict[str, Any]]:
    met: dict[str, list[Sent]] = defaultdict(list)
    for event in truth.events:
        if event.account == account and event.person:
            met[truth.person(event.subject)].append(event)
    rows = [
        {
            **named(subject),
            **truth.span(events),
            "name": truth.called(subject),
            "actions": truth.actions(event for event in events if event.counts)[:3],
        }
        for subject, events in sorted(met.items())
    ]
    return sorted(rows, key=lambda row: str(row["last_seen"]), reverse=True)


def identities(truth: Truth, subject: str) -> list[dict[str, Any]]:
    rows = [
        {**named(one), **truth.span([event for event in truth.events if event.subject == one])}
        for one in sorted(truth.ids(subject) - {subject})
    ]
    return sorted(rows, key=lambda row: str(row["first_seen"]))


def memberships(truth: Truth, events: list[Sent]) -> list[dict[str, Any]]:
    rows = [
        {"account": account, **truth.span([event for event in events if event.account == account])}
        for account in sorted({event.account or "" for event in events} - {""}, key=str.encode)
    ]
    return sorted(rows, key=lambda row: str(row["last_seen"]), reverse=True)


@pytest.mark.parametrize("zone", _ZONES)
async def test_days_and_hours_of_all_of_an_account_and_of_a_person(migrated_url: str, zone: str) -> None:
    first, last = _BY_DAY
    async with filled(migrated_url, zone) as (gateway, truth):
        scopes = [{}, {"account": "acme"}, {"user": "user-3"}, {"anonymous_id": "visitor-1"}]
        scopes += [{"user": "user-3", "account": account} for account in ACCOUNTS]
        for scope in scopes:
            which = truth.of(**scope)
            asked = scope | {"from": first.isoformat(), "to": last.isoformat()}
            days = await gateway.get("/v1/pulse/days", **asked)
            told = {(row["day"], row["action"]): row["count"] for row in days["items"]}
            assert told == dict(truth.by_day(first, last, which)), scope
            assert list(told) == sorted(told)
            assert days["active_users"] == ({} if scope else truth.active(first, last))
            assert days["trial_signups"] == ({} if scope else truth.sign_ups(first, last))
            hours = await gateway.get("/v1/pulse/hours", **asked)
            by_hour = {(row["weekday"], row["hour"]): row["count"] for row in hours["items"]}
            assert by_hour == dict(truth.by_hour(first, last, which)), scope
            assert list(by_hour) == sorted(by_hour)
            assert (hours["from"], hours["to"], hours["time_zone"]) == (asked["from"], asked["to"], zone)
        recent = await gateway.get("/v1/pulse/hours")
        assert (recent["from"], recent["to"]) == (text(truth.today, 27), text(truth.today, 0))
        counted = truth.by_hour(truth.today - timedelta(days=27), truth.today, lambda event: True)
        assert Counter({(row["weekday"], row["hour"]): row["count"] for row in recent["items"]}) == counted


def text(day: date, before: int) -> str:
    return (day - timedelta(days=before)).isoformat()


async def test_minutes_of_the_last_hour_with_those_in_which_nothing_was(migrated_url: str) -> None:
    async with filled(migrated_url, "UTC", late_s=42.5) as (gateway, truth):
        told = await gateway.get("/v1/pulse/minutes")
        counted = Counter(
            event.at.replace(second=0, microsecond=0) for event in truth.activities(lambda event: True)
        )
        minutes = [NOW - timedelta(minutes=age) for age in reversed(range(60))]
        assert told["items"] == [{"minute": text_of(minute), "count": counted[minute]} for minute in minutes]
        assert sum(row["count"] for row in told["items"]) > 0
        gateway.clock.advance(45 * 60)
        await gateway.refresh()
        later = (await gateway.get("/v1/pulse/minutes"))["items"]
        assert later[:15] == told["items"][45:]
        assert sum(row["count"] for row in later[15:]) == 0


async def test_lists_are_paged_in_every_order_with_ties(migrated_url: str) -> None:
    async with filled(migrated_url, "UTC") as (gateway, truth):
        # Ties: of each number two accounts and two users at least.
        twins = [
            Sent(
                id=f"t{n}-{name}", at=NOW - timedelta(days=2), account=f"twin-{name}", user=f"twin-{name}-{n}"
            )
            for name in "bacd"
            for n in range(2)
        ]
        await gateway.post(*(gateway.event(**event.fields()) for event in twins))
        await gateway.settled()
        truth = Truth([*truth.events, *twins], "UTC", NOW)
        rows = [
            *accounts_of(truth, None),
            *(
                {
                    "account": f"twin-{name}", "name": None, "users": 2, "activities": 2,
                    "first_seen": text_of(NOW - timedelta(days=2)), "last_seen": text_of(NOW - timedelta(days=2)),
                }
                for name in "abcd"
            ),
        ]  # fmt: skip
        for sort in ("account", "activities", "users", "first_seen", "last_seen"):
            for order in ("asc", "desc"):
                found = await pages(gateway, "/v1/accounts", sort=sort, order=order, limit=3)
                assert without_traits(found) == sorted_rows(rows, sort, order, "account"), (sort, order)
            default = await gateway.get("/v1/accounts", sort=sort)
            order = "asc" if sort == "account" else "desc"
            assert without_traits(default["items"]) == sorted_rows(rows, sort, order, "account")
        for sort in ("user", "activities", "first_seen", "last_seen"):
            for order in ("asc", "desc"):
                found = await pages(gateway, "/v1/users", sort=sort, order=order, limit=7)
                assert without_traits(found) == sorted_rows(users_of(truth), sort, order, "user"), (
                    sort,
                    order,
                )


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_paging_on_shows_each_unchanged_row_once_while_others_change(
    migrated_url: str, order: str
) -> None:
    async with running_gateway(migrated_url) as gateway:
        await gateway.post(
            *(
                gateway.event(
                    f"{n}-{again}", account=f"a{n:02}", user=f"u{n:02}", occurred_at=NOW - timedelta(hours=1)
                )
                for n in range(30)
                for again in range(n // 10 + 1)
            )
        )
        await gateway.settled()
        for path, name, sort in (
            ("/v1/accounts", "account", "activities"),
            ("/v1/users", "user", "last_seen"),
        ):
            page = await gateway.get(path, sort=sort, order=order, limit=4)
            seen = [row[name] for row in page["items"]]
            moved: set[str] = set()
            round_ = 0
            while page["next"] is not None:
                number = (round_ * 7) % 30
                moved.add(f"{name[0]}{number:02}")
                event = gateway.event(f"m-{path}-{round_}", account=f"a{number:02}", user=f"u{number:02}")
                await gateway.post(
                    event, gateway.event(f"n-{path}-{round_}", account="new", user=f"new-{round_}")
                )
                await gateway.settled()
                round_ += 1
                page = await gateway.get(path, sort=sort, order=order, limit=4, after=page["next"])
                seen += [row[name] for row in page["items"]]
            unchanged = {f"{name[0]}{n:02}" for n in range(30)} - moved
            assert round_ > 4
            assert Counter(row for row in seen if row in unchanged) == Counter(unchanged)


_SEARCHED = ["%", "_", "\\", "100%_", "l\\C", "BÜRGER", "ünal 1%", "company 1", "THE 100%_r", "5", "nobody"]


async def test_search_takes_every_character_for_itself(migrated_url: str) -> None:
    async with filled(migrated_url, "UTC") as (gateway, truth):
        for path, name, rows in (
            ("/v1/accounts", "account", accounts_of(truth, None)),
            ("/v1/users", "user", users_of(truth)),
        ):
            found_by = []
            for searched in _SEARCHED:
                wanted = [row for row in rows if matches(row, name, searched)]
                found_by.append(len(wanted))
                for sort in (name, "activities", *(["users"] if name == "account" else [])):
                    found = await pages(gateway, path, search=searched, sort=sort, limit=2)
                    order = "asc" if sort == name else "desc"
                    told = without_traits(found)
                    assert told == sorted_rows(wanted, sort, order, name), (path, sort, searched)
            assert sum(0 < number < len(rows) for number in found_by) > 4
            assert len((await gateway.get(path, search=""))["items"]) == min(50, len(rows))


def matches(row: dict[str, Any], name: str, searched: str) -> bool:
    return any(searched.lower() in (text or "").lower() for text in (row[name], row["name"]))


@pytest.mark.parametrize(
    ("path", "query", "code", "field"),
    [
        ("/v1/accounts", {"sort": "name"}, "invalid_sort", "sort"),
        ("/v1/users", {"sort": "users"}, "invalid_sort", "sort"),
        ("/v1/accounts", {"sort": "users; drop"}, "invalid_sort", "sort"),
        ("/v1/accounts", {"order": "up"}, "invalid_order", "order"),
        ("/v1/users", {"order": ""}, "invalid_order", "order"),
        ("/v1/accounts", {"search": "a\0b"}, "invalid_parameter", "search"),
        ("/v1/users", {"search": "\0"}, "invalid_parameter", "search"),
        ("/v1/accounts", {"days": "91"}, "invalid_days", "days"),
        ("/v1/accounts", {"days": "0"}, "invalid_days", "days"),
        ("/v1/accounts/acme", {"days": "367"}, "invalid_days", "days"),
        ("/v1/users/ada", {"days": "-1"}, "invalid_days", "days"),
        ("/v1/visitors/ada", {"days": "1.5"}, "invalid_days", "days"),
        ("/v1/pulse/days", {"user": "ada", "anonymous_id": "x"}, "two_subjects", "anonymous_id"),
        ("/v1/pulse/hours", {"user": "ada", "anonymous_id": "x"}, "two_subjects", "anonymous_id"),
        ("/v1/pulse/hours", {"from": "2026-11-23"}, "invalid_range", "from"),
        ("/v1/pulse/hours", {"from": "2024-01-01"}, "invalid_range", "from"),
        ("/v1/pulse/hours", {"to": "today"}, "invalid_day", "to"),
        ("/v1/accounts", {"after": "x"}, "invalid_keyset", "after"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_its_field(
    migrated_url: str, path: str, query: dict[str, str], code: str, field: str
) -> None:
    async with running_gateway(migrated_url) as gateway:
        await gateway.post(gateway.event(1))
        await gateway.settled()
        refused = await gateway.client.get(path, params=query)
        assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (400, code, field)


async def test_the_ends_of_the_calendar_are_days_too(migrated_url: str) -> None:
    async with filled(migrated_url, "Asia/Kolkata") as (gateway, _):
        first, last = "0001-01-01", "9999-12-31"
        for path in ("/v1/pulse/days", "/v1/pulse/hours"):
            for asked in ({"from": first, "to": "0001-01-02"}, {"to": first}, {"from": last, "to": last}):
                for whose in ({}, {"user": "user-1"}, {"account": "acme"}):
                    assert (await gateway.get(path, **asked, **whose))["items"] == []


async def test_a_place_in_a_list_sorted_otherwise_is_refused(migrated_url: str) -> None:
    async with running_gateway(migrated_url) as gateway:
        await gateway.post(*(gateway.event(n, account=f"a{n}", user=f"u{n}") for n in range(3)))
        await gateway.settled()
        for path, sort, other in (
            ("/v1/accounts", "activities", "users"),
            ("/v1/users", "first_seen", "last_seen"),
        ):
            following = (await gateway.get(path, sort=sort, limit=1))["next"]
            assert (await gateway.get(path, sort=sort, limit=1, after=following))["items"]
            for wrong in ({"sort": other}, {}):
                refused = await gateway.client.get(path, params={"after": following, "limit": 1, **wrong})
                assert (refused.status_code, refused.json()["code"]) == (400, "invalid_keyset")


async def test_a_restricted_token_sees_the_numbers_of_its_own_only(migrated_url: str) -> None:
    async with filled(migrated_url, "UTC") as (gateway, _):

        async def ask(path: str, restriction: dict[str, str], **query: str) -> Any:
            made = await gateway.client.post("/v1/tokens", json=restriction)
            bearer = {"authorization": f"Bearer {made.json()['token']}"}
            return await gateway.client.get(path, params=query, headers=bearer)

        of_account, of_user = {"account": "acme"}, {"user": "user-3"}
        for restriction in (of_account, of_user):
            for path in ("/v1/pulse/minutes", "/v1/accounts", "/v1/users", "/v1/visitors/visitor-1"):
                assert (await ask(path, restriction)).json()["code"] == "outside_token", path
            for path in ("/v1/pulse/days", "/v1/pulse/hours"):
                assert (await ask(path, restriction)).status_code == 403
                assert (await ask(path, restriction, anonymous_id="visitor-1")).status_code == 403
                assert (await ask(path, restriction, account="globex")).status_code == 403
        for path in ("/v1/pulse/days", "/v1/pulse/hours"):
            assert (await ask(path, of_user, user="user-4")).status_code == 403
            own = await ask(path, of_account, account="acme")
            assert own.json()["items"] == (await gateway.get(path, account="acme"))["items"]
            own = await ask(path, of_user, user="user-3")
            assert own.json()["items"] == (await gateway.get(path, user="user-3"))["items"]
            within = await ask(path, of_account, user="user-3")
            assert within.json()["items"] == (await gateway.get(path, account="acme", user="user-3"))["items"]
