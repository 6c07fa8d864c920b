"""The catalogue's part of the API: search, list, batch-retrieve, batch-upsert.

Facts: Square's OpenAPI (2025-08-20). Assumed where it says nothing: an upserted item loses the variations it leaves
out; the catalogue is listed in no order of time.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.square.answers import Refusal, error, no
from sandbox.square.seller import Row, Seller
from sandbox.square.shapes import ANY, MONEY, Field, checked, parse_time

__all__ = ["batch_retrieve", "batch_upsert", "list_catalog", "search", "shown"]

_KINDS = (
    "ITEM", "IMAGE", "CATEGORY", "ITEM_VARIATION", "TAX", "DISCOUNT", "MODIFIER_LIST", "MODIFIER", "PRICING_RULE",
    "PRODUCT_SET", "TIME_PERIOD", "MEASUREMENT_UNIT", "ITEM_OPTION", "ITEM_OPTION_VAL",
)  # fmt: skip
_WORDS = Field("array", item=Field())
_SEARCH = {
    "cursor": Field(),
    "object_types": Field("array", item=Field(values=_KINDS)),
    "include_deleted_objects": Field("boolean"),
    "include_related_objects": Field("boolean"),
    "begin_time": Field("time"),
    "query": Field("object", fields={
        "set_query": Field("object", fields={
            "attribute_name": Field(required=True, least=1),
            "attribute_values": Field("array", required=True, least=1, most=250, item=Field()),
        }),
        "exact_query": Field("object", fields={
            "attribute_name": Field(required=True, least=1), "attribute_value": Field(required=True),
        }),
    }),
    "limit": Field("integer"),
    "include_category_path_to_root": Field("boolean"),
}  # fmt: skip
_RETRIEVE = {
    "object_ids": Field("array", required=True, least=1, most=1000, item=Field(least=1)),
    "include_related_objects": Field("boolean"),
    "include_deleted_objects": Field("boolean"),
    "catalog_version": Field("integer"),
    "include_category_path_to_root": Field("boolean"),
}
_COMMON = {
    "type": Field(required=True, values=_KINDS),
    "id": Field(required=True, least=1),
    "version": Field("integer"),
    "updated_at": Field("time"),
    "is_deleted": Field("boolean"),
    "present_at_all_locations": Field("boolean"),
    "present_at_location_ids": _WORDS,
    "absent_at_location_ids": _WORDS,
    "custom_attribute_values": Field("map", item=ANY),
    "catalog_v1_ids": ANY,
}
_VARIATION = {
    **_COMMON,
    "item_variation_data": Field("object", required=True, fields={
        "item_id": Field(), "name": Field(most=255), "sku": Field(), "upc": Field(),
        "ordinal": Field("integer"), "pricing_type": Field(values=("FIXED_PRICING", "VARIABLE_PRICING")),
        "price_money": MONEY, "location_overrides": Field("array", item=ANY), "track_inventory": Field("boolean"),
        "inventory_alert_type": Field(), "inventory_alert_threshold": Field("integer"), "user_data": Field(most=255),
        "item_option_values": Field("array", item=ANY), "measurement_unit_id": Field(),
        "sellable": Field("boolean"), "stockable": Field("boolean"), "image_ids": _WORDS, "team_member_ids": _WORDS,
        "service_duration": Field("integer"), "available_for_booking": Field("boolean"),
        "stockable_conversion": ANY,
    }),
}  # fmt: skip
_ITEM = {
    **_COMMON,
    "item_data": Field("object", required=True, fields={
        "name": Field(required=True, least=1, most=512), "description": Field(most=4096),
        "description_html": Field(most=65535), "description_plaintext": Field(), "abbreviation": Field(most=24),
        "label_color": Field(), "is_taxable": Field("boolean"), "category_id": Field(), "tax_ids": _WORDS,
        "modifier_list_info": ANY, "variations": Field("array", required=True, least=1, item=ANY),
        "product_type": Field(), "skip_modifier_screen": Field("boolean"), "item_options": ANY,
        "image_ids": _WORDS, "sort_name": Field(least=1), "categories": Field("array", item=ANY), "channels": _WORDS,
        "is_archived": Field("boolean"), "ecom_seo_data": ANY, "food_and_beverage_details": ANY,
        "reporting_category": ANY, "is_alcoholic": Field("boolean"), "ecom_uri": Field(), "ecom_image_uris": _WORDS,
    }),
}  # fmt: skip
_UPSERT = {
    "idempotency_key": Field(required=True, least=1, most=128),
    "batches": Field("array", required=True, least=1, item=Field("object", fields={
        "objects": Field("array", required=True, least=1, item=Field("object")),
    })),
}  # fmt: skip
_MOST_IN_A_BATCH, _MOST_IN_ALL = 1000, 10_000


def shown(seller: Seller, row: Row) -> Row:
    """An object as the API shows it: an item with its variations in it."""
    told = {name: value for name, value in row.items() if not name.startswith("_")}
    if row["type"] != "ITEM":
        return copy.deepcopy(told)
    told = copy.deepcopy(told)
    children = [seller.catalog[each] for each in row["_variations"]]
    told["item_data"]["variations"] = [shown(seller, child) for child in children]
    return told


def search(seller: Seller, body: Any) -> Row:
    asked = checked(body, _SEARCH)
    kinds = asked.get("object_types") or ["ITEM", "IMAGE", "CATEGORY", "TAX", "DISCOUNT", "MODIFIER_LIST"]
    since = parse_time(asked.get("begin_time"))

    def fits(row: Row) -> bool:
        changed = parse_time(row["updated_at"])
        return (
            row["type"] in kinds
            and (asked.get("include_deleted_objects", False) or not row["is_deleted"])
            and (since is None or (changed is not None and changed > since))
            and _answers(row, asked.get("query") or {})
        )

    limit = asked.get("limit", 100)
    # a limit that makes no sense is ignored, says the specification
    limit = limit if 1 <= limit <= 1000 else 100
    ids = sorted(each for each, row in seller.catalog.items() if fits(row))
    page, cursor = seller.pages.cut(asked, ids, limit, seller.clock())
    answer: Row = {"latest_time": max(row["updated_at"] for row in seller.catalog.values())}
    if page:
        answer["objects"] = [shown(seller, seller.catalog[each]) for each in page]
    return answer | ({"cursor": cursor} if cursor else {})


def _answers(row: Row, query: Mapping[str, Any]) -> bool:
    data: Row = next((value for name, value in row.items() if name.endswith("_data")), {})
    if "set_query" in query:
        wanted = {value.lower() for value in query["set_query"]["attribute_values"]}
        return str(data.get(query["set_query"]["attribute_name"], "")).lower() in wanted
    if "exact_query" in query:
        # "can be partial", says the specification
        part = query["exact_query"]["attribute_value"].lower()
        return part in str(data.get(query["exact_query"]["attribute_name"], "")).lower()
    return True


def list_catalog(seller: Seller, query: Mapping[str, str]) -> Row:
    kinds = [kind.strip() for kind in query.get("types", ",".join(_KINDS)).upper().split(",")]
    unknown = set(kinds) - set(_KINDS)
    if unknown:
        raise no("INVALID_ENUM_VALUE", f"{', '.join(sorted(unknown))} is no type of the catalogue.", "types")
    ids = sorted(e for e, row in seller.catalog.items() if row["type"] in kinds and not row["is_deleted"])
    page, cursor = seller.pages.cut(dict(query), ids, 100, seller.clock())
    answer: Row = {"objects": [shown(seller, seller.catalog[each]) for each in page]} if page else {}
    return answer | ({"cursor": cursor} if cursor else {})


def batch_retrieve(seller: Seller, body: Any) -> Row:
    asked = checked(body, _RETRIEVE)
    deleted = asked.get("include_deleted_objects", False)
    rows = [seller.catalog[each] for each in dict.fromkeys(asked["object_ids"]) if each in seller.catalog]
    found = [shown(seller, row) for row in rows if deleted or not row["is_deleted"]]
    return {"objects": found} if found else {}


# ---------------------------------------------------------------- writing


def batch_upsert(seller: Seller, body: Any) -> Row:
    asked = checked(body, _UPSERT)
    sizes = [sum(_objects_in(each) for each in batch["objects"]) for batch in asked["batches"]]
    if max(sizes) > _MOST_IN_A_BATCH or sum(sizes) > _MOST_IN_ALL:
        raise no(
            "ARRAY_LENGTH_TOO_LONG", "Too many objects in a batch (1,000) or a request (10,000).", "batches"
        )
    return seller.once(asked["idempotency_key"], asked, lambda: _upsert(seller, asked))


def _objects_in(each: Row) -> int:
    return 1 + len((each.get("item_data") or {}).get("variations") or ())


def _upsert(seller: Seller, asked: Row) -> Row:
    written: list[str] = []
    mappings: list[Row] = []
    errors: list[Row] = []
    moment, version = seller.now(), seller.new_version()
    for number, batch in enumerate(asked["batches"]):
        try:
            plans = [
                _plan(seller, each, f"batches[{number}].objects[{n}]")
                for n, each in enumerate(batch["objects"])
            ]
        except Refusal as refusal:
            errors += refusal.errors
            continue
        for each in plans:
            item, named = _write(seller, each, version, moment)
            written.append(item)
            mappings += named
    if not written:
        raise Refusal(400, errors)
    data = {"type": "catalog_version", "object": {"catalog_version": {"updated_at": moment}}}
    seller.tell("catalog.version.updated", data)
    answer: Row = {"objects": [shown(seller, seller.catalog[each]) for each in written], "updated_at": moment}
    return answer | ({"id_mappings": mappings} if mappings else {}) | ({"errors": errors} if errors else {})


def _plan(seller: Seller, given: Row, path: str) -> Row:
    """The object, held against every rule. Raises `Refusal`."""
    if given.get("type") != "ITEM":
        raise no("INVALID_VALUE", "This stand-in writes items with their variations only.", f"{path}.type")
    item = checked(given, _ITEM)
    errors = list(_version_errors(seller, item, "ITEM", path))
    data = item["item_data"]
    named = [(each, "TAX", "tax_ids") for each in data.get("tax_ids") or ()]
    named += [(each, "IMAGE", "image_ids") for each in data.get("image_ids") or ()]
    named += [(each.get("id"), "CATEGORY", "categories") for each in data.get("categories") or ()]
    errors += [
        error("NOT_FOUND", f"{kind} `{each}` does not exist.", f"{path}.item_data.{member}")
        for each, kind, member in named
        if not _there(seller, each, kind)
    ]
    for n, child in enumerate(data["variations"]):
        errors += _variation_errors(seller, item, child, f"{path}.item_data.variations[{n}]")
    if errors:
        raise Refusal(400, errors)
    return item


def _version_errors(seller: Seller, given: Row, kind: str, path: str) -> Iterable[Row]:
    if given.get("is_deleted"):
        yield error("INVALID_VALUE", "is_deleted must not be set.", f"{path}.is_deleted")
    if given["id"].startswith("#"):
        return
    known = seller.catalog.get(given["id"])
    if known is None or known["type"] != kind or known["is_deleted"]:
        yield error("NOT_FOUND", f"{kind} `{given['id']}` does not exist.", f"{path}.id")
    elif given.get("version") != known["version"]:
        yield error(
            "CONFLICT",
            f"Object version does not match latest database version ({known['version']}).",
            f"{path}.version",
        )


def _variation_errors(seller: Seller, item: Row, child: Any, path: str) -> list[Row]:
    try:
        checked(child, _VARIATION)
    except Refusal as refusal:
        return [{**each, "field": f"{path}.{each.get('field', '')}"} for each in refusal.errors]
    data = child["item_variation_data"]
    errors = list(_version_errors(seller, child, "ITEM_VARIATION", path))
    if data.get("item_id", item["id"]) != item["id"]:
        errors.append(error("INVALID_VALUE", "item_id is not that of the item.", f"{path}.item_id"))
    known = seller.catalog.get(child["id"])
    if known is not None and known["item_variation_data"]["item_id"] != item["id"]:
        errors.append(error("INVALID_VALUE", "The variation belongs to another item.", f"{path}.id"))
    if "upc" in data and not re.fullmatch(r"\d{8,14}", data["upc"]):
        errors.append(error("INVALID_VALUE", "A UPC has 8 to 14 digits.", f"{path}.upc"))
    fixed = data.get("pricing_type") == "FIXED_PRICING"
    if fixed != ("price_money" in data):
        errors.append(
            error(
                "INVALID_VALUE", "A price goes with FIXED_PRICING, and only with it.", f"{path}.price_money"
            )
        )
    elif fixed and (
        data["price_money"].get("currency") != "JPY" or data["price_money"].get("amount", -1) < 0
    ):
        errors.append(
            error("INVALID_VALUE", "The price must be in JPY and not below zero.", f"{path}.price_money")
        )
    wanted = len(item["item_data"].get("item_options") or ())
    if len(data.get("item_option_values") or ()) != wanted:
        errors.append(error("INVALID_VALUE", f"The item has {wanted} options.", f"{path}.item_option_values"))
    return errors


def _there(seller: Seller, each: Any, kind: str) -> bool:
    known = seller.catalog.get(each)
    return known is not None and known["type"] == kind and not known["is_deleted"]


def _write(seller: Seller, given: Row, version: int, moment: str) -> tuple[str, list[Row]]:
    mappings: list[Row] = []

    def own_id(asked: str, kind: str) -> str:
        if not asked.startswith("#"):
            return asked
        made = seller.new_id(kind)
        mappings.append({"client_object_id": asked, "object_id": made})
        return made

    def stored(row: Row, each: str) -> Row:
        kept = {name: value for name, value in copy.deepcopy(row).items() if name != "catalog_v1_ids"}
        kept.setdefault("present_at_all_locations", True)
        return kept | {"id": each, "version": version, "updated_at": moment, "is_deleted": False}

    item = own_id(given["id"], "ITEM")
    before = seller.catalog.get(item, {}).get("_variations", [])
    row = stored(given, item)
    children = row["item_data"].pop("variations")
    data = row["item_data"]
    data.setdefault("product_type", "REGULAR")
    if "description_html" in data:
        data["description_plaintext"] = re.sub(r"<[^>]+>", "", data["description_html"])
    elif "description" in data:
        data |= {"description_html": data["description"], "description_plaintext": data["description"]}
    row["_variations"] = []
    seller.catalog[item] = row
    for ordinal, child in enumerate(children):
        each = own_id(child["id"], "ITEM_VARIATION")
        kept = stored(child, each)
        kept["item_variation_data"] |= {"item_id": item, "ordinal": ordinal}
        kept["item_variation_data"].setdefault("name", "")
        seller.catalog[each] = kept
        row["_variations"].append(each)
    for gone in set(before) - set(row["_variations"]):
        seller.catalog[gone] |= {"is_deleted": True, "version": version, "updated_at": moment}
    return item, mappings
