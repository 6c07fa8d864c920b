"""Orders: what was asked for, by whom, for whom, at what price, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import Field, model_validator

from canonical_model.arithmetic import Rounding, allocate, sum_by_rate
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
from canonical_model.values import (
    Address,
    BusinessDate,
    Email,
    Instant,
    JsonObject,
    Money,
    OptionValue,
    PersonName,
    Phone,
    Quantity,
    TaxRate,
    Value,
)

__all__ = [
    "Charge",
    "DeliveryRequest",
    "Difference",
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
    "Tender",
]


class Party(Value):
    """Someone named on an order."""

    name: PersonName
    address: Address | None = None
    phone: Phone | None = None
    email: Email | None = None


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
    traits: JsonObject = Field(default_factory=dict)
    product_key: str | None = None
    option_values: tuple[OptionValue, ...] = ()
    tax: Money | None = None
    """Tax of this line as its system told it: for reference, an invoice rounds per rate and not per line."""
    subscription_key: str | None = None

    @property
    def gross(self) -> int:
        """Minor units of all units ordered, before discounts."""
        return self.unit_price.amount * self.quantity.ordered


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


class Tender(Value):
    """One of the means an order is paid by, where its system tells what each pays (split payment at a register,
    gift card and credit card). `status` is in that system's words.
    """

    method: PaymentMethod
    amount: Money
    name: str | None = None
    id: str | None = None
    status: str | None = None
    reference: str | None = None
    at: Instant | None = None


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


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of the order's own system that its lines do not come to; minor units."""

    figure: str
    told: int
    computed: int

    @property
    def amount(self) -> int:
        """What the told figure is too high by."""
        return self.told - self.computed


class Order(Entity, kind="order", ja="受注", en="Order"):
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
    tenders: tuple[Tender, ...] = ()
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
        ids = set()
        for line in self.lines:
            ids.add(line.id)
            if line.recipient_id not in known:
                raise ValueError(
                    f"line {line.id} goes to recipient {line.recipient_id!r}, who is not on the order"
                )
        if len(ids) != len(self.lines):
            raise ValueError("two lines have the same id")
        return self

    @property
    def is_cancelled(self) -> bool:
        """The order as a whole was cancelled in its own system."""
        return self.confirmation is Confirmation.CANCELLED or self.cancelled_at is not None

    def _standing(self, line: OrderLine) -> int:
        # a cancelled order keeps the figures it had, so it is held against all that was ordered
        units = line.quantity.ordered
        return units if self.is_cancelled else max(units - line.quantity.cancelled, 0)

    def _all_discounts(self) -> Iterator[Money]:
        yield from (discount.amount for discount in self.discounts)
        yield from (discount.amount for line in self.lines for discount in line.discounts)

    def _added_tax(self) -> int:
        """Tax that comes on top of lines and charges; 0 where it is inside, or stands among the charges."""
        if any(charge.kind is ChargeKind.TAX for charge in self.charges):
            return 0
        amounts = [line.unit_price * self._standing(line) for line in self.lines]
        amounts += [charge.amount for charge in self.charges]
        outside = [money for money in amounts if money.tax_included is False]
        if not outside:
            return 0
        if self.totals.tax is not None:
            return self.totals.tax.amount
        if self.taxes:
            return sum(line.tax.amount for line in self.taxes)
        return sum(part.tax for part in sum_by_rate(money for money in outside if money.tax_rate is not None))

    def differences(self) -> tuple[Difference, ...]:
        """The told figures held against lines, charges, discounts and points, to the yen; empty where all agree.

        Figures the system does not tell are not held against anything. Raises ValueError where currencies mix.
        """
        currency = self.totals.payable.currency

        def total(amounts: Iterator[Money]) -> int:
            return Money.total(amounts, currency=currency)

        goods = total(line.unit_price * self._standing(line) for line in self.lines)
        charges = total(charge.amount for charge in self.charges)
        discounts = total(self._all_discounts())
        points = total(use.amount for use in self.points)
        told = self.totals
        computed = {"goods": goods, "charges": charges, "discounts": discounts, "points": points}
        if self.taxes:
            computed["tax"] = total(line.tax for line in self.taxes)
        computed["total"] = goods + charges - discounts + self._added_tax()
        computed["payable"] = (told.total.amount if told.total else computed["total"]) - points
        found = []
        for figure, amount in computed.items():
            given: Money | None = getattr(told, figure)
            if given is not None and given.amount != amount:
                found.append(Difference(figure, given.amount, amount))
        return tuple(found)

    def discount_shares(self, *, borne_by: frozenset[BorneBy] | None = None) -> dict[str, int]:
        """What each line bears of the discounts on the whole order: line id -> minor units, exact in sum.

        Shared out in proportion to what the lines come to after their own discounts. `borne_by` picks discounts
        by who pays for them.
        """
        weights = [
            max(line.gross - sum(discount.amount.amount for discount in line.discounts), 0)
            for line in self.lines
        ]
        shares = [0] * len(self.lines)
        for discount in self.discounts:
            if borne_by is None or discount.borne_by in borne_by:
                shares = [
                    a + b for a, b in zip(shares, allocate(discount.amount.amount, weights), strict=True)
                ]
        return {line.id: share for line, share in zip(self.lines, shares, strict=True)}

    def invoice_taxes(self, how: Rounding = Rounding.DOWN) -> tuple[TaxLine, ...]:
        """Tax by rate as an invoice of this order must show it: one rounding per rate, highest rate first.

        Discounts the shop or an unnamed party pays lower what is taxed; what a marketplace or a maker pays does
        not, nor do points (they pay, they do not lower the price). A discount on the whole order is shared out
        over lines and charges of all rates. Raises ValueError where a line or charge names no rate.
        """
        parts: list[Money] = []
        for line in self.lines:
            full = line.unit_price * self._standing(line)
            own = (
                sum(d.amount.amount for d in line.discounts if d.borne_by in _LOWERS_PRICE)
                if full.amount
                else 0
            )
            parts.append(full.model_copy(update={"amount": full.amount - own}))
        parts += [charge.amount for charge in self.charges if charge.kind is not ChargeKind.TAX]
        lowered = sum(d.amount.amount for d in self.discounts if d.borne_by in _LOWERS_PRICE)
        shares = allocate(lowered, [max(part.amount, 0) for part in parts])
        taxed = [
            part.model_copy(update={"amount": part.amount - share})
            for part, share in zip(parts, shares, strict=True)
            if part.amount or share
        ]
        currency = self.totals.payable.currency
        result = []
        for one in sum_by_rate(taxed, how):
            inside = True if not one.excluded else (False if not one.included else None)
            base = Money(
                amount=one.included + one.excluded, currency=currency, tax_included=inside, tax_rate=one.rate
            )
            result.append(TaxLine(rate=one.rate, taxable=base, tax=Money(amount=one.tax, currency=currency)))
        return tuple(result)


_LOWERS_PRICE = frozenset({BorneBy.SHOP, BorneBy.UNKNOWN})
