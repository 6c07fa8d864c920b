"""What stands in RMS: as its listings show it, and as the sinks write it. See docs/reconcile.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.contract import Call, Refused, Standing, StandingsFunction
from connectors.rakuten_rms.config import RakutenConfig
from connectors.rakuten_rms.stock import HIGHEST

__all__ = ["reported", "stocked"]


def stocked(_call: Call[RakutenConfig]) -> tuple[StandingsFunction, StandingsFunction]:
    """Quantities: rows of `stock_levels`, and of the sink `stock`. RMS knows no upper case in manageNumber."""
    return _levels, _wanted_levels


def _levels(row: Mapping[str, Any]) -> Sequence[Standing]:
    return [_level(str(row["manageNumber"]), str(row["variantId"]), row.get("quantity"))]


def _wanted_levels(row: Mapping[str, Any]) -> Sequence[Standing]:
    quantity = row.get("quantity")
    if not isinstance(quantity, int) or isinstance(quantity, bool):
        raise Refused(f"quantity {quantity!r} is no whole number", code="bad_quantity")
    return [_level(str(row["manageNumber"]), str(row["variantId"]), min(max(quantity, 0), HIGHEST))]


def _level(number: str, variant: str, quantity: Any) -> Standing:
    place = f"{number.lower()}/{variant}"
    return Standing(place, {"quantity": quantity}, place)


def reported(_call: Call[RakutenConfig]) -> tuple[StandingsFunction, StandingsFunction]:
    """Tracking numbers of each recipient: orders of the source `orders`, and records of the sink `shipments`.

    A recipient without a parcel is no standing: nothing was reported yet.
    """
    return _order_parcels, _wanted_parcels


def _order_parcels(order: Mapping[str, Any]) -> Sequence[Standing]:
    return _baskets(str(order["orderNumber"]), order.get("PackageModelList") or ())


def _wanted_parcels(record: Mapping[str, Any]) -> Sequence[Standing]:
    return _baskets(str(record["orderNumber"]), record.get("BasketidModelList") or ())


def _baskets(number: str, baskets: Iterable[Mapping[str, Any]]) -> list[Standing]:
    found = []
    for basket in baskets:
        rows = basket.get("ShippingModelList") or ()
        numbers = sorted({_plain(row.get("shippingNumber")) for row in rows} - {""})
        if numbers:
            found.append(Standing(f"{number}/{basket['basketId']}", {"parcels": numbers}, number))
    return found


def _plain(number: Any) -> str:
    """A tracking number without the hyphens some type and some do not."""
    return str(number or "").replace("-", "")
