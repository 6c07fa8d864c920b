"""Item API 2.0 (search, one item) and the license key's expiry date."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from sandbox.rakuten.answers import Asked, property_error, property_errors
from sandbox.rakuten.clock import JST
from sandbox.rakuten.shop import Shop

__all__ = ["get_item", "license_expiry", "search_items"]

_FILTERS = {"manageNumber", "itemNumber", "merchantDefinedSkuId", "variantId", "itemType", "isHiddenItem"}
_PARAMETERS = _FILTERS | {
    "hits", "offset", "cursorMark", "sortKey", "sortOrder", "isInventoryIncluded", "isCategoryIncluded",
    "isReviewIncluded",
}  # fmt: skip


async def search_items(shop: Shop, asked: Asked) -> Response:
    """Pages by offset (to 10,000) or by cursorMark; the walk ends when nextCursorMark equals cursorMark."""
    query = asked.query
    if query.keys() - _PARAMETERS:
        unknown = min(query.keys() - _PARAMETERS)
        return property_errors([property_error("IE0002", f"Unrecognized field : {unknown}.", unknown)])
    hits, offset, cursor = query.get("hits", "10"), query.get("offset", "0"), query.get("cursorMark")
    if not hits.isdigit() or not 1 <= int(hits) <= 100:
        return property_errors([property_error("IE0003", "hits must be between 1 and 100.", "hits")])
    if not offset.isdigit() or int(offset) > 10_000:
        return property_errors([property_error("IE0003", "offset must be between 0 and 10000.", "offset")])
    if cursor is not None and query.keys() & {"offset", "sortKey", "sortOrder"}:
        text = "cursorMark cannot be given together with offset, sortKey or sortOrder."
        return property_errors([property_error("IE0105", text, "cursorMark")])
    found = [item for item in shop.items.values() if _matches(item, query)]
    found.sort(key=lambda item: str(item["manageNumber"]))
    answer: dict[str, Any] = {"numFound": len(found), "offset": int(offset)}
    if cursor is not None:
        after = _read_mark(cursor)
        if after is None:
            return property_errors(
                [property_error("IE0002", "cursorMark has an invalid value.", "cursorMark")]
            )
        page = [item for item in found if item["manageNumber"] > after][: int(hits)]
        answer["nextCursorMark"] = _write_mark(page[-1]["manageNumber"]) if page else cursor
    else:
        page = found[int(offset) : int(offset) + int(hits)]
    answer["results"] = [{"item": item} for item in page]
    return JSONResponse(answer)


def _matches(item: dict[str, Any], query: Mapping[str, str]) -> bool:
    variants = item["variants"]
    holds = {
        "manageNumber": query.get("manageNumber", "") in item["manageNumber"],
        "itemNumber": query.get("itemNumber", "") in item["itemNumber"],
        "itemType": query.get("itemType") == item["itemType"],
        "isHiddenItem": query.get("isHiddenItem") == str(item["hideItem"]).lower(),
        "variantId": query.get("variantId") in variants,
        "merchantDefinedSkuId": query.get("merchantDefinedSkuId")
        in {variant.get("merchantDefinedSkuId") for variant in variants.values()},
    }
    return all(holds[name] for name in query.keys() & _FILTERS)


def _write_mark(manage_number: str) -> str:
    return base64.urlsafe_b64encode(manage_number.encode()).decode()


def _read_mark(mark: str) -> str | None:
    if mark == "*":
        return ""
    try:
        return base64.urlsafe_b64decode(mark.encode()).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


async def get_item(shop: Shop, asked: Asked) -> Response:
    """One item by its manageNumber."""
    number = asked.path["manage_number"]
    item = shop.items.get(number.lower())
    if item is None:
        return property_errors(
            [property_error("GE0014", f"Not found for inputs; manageNumber={number}")], 404
        )
    return JSONResponse(item)


async def license_expiry(shop: Shop, asked: Asked) -> Response:
    """`expiryDate` in JST without an offset, as the vendor gives it."""
    if asked.query.get("licenseKey") != shop.license_key or shop.license_expires is None:
        return property_errors([property_error("GE0014", "Not found for inputs; licenseKey")], 404)
    return JSONResponse({"expiryDate": shop.license_expires.astimezone(JST).strftime("%Y-%m-%dT%H:%M:%S")})
