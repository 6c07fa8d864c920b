"""Cart and order history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canonical_model.cart import Cart, CartLine, CartParty, CartShipping, OrderHistory, PastOrder
from canonical_model.codes import CartStatus, CodeList, DiscountKind
from canonical_model.mach.orders import DISCOUNTS, customer_key
from canonical_model.mach.words import (
    Context,
    MachError,
    address,
    address_out,
    amount,
    amount_out,
    array,
    boolean,
    code,
    currency_of,
    drop_empty,
    email,
    instant,
    instant_out,
    known,
    mach_id,
    money,
    money_out,
    named,
    obj,
    outside,
    phone,
    references,
    references_out,
    text,
    whole,
)
from canonical_model.order import Discount, OrderTotals, Party
from canonical_model.values import Money

__all__ = ["read_cart", "read_history", "write_cart", "write_history"]

_STATUS: dict[str, CodeList] = {status.value: status for status in CartStatus}


def _discount(given: Any) -> Discount | None:
    found = obj(given)
    off = money(found)
    if off is None:
        return None
    kind: DiscountKind = code(found.get("type"), DISCOUNTS) or DiscountKind.OTHER
    return Discount(kind=kind, amount=off, code=text(found.get("code")), name=text(found.get("description")))


def _discount_out(discount: Discount | None) -> dict[str, Any] | None:
    if discount is None:
        return None
    kind = known(discount.kind, DISCOUNTS)
    return drop_empty(
        {
            **(money_out(discount.amount) or {}),
            "type": kind,
            "code": discount.code,
            "description": discount.name,
        }
    )


def _line(given: Mapping[str, Any]) -> CartLine:
    sku, line_id = text(given.get("sku")) or text(given.get("product_id")), text(given.get("id"))
    units = whole(given.get("quantity"))
    if sku is None or line_id is None or units is None:
        raise MachError("every line item needs an id, a sku and a quantity")
    return CartLine(
        id=line_id,
        sku=sku,
        name=text(given.get("name")) or sku,
        quantity=units,
        unit_price=money(given.get("price")),
        discount=_discount(given.get("discount")),
        product_key=text(given.get("product_id")),
        variant_ref=text(given.get("variant_id")),
        added_at=instant(given.get("added_at")),
    )


def _line_out(line: CartLine) -> dict[str, Any]:
    return drop_empty(
        {
            "id": line.id,
            "sku": line.sku,
            "product_id": line.product_key,
            "variant_id": line.variant_ref,
            "name": line.name,
            "quantity": line.quantity,
            "price": money_out(line.unit_price),
            "discount": _discount_out(line.discount),
            "added_at": instant_out(line.added_at),
        }
    )


_NOBODY = "?"


def _party(given: Mapping[str, Any]) -> CartParty:
    contact = obj(given.get("contact"))
    return CartParty(
        purpose=text(given.get("type")) or "shipping",
        party=Party(
            name=named(contact, _NOBODY),
            address=address(given.get("address")),
            phone=phone(contact.get("phone")),
            email=email(contact.get("email")),
        ),
    )


def _party_out(one: CartParty) -> dict[str, Any]:
    name = one.party.name
    whole_name = {"name": name.full if name.full != _NOBODY else None}
    parts = {"first_name": name.given, "last_name": name.family} if name.given or name.family else whole_name
    contact = drop_empty({**parts, "phone": one.party.phone, "email": one.party.email})
    return drop_empty({"type": one.purpose, "address": address_out(one.party.address), "contact": contact})


def _shipping(given: Mapping[str, Any]) -> CartShipping | None:
    shipping_id = text(given.get("id"))
    if shipping_id is None:
        return None
    return CartShipping(
        id=shipping_id,
        name=text(given.get("name")) or shipping_id,
        type=text(given.get("type")),
        price=money(given.get("price")),
        selected=boolean(given.get("selected"), False),
    )


def _shipping_out(one: CartShipping) -> dict[str, Any]:
    return drop_empty(
        {
            "id": one.id,
            "name": one.name,
            "type": one.type,
            "price": money_out(one.price),
            "selected": one.selected or None,
        }
    )


def _totals(given: Any) -> OrderTotals | None:
    found = obj(given)
    currency = currency_of(found.get("currency"))
    grand = amount(found.get("grand_total"), currency)
    if grand is None:
        return None
    return OrderTotals(
        goods=amount(found.get("subtotal"), currency),
        discounts=amount(found.get("discount"), currency),
        charges=amount(found.get("shipping"), currency),
        tax=amount(found.get("tax"), currency),
        total=grand,
        payable=grand,
    )


def _totals_out(totals: OrderTotals | None) -> dict[str, Any] | None:
    if totals is None:
        return None
    return drop_empty(
        {
            "subtotal": amount_out(totals.goods),
            "discount": amount_out(totals.discounts),
            "shipping": amount_out(totals.charges),
            "tax": amount_out(totals.tax),
            "grand_total": amount_out(totals.total or totals.payable),
            "currency": totals.payable.currency,
        }
    )


def read_cart(given: Mapping[str, Any], context: Context) -> Cart:
    methods = [_shipping(item) for item in array(given.get("shipping_methods"))]
    return Cart(
        key=f"{context.channel}/{given['id']}",
        refs=references(given),
        channel=context.channel,
        status=code(given.get("status"), _STATUS) or CartStatus.ACTIVE,
        business=given.get("type") == "b2b",
        customer_key=customer_key(given, context),
        created_at=instant(given.get("created_at")),
        expires_at=instant(given.get("expires_at")),
        lines=tuple(_line(item) for item in array(given.get("line_items"))),
        parties=tuple(_party(item) for item in array(given.get("addresses"))),
        shipping=tuple(one for one in methods if one is not None),
        totals=_totals(given.get("totals")),
    )


def write_cart(cart: Cart, _context: Context) -> dict[str, Any]:
    return {
        "id": mach_id(cart),
        "type": "b2b" if cart.business else "b2c",
        "status": cart.status.value,
        "external_references": references_out(cart),
        "created_at": instant_out(cart.created_at),
        "expires_at": instant_out(cart.expires_at),
        "customer_id": outside(cart.customer_key, cart),
        "line_items": [_line_out(line) for line in cart.lines],
        "totals": _totals_out(cart.totals),
        "addresses": [_party_out(one) for one in cart.parties],
        "shipping_methods": [_shipping_out(one) for one in cart.shipping],
    }


def _past(given: Mapping[str, Any], context: Context) -> PastOrder:
    order_id, at, total = (
        text(given.get("order_id")),
        instant(given.get("order_date")),
        money(given.get("total")),
    )
    if order_id is None or at is None or total is None:
        raise MachError("every order of a history needs an order_id, an order_date and a total")
    status = text(given.get("status")) or "unknown"
    return PastOrder(order_key=f"{context.channel}/{order_id}", ordered_at=at, status=status, total=total)


def read_history(given: Mapping[str, Any], context: Context) -> OrderHistory:
    customer = customer_key(given, context)
    if customer is None:
        raise MachError("an order history needs the customer_id it belongs to")
    sums = obj(given.get("aggregates"))
    return OrderHistory(
        key=given["id"],
        refs=references(given),
        customer_key=customer,
        orders=tuple(_past(item, context) for item in array(given.get("orders"))),
        order_count=whole(sums.get("total_orders")),
        fulfilled_count=whole(sums.get("fulfilled_orders")),
        returned_count=whole(sums.get("returned_orders")),
        cancelled_count=whole(sums.get("cancelled_orders")),
        total_spent=money(sums.get("total_spent")),
        average_order=money(sums.get("average_order_value")),
        first_order_at=instant(sums.get("first_order_date")),
        last_order_at=instant(sums.get("last_order_date")),
    )


def write_history(history: OrderHistory, _context: Context) -> dict[str, Any]:
    def past(one: PastOrder) -> dict[str, Any]:
        total: Money = one.total
        return {
            "order_id": outside(one.order_key, history),
            "status": one.status,
            "order_date": instant_out(one.ordered_at),
            "total": money_out(total),
        }

    return {
        "id": mach_id(history),
        "customer_id": outside(history.customer_key, history),
        "external_references": references_out(history),
        "orders": [past(one) for one in history.orders],
        "aggregates": drop_empty(
            {
                "total_orders": history.order_count,
                "fulfilled_orders": history.fulfilled_count,
                "returned_orders": history.returned_count,
                "cancelled_orders": history.cancelled_count,
                "total_spent": money_out(history.total_spent),
                "average_order_value": money_out(history.average_order),
                "first_order_date": instant_out(history.first_order_at),
                "last_order_date": instant_out(history.last_order_at),
            }
        ),
    }
