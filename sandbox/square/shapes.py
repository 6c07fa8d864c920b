"""What a request body must look like: required members, types, lengths, known names. All faults are told at once.

Limits are those of Square's published OpenAPI (2025-08-20); an unknown member is refused as Square does
(UNKNOWN_BODY_PARAMETER).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.square.answers import Refusal, error, no

__all__ = ["ANY", "MONEY", "Field", "checked", "parse_time", "times"]

_TIME = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$")
_DECIMAL = re.compile(r"^-?\d+(\.\d{1,5})?$")


@dataclass(frozen=True)
class Field:
    """One member.

    kind    string, integer, boolean, time, decimal, object, array, map or any
    least, most  length of texts, arrays and maps; size of integers
    fields  members of an object; item  what an array or map holds
    """

    kind: str = "string"
    required: bool = False
    least: int | None = None
    most: int | None = None
    values: tuple[str, ...] | None = None
    fields: Mapping[str, Field] | None = None
    item: Field | None = None


ANY = Field("any")
MONEY = Field("object", fields={"amount": Field("integer"), "currency": Field()})
_TYPES: dict[str, tuple[type, str]] = {
    "string": (str, "EXPECTED_STRING"),
    "time": (str, "EXPECTED_STRING"),
    "decimal": (str, "EXPECTED_STRING"),
    "integer": (int, "EXPECTED_INTEGER"),
    "boolean": (bool, "EXPECTED_BOOLEAN"),
    "object": (dict, "EXPECTED_OBJECT"),
    "map": (dict, "EXPECTED_MAP"),
    "array": (list, "EXPECTED_ARRAY"),
}
_TOO_MANY = {"array": "ARRAY_LENGTH_TOO_LONG", "map": "TOO_MANY_MAP_ENTRIES", "string": "VALUE_TOO_LONG"}
_TOO_FEW = {
    "array": "ARRAY_LENGTH_TOO_SHORT",
    "map": "MISSING_REQUIRED_PARAMETER",
    "string": "VALUE_TOO_SHORT",
}


def checked(body: Any, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The body, if it is what `fields` say. Raises `Refusal` (400) with every fault."""
    if not isinstance(body, dict):
        raise no("EXPECTED_JSON_BODY", "The request body must be a JSON object.")
    errors = list(_object(body, fields, ""))
    if errors:
        raise Refusal(400, errors)
    return body


def _object(value: Mapping[str, Any], fields: Mapping[str, Field], path: str) -> Iterator[dict[str, Any]]:
    for name in value.keys() - fields.keys():
        yield error("UNKNOWN_BODY_PARAMETER", f"The parameter `{name}` is not known.", _at(path, name))
    for name, field in fields.items():
        given = value.get(name)
        if given is None:
            if field.required:
                yield error(
                    "MISSING_REQUIRED_PARAMETER", f"Missing required parameter `{name}`.", _at(path, name)
                )
        else:
            yield from _value(given, field, _at(path, name))


def _value(value: Any, field: Field, path: str) -> Iterator[dict[str, Any]]:
    if field.kind == "any":
        return
    kind, code = _TYPES[field.kind]
    fits: bool = isinstance(value, kind) and (field.kind == "boolean" or not isinstance(value, bool))
    if not fits:
        yield error(code, f"Expected another type (encountered {type(value).__name__}).", path)
        return
    yield from _size(value, field, path)
    if field.kind == "time" and parse_time(value) is None:
        yield error("INVALID_TIME", f"`{value}` is no RFC 3339 timestamp.", path)
    elif field.kind == "decimal" and not _DECIMAL.match(value):
        yield error("INVALID_VALUE", f"`{value}` is no decimal number with at most 5 decimals.", path)
    elif field.values is not None and value not in field.values:
        yield error("INVALID_ENUM_VALUE", f"`{value}` is not one of {', '.join(field.values)}.", path)
    elif field.kind == "object" and field.fields is not None:
        yield from _object(value, field.fields, path)
    elif field.item is not None:
        pairs = (
            ((f"{path}[{n}]", each) for n, each in enumerate(value))
            if field.kind == "array"
            else ((f"{path}.{name}", each) for name, each in value.items())
        )
        for place, each in pairs:
            if each is None:
                yield error("INVALID_ARRAY_VALUE", "null is not allowed here.", place)
            else:
                yield from _value(each, field.item, place)


def _size(value: Any, field: Field, path: str) -> Iterator[dict[str, Any]]:
    if field.kind == "integer":
        size, high, low = value, "VALUE_TOO_HIGH", "VALUE_TOO_LOW"
    elif isinstance(value, str | Sequence | Mapping):
        known = field.kind if field.kind in _TOO_MANY else "string"
        size, high, low = len(value), _TOO_MANY[known], _TOO_FEW[known]
    else:
        return
    if field.most is not None and size > field.most:
        yield error(high, f"At most {field.most} is allowed, this is {size}.", path)
    if field.least is not None and size < field.least:
        yield error(low, f"At least {field.least} is needed, this is {size}.", path)


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def parse_time(text: Any) -> datetime | None:
    """The moment of an RFC 3339 time with an offset; None where it is none."""
    if not isinstance(text, str) or not _TIME.match(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def times(given: Mapping[str, Any] | None, field: str) -> tuple[datetime | None, datetime | None]:
    """A TimeRange. Raises `Refusal` where it ends before it starts."""
    start, end = (parse_time((given or {}).get(name)) for name in ("start_at", "end_at"))
    if start is not None and end is not None and end < start:
        raise no("INVALID_TIME_RANGE", "`end_at` lies before `start_at`.", field)
    return start, end
