"""Order, cart, order history and payment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canonical_model.codes import (
    AfterSalesStatus,
    ChargeKind,
    CodeList,
    Confirmation,
    DiscountKind,
    FulfilmentStatus,
    PaymentMethod,
)
from canonical_model.mach.words import (
    Context,
    MachError,
    address,
    address_out,
    amount,
    amount_out,
    array,
    code,
    currency_of,
    drop_empty,
    email,
    instant,
    instant_out,
    known,
    mach_id,
    method,
    method_out,
    number,
    number_out,
    obj,
    outside,
    phone,
    references,
    references_out,
    text,
    whole,
)
from canonical_model.order import (
    Charge,
    DeliveryRequest,
    Discount,
    LineQuantities,
    Order,
    OrderLine,
    OrderPayment,
    OrderStatus,
    OrderTotals,
    Party,
    Recipient,
    Tender,
)
from canonical_model.values import Money, OptionValue, PersonName

__all__ = ["DISCOUNTS", "customer_key", "read_order", "write_order"]

DISCOUNTS: dict[str, CodeList] = {
    "promotional": DiscountKind.CAMPAIGN,
    "campaign": DiscountKind.CAMPAIGN,
    "coupon": DiscountKind.COUPON,
    "manual": DiscountKind.MANUAL,
}


def customer_key(given: Mapping[str, Any], context: Context) -> str | None:
    customer = text(given.get("customer_id"))
    return f"{context.channel}/{customer}" if customer else None


def _party(given: Any, otherwise: str) -> Party:
    """The standard's orders name no person beside the newer address's `recipient`; the customer's id stands in."""
    place = obj(given)
    return Party(
        name=PersonName(full=text(place.get("recipient")) or otherwise),
        address=address(place),
        phone=phone(place.get("phone")),
        email=email(place.get("email")),
    )


def _party_out(party: Party, otherwise: str) -> dict[str, Any] | None:
    place = address_out(party.address)
    if place is None:
        return None
    name = party.name.full if party.name.full != otherwise else None
    return drop_empty({**place, "recipient": name, "phone": party.phone, "email": party.email})


def _line(given: Mapping[str, Any], currency: str, quantities: Mapping[str, bool]) -> OrderLine:
    units = whole(given.get("quantity"))
    rate = number(given.get("tax_rate"))
    share = None if rate is None or not 0 <= rate < 100 else rate / 100
    price = amount(given.get("unit_price"), currency, tax_included=False, tax_rate=share)
    sku = text(given.get("sku")) or text(given.get("product_id"))
    if units is None or price is None or sku is None or not text(given.get("id")):
        raise MachError("every line item needs an id, a sku, a quantity and a unit_price")
    discount = amount(given.get("discount_amount"), currency)
    options = [
        OptionValue(name=item["name"], value=item["value"])
        for item in array(given.get("properties"))
        if text(item.get("name")) and isinstance(item.get("value"), str)
    ]
    moved = {field: units for field, is_whole in quantities.items() if is_whole}
    return OrderLine(
        id=given["id"],
        sku=sku,
        name=text(given.get("name")) or sku,
        quantity=LineQuantities(ordered=units, **moved),
        unit_price=price,
        discounts=(Discount(amount=discount),) if discount is not None else (),
        product_key=text(given.get("product_id")),
        option_values=tuple(options),
        tax=amount(given.get("tax_amount"), currency),
    )


def _line_out(line: OrderLine) -> dict[str, Any]:
    off = sum(discount.amount.amount for discount in line.discounts)
    currency = line.unit_price.currency
    rate = line.unit_price.tax_rate
    return drop_empty(
        {
            "id": line.id,
            "product_id": line.product_key,
            "sku": line.sku,
            "name": line.name,
            "quantity": line.quantity.ordered,
            "unit_price": amount_out(line.unit_price),
            "total_price": amount_out(Money(amount=line.gross - off, currency=currency)),
            "discount_amount": amount_out(Money(amount=off, currency=currency)) if line.discounts else None,
            "tax_amount": amount_out(line.tax),
            "tax_rate": None if rate is None else number_out(rate * 100),
            "properties": [{"name": option.name, "value": option.value} for option in line.option_values],
        }
    )


def _tender(given: Mapping[str, Any], currency: str) -> Tender | None:
    paid = amount(given.get("amount"), currency_of(given.get("currency")) or currency)
    if paid is None:
        return None
    return Tender(
        id=text(given.get("id")),
        method=method(given.get("method")),
        name=text(given.get("method")),
        amount=paid,
        status=text(given.get("status")),
        reference=text(given.get("transaction_id")),
        at=instant(given.get("processed_at")),
    )


def _tender_out(tender: Tender) -> dict[str, Any]:
    return drop_empty(
        {
            "id": tender.id,
            "amount": amount_out(tender.amount),
            "currency": tender.amount.currency,
            "method": method_out(tender.method, tender.name),
            "status": tender.status,
            "transaction_id": tender.reference,
            "processed_at": instant_out(tender.at),
        }
    )


