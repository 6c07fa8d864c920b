"""Promotion and coupon instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canonical_model.codes import CodeList, CouponStatus, PromotionStatus, PromotionTarget
from canonical_model.mach.dialect import Verbatim
from canonical_model.mach.words import (
    Context,
    array,
    code,
    drop_empty,
    instant,
    instant_out,
    local,
    local_out,
    mach_id,
    money,
    money_out,
    number,
    obj,
    references,
    references_out,
    text,
    texts,
    whole,
)
from canonical_model.promotion import Coupon, Promotion, PromotionCondition, PromotionLimits, PromotionReward

__all__ = ["read_coupon", "read_promotion", "write_coupon", "write_promotion"]

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
