"""What an event's context tells beyond its words: not in the log, worked out again where it is shown or asked."""

from enrichment.countries import Countries, CountriesUnreadable
from enrichment.enricher import Enricher, open_enricher

__all__ = ["Countries", "CountriesUnreadable", "Enricher", "open_enricher"]
