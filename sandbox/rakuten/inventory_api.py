"""Inventory API 2.0: bulk-get, bulk-upsert, and the range read, with the vendor's limits and traps."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import JSONResponse, Response

from sandbox.rakuten.answers import Asked, property_error, property_errors
from sandbox.rakuten.clock import colon_time
from sandbox.rakuten.shop import Shop

__all__ = ["bulk_get", "bulk_get_range", "bulk_upsert"]

_ALLOWED = re.compile(r"[A-Za-z0-9_-]+")
_ROW_KEYS = {"manageNumber", "variantId", "mode", "quantity", "operationLeadTime", "shipFromIds"}
_HIGHEST = 99_999


async def bulk_upsert(shop: Shop, asked: Asked) -> Response:
    """All rows or none. A number that no item has is accepted without a word and swept away a day later."""
    rows = asked.body.get("inventories") if isinstance(asked.body, dict) else None
    if not isinstance(rows, list) or not 1 <= len(rows) <= 400:
        return property_errors(
            [property_error("IE0121", "inventories must have 1 to 400 rows.", "inventories")]
        )
    errors: list[dict[str, Any]] = []
    seen: set[tuple[str, str]] = set()
    for n, row in enumerate(rows):
        errors += _row_errors(shop, row, f"inventories[{n}]", seen)
    if errors:
        return property_errors(errors)
    now = colon_time(shop.clock())
    for row in rows:
        key = (row["manageNumber"].lower(), row["variantId"])
        known = shop.stock.get(key)
        quantity = row["quantity"] + (known["quantity"] if known and row["mode"] == "RELATIVE" else 0)
        shop.stock[key] = {
            "manageNumber": key[0],
            "variantId": key[1],
            "quantity": quantity,
            "created": known["created"] if known else now,
            "updated": now,
        }
        shop.keep("stock", "/".join(key), shop.stock[key])
    return Response(status_code=204)


def _row_errors(shop: Shop, row: Any, path: str, seen: set[tuple[str, str]]) -> list[dict[str, Any]]:
    if not isinstance(row, dict):
        return [property_error("IE0002", f"{path} has an invalid value.", path)]
    if row.keys() - _ROW_KEYS:
        unknown = min(row.keys() - _ROW_KEYS)
        return [property_error("IE0002", f"Unrecognized field : {unknown}.", f"{path}.{unknown}")]
    errors = _name_errors(row, path)
    if errors:
        return errors
    key = (row["manageNumber"].lower(), row["variantId"])
    if key in seen:
        return [property_error("IE0121", "The same SKU is given twice.", path)]
    seen.add(key)
    if row.get("mode") not in ("ABSOLUTE", "RELATIVE"):
        return [property_error("IE0002", f"mode has an invalid value : {row.get('mode')}.", f"{path}.mode")]
    quantity = row.get("quantity")
    if not isinstance(quantity, int) or isinstance(quantity, bool):
        return [property_error("IE0002", f"quantity has an invalid value : {quantity}.", f"{path}.quantity")]
    known = shop.stock.get(key)
    if row["mode"] == "RELATIVE" and known is None:
        return [property_error("IE0105", "mode must be ABSOLUTE for a new SKU.", f"{path}.mode")]
    after = quantity + (known["quantity"] if known and row["mode"] == "RELATIVE" else 0)
    if not 0 <= after <= _HIGHEST:
        return [property_error("IE0003", f"quantity must be between 0 and {_HIGHEST}.", f"{path}.quantity")]
    return []


def _name_errors(row: dict[str, Any], path: str) -> list[dict[str, Any]]:
    for name in ("manageNumber", "variantId"):
        value = row.get(name)
        if not isinstance(value, str) or not _ALLOWED.fullmatch(value):
            return [property_error("IE0002", f"{name} has an invalid value : {value}.", f"{path}.{name}")]
        if len(value.encode()) > 32:
            text = f"Max length of {name} must be within 32 bytes."
            return [property_error("IE0004", text, f"{path}.{name}")]
    return []


async def bulk_get(shop: Shop, asked: Asked) -> Response:
    """Rows of the SKUs asked for; SKUs no item has, or whose stock was never set, are simply not there."""
    rows = asked.body.get("inventories") if isinstance(asked.body, dict) else None
    if not isinstance(rows, list) or not 1 <= len(rows) <= 1000:
        return property_errors(
            [property_error("IE0121", "inventories must have 1 to 1000 rows.", "inventories")]
        )
    errors: list[dict[str, Any]] = []
    for n, row in enumerate(rows):
        if not isinstance(row, dict) or row.keys() - {"manageNumber", "variantId"}:
            errors.append(
                property_error("IE0002", f"inventories[{n}] has an invalid value.", f"inventories[{n}]")
            )
        else:
            errors += _name_errors(row, f"inventories[{n}]")
    if errors:
        return property_errors(errors)
    keys = [(row["manageNumber"].lower(), row["variantId"]) for row in rows]
    found = [shop.stock[key] for key in keys if key in shop.stock and shop.sells(*key)]
    return JSONResponse({"inventories": found})


async def bulk_get_range(shop: Shop, asked: Asked) -> Response:
    """Rows with a quantity in a range, newest first; more than 1000 are refused as a whole (IE0116)."""
    bounds: dict[str, int] = {}
    for name in ("minQuantity", "maxQuantity"):
        if (text := asked.query.get(name)) is not None:
            if not text.isdigit() or int(text) > _HIGHEST:
                return property_errors(
                    [property_error("IE0003", f"{name} must be between 0 and {_HIGHEST}.")]
                )
            bounds[name] = int(text)
    if not bounds:
        return property_errors([property_error("IE0105", "minQuantity or maxQuantity is required.")])
    low, high = bounds.get("minQuantity", 0), bounds.get("maxQuantity", _HIGHEST)
    found = [row for key, row in shop.stock.items() if low <= row["quantity"] <= high and shop.sells(*key)]
    if len(found) > 1000:
        return property_errors([property_error("IE0116", "Too many search results")])
    return JSONResponse({"inventories": sorted(found, key=lambda row: row["updated"], reverse=True)})
