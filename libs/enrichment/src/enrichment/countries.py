"""The country of an address, from a database file that the operator supplies; none comes with Footfall."""

import time
from pathlib import Path
from typing import Final

import maxminddb

from lifecycle.failures import StartError

LOOK_EVERY_S: Final = 60.0
"""How often the file is looked at; a new one is used from then on."""


class CountriesUnreadable(StartError):
    """The file is not there, or is no database in MaxMind's format; the text says what to do."""


class Countries:
    """Countries by IP address. Raises CountriesUnreadable when made; what is read stays when the file goes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed_at = 0
        self._looked_at_s = time.monotonic()
        self._failure: str | None = None
        self._reader = self._read()

    def country(self, ip: object) -> str | None:
        """The ISO 3166-1 code, such as `DE`; None when the file does not know."""
        if type(ip) is not str or not ip:
            return None
        self._look()
        try:
            found = self._reader.get(ip)
        except ValueError:
            # No address, or one of a family the file does not hold.
            return None
        country = found.get("country") if isinstance(found, dict) else None
        code = country.get("iso_code") if isinstance(country, dict) else None
        return code if type(code) is str else None

    def state(self) -> str:
        """ "ok", or a sentence that says why the file is as old as it is."""
        return self._failure or "ok"

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_at_s < LOOK_EVERY_S:
            return
        self._looked_at_s = now_s
        try:
            if self._path.stat().st_mtime_ns != self._changed_at:
                self._reader = self._read()
            self._failure = None
        except (OSError, CountriesUnreadable) as error:
            self._failure = f"The countries' file cannot be read again, what was read before answers: {error}"

    def _read(self) -> maxminddb.Reader:
        try:
            changed_at = self._path.stat().st_mtime_ns
            reader = maxminddb.open_database(str(self._path), maxminddb.MODE_MEMORY)
        except (OSError, maxminddb.InvalidDatabaseError) as error:
            raise CountriesUnreadable(
                f"{self._path} is no readable country database: {error}. Set FOOTFALL_COUNTRY_DATABASE to a file in "
                "MaxMind's format (.mmdb), or to nothing."
            ) from error
        self._changed_at = changed_at
        return reader
