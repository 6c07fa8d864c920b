"""Carts not yet ordered, and what a customer has ordered so far."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from canonical_model.codes import CartStatus
from canonical_model.entity import Entity
from canonical_model.order import Discount, OrderTotals, Party
from canonical_model.values import Instant, Money, OptionValue, Quantity, Value

__all__ = ["Cart", "CartLine", "CartParty", "CartShipping", "OrderHistory", "PastOrder"]


class CartLine(Value):
    """What lies in a cart; `unit_price` before discounts."""

    id: str
    sku: Annotated[str, Field(min_length=1)]
    name: str
    quantity: Quantity
    unit_price: Money | None = None
    discount: Discount | None = None
    product_key: str | None = None
    variant_ref: str | None = None
    options: tuple[OptionValue, ...] = ()
    added_at: Instant | None = None


class CartParty(Value):
    """Someone a cart names. `purpose`: shipping, billing, ..."""

    purpose: str
    party: Party


class CartShipping(Value):
    """A way of sending the cart is offered; one of them is `selected`."""

    id: str
    name: str
    type: str | None = None
    price: Money | None = None
    selected: bool = False


class Cart(Entity, kind="cart", ja="カート", en="Cart"):
    """A cart that may become an order. Key: "{channel}/{cart id}"."""

    channel: str
    status: CartStatus = CartStatus.ACTIVE
    business: bool = False
    customer_key: str | None = None
    created_at: Instant | None = None
    expires_at: Instant | None = None
    lines: tuple[CartLine, ...] = ()
    parties: tuple[CartParty, ...] = ()
    shipping: tuple[CartShipping, ...] = ()
    totals: OrderTotals | None = None
    order_key: str | None = None


class PastOrder(Value):
    """One order of a history, as it stood when the history was written."""

    order_key: str
    ordered_at: Instant
    status: str
    total: Money


class OrderHistory(Entity, kind="order_history", ja="購買履歴", en="Order history"):
    """A customer's orders in short, with the figures CRM asks for. Key: the customer's key, or the record's id."""

    customer_key: str
    orders: tuple[PastOrder, ...] = ()
    order_count: Quantity | None = None
    fulfilled_count: Quantity | None = None
    returned_count: Quantity | None = None
    cancelled_count: Quantity | None = None
    total_spent: Money | None = None
    average_order: Money | None = None
    first_order_at: Instant | None = None
    last_order_at: Instant | None = None
