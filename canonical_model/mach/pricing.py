"""Pricing: single prices and matrices of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canonical_model.mach.dialect import Dialect
from canonical_model.mach.words import (
    Context,
    MachError,
    amount,
    amount_out,
    array,
    currency_of,
    drop_empty,
    instant,
    instant_out,
    mach_id,
    money,
    money_out,
    number,
    number_out,
    obj,
    references,
    references_out,
    text,
    texts,
    whole,
)
from canonical_model.product import Price, PriceEntry, PriceList, PriceTier

__all__ = ["read_pricing", "write_price_list", "write_pricing"]


def _at_least_one(value: Any) -> int | None:
    found = whole(value)
    return found or None


def _tiers(given: Mapping[str, Any], tax: Mapping[str, Any]) -> tuple[PriceTier, ...]:
    extensions = obj(given.get("extensions"))
    found = []
    for concern in ("tiered", "bulk"):
        for item in array(obj(extensions.get(concern)).get("tiers")):
            price = money(item.get("sale_price"), **tax) or money(item.get("price"), **tax)
            if price is not None:
                found.append(
                    PriceTier(
                        price=price,
                        from_quantity=_at_least_one(item.get("minimum_quantity")) or 1,
                        to_quantity=_at_least_one(item.get("maximum_quantity")),
                        name=text(item.get("name")),
                        segments=texts(item.get("customer_segments")),
                    )
                )
    return tuple(found)


def _tax(given: Mapping[str, Any]) -> dict[str, Any]:
    tax = obj(given.get("tax"))
    rate = number(tax.get("rate"))
    included = tax.get("included")
    return {
        "tax_included": included if isinstance(included, bool) else None,
        "tax_rate": rate if rate is not None and 0 <= rate < 1 else None,
    }


def read_pricing(given: Mapping[str, Any], _context: Context) -> Price | PriceList:
    """One price of one product; a matrix of prices (`prices`) becomes a price list."""
    if _matrix(given):
        return _read_matrix(given)
    tax = _tax(given)
    sale, listed = money(given.get("sale_price"), **tax), money(given.get("list_price"), **tax)
    price = sale or listed
    if price is None:
        raise MachError("a pricing needs a sale_price or a list_price with amount and currency")
    extensions = obj(given.get("extensions"))
    campaign = obj(extensions.get("campaign"))
    channel = text(given.get("channel_id"))
    return Price(
        key=given["id"],
        refs=references(given),
        sku=text(given.get("product_id")) or given["id"],
        channel=channel,
        price=price,
        list_price=listed,
        cost=money(obj(extensions.get("internal")).get("cost_price")),
        kind_of_price=text(given.get("type")) or "sale",
        valid_from=instant(given.get("valid_from")) or instant(campaign.get("valid_from")),
        valid_until=instant(given.get("valid_to")) or instant(campaign.get("valid_to")),
        tiers=_tiers(given, tax),
        price_list=text(given.get("pricelist_id")),
        campaign=text(given.get("campaign_id")),
        catalog=text(given.get("catalog_id")),
        segment=text(given.get("customer_segment_id")),
        active=given.get("status") not in ("inactive", "archived", "expired"),
    )


def _tier_out(tier: PriceTier, price_word: str) -> dict[str, Any]:
    return drop_empty(
        {
            "name": tier.name,
            price_word: money_out(tier.price),
            "minimum_quantity": tier.from_quantity,
            "maximum_quantity": tier.to_quantity,
            "customer_segments": list(tier.segments),
        }
    )


def write_pricing(price: Price, _context: Context) -> dict[str, Any]:
    bulk = price.kind_of_price == "bulk"
    tiers = [_tier_out(tier, "price" if bulk else "sale_price") for tier in price.tiers]
    rate = price.price.tax_rate
    return {
        "id": mach_id(price),
        "external_references": references_out(price),
        "product_id": price.sku,
        "channel_id": price.channel,
        "type": price.kind_of_price,
        "sale_price": money_out(price.price),
        "list_price": money_out(price.list_price),
        "tax": drop_empty(
            {"included": price.price.tax_included, "rate": None if rate is None else number_out(rate)}
        ),
        "valid_from": instant_out(price.valid_from),
        "valid_to": instant_out(price.valid_until),
        "pricelist_id": price.price_list,
        "campaign_id": price.campaign,
        "catalog_id": price.catalog,
        "customer_segment_id": price.segment,
        "status": None if price.active else "inactive",
        "extensions": drop_empty(
            {
                "bulk" if bulk else "tiered": drop_empty({"tiers": tiers}),
                "internal": drop_empty({"cost_price": money_out(price.cost)}),
            }
        ),
    }


def _matrix(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of a matrix: members of the object in the drafts, an extension of it in the releases."""
    extension = obj(obj(given.get("extensions")).get("matrix_pricing"))
    return array(given.get("prices")) or array(extension.get("prices"))


