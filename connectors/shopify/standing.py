"""What stands in Shopify: as its listings show it, and as the sinks write it. See docs/reconcile.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.contract import Call, Standing, StandingsFunction
from connectors.outcomes import read_record
from connectors.shopify.api import Api
from connectors.shopify.config import ShopifyConfig
from connectors.shopify.ids import gid
from connectors.shopify.locations import Locations
from connectors.shopify.stock import StockRow

__all__ = ["stocked"]


def stocked(call: Call[ShopifyConfig]) -> tuple[StandingsFunction, StandingsFunction]:
    """`available` of an item at a location: rows of `inventory`, and of the sink `stock`.

    A row that names its item by SKU alone is not compared: Shopify does not keep SKUs unique.
    """
    places = Locations(Api(call))

    def shown(level: Mapping[str, Any]) -> Sequence[Standing]:
        numbers = {quantity["name"]: int(quantity["quantity"]) for quantity in level["quantities"]}
        return [
            _standing(str(level["item"]["id"]), str(level["location"]["id"]), numbers.get("available", 0))
        ]

    def written(record: Mapping[str, Any]) -> Sequence[Standing]:
        row = read_record(StockRow, record)
        if not row.inventoryItemId:
            return []
        wanted = max(row.available, 0)
        return [_standing(gid("InventoryItem", row.inventoryItemId), places.write_to(row.location), wanted)]

    return shown, written


def _standing(item: str, location: str, available: int) -> Standing:
    return Standing(f"{item}@{location}", {"available": available}, item)
