"""Products into Square's catalogue: items with their variations, found by SKU.

Square replaces an object by what it is sent, so the present one is read, changed where the record says so, and sent
back with the version it was read with: who wrote in between wins, and the change is tried again. Each product is a
batch of its own in one BatchUpsert call, so that a refused one does not take the others with it.
Facts: Square's OpenAPI (BatchUpsertCatalogObjects, CatalogQuerySet: 250 values, matched without regard to case).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from connectors.contract import Batch, Call, Change, Outcome, Refused, Retry
from connectors.outcomes import Row as SinkRow, read_record
from connectors.square.api import Api, Row, error_of, idempotency_key, in_parts
from connectors.square.catalog import Library
from connectors.square.config import SquareConfig
from connectors.square.outcomes import failed

__all__ = ["ProductRow", "VariationRow", "put_products"]

_SKUS_A_SEARCH = 250


class MoneyRow(SinkRow):
    """An amount in the currency's smallest unit: yen."""

    amount: Annotated[int, Field(ge=0)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "JPY"


class VariationRow(SinkRow):
    """One SKU. Without a price Square asks for it at the register (VARIABLE_PRICING), as it does for a new one."""

    sku: Annotated[str, StringConstraints(min_length=1)]
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    upc: Annotated[str, Field(pattern=r"^\d{8,14}$")] | None = None
    price_money: MoneyRow | None = None


class ProductRow(SinkRow):
    """A product.

    tax_percentage  "10" or "8": the item gets the seller's enabled tax of that rate; None leaves taxes as they are
    tax_included    whether the prices hold it (内税): the tax must be of that kind
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    description: Annotated[str, StringConstraints(max_length=65535)] | None = None
    is_archived: bool = False
    tax_percentage: str | None = None
    tax_included: bool = True
    variations: Annotated[tuple[VariationRow, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _skus_differ(self) -> ProductRow:
        if len({each.sku for each in self.variations}) != len(self.variations):
            raise ValueError("two variations have the same SKU")
        return self


@dataclass(frozen=True, slots=True)
class _Plan:
    change: Change
    item: dict[str, Any]
    """The whole item as it is to be."""


def put_products(call: Call[SquareConfig], batch: Batch) -> Iterator[Outcome]:
    """Create items or change those that sell one of the SKUs. Variations the record does not name stay.

    A product that is gone is archived, not deleted: receipts name its variations.
    """
    api = Api(call)
    rows: dict[str, tuple[Change, ProductRow]] = {}
    for change in batch:
        try:
            rows[change.key] = (change, _row(change))
        except Refused as error:
            yield failed(change, error)
    shelf = _Shelf(api, (each.sku for _, row in rows.values() for each in row.variations))
    taxes = _Taxes(api)
    plans: dict[str, _Plan] = {}
    for change, row in rows.values():
        try:
            present = shelf.item(row)
            wanted = _changed(row, present, taxes, change)
        except Refused as error:
            yield failed(change, error)
            continue
        if present is not None and wanted == present:
            yield _done(change, present)
        elif wanted["id"] in plans:
            reason = (
                f"this batch writes the item {wanted['id']} twice (also as {plans[wanted['id']].change.key})"
            )
            yield Outcome.refused(change.key, reason, code="duplicate")
        else:
            plans[wanted["id"]] = _Plan(change, wanted)
    if plans:
        yield from _send(api, batch, list(plans.values()))


def _row(change: Change) -> ProductRow:
    if not change.deleted:
        return read_record(ProductRow, change.record)
    if not change.previous:
        raise Refused(
            "nothing is known of this product in Square, so nothing is archived", code="unknown_product"
        )
    return read_record(ProductRow, {**change.previous, "is_archived": True})


class _Shelf:
    """Items by the SKUs of their variations."""

    def __init__(self, api: Api, skus: Iterator[str]) -> None:
        library = Library(api)
        self._by_sku: dict[str, list[Row]] = {}
        for part in in_parts(skus, _SKUS_A_SEARCH):
            for found in _with_skus(api, part):
                sku = str((found.get("item_variation_data") or {}).get("sku"))
                self._by_sku.setdefault(sku, []).append(found)
        ids = {_item_of(each) for found in self._by_sku.values() for each in found}
        self._items = library.get(sorted(ids))

    def item(self, row: ProductRow) -> dict[str, Any] | None:
        """The item that sells the row's SKUs. Raises `Refused` where they belong to several items."""
        found: dict[str, str] = {}
        for each in row.variations:
            owners = {_item_of(variation) for variation in self._by_sku.get(each.sku, ())}
            if len(self._by_sku.get(each.sku, ())) > 1:
                raise Refused(
                    f"SKU {each.sku!r} belongs to several variations in Square", code="ambiguous_sku"
                )
            found.update(dict.fromkeys(owners, each.sku))
        if len(found) > 1:
            skus = ", ".join(f"{sku} ({item})" for item, sku in found.items())
            raise Refused(f"the SKUs belong to several items in Square: {skus}", code="several_products")
        present = self._items.get(next(iter(found), ""))
        return copy.deepcopy(dict(present)) if present is not None else None


def _with_skus(api: Api, skus: Sequence[str]) -> Iterator[Row]:
    wanted = set(skus)
    page: str | None = None
    while True:
        body = api.search(
            "/v2/catalog/search",
            {
                "object_types": ["ITEM_VARIATION"],
                "query": {"set_query": {"attribute_name": "sku", "attribute_values": list(skus)}},
                "limit": 1000,
                "cursor": page,
            },
        )
        for found in body.get("objects") or ():
            if (found.get("item_variation_data") or {}).get("sku") in wanted:
                yield found
        page = body.get("cursor") or None
        if page is None:
            return


def _item_of(variation: Row) -> str:
    return str((variation.get("item_variation_data") or {}).get("item_id") or "")


class _Taxes:
    """The seller's taxes, read when the first is asked for."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def ids(self, row: ProductRow, present: Sequence[str]) -> list[str]:
        """Tax ids of an item with this rate; `present` stays where it fits."""
        if row.tax_percentage is None:
            return list(present)
        rate, kind = Decimal(row.tax_percentage), "INCLUSIVE" if row.tax_included else "ADDITIVE"
        fitting = [each["id"] for each in self._all if self._fits(each["tax_data"], rate, kind)]
        if not fitting:
            known = ", ".join(
                f"{t['tax_data'].get('name')} {t['tax_data'].get('percentage')} %" for t in self._all
            )
            words = "内税" if row.tax_included else "外税"
            raise Refused(
                f"Squareに{words} {rate} % の税がありません（{known}）。"
                f" / Square has no enabled {kind} tax of {rate} %",
                code="unknown_tax",
            )
        if len(present) == 1 and present[0] in fitting:
            return list(present)
        return fitting[:1]

    @staticmethod
    def _fits(tax: Row, rate: Decimal, kind: str) -> bool:
        percentage = tax.get("percentage")
        return bool(
            tax.get("enabled", True)
            and tax.get("inclusion_type") == kind
            and percentage is not None
            and Decimal(percentage) == rate
        )

    @cached_property
    def _all(self) -> list[Row]:
        found: list[Row] = []
        page: str | None = None
        while True:
            body = self._api.get("/v2/catalog/list", types="TAX", cursor=page)
            found += body.get("objects") or ()
            page = body.get("cursor") or None
            if page is None:
                return found


def _changed(
    row: ProductRow, present: Mapping[str, Any] | None, taxes: _Taxes, change: Change
) -> dict[str, Any]:
    """The item as it is to be: what is there, and over it what the record says."""
    if present is None:
        new_id = "#" + hashlib.sha256(change.key.encode()).hexdigest()[:20]
        item: dict[str, Any] = {
            "type": "ITEM",
            "id": new_id,
            "present_at_all_locations": True,
            "item_data": {},
        }
    else:
        item = copy.deepcopy(dict(present))
    data = item["item_data"]
    data["name"] = row.name
    if row.description is not None and row.description != _description(data):
        data["description_html"] = row.description
        for told in ("description", "description_plaintext"):  # the old field would win over the new one
            data.pop(told, None)
    if row.is_archived != bool(data.get("is_archived")):
        data["is_archived"] = row.is_archived
    tax_ids = taxes.ids(row, data.get("tax_ids") or ())
    if tax_ids != list(data.get("tax_ids") or ()):
        data["tax_ids"] = tax_ids
    children = data.setdefault("variations", [])
    by_sku = {(child.get("item_variation_data") or {}).get("sku"): child for child in children}
    for number, each in enumerate(row.variations, start=1):
        child = by_sku.get(each.sku)
        if child is None:
            child = {
                "type": "ITEM_VARIATION",
                "id": f"{item['id'] if item['id'].startswith('#') else '#' + item['id']}-{number}",
                "present_at_all_locations": True,
                "item_variation_data": {
                    "item_id": item["id"], "sku": each.sku, "pricing_type": "VARIABLE_PRICING", "track_inventory": True,
                },
            }  # fmt: skip
            children.append(child)
        _put_variation(child["item_variation_data"], each)
    return item


def _description(data: Row) -> str | None:
    """The description as it was written: Square derives the plain text from the HTML."""
    return data.get("description_html") or data.get("description")


def _put_variation(data: dict[str, Any], row: VariationRow) -> None:
    for name, value in (("name", row.name), ("upc", row.upc)):
        # with item options Square makes the name itself
        if value is not None and not (name == "name" and data.get("item_option_values")):
            data[name] = value
    if row.price_money is not None:
        data["pricing_type"] = "FIXED_PRICING"
        data["price_money"] = row.price_money.model_dump()


def _send(api: Api, batch: Batch, plans: Sequence[_Plan]) -> Iterator[Outcome]:
    body = {"batches": [{"objects": [plan.item]} for plan in plans]}
    try:
        answer = api.write(
            "/v2/catalog/batch-upsert",
            {"idempotency_key": idempotency_key(batch, body), **body},
            partial=True,
        )
    except Retry as error:
        yield from (failed(plan.change, error) for plan in plans)
        return
    except Refused as error:
        if len(plans) == 1:
            yield failed(plans[0].change, error)
            return
        for plan in plans:  # which one it was is not said; alone, the good ones go through
            yield from _send(api, batch, [plan])
        return
    written = {each["id"]: each for each in answer.get("objects") or () if each.get("type") == "ITEM"}
    given = {each.get("client_object_id"): each.get("object_id") for each in answer.get("id_mappings") or ()}
    missing = []
    for plan in plans:
        item = written.get(given.get(plan.item["id"], plan.item["id"]))
        if item is None:
            missing.append(plan)
        else:
            yield _done(plan.change, item)
    if not missing:
        return
    if len(plans) > 1:
        for plan in missing:  # alone, its error is its own
            yield from _send(api, batch, [plan])
        return
    errors = answer.get("errors")
    why = error_of(errors) if errors else Retry("Square's answer does not name the item")
    if not isinstance(why, Refused | Retry):
        raise why
    yield failed(missing[0].change, why)


def _done(change: Change, item: Mapping[str, Any]) -> Outcome:
    version = item.get("version")
    return Outcome.done(
        change.key, external_id=item["id"], external_version=None if version is None else str(version)
    )