def _payment(tenders: tuple[Tender, ...]) -> OrderPayment:
    if not tenders:
        return OrderPayment(method=PaymentMethod.OTHER)
    largest = max(tenders, key=lambda tender: tender.amount.amount)
    return OrderPayment(method=largest.method, name=largest.name)


_FULFILMENT: dict[str, CodeList] = {
    "shipped": FulfilmentStatus.SHIPPED,
    "delivered": FulfilmentStatus.DELIVERED,
    "returned": FulfilmentStatus.DELIVERED,
    "cancelled": FulfilmentStatus.CANCELLED,
}
_CONFIRMATION: dict[str, CodeList] = {"new": Confirmation.PENDING, "cancelled": Confirmation.CANCELLED}


def _status_word(order: Order) -> str:
    """One word for the axes, the one furthest along first."""
    if order.is_cancelled:
        return "cancelled"
    if order.status.after_sales is AfterSalesStatus.RETURNED:
        return "returned"
    if order.status.fulfilment in (FulfilmentStatus.DELIVERED, FulfilmentStatus.SHIPPED):
        return known(order.status.fulfilment, _FULFILMENT)
    return "new" if order.confirmation is Confirmation.PENDING else "processing"


def _totals(given: Mapping[str, Any], currency: str) -> OrderTotals:
    total = amount(given.get("total"), currency)
    if total is None:
        raise MachError("an order needs a currency and a total")
    return OrderTotals(
        goods=amount(given.get("sub_total"), currency),
        charges=amount(given.get("shipping_total"), currency),
        discounts=amount(given.get("discount_total"), currency),
        tax=amount(given.get("tax_total"), currency),
        total=total,
        payable=total,
    )


def read_order(given: Mapping[str, Any], context: Context) -> Order:
    """Amounts come in major units and prices without tax, as the standard defines them.

    The standard's one status becomes the three axes and the quantities of the lines, until facts of the hub's own
    (shipments, returns) say better.
    """
    currency = currency_of(given.get("currency"))
    if currency is None:
        raise MachError("an order needs a currency and a total")
    status = given.get("status")
    stand_in = text(given.get("customer_id")) or given["id"]
    quantities = {
        "shipped": status in ("shipped", "delivered", "returned"),
        "delivered": status in ("delivered", "returned"),
        "returned": status == "returned",
        "cancelled": status == "cancelled",
    }
    lines = [_line(item, currency, quantities) for item in array(given.get("line_items"))]
    tenders = [_tender(item, currency) for item in array(given.get("payments"))]
    paid = tuple(tender for tender in tenders if tender is not None)
    totals = _totals(given, currency)
    shipping = totals.charges
    instructions = text(obj(given.get("shipping_address")).get("delivery_instructions"))
    return Order(
        key=f"{context.channel}/{given['id']}",
        refs=references(given),
        number=text(given.get("order_number")) or given["id"],
        channel=context.channel,
        ordered_at=instant(given.get("created_at")) or context.received_at,
        confirmation=code(status, _CONFIRMATION) or Confirmation.CONFIRMED,
        buyer=_party(given.get("billing_address"), stand_in),
        customer_key=customer_key(given, context),
        recipients=(
            Recipient(
                id="1",
                party=_party(given.get("shipping_address"), stand_in),
                delivery=DeliveryRequest(note=instructions),
            ),
        ),
        lines=tuple(lines),
        charges=(Charge(kind=ChargeKind.SHIPPING, amount=shipping),) if shipping and shipping.amount else (),
        payment=_payment(paid),
        tenders=paid,
        totals=totals,
        status=OrderStatus(
            fulfilment=code(status, _FULFILMENT) or FulfilmentStatus.NONE,
            after_sales=AfterSalesStatus.RETURNED if status == "returned" else AfterSalesStatus.NONE,
        ),
    )


def _shipping_total(order: Order) -> Money | None:
    shipping = [charge.amount for charge in order.charges if charge.kind is ChargeKind.SHIPPING]
    if not shipping:
        return order.totals.charges
    currency = order.totals.payable.currency
    return Money(amount=Money.total(shipping, currency=currency), currency=currency)


def write_order(order: Order, _context: Context) -> dict[str, Any]:
    """The standard has one shipping address: the first recipient's."""
    customer = outside(order.customer_key, order)
    own_id = mach_id(order)
    stand_in = customer or own_id
    recipient = order.recipients[0]
    place = _party_out(recipient.party, stand_in)
    if place is not None and recipient.delivery.note:
        place["delivery_instructions"] = recipient.delivery.note
    total = order.totals.total or order.totals.payable
    return {
        "id": own_id,
        "order_number": order.number if order.number != own_id else None,
        "customer_id": customer,
        "status": _status_word(order),
        "external_references": references_out(order),
        "created_at": instant_out(order.ordered_at),
        "currency": total.currency,
        "total": amount_out(total),
        "sub_total": amount_out(order.totals.goods),
        "tax_total": amount_out(order.totals.tax),
        "shipping_total": amount_out(_shipping_total(order)),
        "discount_total": amount_out(order.totals.discounts),
        "line_items": [_line_out(line) for line in order.lines],
        "billing_address": _party_out(order.buyer, stand_in),
        "shipping_address": place,
        "payments": [_tender_out(tender) for tender in order.tenders],
    }
