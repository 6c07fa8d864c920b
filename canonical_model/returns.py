"""Returns of goods and refunds of money."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from canonical_model.codes import (
    PaymentMethod,
    RefundStatus,
    ReturnReason,
    ReturnStatus,
    StockQuality,
)
from canonical_model.entity import Entity
from canonical_model.values import Instant, Money, Quantity, TaxRate, Value

__all__ = ["Refund", "RefundTax", "Return", "ReturnLine"]


class ReturnLine(Value):
    """Units of an order line that come back.

    quantity   units announced; `received` those that came, once the parcel is there
    quality    what the inspection found (良品戻し, 不良)
    restocked  units that went back to stock
    """

    line_id: str | None = None
    sku: str
    quantity: Quantity
    received: Quantity | None = None
    reason: ReturnReason = ReturnReason.OTHER
    quality: StockQuality | None = None
    restocked: Quantity = 0
    note: str | None = None


class Return(Entity, kind="return", ja="返品", en="Return"):
    """Goods that come back. Key: the return's number (RMA), or "{order key}/return/{n}".

    exchange_order_key  the order that sends other goods instead (交換)
    """

    order_key: str
    recipient_id: str | None = None
    status: ReturnStatus = ReturnStatus.REQUESTED
    lines: Annotated[tuple[ReturnLine, ...], Field(min_length=1)]
    location: str | None = None
    shipment_key: str | None = None
    tracking_number: str | None = None
    requested_at: Instant | None = None
    received_on: date | None = None
    exchange_order_key: str | None = None
    note: str | None = None

    @property
    def open(self) -> bool:
        """Asked for and not yet here."""
        return self.status in _ON_THE_WAY

    @property
    def came_back(self) -> bool:
        """The goods are here."""
        return self.status in _HERE


_ON_THE_WAY = frozenset({ReturnStatus.REQUESTED, ReturnStatus.APPROVED, ReturnStatus.IN_TRANSIT})
_HERE = frozenset({ReturnStatus.RECEIVED, ReturnStatus.INSPECTED, ReturnStatus.CLOSED})


class RefundTax(Value):
    """What of a refund falls under one rate; refunds use the rate of the order, not of the day."""

    rate: TaxRate
    amount: Money
    tax: Money | None = None


class Refund(Entity, kind="refund", ja="返金", en="Refund"):
    """Money given back. Key: the refund's number.

    amount       what is paid out, positive; it covers goods, `fees` are what was kept back
    payment_key  the payment it goes back to: then that payment's events tell whether it moved. Without it (bank
                 transfer of a COD sum, say) the refund's own status does
    points       points given back beside the money
    """

    order_key: str
    return_key: str | None = None
    payment_key: str | None = None
    status: RefundStatus = RefundStatus.PENDING
    method: PaymentMethod | None = None
    amount: Money
    taxes: tuple[RefundTax, ...] = ()
    fees: Money | None = None
    points: Quantity = 0
    reason: str | None = None
    decided_at: Instant | None = None
    paid_on: date | None = None
