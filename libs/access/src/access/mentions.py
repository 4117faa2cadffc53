"""Where an id stands in a text: the one rule by which rows are searched for somebody who is forgotten."""

import json
import re
from collections.abc import Collection
from typing import Final
from urllib.parse import quote

_LONG: Final = 6
"""From here on an id is looked for anywhere; a shorter one only where it is a whole value."""


def mention_pattern(ids: Collection[str], *, escaped: bool = False) -> str:
    """A regular expression, PostgreSQL's and Python's alike, of texts that hold one of the ids as a whole.

    Found are an id itself and its forms in JSON (also JSON in JSON) and in addresses. `escaped`: the text is
    bytes in PostgreSQL's format `escape`.
    """
    long: list[str] = []
    short: list[str] = []
    for one in ids:
        (long if len(one) >= _LONG else short).extend(sorted(_forms(one)))
    if escaped:
        long, short = list(map(_escape, long)), list(map(_escape, short))
    parts = []
    if long:
        parts.append(rf"(^|[^\w.@+-])({'|'.join(map(_literal, long))})($|[^\w.@+-])")
    if short:
        parts.append(rf"""(^|["'=]|[ua]:)({"|".join(map(_literal, short))})($|["'\\&])""")
    return "|".join(parts)


def _forms(text: str) -> set[str]:
    once = json.dumps(text, ensure_ascii=False)[1:-1]
    plain = json.dumps(text)[1:-1]
    twice = (json.dumps(form)[1:-1] for form in (once, plain))
    return {text, once, plain, *twice, json.dumps(once, ensure_ascii=False)[1:-1], quote(text, safe="")}


def _escape(text: str) -> str:
    return "".join(
        "\\\\" if byte == 0x5C else chr(byte) if 0 < byte < 0x80 else f"\\{byte:03o}"
        for byte in text.encode()
    )


def _literal(text: str) -> str:
    return re.escape(text)
