"""Payment and its transactions. Its amounts are integers in minor units, as ours are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canonical_model.codes import CodeList, PaymentEventKind
from canonical_model.mach.orders import customer_key
from canonical_model.mach.words import (
    Context,
    MachError,
    array,
    code,
    currency_of,
    drop_empty,
    instant,
    instant_out,
    known,
    mach_id,
    method,
    method_out,
    number,
    obj,
    outside,
    references,
    references_out,
    text,
    whole,
)
from canonical_model.payment import CardFace, Payment, PaymentEvent
from canonical_model.values import Money

__all__ = ["read_payment", "write_payment"]

_KINDS: dict[str, CodeList] = {
    "authorization": PaymentEventKind.AUTHORIZED,
    "capture": PaymentEventKind.CAPTURED,
    "sale": PaymentEventKind.CAPTURED,
    "refund": PaymentEventKind.REFUNDED,
    "void": PaymentEventKind.VOIDED,
    "chargeback": PaymentEventKind.CHARGEBACK,
    "settlement": PaymentEventKind.SETTLED,
}
_GIVES_BACK = frozenset({PaymentEventKind.REFUNDED, PaymentEventKind.CHARGEBACK})


def _minor(value: Any, currency: str) -> Money | None:
    exact = number(value)
    if exact is None or exact != exact.to_integral_value():
        return None
    return Money(amount=int(exact), currency=currency)


def _event(given: Mapping[str, Any], currency: str) -> PaymentEvent | None:
    """A transaction; one that did not succeed is a failure of its kind, and moves nothing."""
    moved, at = _minor(given.get("amount"), currency), instant(given.get("timestamp"))
    kind: PaymentEventKind | None = code(given.get("type"), _KINDS)
    event_id = text(given.get("id"))
    if moved is None or at is None or kind is None or event_id is None:
        return None
    failed = given.get("status") not in (None, "success", "succeeded")
    return PaymentEvent(
        id=event_id,
        kind=PaymentEventKind.FAILED if failed else kind,
        amount=Money(amount=abs(moved.amount), currency=currency),
        at=at,
        reference=text(given.get("reference")),
        reason=text(given.get("type")) if failed else None,
    )


def _event_out(event: PaymentEvent) -> dict[str, Any]:
    failed = event.kind is PaymentEventKind.FAILED
    back = event.kind in _GIVES_BACK
    return drop_empty(
        {
            "id": event.id,
            "type": event.reason if failed and event.reason else known(event.kind, _KINDS),
            "amount": -event.amount.amount if back else event.amount.amount,
            "status": "failed" if failed else "success",
            "timestamp": instant_out(event.at),
            "reference": event.reference,
        }
    )


def _card(given: Any) -> CardFace | None:
    details = obj(given)
    month, year = whole(details.get("expiry_month")), whole(details.get("expiry_year"))
    card = CardFace(
        brand=text(details.get("brand")),
        last4=text(details.get("last4")),
        expires=f"{year:04}-{month:02}" if month and year else None,
    )
    return None if card == CardFace() else card


def _card_out(card: CardFace | None) -> dict[str, Any] | None:
    if card is None:
        return None
    year, _, month = (card.expires or "").partition("-")
    return drop_empty(
        {
            "brand": card.brand,
            "last4": card.last4,
            "expiry_month": int(month) if month else None,
            "expiry_year": int(year) if year else None,
        }
    )


def _status_word(payment: Payment) -> str:
    kinds = {event.kind for event in payment.events}
    if payment.refunded:
        return "refunded"
    if payment.received:
        return "captured"
    if payment.authorized > 0:
        return "authorized"
    if PaymentEventKind.VOIDED in kinds:
        return "cancelled"
    return "failed" if PaymentEventKind.FAILED in kinds else "pending"


def read_payment(given: Mapping[str, Any], context: Context) -> Payment:
    currency = currency_of(given.get("currency"))
    agreed = _minor(given.get("amount"), currency) if currency else None
    order = text(given.get("order_id"))
    if currency is None or agreed is None or order is None:
        raise MachError("a payment needs an order_id, a currency and an amount in minor units")
    collector = text(given.get("provider"))
    events = [_event(item, currency) for item in array(given.get("transactions"))]
    return Payment(
        key=f"{collector or context.channel}/{given['id']}",
        refs=references(given),
        order_key=f"{context.channel}/{order}",
        customer_key=customer_key(given, context),
        method=method(given.get("method")),
        name=text(given.get("method")),
        collector=collector,
        amount=agreed,
        events=tuple(event for event in events if event is not None),
        created_at=instant(given.get("created_at")),
        card=_card(given.get("method_details")),
    )


def write_payment(payment: Payment, _context: Context) -> dict[str, Any]:
    done = [event.at for event in payment.events if event.kind is not PaymentEventKind.FAILED]
    return {
        "id": mach_id(payment),
        "order_id": outside(payment.order_key, payment),
        "customer_id": outside(payment.customer_key, payment),
        "amount": payment.amount.amount,
        "currency": payment.amount.currency,
        "status": _status_word(payment),
        "method": method_out(payment.method, payment.name),
        "provider": payment.collector,
        "external_references": references_out(payment),
        "created_at": instant_out(payment.created_at),
        "processed_at": instant_out(max(done)) if done else None,
        "transactions": [_event_out(event) for event in payment.events],
        "method_details": _card_out(payment.card),
    }
