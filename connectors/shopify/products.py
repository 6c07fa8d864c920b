"""Products and variants into Shopify."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field

from connectors.contract import Batch, Call, Change, Outcome, Refused
from connectors.outcomes import Row, each, read_record
from connectors.shopify.api import Api
from connectors.shopify.config import ShopifyConfig
from connectors.shopify.ids import search_text
from connectors.shopify.metafields import MetafieldRow, put_metafields

__all__ = ["ProductRow", "put_products"]

_NO_OPTION = ("Title", "Default Title")
"""What Shopify itself calls the option and value of a product that has none."""


class OptionRow(Row):
    """What makes a variant: ("色", "白")."""

    name: Annotated[str, Field(min_length=1)]
    value: Annotated[str, Field(min_length=1)]


class VariantRow(Row):
    """One SKU. `price` and `compareAtPrice` are decimal text in the shop's currency ("1100", "11.50")."""

    sku: Annotated[str, Field(min_length=1)]
    barcode: str | None = None
    price: Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")] | None = None
    compareAtPrice: Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")] | None = None  # noqa: N815  (Shopify's names)
    options: Annotated[tuple[OptionRow, ...], Field(max_length=3)] = ()


class ProductRow(Row):
    """A product. What is None stays as it is in the shop.

    handle         names the product where none of its SKUs is there yet
    currencyCode, taxesIncluded   what the prices are in; the shop's own must be the same, nothing is converted
    """

    handle: Annotated[str, Field(min_length=1)]
    title: Annotated[str, Field(min_length=1)]
    descriptionHtml: str | None = None  # noqa: N815
    vendor: str | None = None
    productType: str | None = None  # noqa: N815
    tags: tuple[str, ...] | None = None
    status: Literal["ACTIVE", "DRAFT", "ARCHIVED"] | None = None
    currencyCode: str = "JPY"  # noqa: N815
    taxesIncluded: bool = True  # noqa: N815
    variants: Annotated[tuple[VariantRow, ...], Field(min_length=1)]
    metafields: tuple[MetafieldRow, ...] = ()


def put_products(call: Call[ShopifyConfig], batch: Batch) -> Iterator[Outcome]:
    """Create products, or change those that have one of the SKUs.

    The shop is looked at first, by SKU and then by handle. productSet replaces the whole list of variants, so variants
    of the shop that the record does not name are handed back to it as they are. A deleted product is archived.
    """
    writer = _Writer(Api(call))
    yield from each(batch, writer.put)


