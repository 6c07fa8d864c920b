"""The standard's utility objects that are values here: address, money, timestamp.

Inside an entity what a value has no room for travels in the entity's traits. A value alone has no traits, so it
comes as a `Piece`: the value and what is left over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from canonical_model.mach.dialect import Dialect, dialect_of, from_dialect, to_dialect
from canonical_model.mach.leftovers import difference, restore
from canonical_model.mach.words import MachError, address, address_out, instant, instant_out, money, money_out
from canonical_model.values import Address, Money

__all__ = ["MACH_UTILITIES", "Piece", "piece_from_mach", "piece_to_mach"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A value, and what of the object it has no room for (same form as `traits["mach"]` of an entity)."""

    value: Address | Money | datetime
    leftover: dict[str, Any] = field(default_factory=dict)


def _timestamp_out(value: datetime) -> dict[str, Any]:
    return {"value": instant_out(value)}


_BOTH: dict[str, tuple[Callable[[Any], Any], Callable[[Any], dict[str, Any] | None], type]] = {
    "address": (address, address_out, Address),
    "money": (money, money_out, Money),
    "timestamp": (instant, _timestamp_out, datetime),
}
MACH_UTILITIES: tuple[str, ...] = tuple(_BOTH)


def piece_from_mach(name: str, obj: Mapping[str, Any]) -> Piece:
    """The value of a utility object. Raises KeyError for an unknown name, MachError where it cannot be read."""
    read, write, _ = _BOTH[name]
    told = dict(obj)
    value = read(from_dialect(told))
    if value is None:
        raise MachError(f"not a MACH {name}: {told!r:.80}")
    dialect = dialect_of(told)
    leftover = difference(told, cast("dict[str, Any]", to_dialect(write(value), dialect)))
    if dialect is Dialect.CAMEL:
        leftover["dialect"] = dialect.value
    return Piece(value, leftover)


def piece_to_mach(piece: Piece) -> dict[str, Any]:
    """The utility object of a value."""
    write = next(write for _, write, model in _BOTH.values() if isinstance(piece.value, model))
    dialect = Dialect(piece.leftover.get("dialect", Dialect.SNAKE))
    return restore(cast("dict[str, Any]", to_dialect(write(piece.value), dialect)), piece.leftover)
