"""Weights and lengths of the standard ({"value": 1.2, "unit": "kg"}) in whole grams and millimetres."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from canonical_model.mach.words import number, number_out, obj

__all__ = ["grams", "kilograms_out", "millimetres"]

_GRAMS = {"g": Decimal(1), "kg": Decimal(1000), "lb": Decimal("453.59237"), "oz": Decimal("28.349523125")}
_MILLIMETRES = {
    "mm": Decimal(1),
    "cm": Decimal(10),
    "m": Decimal(1000),
    "in": Decimal("25.4"),
    "ft": Decimal("304.8"),
}


def _measure(value: Any, unit: Any, units: dict[str, Decimal]) -> int | None:
    size, factor = number(value), units.get(unit) if isinstance(unit, str) else None
    return None if size is None or factor is None or size < 0 else round(size * factor)


def grams(given: Any) -> int | None:
    return _measure(obj(given).get("value"), obj(given).get("unit"), _GRAMS)


def kilograms_out(weight: int | None) -> dict[str, Any] | None:
    return None if weight is None else {"value": number_out(Decimal(weight) / 1000), "unit": "kg"}


def millimetres(value: Any, unit: Any) -> int | None:
    return _measure(value, unit, _MILLIMETRES)
