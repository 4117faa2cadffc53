"""The part of JSON Schema that plans may use: it stands alone, ends, and costs no more than the event is long."""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

MAX_DEPTH: Final = 8
"""Schemas inside one another."""
MAX_SCHEMAS: Final = 500
"""Schemas within one action."""
MAX_PROPERTIES: Final = 200
MAX_ENUM: Final = 200
MAX_ALTERNATIVES: Final = 10
MAX_PATTERN_CHARS: Final = 200

_PATTERN_BYTES: Final = 256 * 1024
_ANNOTATIONS: Final = frozenset({"default", "deprecated", "description", "examples", "title"})
_ASSERTIONS: Final = frozenset(
    {
        *("type", "enum", "const", "format"),
        *("minLength", "maxLength", "pattern"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("required", "minProperties", "maxProperties", "minItems", "maxItems"),
    }
)
_APPLICATORS: Final = frozenset({"properties", "additionalProperties", "items", "anyOf"})
FORMATS: Final = frozenset({"date", "date-time", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"})

_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")

Finding: TypeAlias = tuple[str, str, str | None]
"""Where (a dotted path), what is wrong, what to do."""


def compile_schema(schema: dict[str, Any]) -> Draft202012Validator:
    """The validator of a checked schema; its errors never repeat the value. Raises ValueError.

    Patterns are matched in time linear in the text, so that none can hold up a process.
    """
    return Draft202012Validator(
        schema,
        mask="It",
        validate_formats=True,
        pattern_options=RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES),
        offline=True,
    )


def check_schema(schema: dict[str, Any]) -> Iterator[Finding]:
    """Everything that is wrong with the schema of one action."""
    findings = list(_Check().of(schema, "", 1))
    yield from findings
    if not findings:
        try:
            compile_schema(schema)
        except ValidationError as error:
            path = ".".join(str(step) for step in error.instance_path)
            if path.endswith(".pattern"):
                yield path, "This pattern cannot be used.", "Look-around and back-references are not taken."
            else:
                yield path, f"This is not JSON Schema: {error.message[:200]}.", None
        except ValueError as error:
            yield "", f"This is not JSON Schema: {str(error)[:200]}.", None


class _Check:
    def __init__(self) -> None:
        self._schemas = 0

    def of(self, schema: object, path: str, depth: int, *, alternative: bool = False) -> Iterator[Finding]:
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            yield path, "A schema is an object, such as {type: string}.", None
            return
        self._schemas += 1
        if depth > MAX_DEPTH or self._schemas == MAX_SCHEMAS + 1:
            yield path, f"At most {MAX_DEPTH} levels and {MAX_SCHEMAS} schemas an action are taken.", None
            return
        for keyword, value in schema.items():
            where = f"{path}.{keyword}" if path else str(keyword)
            if keyword not in _ASSERTIONS | _APPLICATORS | _ANNOTATIONS:
                yield where, f"`{str(keyword)[:40]}` is nothing a plan can say.", _hint(keyword)
            elif keyword == "anyOf" and alternative:
                yield where, "anyOf cannot stand inside anyOf.", "Write all alternatives into one list."
            else:
                yield from self._bounds(keyword, value, where)
                yield from self._below(keyword, value, where, depth + 1, alternative=alternative)

    def _below(
        self, keyword: str, value: object, where: str, depth: int, *, alternative: bool
    ) -> Iterator[Finding]:
        match keyword, value:
            case "properties", dict():
                for name, schema in value.items():
                    yield from self.of(schema, f"{where}.{str(name)[:60]}", depth)
            case "anyOf", list():
                for number, schema in enumerate(value):
                    yield from self.of(schema, f"{where}.{number}", depth, alternative=True)
            case (("additionalProperties" | "items"), _):
                yield from self.of(value, where, depth)

    def _bounds(self, keyword: str, value: object, where: str) -> Iterator[Finding]:
        match keyword, value:
            case "properties", dict() if len(value) > MAX_PROPERTIES:
                yield where, f"At most {MAX_PROPERTIES} properties are taken.", None
            case "enum", list() if len(value) > MAX_ENUM:
                yield where, f"At most {MAX_ENUM} values are taken.", "Use a pattern, or say the type alone."
            case "anyOf", list() if len(value) > MAX_ALTERNATIVES:
                yield where, f"At most {MAX_ALTERNATIVES} alternatives are taken.", None
            case "pattern", str() if len(value) > MAX_PATTERN_CHARS:
                yield where, f"A pattern has at most {MAX_PATTERN_CHARS} characters.", None
            case "type", str() | list() if not all(
                one in _TYPES for one in ([value] if isinstance(value, str) else value)
            ):
                yield where, f"{value!r:.60} is no type.", f"There are {', '.join(_TYPES)}."
            case "format", _ if value not in tuple(FORMATS):
                yield (
                    where,
                    f"{value!r:.40} is no format known here.",
                    f"There are {', '.join(sorted(FORMATS))}.",
                )


def _hint(keyword: object) -> str:
    if isinstance(keyword, str) and keyword.startswith("$"):
        return "A plan stands alone: write the schema out where it is used."
    return f"It can say {', '.join(sorted(_ASSERTIONS | _APPLICATORS))}."