def _entry(given: Mapping[str, Any]) -> PriceEntry | None:
    currency = currency_of(given.get("currency"))
    price = amount(given.get("sale_price"), currency) or money(given.get("sale_price"))
    sku = text(given.get("sku")) or text(given.get("product_id"))
    if price is None or sku is None:
        return None
    return PriceEntry(
        sku=sku,
        product_key=text(given.get("product_id")),
        price=price,
        list_price=amount(given.get("list_price"), currency) or money(given.get("list_price")),
        from_quantity=_at_least_one(given.get("minimum_quantity")) or 1,
        unit=text(given.get("unit")) or text(given.get("unit_of_measure")),
        tier=text(given.get("tier")) or text(given.get("price_tier")),
    )


def _read_matrix(given: Mapping[str, Any]) -> PriceList:
    segment = text(given.get("segment_id")) or text(given.get("customer_segment_id"))
    category = text(given.get("category_id"))
    lists = obj(given.get("external_references"))
    key = (
        text(given.get("id"))
        or text(lists.get("priceListId"))
        or text(lists.get("pricelist_id"))
        or segment
        or category
    )
    if key is None:
        raise MachError("a matrix of prices needs an id, a segment or a category to be known by")
    entries = [_entry(item) for item in _matrix(given)]
    return PriceList(
        key=key,
        refs=references({**given, "id": text(given.get("id"))}),
        segment=segment,
        category=category,
        valid_from=instant(given.get("valid_from")),
        valid_until=instant(given.get("expire_at")) or instant(given.get("valid_to")),
        entries=tuple(entry for entry in entries if entry is not None),
        active=given.get("status") not in ("inactive", "archived", "expired"),
    )


def _entry_out(entry: PriceEntry, dialect: Dialect) -> dict[str, Any]:
    made: dict[str, Any] = {
        "product_id": entry.product_key,
        "sku": entry.sku,
        "minimum_quantity": entry.from_quantity if entry.from_quantity > 1 else None,
    }
    if dialect is Dialect.CAMEL:
        made |= {"sale_price": amount_out(entry.price), "list_price": amount_out(entry.list_price)}
        made |= {"currency": entry.price.currency, "unit": entry.unit, "tier": entry.tier}
    else:
        made |= {"sale_price": money_out(entry.price), "list_price": money_out(entry.list_price)}
        made |= {"unit_of_measure": entry.unit, "price_tier": entry.tier}
    return drop_empty(made)


def write_price_list(prices: PriceList, context: Context) -> dict[str, Any]:
    entries = [_entry_out(entry, context.dialect) for entry in prices.entries]
    common = {
        "id": mach_id(prices),
        "external_references": references_out(prices),
        "category_id": prices.category,
        "valid_from": instant_out(prices.valid_from),
        "status": None if prices.active else "inactive",
    }
    until = instant_out(prices.valid_until)
    if context.dialect is Dialect.CAMEL:
        return {**common, "segment_id": prices.segment, "expire_at": until, "prices": entries}
    extensions = {"matrix_pricing": {"prices": entries}}
    return {**common, "customer_segment_id": prices.segment, "valid_to": until, "extensions": extensions}
