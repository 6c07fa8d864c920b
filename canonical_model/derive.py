"""What follows from facts: how far an order has come. Pure, and the same whatever order the facts came in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from canonical_model.codes import AfterSalesStatus, FulfilmentStatus, PaymentStatus, RefundStatus
from canonical_model.content import dump_json, to_content
from canonical_model.entity import Entity
from canonical_model.order import LineQuantities, Order, OrderLine, OrderStatus
from canonical_model.payment import Payment
from canonical_model.returns import Refund, Return
from canonical_model.shipment import Shipment
from canonical_model.values import Value

__all__ = ["OrderFacts", "derive_order", "derive_order_content"]

EntityT = TypeVar("EntityT", bound=Entity)


class OrderFacts(Value):
    """All that is known to have happened to one order. Facts of other orders are not looked at.

    refunds  only those that name no payment move money by themselves; the others show in their payment's events
    """

    shipments: tuple[Shipment, ...] = ()
    returns: tuple[Return, ...] = ()
    payments: tuple[Payment, ...] = ()
    refunds: tuple[Refund, ...] = ()


@dataclass(slots=True)
class _Units:
    """What became of the units of one line."""

    allocated: int = 0
    shipped: int = 0
    delivered: int = 0
    returned: int = 0


def derive_order(order: Order, facts: OrderFacts) -> Order:
    """The order with the quantities of its lines and its three status axes as the facts have them.

    Facts win: what the order said of shipped, delivered, returned and allocated units and of its status is
    replaced, so a system that knows an order as shipped must bring a Shipment. `ordered` and `cancelled` stay as
    the order's own system told them; in an order cancelled as a whole all that did not ship is cancelled.

    A fact line that names no order line is matched by SKU, first within its recipient, and fills the lines in their
    order. Deterministic, idempotent (deriving twice changes nothing) and independent of the order of the facts; of
    two facts with one key one counts. Nothing of `order` is changed.
    """
    shipments = _own(facts.shipments, order)
    returns = _own(facts.returns, order)
    units = {line.id: _Units() for line in order.lines}
    _place(order, units, "shipped", _shipped(s for s in shipments if s.moved))
    _place(order, units, "delivered", _shipped(s for s in shipments if s.arrived))
    _place(order, units, "allocated", _shipped(s for s in shipments if not s.moved and not s.cancelled))
    _place(order, units, "returned", _returned(r for r in returns if r.came_back))
    lines = tuple(_line(order, line, units[line.id]) for line in order.lines)
    status = OrderStatus(
        payment=_payment_axis(order, _own(facts.payments, order), _own(facts.refunds, order)),
        fulfilment=_fulfilment_axis(order, lines),
        after_sales=_after_sales_axis(lines, returns),
    )
    return order.model_copy(update={"lines": lines, "status": status})


def derive_order_content(content: Mapping[str, Any], facts: OrderFacts) -> dict[str, Any]:
    """`derive_order` on the stored form of an order (see `canonical_model.content`)."""
    return to_content(derive_order(Order.model_validate(content), facts))


def _own(facts: Iterable[EntityT], order: Order) -> list[EntityT]:
    """The facts of this order, one per key, in an order that depends on nothing but themselves."""
    mine = [fact for fact in facts if getattr(fact, "order_key", None) == order.key]
    if len(mine) < 2:
        return mine
    by_key: dict[str, EntityT] = {}
    for fact in sorted(mine, key=lambda fact: (fact.key, dump_json(fact))):
        by_key[fact.key] = fact
    return list(by_key.values())


_Wanted = dict[tuple[str | None, str | None, str], int]
"""(line id, recipient id, SKU) -> units; either the line id or the SKU decides."""


def _shipped(shipments: Iterable[Shipment]) -> _Wanted:
    wanted: _Wanted = {}
    for shipment in shipments:
        for line in shipment.lines:
            where = (line.line_id, shipment.recipient_id, line.sku)
            wanted[where] = wanted.get(where, 0) + line.quantity
    return wanted


def _returned(returns: Iterable[Return]) -> _Wanted:
    wanted: _Wanted = {}
    for one in returns:
        for line in one.lines:
            where = (line.line_id, one.recipient_id, line.sku)
            came = line.quantity if line.received is None else line.received
            wanted[where] = wanted.get(where, 0) + came
    return wanted


def _place(order: Order, units: dict[str, _Units], field: str, wanted: _Wanted) -> None:
    """Put the units onto lines: named lines first, then by SKU into the room that is left."""
    loose: list[tuple[str | None, str, int]] = []
    for (line_id, recipient, sku), count in sorted(
        wanted.items(), key=lambda item: [str(p) for p in item[0]]
    ):
        if line_id in units:
            _add(units[line_id], field, count)
        else:
            loose.append((recipient, sku, count))
    for recipient, sku, count in loose:
        same = [line for line in order.lines if line.sku == sku]
        # a fact that names a recipient fills that recipient's lines first; sorted() keeps the order of lines
        lines = sorted(same, key=lambda line: line.recipient_id != recipient)
        _fill(lines, units, field, count)


def _fill(lines: list[OrderLine], units: dict[str, _Units], field: str, count: int) -> None:
    for line in lines:
        room = max(line.quantity.ordered - getattr(units[line.id], field), 0)
        put = min(room, count)
        _add(units[line.id], field, put)
        count -= put
    if count and lines:  # more than was ordered: keep the surplus visible on the first line
        _add(units[lines[0].id], field, count)


def _add(unit: _Units, field: str, count: int) -> None:
    setattr(unit, field, getattr(unit, field) + count)


def _line(order: Order, line: OrderLine, unit: _Units) -> OrderLine:
    ordered = line.quantity.ordered
    cancelled = max(ordered - unit.shipped, 0) if order.is_cancelled else line.quantity.cancelled
    quantity = LineQuantities(
        ordered=ordered,
        cancelled=cancelled,
        allocated=unit.allocated,
        shipped=unit.shipped,
        delivered=unit.delivered,
        returned=unit.returned,
    )
    return line if quantity == line.quantity else line.model_copy(update={"quantity": quantity})


def _fulfilment_axis(order: Order, lines: tuple[OrderLine, ...]) -> FulfilmentStatus:
    wanted = {line.id: max(line.quantity.ordered - line.quantity.cancelled, 0) for line in lines}
    shipped_any = any(line.quantity.shipped for line in lines)
    if not any(wanted.values()) and not shipped_any:
        cancelled = order.is_cancelled or any(line.quantity.cancelled for line in lines)
        return FulfilmentStatus.CANCELLED if cancelled else FulfilmentStatus.NONE
    # what was cancelled and left all the same must arrive too
    if all(line.quantity.delivered >= max(wanted[line.id], line.quantity.shipped) for line in lines):
        return FulfilmentStatus.DELIVERED
    if all(line.quantity.shipped >= wanted[line.id] for line in lines):
        return FulfilmentStatus.SHIPPED
    if shipped_any:
        return FulfilmentStatus.PARTIAL
    if all(line.quantity.allocated >= wanted[line.id] for line in lines):
        return FulfilmentStatus.ALLOCATED
    return FulfilmentStatus.NONE


def _after_sales_axis(lines: tuple[OrderLine, ...], returns: list[Return]) -> AfterSalesStatus:
    returned = sum(line.quantity.returned for line in lines)
    if returned:
        # what came back without ever being reported as shipped is held against what was ordered
        out = [line.quantity.shipped or line.quantity.ordered - line.quantity.cancelled for line in lines]
        whole = all(line.quantity.returned >= sent for line, sent in zip(lines, out, strict=True))
        return AfterSalesStatus.RETURNED if whole else AfterSalesStatus.PARTIAL
    return AfterSalesStatus.REQUESTED if any(one.open for one in returns) else AfterSalesStatus.NONE


def _payment_axis(order: Order, payments: list[Payment], refunds: list[Refund]) -> PaymentStatus:
    payable = order.totals.payable.amount
    received = sum(payment.received for payment in payments)
    returned = sum(payment.refunded for payment in payments) + sum(
        refund.amount.amount
        for refund in refunds
        if refund.payment_key is None and refund.status is RefundStatus.DONE
    )
    if received > 0 and returned > 0:
        return PaymentStatus.REFUNDED if returned >= received else PaymentStatus.PARTLY_REFUNDED
    if received > 0:
        if received == payable:
            return PaymentStatus.PAID
        return PaymentStatus.OVERPAID if received > payable else PaymentStatus.PARTIAL
    if any(payment.provisional > 0 for payment in payments):
        return PaymentStatus.PROVISIONAL
    if any(payment.authorized > 0 for payment in payments):
        return PaymentStatus.AUTHORIZED
    # nothing to pay is paid: all of it came in points, say
    return PaymentStatus.PAID if payable == 0 and not order.is_cancelled else PaymentStatus.NONE
