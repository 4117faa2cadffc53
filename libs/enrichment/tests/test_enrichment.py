from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from country_file import write_country_file
from enrichment import Countries, CountriesUnreadable, Enricher, open_enricher
from enrichment import countries as countries_module

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/130.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)
TABLET = (
    "Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def _facts(context: dict[str, Any], properties: dict[str, Any] | None = None) -> dict[str, Any]:
    return Enricher().facts(context, properties or {})


@pytest.mark.parametrize(
    ("agent", "browser", "system", "device"),
    [
        (CHROME, "Chrome", "Windows", "desktop"),
        (IPHONE, "Mobile Safari", "iOS", "mobile"),
        (TABLET, "Chrome", "Android", "tablet"),
    ],
)
def test_a_browser_tells_its_name_system_and_device(
    agent: str, browser: str, system: str, device: str
) -> None:
    for name in ("user_agent", "userAgent"):
        facts = _facts({name: agent})
        assert (facts["browser"]["name"], facts["os"]["name"]) == (browser, system)
        assert facts["device"] == {"type": device}
        assert facts["bot"] is False


@pytest.mark.parametrize("agent", [GOOGLEBOT, "curl/8.5.0", "HeadlessChrome/120.0", "AhrefsBot/7.0"])
def test_a_program_without_a_person_is_marked_and_gets_no_device(agent: str) -> None:
    facts = _facts({"user_agent": agent})
    assert facts["bot"] is True
    assert not {"browser", "device"} & set(facts)


def test_the_referrer_is_a_domain_and_never_the_own_one() -> None:
    page = {"url": "https://app.acme.example/x", "referrer": "https://www.news.example/item?id=1"}
    assert _facts({"page": page})["referrer_domain"] == "news.example"
    assert "referrer_domain" not in _facts({"page": {**page, "referrer": "https://app.acme.example/y"}})
    assert "referrer_domain" not in _facts({"page": {**page, "referrer": "$direct"}})
    assert _facts({}, {"referrer": "android-app://com.mail.example"})["referrer_domain"] == "com.mail.example"


def test_the_campaign_is_what_the_sender_says_else_what_the_address_says() -> None:
    address = {"page": {"url": "https://acme.example/?utm_source=mail&utm_campaign=May%20sale&x=1"}}
    assert _facts(address)["campaign"] == {"source": "mail", "name": "May sale"}
    said = {**address, "campaign": {"source": "partner", "medium": "link", "other": "x"}}
    assert _facts(said)["campaign"] == {"source": "partner", "medium": "link"}
    assert _facts(address, {"utm_source": "ads"})["campaign"] == {"source": "ads"}
    assert "campaign" not in _facts({"page": {"url": "https://acme.example/?q=utm_source"}})


def test_countries_come_from_the_operators_file_alone(tmp_path: Path) -> None:
    assert "country" not in _facts({"ip": "81.2.69.160"})
    path = tmp_path / "countries.mmdb"
    write_country_file(path, "DE", "FR")
    enricher = open_enricher(path)
    assert enricher.facts({"ip": "81.2.69.160"}, {}) == {"country": "DE"}
    assert enricher.facts({"ip": "203.0.113.9"}, {}) == {"country": "FR"}
    for no_address in ("nonsense", "2001:db8::1", "", None, 7):
        assert enricher.facts({"ip": no_address}, {}) == {}


async def test_a_new_file_is_noticed_and_a_broken_one_leaves_the_last_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(countries_module, "LOOK_EVERY_S", 0.0)
    path = tmp_path / "countries.mmdb"
    write_country_file(path, "DE", "FR")
    enricher = open_enricher(path)
    write_country_file(path, "AT", "FR")
    assert enricher.facts({"ip": "81.2.69.160"}, {}) == {"country": "AT"}
    path.write_bytes(b"half a file")
    assert enricher.facts({"ip": "81.2.69.160"}, {}) == {"country": "AT"}
    assert "cannot be read again" in await enricher.check()
    write_country_file(path, "CH", "FR")
    assert enricher.facts({"ip": "81.2.69.160"}, {}) == {"country": "CH"}
    assert await enricher.check() == "ok"


def test_a_file_that_is_not_there_or_no_database_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CountriesUnreadable, match="FOOTFALL_COUNTRY_DATABASE"):
        Countries(tmp_path / "nothing.mmdb")
    (tmp_path / "text.mmdb").write_text("no database")
    with pytest.raises(CountriesUnreadable, match="no readable country database"):
        Countries(tmp_path / "text.mmdb")


_TEXT = st.text(alphabet="abM/;:?&=#@%.[] \0é", max_size=30)
_JSON: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, 0, -1.5, [], [1], {}]),
    _TEXT,
    st.dictionaries(st.sampled_from(["url", "referrer", "source"]), _TEXT, max_size=3),
)
_NAMES = st.sampled_from(
    ["user_agent", "userAgent", "page", "campaign", "ip", "url", "referrer", "utm_source"]
)


@given(st.dictionaries(_NAMES, _JSON), st.dictionaries(_NAMES, _JSON))
def test_nothing_that_stands_in_an_event_fails(context: dict[str, Any], properties: dict[str, Any]) -> None:
    assert _facts(context, properties) == _facts(context, properties)


@given(st.text(alphabet="[]:/?#@%.x", max_size=30))
def test_no_address_fails(address: str) -> None:
    _facts({"page": {"url": address + "?utm_source=x", "referrer": "http://" + address}})
