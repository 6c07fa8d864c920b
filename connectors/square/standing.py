"""What stands in Square: as its listings show it, and as the sinks write it. See docs/reconcile.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors.contract import Call, Standing, StandingsFunction
from connectors.outcomes import read_record
from connectors.square.config import SquareConfig
from connectors.square.counts import CountRow
from connectors.square.inventory import count_id
from connectors.square.places import id_of

__all__ = ["counted"]


def counted(call: Call[SquareConfig]) -> tuple[StandingsFunction, StandingsFunction]:
    """Units of a variation at a location: rows of `inventory`, and of the sink `inventory`."""

    def shown(count: Mapping[str, Any]) -> Sequence[Standing]:
        return [_standing(count["catalog_object_id"], count["location_id"], count["quantity"])]

    def written(record: Mapping[str, Any]) -> Sequence[Standing]:
        row = read_record(CountRow, record)
        return [_standing(row.catalog_object_id, id_of(call.config, record), row.quantity)]

    return shown, written


def _standing(variation: Any, location: Any, quantity: Any) -> Standing:
    place = count_id(variation, location)
    return Standing(place, {"quantity": _whole(quantity)}, place)


def _whole(quantity: Any) -> int | str:
    """Square's decimal text as a number; a part of a unit stays text."""
    units = Decimal(str(quantity))
    return int(units) if units == units.to_integral_value() else str(units)
