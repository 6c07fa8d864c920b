"""Pricing, promotion and coupon instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canonical_model.codes import CodeList, CouponStatus, PromotionStatus, PromotionTarget
from canonical_model.mach.dialect import Verbatim
from canonical_model.mach.words import (
    Context,
    MachError,
    amount,
    amount_out,
    array,
    code,
    currency_of,
    drop_empty,
    instant,
    instant_out,
    local,
    local_out,
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
from canonical_model.promotion import Coupon, Promotion, PromotionCondition, PromotionLimits, PromotionReward

__all__ = [
    "read_coupon",
    "read_pricing",
    "read_promotion",
    "write_coupon",
    "write_price_list",
    "write_pricing",
    "write_promotion",
]


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
    if isinstance(given.get("prices"), list):
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
        unit=text(given.get("unit")),
        tier=text(given.get("tier")),
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
    entries = [_entry(item) for item in array(given.get("prices"))]
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


def write_price_list(prices: PriceList, _context: Context) -> dict[str, Any]:
    entries = [
        drop_empty(
            {
                "product_id": entry.product_key,
                "sku": entry.sku,
                "sale_price": amount_out(entry.price),
                "list_price": amount_out(entry.list_price),
                "currency": entry.price.currency,
                "unit": entry.unit,
                "tier": entry.tier,
                "minimum_quantity": entry.from_quantity if entry.from_quantity > 1 else None,
            }
        )
        for entry in prices.entries
    ]
    return {
        "id": mach_id(prices),
        "external_references": references_out(prices),
        "segment_id": prices.segment,
        "category_id": prices.category,
        "valid_from": instant_out(prices.valid_from),
        "expire_at": instant_out(prices.valid_until),
        "prices": entries,
        "status": None if prices.active else "inactive",
    }


_TARGETS: dict[str, CodeList] = {target.value: target for target in PromotionTarget}
_PROMOTION: dict[str, CodeList] = {status.value: status for status in PromotionStatus}
_COUPON: dict[str, CodeList] = {status.value: status for status in CouponStatus}
_ACTION_WORDS = frozenset({"type", "value", "apply_to", "max_discount", "buy_quantity", "get_quantity"})


def _condition(given: Mapping[str, Any]) -> PromotionCondition:
    price = money(given.get("value"))
    return PromotionCondition(
        subject=text(given.get("type")) or "unknown",
        operator=text(given.get("operator")) or "equals",
        money=price,
        value=None if price is not None else given.get("value"),
    )


def _condition_out(condition: PromotionCondition) -> dict[str, Any]:
    value = money_out(condition.money) if condition.money is not None else condition.value
    return {"type": condition.subject, "operator": condition.operator, "value": value}


def _reward(given: Mapping[str, Any]) -> PromotionReward:
    kind = text(given.get("type")) or "unknown"
    price, share = money(given.get("value")), number(given.get("value"))
    is_share = "percentage" in kind and share is not None and 0 <= share <= 100
    detail = {name: value for name, value in given.items() if name not in _ACTION_WORDS}
    if price is None and not is_share and "value" in given:
        detail["value"] = given["value"]
    return PromotionReward(
        type=kind,
        percent=float(share) if is_share and share is not None else None,
        money=price,
        at_most=money(given.get("max_discount")),
        applies_to=text(given.get("apply_to")),
        buy_quantity=whole(given.get("buy_quantity")),
        get_quantity=whole(given.get("get_quantity")),
        detail=detail,
    )


def _reward_out(reward: PromotionReward) -> dict[str, Any]:
    value = reward.percent if reward.percent is not None else money_out(reward.money)
    made = {
        "type": reward.type,
        "value": value,
        "apply_to": reward.applies_to,
        "max_discount": money_out(reward.at_most),
        "buy_quantity": reward.buy_quantity,
        "get_quantity": reward.get_quantity,
    }
    return {**drop_empty(made), **reward.detail}


def _limits(given: Any) -> PromotionLimits:
    limits = obj(given)
    return PromotionLimits(
        total=whole(limits.get("total_uses")),
        remaining=whole(limits.get("uses_remaining")),
        per_customer=whole(limits.get("per_customer")),
        per_order=whole(limits.get("per_order")),
        period=text(limits.get("per_customer_period")),
    )


def read_promotion(given: Mapping[str, Any], _context: Context) -> Promotion:
    translations: dict[str, dict[str, str]] = {}
    rules, eligibility = obj(given.get("rules")), obj(given.get("eligibility"))
    return Promotion(
        key=given["id"],
        refs=references(given),
        name=local(given, "name", translations) or given["id"],
        description=local(given, "description", translations),
        target=code(given.get("type"), _TARGETS) or PromotionTarget.CART,
        status=code(given.get("status"), _PROMOTION) or PromotionStatus.DRAFT,
        slug=text(given.get("slug")),
        valid_from=instant(given.get("valid_from")),
        valid_until=instant(given.get("valid_to")),
        activation=text(given.get("activation_method")) or "automatic",
        code=text(obj(given.get("codes")).get("single_code")),
        conditions=tuple(_condition(item) for item in array(rules.get("conditions"))),
        rewards=tuple(_reward(item) for item in array(rules.get("actions"))),
        limits=_limits(given.get("usage_limits")),
        channels=texts(eligibility.get("channels")),
        regions=texts(eligibility.get("regions")),
        customer_types=texts(eligibility.get("customer_types")),
        segments=texts(eligibility.get("customer_segments")),
        priority=whole(given.get("priority")),
        stackable=given["stackable"] if isinstance(given.get("stackable"), bool) else None,
        created_at=instant(given.get("created_at")),
        translations=translations,
    )


def write_promotion(promotion: Promotion, _context: Context) -> dict[str, Any]:
    limits = promotion.limits
    return {
        "id": mach_id(promotion),
        "external_references": references_out(promotion),
        "name": local_out(promotion.name, "name", promotion.translations),
        "description": local_out(promotion.description, "description", promotion.translations),
        "type": promotion.target.value,
        "status": promotion.status.value,
        "slug": promotion.slug,
        "valid_from": instant_out(promotion.valid_from),
        "valid_to": instant_out(promotion.valid_until),
        "activation_method": promotion.activation,
        "codes": drop_empty({"single_code": promotion.code}),
        "rules": drop_empty(
            {
                "conditions": [_condition_out(condition) for condition in promotion.conditions],
                "actions": [Verbatim(_reward_out(reward)) for reward in promotion.rewards],
            }
        ),
        "usage_limits": drop_empty(
            {
                "total_uses": limits.total,
                "uses_remaining": limits.remaining,
                "per_customer": limits.per_customer,
                "per_order": limits.per_order,
                "per_customer_period": limits.period,
            }
        ),
        "eligibility": drop_empty(
            {
                "channels": list(promotion.channels),
                "regions": list(promotion.regions),
                "customer_types": list(promotion.customer_types),
                "customer_segments": list(promotion.segments),
            }
        ),
        "priority": promotion.priority,
        "stackable": promotion.stackable,
        "created_at": instant_out(promotion.created_at),
    }


def read_coupon(given: Mapping[str, Any], _context: Context) -> Coupon:
    return Coupon(
        key=given["id"],
        refs=references(given),
        code=given["code"],
        promotion_key=given["promotion_id"],
        status=code(given.get("status"), _COUPON) or CouponStatus.ACTIVE,
        usage=text(given.get("type")),
        assigned_to=text(given.get("assigned_to")),
        valid_from=instant(given.get("valid_from")),
        valid_until=instant(given.get("valid_to")),
        used=whole(given.get("usage_count")) or 0,
        limit=whole(given.get("usage_limit")),
        last_used_at=instant(given.get("last_used_at")),
        last_used_by=text(given.get("last_used_by")),
        batch=text(given.get("generation_batch")),
        created_at=instant(given.get("created_at")),
    )


def write_coupon(coupon: Coupon, _context: Context) -> dict[str, Any]:
    return {
        "id": mach_id(coupon),
        "external_references": references_out(coupon),
        "code": coupon.code,
        "promotion_id": coupon.promotion_key,
        "status": coupon.status.value,
        "type": coupon.usage,
        "assigned_to": coupon.assigned_to,
        "valid_from": instant_out(coupon.valid_from),
        "valid_to": instant_out(coupon.valid_until),
        "usage_count": coupon.used,
        "usage_limit": coupon.limit,
        "last_used_at": instant_out(coupon.last_used_at),
        "last_used_by": coupon.last_used_by,
        "generation_batch": coupon.batch,
        "created_at": instant_out(coupon.created_at),
    }
