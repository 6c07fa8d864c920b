"""Products and variants into Vendure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from connectors.contract import Batch, Call, Change, Outcome, Refused
from connectors.outcomes import Row, each, read_record
from connectors.vendure.api import Api
from connectors.vendure.config import VendureConfig
from connectors.vendure.stock import variants_by_sku

__all__ = ["ProductRow", "VariantRow", "put_products"]


class OptionRow(Row):
    """What makes a variant: ("色", "白")."""

    name: str
    value: str


class VariantRow(Row):
    """One SKU. `price` is in the currency's minor unit; `taxRate` is a percentage that finds the tax category."""

    sku: Annotated[str, Field(min_length=1)]
    name: str | None = None
    price: int | None = None
    enabled: bool = True
    taxRate: float | None = None  # noqa: N815  (Vendure's names)
    options: tuple[OptionRow, ...] = ()
    customFields: dict[str, Any] = Field(default_factory=dict)  # noqa: N815


class ProductRow(Row):
    """A product. `code` gives the slug where none is given; what is None stays as it is in the shop."""

    code: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    slug: str | None = None
    description: str | None = None
    enabled: bool = True
    currencyCode: str = "JPY"  # noqa: N815
    pricesIncludeTax: bool = True  # noqa: N815
    variants: Annotated[tuple[VariantRow, ...], Field(min_length=1)]
    customFields: dict[str, Any] = Field(default_factory=dict)  # noqa: N815


def put_products(call: Call[VendureConfig], batch: Batch) -> Iterator[Outcome]:
    """Create products, or change those that have one of the SKUs; variants that are not named stay as they are.

    The shop is looked at first, by SKU and then by slug, so that a product whose creation was never answered is
    found again. A deleted product is switched off, for its orders keep pointing at it.
    """
    writer = _Writer(Api(call))
    yield from each(batch, writer.put)


