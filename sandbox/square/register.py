"""What happens in the stores: sales, pick-up orders, returns. Each lowers or raises stock and sends its events.

Registers sell what is not there, too: a quantity may fall below zero, as it may at Square.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.square.amounts import money, settle
from sandbox.square.baskets import (
    add_charges,
    add_custom,
    add_discounts,
    add_modifiers,
    add_taxes,
    line_of,
    return_line,
)
from sandbox.square.seller import Row, Seller, wire_time

__all__ = ["Line", "cancel", "hand_over", "order_ahead", "ring_up", "sell", "take_back"]

Line = tuple[str, int | str]
"""(SKU, quantity); the quantity of goods sold by weight is a decimal text."""

_TENDERS: Mapping[str, Row] = {
    "CASH": {"cash_details": {}},
    "CARD": {
        "card_details": {
            "status": "CAPTURED",
            "entry_method": "CONTACTLESS",
            "card": {"card_brand": "JCB", "last_4": "1234", "exp_month": 12, "exp_year": 2029},
        }
    },
    "WALLET": {},
    "SQUARE_GIFT_CARD": {},
    "OTHER": {},
}


def sell(seller: Seller, location: str, lines: Sequence[Line], **more: Any) -> Row:
    """A sale over the counter: the order, paid and closed. Takes what `ring_up` takes, and `tenders`."""
    with seller.lock:
        tenders = more.pop("tenders", (("CASH", None),))
        order = ring_up(seller, location, lines, **more)
        _pay(seller, order, tenders)
        _close(seller, order, "COMPLETED")
        _move(seller, order, "IN_STOCK", "SOLD")
        _publish(seller, order, "order.updated")
        return order


def ring_up(
    seller: Seller,
    location: str,
    lines: Sequence[Line],
    *,
    at: datetime | None = None,
    customer_id: str | None = None,
    discounts: Sequence[Row] = (),
    service_charges: Sequence[Row] = (),
    custom: Sequence[tuple[str, int]] = (),
    modifiers: Mapping[str, Sequence[tuple[str, int]]] | None = None,
    tip: int = 0,
    reference_id: str | None = None,
) -> Row:
    """An open ticket.

    at               when it was made, if the register was offline then
    discounts        {"name", "percentage" or "amount", "skus" (of some lines only)}
    service_charges  {"name", "percentage" or "amount", "tax" (SKU whose taxes it bears)}
    custom           amounts typed in without an item: (name, yen)
    modifiers        SKU -> (name, yen)
    """
    with seller.lock:
        made = wire_time(at or seller.clock())
        order: Row = {
            "id": seller.new_id("order"),
            "location_id": seller.location(location),
            "source": {"name": "Square Point of Sale"},
            "state": "OPEN",
            "created_at": made,
            "updated_at": seller.now(),
            "version": 1,
            "line_items": [line_of(seller, n, sku, quantity) for n, (sku, quantity) in enumerate(lines)],
        }
        if customer_id:
            order["customer_id"] = customer_id
        if reference_id:
            order["reference_id"] = reference_id
        add_custom(order, custom)
        add_modifiers(order, modifiers or {}, seller)
        add_taxes(seller, order)
        add_discounts(order, discounts, seller)
        add_charges(order, service_charges, seller)
        if tip:
            order["total_tip_money"] = money(tip)
        settle(order)
        order["net_amount_due_money"] = order["total_money"]
        seller.orders[order["id"]] = order
        _publish(seller, order, "order.created")
        return order


def order_ahead(
    seller: Seller, location: str, lines: Sequence[Line], *, kind: str = "PICKUP", recipient: Row, **more: Any
) -> Row:
    """An order to be fetched (PICKUP) or sent (SHIPMENT), paid by card, open until it is handed over."""
    with seller.lock:
        order = ring_up(seller, location, lines, **more)
        details = {"recipient": recipient, "placed_at": order["created_at"]}
        if kind == "PICKUP":
            details["pickup_at"] = wire_time(seller.clock() + timedelta(hours=2))
        uid = seller.new_id("fulfillment")[:22]
        fulfillment = {"uid": uid, "type": kind, "state": "PROPOSED", f"{kind.lower()}_details": details}
        order["fulfillments"] = [fulfillment]
        order["source"] = {"name": "Square Online"}
        _pay(seller, order, (("CARD", None),))
        _move(seller, order, "IN_STOCK", "RESERVED_FOR_SALE")
        _touch(seller, order)
        _publish(seller, order, "order.updated")
        return order


def hand_over(seller: Seller, order_id: str) -> Row:
    """The fulfilment of an order is done, and the order with it."""
    with seller.lock:
        order = seller.orders[order_id]
        for fulfillment in order["fulfillments"]:
            fulfillment["state"] = "COMPLETED"
        _close(seller, order, "COMPLETED")
        _move(seller, order, "RESERVED_FOR_SALE", "SOLD")
        _publish(seller, order, "order.updated")
        return order


def cancel(seller: Seller, order_id: str) -> Row:
    """An open order falls; what it reserved is in stock again, what was paid goes back."""
    with seller.lock:
        order = seller.orders[order_id]
        for fulfillment in order.get("fulfillments") or ():
            fulfillment["state"] = "CANCELED"
        if order.get("fulfillments"):
            _move(seller, order, "RESERVED_FOR_SALE", "IN_STOCK")
        for tender in order.get("tenders") or ():
            _refund(seller, order, tender["id"], tender["amount_money"]["amount"], "キャンセル")
        _close(seller, order, "CANCELED")
        _publish(seller, order, "order.updated")
        return order


def take_back(seller: Seller, order_id: str, lines: Sequence[Line], *, restock: bool = True) -> Row:
    """Goods come back: a return order of its own, and the money back on the first tender."""
    with seller.lock:
        sale = seller.orders[order_id]
        wanted = {seller.variation(sku): Decimal(str(quantity)) for sku, quantity in lines}
        returned = [return_line(line, wanted[line["catalog_object_id"]]) for line in sale["line_items"]
                    if line.get("catalog_object_id") in wanted]  # fmt: skip
        total = sum(line["total_money"]["amount"] for line in returned)
        tax = sum(line["total_tax_money"]["amount"] for line in returned)
        amounts = {"total_money": money(total), "tax_money": money(tax), "discount_money": money(0)}
        amounts |= {"tip_money": money(0), "service_charge_money": money(0)}
        now = seller.now()
        order: Row = {
            "id": seller.new_id("order"),
            "location_id": sale["location_id"],
            "source": {"name": "Square Point of Sale"},
            "state": "COMPLETED",
            "created_at": now,
            "updated_at": now,
            "closed_at": now,
            "version": 1,
            "returns": [
                {
                    "uid": seller.new_id("return")[:22],
                    "source_order_id": order_id,
                    "return_line_items": returned,
                    "return_amounts": amounts,
                }
            ],
            "return_amounts": amounts,
            "net_amounts": {name: money(-value["amount"]) for name, value in amounts.items()},
            "total_money": money(0),
            "total_tax_money": money(0),
            "total_discount_money": money(0),
            "total_tip_money": money(0),
            "total_service_charge_money": money(0),
        }
        order["refunds"] = [_refund(seller, order, sale["tenders"][0]["id"], total, "返品")]
        seller.orders[order["id"]] = order
        if restock:
            for line in returned:
                key = (line["catalog_object_id"], order["location_id"])
                units = Decimal(line["quantity"])
                entry = seller.entry(
                    key, "ADJUSTMENT", units, "IN_STOCK", seller.clock(), from_state="UNLINKED_RETURN"
                )
                seller.move(key, entry)
        _publish(seller, order, "order.created")
        return order


# ---------------------------------------------------------------- money, stock, events


def _pay(seller: Seller, order: Row, tenders: Sequence[tuple[str, int | None]]) -> None:
    left = order["total_money"]["amount"]
    order["tenders"] = []
    for kind, given in tenders:
        amount = left if given is None else given
        left -= amount
        payment = _payment(seller, order, kind, amount)
        tender = {
            "id": payment["id"],
            "location_id": order["location_id"],
            "transaction_id": order["id"],
            "created_at": payment["created_at"],
            "amount_money": money(amount),
            "type": kind,
            "payment_id": payment["id"],
            **_TENDERS[kind],
        }
        if kind == "CASH":
            tender["cash_details"] = {"buyer_tendered_money": money(amount), "change_back_money": money(0)}
        order["tenders"].append(tender)
    order["net_amount_due_money"] = money(left)


def _payment(seller: Seller, order: Row, kind: str, amount: int) -> Row:
    source = {"SQUARE_GIFT_CARD": "CARD", "OTHER": "EXTERNAL"}.get(kind, kind)
    now = seller.now()
    payment: Row = {
        "id": seller.new_id("payment"),
        "created_at": order["created_at"],
        "updated_at": now,
        "amount_money": money(amount),
        "total_money": money(amount),
        "approved_money": money(amount),
        "status": "COMPLETED",
        "source_type": source,
        "location_id": order["location_id"],
        "order_id": order["id"],
        "receipt_number": seller.new_id("receipt")[:4],
    }
    if source == "CASH":
        payment["cash_details"] = {"buyer_supplied_money": money(amount), "change_back_money": money(0)}
    elif source == "EXTERNAL":
        payment["external_details"] = {"type": "OTHER", "source": "商品券"}
    elif source == "WALLET":
        payment["wallet_details"] = {"status": "CAPTURED", "brand": "PAYPAY"}
    else:
        card = {"card_brand": "JCB", "last_4": "1234", "exp_month": 12, "exp_year": 2029}
        payment["card_details"] = {"status": "CAPTURED", "card": card, "entry_method": "CONTACTLESS"}
    if order.get("customer_id"):
        payment["customer_id"] = order["customer_id"]
    seller.payments[payment["id"]] = payment
    seller.tell("payment.created", {"type": "payment", "id": payment["id"], "object": {"payment": payment}})
    return payment


def _refund(seller: Seller, order: Row, payment_id: str, amount: int, reason: str) -> Row:
    """Money back; the refund as an order shows it."""
    payment = seller.payments[payment_id]
    now = seller.now()
    refund: Row = {
        "id": f"{payment_id}_{seller.new_id('refund')[:12]}",
        "status": "COMPLETED",
        "location_id": order["location_id"],
        "destination_type": payment["source_type"],
        "amount_money": money(amount),
        "payment_id": payment_id,
        "order_id": order["id"],
        "reason": reason,
        "created_at": now,
        "updated_at": now,
    }
    seller.refunds[refund["id"]] = refund
    payment["refunded_money"] = money(payment.get("refunded_money", money(0))["amount"] + amount)
    payment["refund_ids"] = [*payment.get("refund_ids", ()), refund["id"]]
    payment["updated_at"] = now
    seller.tell("refund.created", {"type": "refund", "id": refund["id"], "object": {"refund": refund}})
    seller.tell("payment.updated", {"type": "payment", "id": payment_id, "object": {"payment": payment}})
    return {
        "id": refund["id"],
        "location_id": order["location_id"],
        "transaction_id": order["id"],
        "tender_id": payment_id,
        "created_at": now,
        "reason": reason,
        "amount_money": money(amount),
        "status": "APPROVED",
    }


def _move(seller: Seller, order: Row, from_state: str, to_state: str) -> None:
    for line in order["line_items"]:
        variation = seller.catalog.get(line.get("catalog_object_id", ""))
        if variation is None or not variation["item_variation_data"].get("track_inventory"):
            continue
        key = (variation["id"], order["location_id"])
        # a sale happened when it was rung up, also if the register tells it hours later
        when = datetime.fromisoformat(order["created_at"]) if from_state == "IN_STOCK" else seller.clock()
        units = Decimal(line["quantity"])
        seller.move(key, seller.entry(key, "ADJUSTMENT", units, to_state, when, from_state=from_state))


def _touch(seller: Seller, order: Row) -> None:
    order["updated_at"] = seller.now()
    order["version"] += 1


def _close(seller: Seller, order: Row, state: str) -> None:
    _touch(seller, order)
    order |= {"state": state, "closed_at": order["updated_at"]}


def _publish(seller: Seller, order: Row, kind: str) -> None:
    member = kind.replace(".", "_")
    about = {"order_id": order["id"], "location_id": order["location_id"], "state": order["state"]}
    about |= {"version": order["version"], "created_at": order["created_at"]}
    if kind == "order.updated":
        about["updated_at"] = order["updated_at"]
    seller.tell(kind, {"type": member, "id": order["id"], "object": {member: about}})
