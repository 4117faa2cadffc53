"""A draft of a plan from what was sent: types, what is always there, values where there are few, formats."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from eventmodel import Event, fold_action
from policy import Plan, read_plan

MAX_ACTIONS: Final = 200
MAX_PROPERTIES: Final = 100
MAX_DEPTH: Final = 4
MAX_SHAPES: Final = 400
"""Places within one action that are told apart."""
MAX_NAME_CHARS: Final = 100
ENUM_VALUES: Final = 8
"""More distinct texts than these are no list to choose from."""
ENUM_CHARS: Final = 64
ENUM_REPEATS: Final = 5
"""So often each value must have come on average, before no other is expected."""
REQUIRED_AFTER: Final = 10
"""So many events must have had a property, each of them, before it is asked for."""

_FORMATS: Final[Mapping[str, re.Pattern[str]]] = {
    "uuid": re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "date-time": re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"),
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "email": re.compile(r"[\w.+-]{1,64}@[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){1,8}", re.ASCII),
    "uri": re.compile(r"https?://[\w.:/?#@!$&'()*+,;=%~-]{1,2000}", re.ASCII),
}
_MAX_FORMAT_CHARS: Final = 2_048


def learn_plan(events: Iterable[Event]) -> Plan:
    """The plan that these events keep, in mode observe; of two spellings of an action the more frequent one.

    Pages and screens are left out: most have a name each.
    """
    counts: Counter[str] = Counter()
    shapes: dict[str, _Shape] = {}
    for event in events:
        if event.kind in ("track", "identify", "group"):
            counts[event.action] += 1
            shape = shapes.setdefault(event.action, _Shape(_Budget()))
            shape.add(event.properties if event.kind == "track" else event.traits)
    actions: dict[str, Any] = {}
    spelled: set[str] = set()
    for action, _ in counts.most_common():
        folded = fold_action(action)
        if folded not in spelled and len(actions) < MAX_ACTIONS:
            spelled.add(folded)
            actions[action] = shapes[action].learned()
    return read_plan({"mode": "observe", "actions": dict(sorted(actions.items()))})


class _Budget:
    """How many places of one action may still be told apart."""

    def __init__(self) -> None:
        self.left = MAX_SHAPES


class _Shape:
    """Everything seen of one value at one place."""

    def __init__(self, budget: _Budget, depth: int = 1) -> None:
        budget.left -= 1
        self._budget = budget
        self._depth = depth
        self._types: Counter[str] = Counter()
        self._texts: Counter[str] = Counter()
        self._formats: set[str] | None = None
        self._below: dict[str, _Shape] = {}
        self._items: _Shape | None = None

    def add(self, value: object) -> None:
        match value:
            case None:
                self._types["null"] += 1
            case bool():
                self._types["boolean"] += 1
            case int():
                self._types["integer"] += 1
            case float():
                self._types["number"] += 1
            case str():
                self._types["string"] += 1
                self._add_text(value)
            case list():
                self._types["array"] += 1
                self._add_items(value)
            case dict():
                self._types["object"] += 1
                self._add_below(value)

    def learned(self) -> dict[str, Any]:
        """The keywords of a planned action, or of an object within."""
        always = self._types["object"]
        required = [name for name, shape in self._below.items() if shape._seen() == always >= REQUIRED_AFTER]
        properties = {name: shape._schema() for name, shape in sorted(self._below.items())}
        return {"properties": properties, **({"required": sorted(required)} if required else {})}

    def _add_text(self, text: str) -> None:
        if len(self._texts) <= ENUM_VALUES:
            self._texts[text[: ENUM_CHARS + 1]] += 1
        if self._formats != set():
            fitting = {
                name
                for name, form in _FORMATS.items()
                if len(text) <= _MAX_FORMAT_CHARS and form.fullmatch(text)
            }
            self._formats = fitting if self._formats is None else self._formats & fitting

    def _add_items(self, items: list[object]) -> None:
        if self._items is None and self._depth < MAX_DEPTH and self._budget.left > 0:
            self._items = _Shape(self._budget, self._depth + 1)
        if self._items is not None:
            for item in items[:MAX_PROPERTIES]:
                self._items.add(item)

    def _add_below(self, value: Mapping[str, object]) -> None:
        if self._depth >= MAX_DEPTH:
            return
        for name, item in value.items():
            known = self._below.get(name)
            room = self._budget.left > 0 and len(self._below) < MAX_PROPERTIES
            if known is None and room and len(name) <= MAX_NAME_CHARS:
                known = self._below[name] = _Shape(self._budget, self._depth + 1)
            if known is not None:
                known.add(item)

    def _seen(self) -> int:
        return sum(self._types.values())

    def _schema(self) -> dict[str, Any]:
        types = sorted(self._types)
        if "number" in types and "integer" in types:
            types.remove("integer")
        schema: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
        if types == ["string"]:
            schema |= self._text_schema()
        if "array" in types and self._items is not None and self._items._seen():
            schema["items"] = self._items._schema()
        if "object" in types and self._below:
            schema |= self.learned()
        return schema

    def _text_schema(self) -> dict[str, Any]:
        few = len(self._texts) <= ENUM_VALUES and all(len(text) <= ENUM_CHARS for text in self._texts)
        if few and self._types["string"] >= ENUM_REPEATS * len(self._texts) and not self._formats:
            return {"enum": sorted(self._texts)}
        return {"format": min(self._formats)} if self._formats else {}
