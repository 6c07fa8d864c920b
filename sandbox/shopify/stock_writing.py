"""Stock mutations: all rows or none, compared with what stands there, each with an idempotency key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.shopify.clock import gid
from sandbox.shopify.graph import GraphProblem
from sandbox.shopify.payloads import level_body
from sandbox.shopify.reading import Reading
from sandbox.shopify.writing import wrong

__all__ = ["StockWriting"]

Node = Mapping[str, Any]

_REASONS = frozenset(
    {
        "correction", "cycle_count_available", "damaged", "movement_canceled", "movement_created", "movement_received",
        "movement_updated", "other", "promotion", "quality_control", "received", "reservation_created",
        "reservation_deleted", "reservation_updated", "restock", "safety_stock", "shrinkage",
    }
)  # fmt: skip
_HIGHEST = 1_000_000_000


class StockWriting:
    """inventorySetQuantities and inventoryActivate."""

    def __init__(self, reading: Reading, version: str) -> None:
        self.reading = reading
        self.shop = reading.shop
        self.version = version

    def set_quantities(self, input: dict[str, Any], directives: Mapping[str, Mapping[str, Any]]) -> Node:  # noqa: A002
        self.reading.need("write_inventory", "inventorySetQuantities")
        refused = self._key_refused(directives, input)
        if refused is not None:
            return _refused(refused)
        rows = input["quantities"]
        if len(rows) > 250:
            raise GraphProblem(
                "The input array size of more than 250 is not allowed", "MAX_INPUT_SIZE_EXCEEDED"
            )
        errors = self._head_errors(input) or [
            error for n, row in enumerate(rows) if (error := self._row_error(n, row, rows[:n])) is not None
        ]
        self._remember(directives, input, done=not errors)
        if errors:
            return _refused(*errors)
        changes = []
        for row in rows:
            changes += self._write(row)
        group = {
            "__typename": "InventoryAdjustmentGroup",
            "id": gid("InventoryAdjustmentGroup", 190000000 + len(self.shop.keys)),
            "createdAt": self.shop.now(),
            "reason": input["reason"],
            "referenceDocumentUri": input.get("referenceDocumentUri"),
            "changes": changes,
        }
        return {"inventoryAdjustmentGroup": group if changes else None, "userErrors": []}

    def _head_errors(self, wanted: Mapping[str, Any]) -> list[Node]:
        if wanted["name"] != "available":
            # on_hand is possible at the vendor; the stand-in takes what is sold from only
            return [wrong("The quantity name must be available.", "input", "name", code="INVALID_NAME")]
        if wanted["reason"] not in _REASONS:
            return [wrong("The specified reason is invalid.", "input", "reason", code="INVALID_REASON")]
        document = wanted.get("referenceDocumentUri")
        if document is not None and ("://" not in document or len(document) > 2048):
            path = ("input", "referenceDocumentUri")
            return [
                wrong(
                    "The specified reference document is invalid.", *path, code="INVALID_REFERENCE_DOCUMENT"
                )
            ]
        return []

    def _row_error(self, n: int, row: Mapping[str, Any], before: list[dict[str, Any]]) -> Node | None:
        path = ("input", "quantities", str(n))
        item, place = row["inventoryItemId"], row["locationId"]
        if "changeFromQuantity" not in row:
            raise GraphProblem(f"{'.'.join(path)}.changeFromQuantity must be given explicitly", "BAD_REQUEST")
        if item not in {one["inventoryItem"]["id"] for one in self.shop.variants.values()}:
            text = "The specified inventory item could not be found."
            return wrong(text, *path, "inventoryItemId", code="INVALID_INVENTORY_ITEM")
        if place not in self.shop.places:
            return wrong(
                "The specified location could not be found.", *path, "locationId", code="INVALID_LOCATION"
            )
        if any((one["inventoryItemId"], one["locationId"]) == (item, place) for one in before):
            code = "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"
            return wrong(
                "The combination of inventoryItemId and locationId must be unique.", *path, code=code
            )
        if row["quantity"] < 0:
            return wrong(
                "The quantity can't be negative.", *path, "quantity", code="INVALID_QUANTITY_NEGATIVE"
            )
        if row["quantity"] > _HIGHEST:
            return wrong("The quantity is too high.", *path, "quantity", code="INVALID_QUANTITY_TOO_HIGH")
        level = self.shop.levels.get((item, place))
        if level is None and self.version < "2026-10":
            text = "The specified inventory item is not stocked at the location."
            return wrong(text, *path, "locationId", code="ITEM_NOT_STOCKED_AT_LOCATION")
        # assumed: from 2026-10 on, where that code is gone, an item that is not stocked counts as none
        have, base = level.available if level else 0, row["changeFromQuantity"]
        if base is not None and base != have:
            text = "The changeFromQuantity argument no longer matches the persisted quantity."
            return wrong(text, *path, "changeFromQuantity", code="CHANGE_FROM_QUANTITY_STALE")
        return None

    def _write(self, row: Mapping[str, Any]) -> list[Node]:
        item, place = row["inventoryItemId"], row["locationId"]
        level = self.shop.levels.get((item, place)) or self.shop.stock_item(item, place, 0)
        delta = row["quantity"] - level.available
        if not delta:
            return []
        self.shop.set_available(item, place, row["quantity"])
        # assumed: quantityAfterChange is only told for some names
        return [
            {"__typename": "InventoryChange", "name": name, "delta": delta, "quantityAfterChange": None}
            for name in ("available", "on_hand")
        ]

    def activate(
        self,
        inventoryItemId: str,  # noqa: N803  (the arguments' names)
        locationId: str,  # noqa: N803
        available: int | None = None,
        directives: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Node:
        self.reading.need("write_inventory", "inventoryActivate")
        sent = {"item": inventoryItemId, "location": locationId, "available": available}
        refused = self._key_refused(directives or {}, sent)
        if refused is not None:
            return {"inventoryLevel": None, "userErrors": [_plain(refused)]}
        error = None
        if locationId not in self.shop.places:
            error = wrong("Location not found", "locationId", coded=False)
        elif inventoryItemId not in {one["inventoryItem"]["id"] for one in self.shop.variants.values()}:
            error = wrong("Inventory item not found", "inventoryItemId", coded=False)
        elif (inventoryItemId, locationId) in self.shop.levels and available is not None:
            text = "Not allowed to set available quantity when the item is already active at the location."
            error = wrong(text, "available", coded=False)
        self._remember(directives or {}, sent, done=error is None)
        if error is not None:
            return {"inventoryLevel": None, "userErrors": [error]}
        if (inventoryItemId, locationId) not in self.shop.levels:
            level = self.shop.stock_item(inventoryItemId, locationId, available or 0)
            body = level_body(inventoryItemId, locationId, level.available, level.updated)
            self.shop.event("inventory_levels/connect", body)
        return {"inventoryLevel": self.reading.level(inventoryItemId, locationId), "userErrors": []}

    # ------------------------------------------------------------ idempotency

    def _key_refused(
        self, directives: Mapping[str, Mapping[str, Any]], sent: Mapping[str, Any]
    ) -> Node | None:
        """The key must be there. A key used for something else, or by a try that failed, is refused; a key whose try
        succeeded does not bring the first answer back: the mutation runs, and the comparison refuses it.
        """
        key = str((directives.get("idempotent") or {}).get("key") or "").strip()
        if not key:
            raise GraphProblem(
                "The @idempotent directive is required for this mutation but was not provided.", "BAD_REQUEST"
            )
        known = self.shop.keys.get(key)
        if known is None:
            return None
        if known[0] != _text(sent):
            text = "The same idempotency key cannot be used with different operation parameters."
            return wrong(text, code="IDEMPOTENCY_KEY_PARAMETER_MISMATCH")
        if not known[1]:
            text = "A previous request with this idempotency key failed. Retry with a new idempotency key."
            return wrong(text, code="IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED")
        return None

    def _remember(
        self, directives: Mapping[str, Mapping[str, Any]], sent: Mapping[str, Any], *, done: bool
    ) -> None:
        self.shop.keys[str(directives["idempotent"]["key"])] = (_text(sent), done)


def _text(sent: Mapping[str, Any]) -> str:
    return json.dumps(sent, sort_keys=True)


def _plain(error: Node) -> Node:
    return {name: value for name, value in error.items() if name != "code"}


def _refused(*errors: Node) -> Node:
    return {"inventoryAdjustmentGroup": None, "userErrors": list(errors)}
