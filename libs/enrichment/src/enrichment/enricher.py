"""All facts about one event, from its context and properties."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from enrichment.agents import agent_facts
from enrichment.arrivals import campaign, referrer_domain
from enrichment.countries import Countries


class Enricher:
    """The same facts for the same event, as long as the countries' file is the same."""

    def __init__(self, countries: Countries | None = None) -> None:
        self._countries = countries

    def facts(self, context: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
        """`bot`, `browser`, `os`, `device`, `referrer_domain`, `campaign` and `country`, each where it is known.

        Never raises for what stands in an event.
        """
        facts: dict[str, Any] = {}
        agent = context.get("user_agent") or context.get("userAgent")
        if type(agent) is str:
            facts |= agent_facts(agent)
        page = _object(context.get("page"))
        address = page.get("url") or properties.get("url")
        came_from = referrer_domain(page.get("referrer") or properties.get("referrer"), address)
        if came_from:
            facts["referrer_domain"] = came_from
        named = campaign(context, properties, address)
        if named:
            facts["campaign"] = named
        if self._countries is not None:
            code = self._countries.country(context.get("ip"))
            if code:
                facts["country"] = code
        return facts

    async def check(self) -> str:
        """ "ok", or what is wrong with the countries' file."""
        return "ok" if self._countries is None else self._countries.state()


def open_enricher(country_database: Path | None) -> Enricher:
    """The enricher with that file, or without countries. Raises CountriesUnreadable."""
    return Enricher(None if country_database is None else Countries(country_database))


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
