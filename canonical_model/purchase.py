"""Buying: purchase orders and goods receipts."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from canonical_model.codes import PurchaseStatus, StockQuality
from canonical_model.entity import Entity
from canonical_model.values import BusinessDate, Instant, Money, Quantity, TaxRate, Value

__all__ = ["PurchaseLine", "PurchaseOrder", "Receipt", "ReceiptLine"]


class PurchaseLine(Value):
    """Units ordered of a SKU. `received` is derived from receipts."""

    id: str
    sku: Annotated[str, Field(min_length=1)]
    name: str | None = None
    quantity: Quantity
    received: Quantity = 0
    unit_cost: Money | None = None
    tax_rate: TaxRate | None = None
    due_on: date | None = None

    @property
    def open(self) -> int:
        """Units still to come."""
        return max(self.quantity - self.received, 0)


class PurchaseOrder(Entity, kind="purchase_order", ja="発注", en="Purchase order"):
    """Goods ordered from a supplier. Key: the purchase order's number.

    supplier_number  the supplier's number as an issuer of qualified invoices (T and 13 digits), if registered
    """

    number: str
    supplier: str
    supplier_name: str | None = None
    supplier_number: str | None = None
    location: str | None = None
    status: PurchaseStatus = PurchaseStatus.ORDERED
    ordered_at: Instant | None = None
    ordered_on: BusinessDate | None = None
    due_on: date | None = None
    lines: Annotated[tuple[PurchaseLine, ...], Field(min_length=1)]
    total: Money | None = None
    note: str | None = None


class ReceiptLine(Value):
    """Units that came; `quality` as the inspection found it."""

    line_id: str | None = None
    sku: str
    quantity: Quantity
    quality: StockQuality = StockQuality.GOOD
    lot: str | None = None
    expires_on: date | None = None


class Receipt(Entity, kind="receipt", ja="入荷", en="Goods receipt"):
    """Goods that came in, announced or not. Key: the receipt's number.

    planned  True for an announcement (入荷予定, ASN), False for what really came (入荷実績)
    """

    purchase_order_key: str | None = None
    supplier: str | None = None
    location: str
    planned: bool = False
    lines: Annotated[tuple[ReceiptLine, ...], Field(min_length=1)]
    due_on: date | None = None
    received_on: date | None = None
    received_at: Instant | None = None
    document: str | None = None
