"""Orders: what was asked for, by whom, for whom, at what price, and how far it has come."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import EmailStr, Field, model_validator

from canonical_model.codes import (
    AfterSalesStatus,
    BorneBy,
    ChargeKind,
    Confirmation,
    DiscountKind,
    FulfilmentStatus,
    OrderRoute,
    PaymentMethod,
    PaymentStatus,
    TemperatureZone,
)
from canonical_model.entity import Entity
from canonical_model.values import Address, BusinessDate, Instant, Money, PersonName, Phone, Quantity, TaxRate, Value

__all__ = [
    "Charge",
    "DeliveryRequest",
    "Discount",
    "Gift",
    "LineQuantities",
    "Order",
    "OrderLine",
    "OrderPayment",
    "OrderStatus",
    "OrderTotals",
    "Party",
    "PointsUse",
    "Recipient",
    "TaxLine",
]


class Party(Value):
    """Someone named on an order."""

    name: PersonName
    address: Address | None = None
    phone: Phone | None = None
    email: EmailStr | None = None


class DeliveryRequest(Value):
    """What the buyer asked of the delivery.

    slot  hours in JST as "HHMM-HHMM" ("1400-1600"), or "morning" / "afternoon"
    """

    date: BusinessDate | None = None
    slot: Annotated[str, Field(pattern=r"^(\d{4}-\d{4}|morning|afternoon)$")] | None = None
    method: str | None = None
    zone: TemperatureZone = TemperatureZone.AMBIENT
    place: str | None = None
    note: str | None = None


class Gift(Value):
    """Gift wishes: noshi (熨斗) and its inscription, wrapping, card."""

    noshi: str | None = None
    inscription: str | None = None
    wrapping: str | None = None
    message: str | None = None


class Recipient(Value):
    """One place the order goes to. `id` is unique within the order."""

    id: str
    party: Party
    delivery: DeliveryRequest = DeliveryRequest()
    gift: Gift | None = None
    ready: bool = True
    """False while the recipient is still to be named (social gift): do not ship."""


class LineQuantities(Value):
    """How many units of a line; the first two come from the order's own system, the rest from facts."""

    ordered: Quantity
    cancelled: Quantity = 0
    allocated: Quantity = 0
    shipped: Quantity = 0
    delivered: Quantity = 0
    returned: Quantity = 0

    @property
    def open(self) -> int:
        """Units still to be shipped."""
        return max(self.ordered - self.cancelled - self.shipped, 0)


class Discount(Value):
    """A reduction; `amount` is positive."""

    kind: DiscountKind = DiscountKind.OTHER
    amount: Money
    borne_by: BorneBy = BorneBy.UNKNOWN
    code: str | None = None
    name: str | None = None


class OrderLine(Value):
    """One line. `id` is unique within the order; `unit_price` says itself whether tax is inside."""

    id: str
    sku: Annotated[str, Field(min_length=1)]
    name: str
    quantity: LineQuantities
    unit_price: Money
    recipient_id: str = "1"
    options: str | None = None
    discounts: tuple[Discount, ...] = ()
    traits: dict[str, Any] = Field(default_factory=dict)


class Charge(Value):
    """Something paid beside the goods. `recipient_id` where it belongs to one recipient."""

    kind: ChargeKind
    amount: Money
    recipient_id: str | None = None
    name: str | None = None


class PointsUse(Value):
    """Points spent on the order: `points` of a programme, worth `amount`."""

    points: Quantity
    amount: Money
    programme: str | None = None
    borne_by: BorneBy = BorneBy.UNKNOWN


class TaxLine(Value):
    """Tax of one rate, as the order's own system computed it (invoice system: one rounding per rate)."""

    rate: TaxRate
    taxable: Money
    tax: Money


class OrderPayment(Value):
    """How the buyer pays, as agreed at order time. Money that moved is in Payment entities."""

    method: PaymentMethod
    name: str | None = None
    """The method in the order system's own words."""
    instalments: str | None = None


class OrderTotals(Value):
    """The figures of the order's own system, kept as given; `Order.differences` holds them to the lines.

    goods      sum of the lines
    charges    sum of the charges
    discounts  sum of all discounts (positive)
    points     worth of the points used (positive)
    tax        consumption tax, where it is told
    total      what the order comes to before points
    payable    what the buyer pays in money
    """

    goods: Money | None = None
    charges: Money | None = None
    discounts: Money | None = None
    points: Money | None = None
    tax: Money | None = None
    total: Money | None = None
    payable: Money


class OrderStatus(Value):
    """Three axes, each derived from facts; none of them is ever set by hand."""

    payment: PaymentStatus = PaymentStatus.NONE
    fulfilment: FulfilmentStatus = FulfilmentStatus.NONE
    after_sales: AfterSalesStatus = AfterSalesStatus.NONE


class Order(Entity, kind="order"):
    """A sales order. Key: "{channel}/{number}"."""

    number: Annotated[str, Field(min_length=1)]
    channel: str
    ordered_at: Instant
    business_date: date | None = None
    route: OrderRoute = OrderRoute.WEB
    media_code: str | None = None
    confirmation: Confirmation = Confirmation.CONFIRMED
    buyer: Party
    customer_key: str | None = None
    recipients: Annotated[tuple[Recipient, ...], Field(min_length=1)]
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1)]
    charges: tuple[Charge, ...] = ()
    discounts: tuple[Discount, ...] = ()
    points: tuple[PointsUse, ...] = ()
    taxes: tuple[TaxLine, ...] = ()
    payment: OrderPayment
    totals: OrderTotals
    status: OrderStatus = OrderStatus()
    note: str | None = None
    memo: str | None = None
    amounts_final: bool = True
    """False while the shop still has to fix an amount (shipping of an island, say): do not bill or ship."""
    cancelled_at: Instant | None = None

    @model_validator(mode="after")
    def _line_recipients_exist(self) -> Order:
        known = {recipient.id for recipient in self.recipients}
        for line in self.lines:
            if line.recipient_id not in known:
                raise ValueError(f"line {line.id} goes to recipient {line.recipient_id!r}, who is not on the order")
        if len({line.id for line in self.lines}) != len(self.lines):
            raise ValueError("two lines have the same id")
        return self
