"""The two spellings of the standard.

The drafts of mid-2025 write camelCase and call the cross references `referenceIds` and the extension data `traits`;
the releases since 1.0.0 write snake_case, `external_references` and `extensions`. Inside this package everything is
snake_case.
"""

from __future__ import annotations

import enum
import re
from typing import Any

__all__ = ["Dialect", "Verbatim", "dialect_of", "from_dialect", "to_dialect"]


class Dialect(enum.StrEnum):
    CAMEL = "camel"
    SNAKE = "snake"


class Verbatim(dict[str, Any]):
    """An object whose member names are data, not words of the standard: they are never respelled."""


_CAMEL_ONLY = {"referenceIds": "external_references", "traits": "extensions", "priceListId": "pricelist_id"}
_TO_CAMEL = {snake: camel for camel, snake in _CAMEL_ONLY.items()}
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
_UNDERSCORE = re.compile(r"_([a-z0-9])")
_DATA = frozenset({"external_references", "attributes", "attribute_definitions"})
"""Members whose own members are named by the user."""


def _snake(name: str) -> str:
    known = _CAMEL_ONLY.get(name)
    return known or _HUMP.sub(lambda match: "_" + match[1].lower(), name)


def _camel(name: str) -> str:
    known = _TO_CAMEL.get(name)
    return known or _UNDERSCORE.sub(lambda match: match[1].upper(), name)


def dialect_of(obj: dict[str, Any]) -> Dialect:
    """The spelling an object is written in; the first member that shows it decides, outer ones before inner."""
    level: list[Any] = [obj]
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, list):
                below.extend(item)
            elif isinstance(item, dict):
                for name, value in item.items():
                    if name in _CAMEL_ONLY or _HUMP.search(name):
                        return Dialect.CAMEL
                    if _UNDERSCORE.search(name) or name == "extensions":
                        return Dialect.SNAKE
                    below.append(value)
        level = below
    return Dialect.SNAKE


def from_dialect(value: Any) -> Any:
    """The same value with the words of the standard in snake_case."""
    if isinstance(value, dict):
        result = {}
        for name, item in value.items():
            word = _snake(name)
            result[word] = item if word in _DATA and isinstance(item, dict) else from_dialect(item)
        return result
    return [from_dialect(item) for item in value] if isinstance(value, list) else value


def to_dialect(value: Any, dialect: Dialect) -> Any:
    """A snake_case value in the spelling of `dialect`, as plain dicts and lists."""
    if isinstance(value, dict):
        keep = dialect is Dialect.SNAKE or isinstance(value, Verbatim)
        return {name if keep else _camel(name): to_dialect(item, dialect) for name, item in value.items()}
    return [to_dialect(item, dialect) for item in value] if isinstance(value, list | tuple) else value
