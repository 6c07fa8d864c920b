"""Payments and what happened to them, and what collectors pay out."""

from __future__ import annotations

from datetime import date

from canonical_model.codes import (
    CreditStatus,
    PaymentEventKind,
    PaymentMethod,
    ReceiptStatus,
    SettlementLineKind,
)
from canonical_model.entity import Entity
from canonical_model.values import BusinessDate, Instant, Money, TaxRate, Value

__all__ = ["CardFace", "Payment", "PaymentEvent", "Settlement", "SettlementLine"]


class PaymentEvent(Value):
    """One thing that happened to a payment; appended, never edited.

    id      unique within the payment
    amount  what it moved, positive (a refund of 1,000 yen has amount 1000)
    """

    id: str
    kind: PaymentEventKind
    amount: Money
    at: Instant
    business_date: BusinessDate | None = None
    reference: str | None = None
    reason: str | None = None


class CardFace(Value):
    """What may be shown of a card or wallet; never a full number."""

    brand: str | None = None
    last4: str | None = None
    expires: str | None = None
    """ "YYYY-MM"."""


class Payment(Entity, kind="payment", ja="入金", en="Payment"):
    """Money of one payer for one order by one means. Key: "{collector or channel}/{transaction number}".

    amount     what was agreed
    events     all that happened, in any order; everything below is derived from them
    paid_on    the day the buyer paid (入金日)
    due_on     the day it must be paid by (支払期限)
    collector  who takes the money for us (card company, 収納代行, carrier for COD)
    """

    order_key: str
    customer_key: str | None = None
    method: PaymentMethod
    name: str | None = None
    collector: str | None = None
    amount: Money
    credit: CreditStatus | None = None
    events: tuple[PaymentEvent, ...] = ()
    created_at: Instant | None = None
    paid_on: date | None = None
    due_on: date | None = None
    card: CardFace | None = None
    note: str | None = None

    def sum_of(self, *kinds: PaymentEventKind) -> int:
        """Minor units moved by events of these kinds. An event told twice under one id counts as told last."""
        last: dict[str, PaymentEvent] = {}
        for event in sorted(self.events, key=lambda event: (event.at, event.amount.amount)):
            last[event.id] = event
        return sum(event.amount.amount for event in last.values() if event.kind in kinds)

    @property
    def authorized(self) -> int:
        """Minor units reserved and not released."""
        kinds = PaymentEventKind
        return self.sum_of(kinds.AUTHORIZED) - self.sum_of(kinds.VOIDED)

    @property
    def received(self) -> int:
        """Minor units that are surely ours: captured, confirmed or received.

        Collectors report one sum at several stages (captured, then settled), so the furthest stage counts, not
        their total.
        """
        kinds = PaymentEventKind
        stages = (kinds.CAPTURED, kinds.CONFIRMED, kinds.RECEIVED, kinds.SETTLED)
        return max(self.sum_of(stage) for stage in stages)

    @property
    def provisional(self) -> int:
        """Minor units reported by 速報 and not taken back."""
        kinds = PaymentEventKind
        return self.sum_of(kinds.PROVISIONAL) - self.sum_of(kinds.PROVISIONAL_REVOKED)

    @property
    def refunded(self) -> int:
        """Minor units that went back to the payer."""
        return self.sum_of(PaymentEventKind.REFUNDED, PaymentEventKind.CHARGEBACK)

    @property
    def receipt(self) -> ReceiptStatus:
        """How far the money has come (入金状態)."""
        if self.received:
            if self.refunded >= self.received:
                return ReceiptStatus.REFUNDED
            if self.received != self.amount.amount:
                return ReceiptStatus.OVER if self.received > self.amount.amount else ReceiptStatus.SHORT
            settled = self.sum_of(PaymentEventKind.SETTLED) >= self.received
            return ReceiptStatus.SETTLED if settled else ReceiptStatus.CONFIRMED
        return ReceiptStatus.PROVISIONAL if self.provisional > 0 else ReceiptStatus.NONE


class SettlementLine(Value):
    """One row of a settlement. `amount` is signed: what raises the pay-out is positive, fees are negative."""

    id: str
    kind: SettlementLineKind
    amount: Money
    order_key: str | None = None
    payment_key: str | None = None
    reference: str | None = None
    occurred_on: date | None = None
    tax_rate: TaxRate | None = None
    tax: Money | None = None
    name: str | None = None


class Settlement(Entity, kind="settlement", ja="精算", en="Settlement"):
    """What a collector pays out for a period, and what it is made of. Key: "{collector}/{settlement number}".

    amount   what reaches the account; `difference()` holds the lines against it
    paid_on  the day it reaches the account (着金日)
    """

    collector: str
    number: str
    period_from: date | None = None
    period_until: date | None = None
    paid_on: date | None = None
    amount: Money
    lines: tuple[SettlementLine, ...] = ()
    bank_account: str | None = None

    def difference(self) -> int:
        """Pay-out minus the sum of the lines, in minor units; 0 where it adds up."""
        currency = self.amount.currency
        return self.amount.amount - Money.total((line.amount for line in self.lines), currency=currency)
