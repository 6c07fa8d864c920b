"""Items, SKUs and stock rows out of RMS: complete listings, walked by cursorMark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from connectors.contract import Call, Page, Refused
from connectors.rakuten_rms.config import RakutenConfig
from connectors.rakuten_rms.gateway import READ_COST, get, post
from connectors.transport.http import Intent

__all__ = ["BULK_GET_LIMIT", "items", "read_stock", "skus", "stock_levels"]

BULK_GET_LIMIT = 1000
_HITS = 100
_MOST_PAGES = 20_000


def items(call: Call[RakutenConfig], _: None = None) -> Iterator[Page]:
    """One record per item, its variants in it (an object keyed by SKU管理番号), as items/search gives them."""
    for found, last in _walk(call):
        yield Page(cursor=None, records=found, name="items/search", complete=last)


def skus(call: Call[RakutenConfig], _: None = None) -> Iterator[Page]:
    """One record per SKU: `{id, manageNumber, variantId, variant, item}`, `item` being the item without variants.

    `id` is "manageNumber/variantId": a variantId alone ("normal-inventory") recurs across items.
    """
    for found, last in _walk(call):
        records = [
            {
                "id": f"{item['manageNumber']}/{variant_id}",
                "manageNumber": item["manageNumber"],
                "variantId": variant_id,
                "variant": variant,
                "item": {name: value for name, value in item.items() if name != "variants"},
            }
            for item in found
            for variant_id, variant in (item.get("variants") or {}).items()
        ]
        yield Page(cursor=None, records=records, name="items/search", complete=last)


def stock_levels(call: Call[RakutenConfig], _: None = None) -> Iterator[Page]:
    """One record per SKU whose stock was ever set: `{id, manageNumber, variantId, quantity, created, updated}`.

    `params["ids"]` ("manageNumber/variantId") fetches only those.
    """
    if ids := call.params.get("ids"):
        pairs = [str(each).partition("/") for each in ids]
        wanted = [{"manageNumber": number, "variantId": variant} for number, _, variant in pairs]
        for n in range(0, len(wanted), BULK_GET_LIMIT):
            rows = _stock_records(call, wanted[n : n + BULK_GET_LIMIT])
            yield Page(cursor=None, records=rows, name="inventories/bulk-get")
        return
    for found, last in _walk(call):
        asked = [
            {"manageNumber": item["manageNumber"], "variantId": variant_id}
            for item in found
            for variant_id in item.get("variants") or {}
        ]
        found_rows: list[dict[str, Any]] = []
        for n in range(0, len(asked), BULK_GET_LIMIT):
            found_rows += _stock_records(call, asked[n : n + BULK_GET_LIMIT])
        yield Page(cursor=None, records=found_rows, name="inventories/bulk-get", complete=last)


def _stock_records(call: Call[RakutenConfig], asked: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [{"id": f"{row['manageNumber']}/{row['variantId']}", **row} for row in read_stock(call, asked)]


def read_stock(call: Call[RakutenConfig], asked: list[dict[str, str]]) -> list[Mapping[str, Any]]:
    """Stock rows of at most 1000 SKUs; those RMS does not know are missing."""
    answer = post(
        call, "/es/2.0/inventories/bulk-get", {"inventories": asked}, intent=Intent.READ, cost=READ_COST
    )
    body = answer.json()
    if answer.is_success:
        return list(body.get("inventories") or ())
    errors = body.get("errors") or [{}]
    raise Refused(
        f"RMS bulk-get: {errors[0].get('code')} {errors[0].get('message')}", code=errors[0].get("code")
    )


def _walk(call: Call[RakutenConfig]) -> Iterator[tuple[list[dict[str, Any]], bool]]:
    """Pages of items, and whether it was the last one: that is when nextCursorMark repeats cursorMark."""
    mark = "*"
    for _ in range(_MOST_PAGES):
        body = get(
            call,
            "/es/2.0/items/search",
            {"hits": _HITS, "cursorMark": mark, "isInventoryIncluded": "true"},
        )
        found = [result["item"] for result in body.get("results") or () if result.get("item")]
        following = body.get("nextCursorMark")
        last = following in (None, mark)
        yield found, last
        if last:
            return
        mark = following
    raise Refused("RMS items/search does not come to an end", code="endless_listing")