class _Writer:
    def __init__(self, api: Api) -> None:
        self.api = api

    @cached_property
    def _shop(self) -> Mapping[str, Any]:
        shop: Mapping[str, Any] = self.api.query("Account")["shop"]
        return shop

    def put(self, change: Change) -> Outcome:
        row = read_record(ProductRow, change.record)
        product = self._find(row)
        if change.deleted:
            if product is not None and product["status"] != "ARCHIVED":
                self._set({"id": product["id"]}, {"status": "ARCHIVED"})
            return Outcome.done(change.key, external_id=product["id"] if product else None)
        self._check(row)
        identifier = {"id": product["id"]} if product else {"handle": row.handle}
        wanted = self._input(row, product)
        written = self._set(identifier, wanted if product else {"handle": row.handle, **wanted})
        put_metafields(self.api, written["id"], row.metafields, self.api.config.metafields.product, {})
        return Outcome.done(change.key, external_id=written["id"], external_version=written["updatedAt"])

    def _set(self, identifier: Mapping[str, str], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        payload = self.api.mutate("SetProduct", repeatable=True, identifier=identifier, input=wanted)
        written: Mapping[str, Any] = payload["product"]
        return written

    def _check(self, row: ProductRow) -> None:
        if row.currencyCode != self._shop["currencyCode"]:
            raise Refused(
                f"prices are in {row.currencyCode}, the shop sells in {self._shop['currencyCode']}",
                code="currency",
            )
        priced = any(variant.price for variant in row.variants)
        if priced and row.taxesIncluded != self._shop["taxesIncluded"]:
            ours, shop = ("with", "without") if row.taxesIncluded else ("without", "with")
            raise Refused(
                f"prices are given {ours} tax, the shop keeps them {shop} it; nothing is converted",
                code="tax_basis",
            )
        names = {tuple(option.name for option in variant.options) for variant in row.variants}
        if len(names) > 1:
            raise Refused("the variants do not all have the same options", code="options_differ")

    # ------------------------------------------------------------ what is there

    def _find(self, row: ProductRow) -> dict[str, Any] | None:
        query = " OR ".join(f"sku:{search_text(variant.sku)}" for variant in row.variants)
        skus = {variant.sku for variant in row.variants}
        nodes = self.api.query("ProductsBySku", query=query)["productVariants"]["nodes"]
        # The search knows no case and takes parts of words: only the very same SKU counts.
        ids = sorted({node["product"]["id"] for node in nodes if node["sku"] in skus})
        if len(ids) > 1:
            raise Refused(
                f"the SKUs of product {row.handle!r} belong to several products of the shop: {', '.join(ids)}",
                code="several_products",
            )
        if not ids:
            named = self.api.query("ProductByHandle", handle=row.handle)["productByIdentifier"]
            ids = [named["id"]] if named else []
        return self._as_is(ids[0]) if ids else None

    def _as_is(self, product_id: str) -> dict[str, Any] | None:
        after: str | None = None
        whole: dict[str, Any] | None = None
        while True:
            found = self.api.query("ProductAsIs", id=product_id, after=after)["product"]
            if found is None:
                return None
            variants = found.pop("variants")
            if whole is None:
                whole = {**found, "variants": []}
            whole["variants"] += variants["nodes"]
            if not variants["pageInfo"]["hasNextPage"]:
                return whole
            after = variants["pageInfo"]["endCursor"]

    # ------------------------------------------------------------ what is sent

    def _input(self, row: ProductRow, product: Mapping[str, Any] | None) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            name: value
            for name in ("title", "descriptionHtml", "vendor", "productType", "status")
            if (value := getattr(row, name)) is not None
        }
        if row.tags is not None:
            wanted["tags"] = list(row.tags)
        present = list(product["variants"]) if product else []
        ids = {variant["sku"]: variant["id"] for variant in present if variant["sku"]}
        named = {variant.sku for variant in row.variants}
        variants = [_variant(variant, ids.get(variant.sku)) for variant in row.variants]
        kept = [
            _kept(variant)
            for variant in present
            if variant["sku"] not in named and not _placeholder(variant, present)
        ]
        wanted["variants"] = variants + kept
        wanted["productOptions"] = _options(row.handle, wanted["variants"])
        return wanted


def _placeholder(variant: Mapping[str, Any], present: Sequence[Mapping[str, Any]]) -> bool:
    """The one variant without a SKU that Shopify gives a product made by hand without any."""
    options = {(option["name"], option["value"]) for option in variant["selectedOptions"]}
    return len(present) == 1 and not variant["sku"] and options == {_NO_OPTION}


def _variant(row: VariantRow, variant_id: str | None) -> dict[str, Any]:
    options = [(option.name, option.value) for option in row.options] or [_NO_OPTION]
    wanted: dict[str, Any] = {
        "optionValues": [{"optionName": name, "name": value} for name, value in options]
    }
    if variant_id is not None:
        wanted["id"] = variant_id
    wanted["inventoryItem"] = {"sku": row.sku, "tracked": True}
    for name in ("barcode", "price", "compareAtPrice"):
        if (value := getattr(row, name)) is not None:
            wanted[name] = value
    return wanted


def _kept(variant: Mapping[str, Any]) -> dict[str, Any]:
    """A variant the record does not name, as it is."""
    values = [
        {"optionName": option["name"], "name": option["value"]} for option in variant["selectedOptions"]
    ]
    return {"id": variant["id"], "optionValues": values}


def _options(handle: str, variants: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The options and their values, in the order in which the variants name them."""
    values: dict[str, dict[str, None]] = {}
    rows = [tuple(value["optionName"] for value in variant["optionValues"]) for variant in variants]
    if len(set(rows)) > 1:
        raise Refused(
            f"product {handle!r} has variants in the shop with other options; name them all, or take them out there",
            code="options_differ",
        )
    for variant in variants:
        for value in variant["optionValues"]:
            values.setdefault(value["optionName"], {})[value["name"]] = None
    return [{"name": name, "values": [{"name": one} for one in named]} for name, named in values.items()]
