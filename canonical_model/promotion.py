"""Promotions and the coupons that set them off."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from canonical_model.codes import BorneBy, CouponStatus, PromotionStatus, PromotionTarget
from canonical_model.entity import Entity
from canonical_model.values import Instant, Json, JsonObject, Money, Quantity, Translations, Value

__all__ = ["Coupon", "Promotion", "PromotionCondition", "PromotionLimits", "PromotionReward"]


class PromotionCondition(Value):
    """What must hold. `subject` ("cart_subtotal"), `operator` ("gte"), and either a sum of money or a value."""

    subject: str
    operator: str
    money: Money | None = None
    value: Json = None


class PromotionReward(Value):
    """What is given: a share (`percent`), a sum (`money`), or more units.

    percent  of 100; None where the reward is no share
    detail   the rest of the rule in the system's own words (tiers, buy n get m)
    """

    type: str
    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    money: Money | None = None
    at_most: Money | None = None
    applies_to: str | None = None
    buy_quantity: Quantity | None = None
    get_quantity: Quantity | None = None
    detail: JsonObject = Field(default_factory=dict)


class PromotionLimits(Value):
    """How often it may be used; None is without limit."""

    total: Quantity | None = None
    remaining: Quantity | None = None
    per_customer: Quantity | None = None
    per_order: Quantity | None = None
    period: str | None = None


class Promotion(Entity, kind="promotion", ja="販促", en="Promotion"):
    """A rule that lowers prices or gives something. Key: the promotion's id."""

    name: str
    description: str | None = None
    target: PromotionTarget = PromotionTarget.CART
    status: PromotionStatus = PromotionStatus.ACTIVE
    slug: str | None = None
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    activation: str = "automatic"
    code: str | None = None
    """The one code that sets it off; coupons of their own are `Coupon` entities."""
    conditions: tuple[PromotionCondition, ...] = ()
    rewards: tuple[PromotionReward, ...] = ()
    limits: PromotionLimits = PromotionLimits()
    channels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    customer_types: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    priority: int | None = None
    stackable: bool | None = None
    borne_by: BorneBy = BorneBy.UNKNOWN
    created_at: Instant | None = None
    translations: Translations = Field(default_factory=dict)


class Coupon(Entity, kind="coupon", ja="クーポン", en="Coupon"):
    """One coupon code given out. Key: the coupon's id; `code` is what the buyer types."""

    code: str
    promotion_key: str
    status: CouponStatus = CouponStatus.ACTIVE
    usage: str | None = None
    """single_use, multi_use or unlimited."""
    assigned_to: str | None = None
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    used: Quantity = 0
    limit: Quantity | None = None
    last_used_at: Instant | None = None
    last_used_by: str | None = None
    batch: str | None = None
    created_at: Instant | None = None
