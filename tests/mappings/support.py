"""What several tests of the translator use."""

from __future__ import annotations

from collections.abc import Callable, Mapping as MappingABC
from dataclasses import dataclass
from typing import Any

from mappings import Mapping

__all__ = ["MakeMapping", "Row", "Unreadable"]

MakeMapping = Callable[..., Mapping]
"""`make(text, name="test/sample.in", tables={...})`: a mapping written into a folder of its own, loaded."""


@dataclass
class Row:
    """A record as the hub hands it over."""

    data: MappingABC[str, Any]
    position: int


@dataclass
class Unreadable:
    """A row that could not be read, as connectors tell it."""

    position: int
    reason: str
    reason_ja: str
    hint: MappingABC[str, Any] | None = None
    column: str | None = None