class _Writer:
    def __init__(self, api: Api) -> None:
        self.api = api

    def put(self, change: Change) -> Outcome:
        row = read_record(ProductRow, change.record)
        product = self._find(row)
        if change.deleted:
            if product is not None and product["enabled"]:
                self.api.mutate(
                    "UpdateProduct", repeatable=True, input={"id": product["id"], "enabled": False}
                )
            return Outcome.done(change.key, external_id=product["id"] if product else None)
        self._check(row, {variant["sku"] for variant in product["variants"]} if product else set())
        if product is None:
            product = self._create(row)
        else:
            self._update(product, row)
        options = _Options(self.api, product, row)
        self._put_variants(product, row, options)
        return Outcome.done(change.key, external_id=product["id"])

    # ------------------------------------------------------------ the product

    def _find(self, row: ProductRow) -> dict[str, Any] | None:
        carriers = variants_by_sku(self.api, [variant.sku for variant in row.variants])
        ids = sorted({variant["productId"] for variants in carriers.values() for variant in variants})
        if len(ids) > 1:
            raise Refused(
                f"the SKUs of product {row.code!r} belong to several products of the shop: {', '.join(ids)}",
                code="several_products",
            )
        if ids:
            items = self.api.query("Products", options={"take": 1, "filter": {"id": {"eq": ids[0]}}})[
                "products"
            ]
            found: dict[str, Any] = items["items"][0]
            return found
        return self._by_slug(_slug(row)) or self._by_slug(_slug(row, unique=True))

    def _by_slug(self, slug: str) -> dict[str, Any] | None:
        """The product of this slug if it has no variants yet: one that has, but none of our SKUs, is another one."""
        product: dict[str, Any] | None = self.api.query("ProductBySlug", slug=slug)["product"]
        return product if product and not product["variants"] else None

    def _create(self, row: ProductRow) -> dict[str, Any]:
        taken = self.api.query("ProductBySlug", slug=_slug(row))["product"] is not None
        created: dict[str, Any] = self.api.mutate(
            "CreateProduct",
            input={
                "enabled": row.enabled,
                "translations": [
                    {
                        "languageCode": self.api.channel.language,
                        "name": row.name,
                        "slug": _slug(row, unique=taken),
                        "description": row.description or "",
                    }
                ],
                **self._custom("product", row.customFields),
            },
        )
        return created

    def _update(self, product: Mapping[str, Any], row: ProductRow) -> None:
        text = {"name": row.name, "description": row.description, "slug": row.slug}
        changed = {key: value for key, value in text.items() if value is not None and value != product[key]}
        wanted: dict[str, Any] = self._changed_custom("product", row.customFields, product)
        if row.enabled != product["enabled"]:
            wanted["enabled"] = row.enabled
        if changed:
            wanted["translations"] = [{"languageCode": self.api.channel.language, **changed}]
        if wanted:
            self.api.mutate("UpdateProduct", repeatable=True, input={"id": product["id"], **wanted})

    # ------------------------------------------------------------ its variants

    def _put_variants(self, product: Mapping[str, Any], row: ProductRow, options: _Options) -> None:
        existing = {variant["sku"]: variant for variant in product["variants"]}
        new, changed = [], []
        for variant in row.variants:
            current = existing.get(variant.sku)
            if current is None:
                new.append(self._new_variant(product["id"], row, variant, options.ids(variant)))
            elif difference := self._difference(current, row, variant, options.ids(variant)):
                changed.append({"id": current["id"], **difference})
        if changed:
            self.api.mutate("UpdateVariants", repeatable=True, input=changed)
        if new:
            self.api.mutate("CreateVariants", input=new)

    def _new_variant(
        self, product: str, row: ProductRow, variant: VariantRow, option_ids: Sequence[str]
    ) -> dict[str, Any]:
        name = variant.name or " ".join([row.name, *(option.value for option in variant.options)])
        wanted: dict[str, Any] = {
            "productId": product,
            "sku": variant.sku,
            "enabled": variant.enabled,
            "price": variant.price,
            "translations": [{"languageCode": self.api.channel.language, "name": name}],
            "optionIds": list(option_ids),
            **self._custom("variant", variant.customFields),
        }
        if variant.taxRate is not None:
            wanted["taxCategoryId"] = self._tax_category(variant.taxRate)
        return wanted

    def _difference(
        self, current: Mapping[str, Any], row: ProductRow, variant: VariantRow, option_ids: Sequence[str]
    ) -> dict[str, Any]:
        wanted = self._changed_custom("variant", variant.customFields, current)
        if variant.name is not None and variant.name != current["name"]:
            wanted["translations"] = [{"languageCode": self.api.channel.language, "name": variant.name}]
        if variant.enabled != current["enabled"]:
            wanted["enabled"] = variant.enabled
        prices = {price["currencyCode"]: price["price"] for price in current["prices"]}
        if variant.price is not None and prices.get(row.currencyCode) != variant.price:
            wanted["prices"] = [{"currencyCode": row.currencyCode, "price": variant.price}]
        if variant.taxRate is not None and current["taxRateApplied"]["value"] != variant.taxRate:
            wanted["taxCategoryId"] = self._tax_category(variant.taxRate)
        if option_ids and {option["id"] for option in current["options"]} != set(option_ids):
            wanted["optionIds"] = list(option_ids)
        return wanted

    # ------------------------------------------------------------ prices, tax, custom fields

    def _check(self, row: ProductRow, present: set[str]) -> None:
        """Refuse before anything is written what could only be written in part."""
        channel = self.api.channel
        if row.currencyCode != channel.currency:
            raise Refused(
                f"prices are in {row.currencyCode}, the channel sells in {channel.currency}", code="currency"
            )
        priced = any(variant.price is not None for variant in row.variants)
        if priced and row.pricesIncludeTax != channel.prices_include_tax:
            kind = "with" if channel.prices_include_tax else "without"
            raise Refused(
                f"the channel keeps prices {kind} tax, the record's are the other way; "
                "they are not converted here, for that would round them",
                code="tax_basis",
            )
        for variant in row.variants:
            if variant.sku not in present and variant.price is None:
                raise Refused(f"SKU {variant.sku!r} is new in the shop and has no price", code="no_price")
            if variant.taxRate is not None:
                self._tax_category(variant.taxRate)
        if len({tuple(option.name for option in variant.options) for variant in row.variants}) > 1:
            raise Refused(f"the variants of {row.code!r} do not have the same options", code="options_differ")

    def _tax_category(self, percentage: float) -> str:
        for rate in self._tax_rates:
            if rate["value"] == percentage:
                found: str = rate["category"]["id"]
                return found
        known = ", ".join(f"{rate['value']:g} %" for rate in self._tax_rates)
        raise Refused(
            f"no tax rate of {percentage:g} % in the channel's tax zone; known: {known}", code="unknown_tax"
        )

    @cached_property
    def _tax_rates(self) -> list[dict[str, Any]]:
        rates = self.api.query("TaxRates", options={"take": 1000})["taxRates"]["items"]
        zone = self.api.channel.tax_zone
        return [
            rate
            for rate in rates
            if rate["enabled"] and not rate["customerGroup"] and rate["zone"]["id"] == zone
        ]

    def _custom(self, kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
        known = self.api.config.custom_fields.names(kind)
        allowed = {name: value for name, value in values.items() if name in known}
        return {"customFields": allowed} if allowed else {}

    def _changed_custom(
        self, kind: str, values: Mapping[str, Any], current: Mapping[str, Any]
    ) -> dict[str, Any]:
        present = current.get("customFields") or {}
        return self._custom(
            kind, {name: value for name, value in values.items() if present.get(name) != value}
        )


class _Options:
    """The option groups of a product, made as they are needed.

    Vendure tells variants of one product apart by their options. Where the record gives none for several variants,
    one group "SKU" does it.
    """

    def __init__(self, api: Api, product: Mapping[str, Any], row: ProductRow) -> None:
        self._api = api
        self._product = product
        self._several = len(row.variants) > 1
        self._groups: dict[str, dict[str, Any]] = {group["name"]: group for group in product["optionGroups"]}
        self._bare = (
            self._several and not self._groups and not any(variant.options for variant in row.variants)
        )

    def ids(self, variant: VariantRow) -> list[str]:
        """Ids of the variant's options, in the order of the record."""
        wanted = variant.options
        if self._bare:
            wanted = (OptionRow(name="SKU", value=variant.sku),)
        return [self._option(option) for option in wanted]

    def _option(self, option: OptionRow) -> str:
        group = self._groups.get(option.name) or self._add_group(option.name)
        for known in group["options"]:
            if known["name"] == option.value:
                found: str = known["id"]
                return found
        created = self._api.mutate(
            "CreateOption",
            input={
                "productOptionGroupId": group["id"],
                "code": _code(option.value),
                "translations": [{"languageCode": self._api.channel.language, "name": option.value}],
            },
        )
        group["options"].append(created)
        return str(created["id"])

    def _add_group(self, name: str) -> dict[str, Any]:
        # The code holds the product's id: a group made by a try that broke off is found again.
        code = f"p{self._product['id']}-{_code(name)}"
        items = self._api.query("OptionGroups", options={"take": 1, "filter": {"code": {"eq": code}}})
        group: dict[str, Any] | None = next(iter(items["productOptionGroups"]["items"]), None)
        if group is None:
            group = self._api.mutate(
                "CreateOptionGroup",
                input={
                    "code": code,
                    "options": [],
                    "translations": [{"languageCode": self._api.channel.language, "name": name}],
                },
            )
        self._api.mutate("AddOptionGroup", productId=self._product["id"], optionGroupId=group["id"])
        self._groups[name] = group
        return group


def _code(text: str) -> str:
    """An ASCII code for a name. Vendure would decompose kana (NFD) in a code, and then no filter finds it."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return plain if text.isascii() and plain else f"{plain}-{digest}".strip("-")


def _slug(row: ProductRow, *, unique: bool = False) -> str:
    slug = row.slug or _code(row.code)
    return f"{slug}-{hashlib.sha256(row.code.encode()).hexdigest()[:8]}" if unique else slug
