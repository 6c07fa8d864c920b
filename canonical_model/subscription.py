"""Subscriptions: the same goods again and again (定期購入, 頒布会)."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from canonical_model.codes import SubscriptionCycle, SubscriptionStatus
from canonical_model.entity import Entity
from canonical_model.order import Discount, OrderPayment, Recipient
from canonical_model.values import Instant, Money, Value

__all__ = ["Cycle", "Subscription", "SubscriptionLine"]


class Cycle(Value):
    """When it comes again.

    days           every so many days (kind "days")
    months, day    every so many months on that day; 31 is the last day of a shorter month (kind "month_day")
    months, week, weekday   the nth weekday of the month, Monday is 1 (kind "month_weekday")
    """

    kind: SubscriptionCycle
    days: Annotated[int, Field(ge=1)] | None = None
    months: Annotated[int, Field(ge=1)] = 1
    day: Annotated[int, Field(ge=1, le=31)] | None = None
    week: Annotated[int, Field(ge=1, le=5)] | None = None
    weekday: Annotated[int, Field(ge=1, le=7)] | None = None


class SubscriptionLine(Value):
    """What comes: units of a SKU at a price."""

    id: str
    sku: Annotated[str, Field(min_length=1)]
    name: str
    quantity: Annotated[int, Field(ge=1)]
    unit_price: Money
    discounts: tuple[Discount, ...] = ()
    from_delivery: Annotated[int, Field(ge=1)] = 1
    """The first delivery that holds it (頒布会: other goods each time)."""
    until_delivery: Annotated[int, Field(ge=1)] | None = None


class Subscription(Entity, kind="subscription", ja="定期契約", en="Subscription"):
    """An agreement to send goods regularly. Key: "{channel}/{subscription number}".

    deliveries          how many came so far (回数目)
    minimum_deliveries  how many the buyer must take (縛り回数)
    """

    number: str
    channel: str
    customer_key: str | None = None
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    course: str | None = None
    cycle: Cycle
    next_on: date | None = None
    deliveries: Annotated[int, Field(ge=0)] = 0
    minimum_deliveries: Annotated[int, Field(ge=0)] = 0
    recipient: Recipient
    lines: Annotated[tuple[SubscriptionLine, ...], Field(min_length=1)]
    payment: OrderPayment
    started_at: Instant | None = None
    paused_until: date | None = None
    ended_at: Instant | None = None
    end_reason: str | None = None
    order_keys: tuple[str, ...] = ()
    note: str | None = None
