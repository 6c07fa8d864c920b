"""Orders of other channels into Vendure, placed on behalf of the customer through a draft."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from connectors.contract import Batch, Call, Change, Misconfigured, Outcome, Refused
from connectors.outcomes import Row, each, read_record
from connectors.vendure.api import Api
from connectors.vendure.config import VendureConfig
from connectors.vendure.customers import AddressRow, address_input, find_customer
from connectors.vendure.stock import variants_by_sku

__all__ = ["OrderRow", "place_orders"]


class BuyerRow(Row):
    """Who the order is placed for; a customer of this e-mail address is taken as it is."""

    emailAddress: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]  # noqa: N815  (Vendure's names)
    firstName: str = ""  # noqa: N815
    lastName: str  # noqa: N815
    phoneNumber: str | None = None  # noqa: N815


class ItemRow(Row):
    sku: Annotated[str, Field(min_length=1)]
    quantity: Annotated[int, Field(gt=0)]


class OrderRow(Row):
    """An order to be placed.

    reference       its number elsewhere; kept in the custom field of the settings, and how a retry finds it
    shippingMethod  code of a shipping method; the first eligible one when left out
    paymentMethod   code of a payment method; the payment is entered as made
    totalWithTax    what the order came to, minor units; the shop's own sum must be the same
    """

    reference: Annotated[str, Field(min_length=1)]
    customer: BuyerRow
    shippingAddress: AddressRow  # noqa: N815
    billingAddress: AddressRow | None = None  # noqa: N815
    lines: Annotated[tuple[ItemRow, ...], Field(min_length=1)]
    shippingMethod: str | None = None  # noqa: N815
    paymentMethod: str  # noqa: N815
    transactionId: str | None = None  # noqa: N815
    totalWithTax: int | None = None  # noqa: N815


def place_orders(call: Call[VendureConfig], batch: Batch) -> Iterator[Outcome]:
    """Place orders that came in elsewhere (by telephone, say).

    The Admin API knows no "create order": a draft is made, filled and moved on. Its reference is written first, so
    that a try that broke off is found and finished; what is already placed is left alone. The shop computes prices
    itself: an order whose sum comes out differently stays a draft and is refused.
    """
    api = Api(call)
    field = api.config.order_reference_field
    if field is None:
        raise Misconfigured(
            "set order_reference_field: without it a retry could not find an order it placed before"
        )

    def put(change: Change) -> Outcome:
        row = read_record(OrderRow, change.record)
        if change.deleted:
            raise Refused("a placed order is cancelled, not deleted", code="not_deleted")
        order = _find(api, field, row.reference)
        if order is None:
            order = api.mutate("CreateDraft")
            api.mutate(
                "SetDraftFields",
                repeatable=True,
                orderId=order["id"],
                input={"id": order["id"], "customFields": {field: row.reference}},
            )
        if order["state"] == "Draft":
            order = _fill(api, order, row)
        if order["state"] == "ArrangingPayment":
            order = _pay(api, order, row)
        return Outcome.done(change.key, external_id=order["code"], external_version=order["state"])

    yield from each(batch, put)


def _find(api: Api, field: str, reference: str) -> dict[str, Any] | None:
    options = {"take": 10, "sort": {"id": "ASC"}, "filter": {field: {"eq": reference}}}
    found = api.query("Orders", options=options)["orders"]["items"]
    return next(iter(found), None)


def _fill(api: Api, order: Mapping[str, Any], row: OrderRow) -> dict[str, Any]:
    """Make the draft what it should be and move it to ArrangingPayment."""
    _lines(api, order, row)
    if order["customer"] is None:
        known = find_customer(api, row.customer.emailAddress)
        api.mutate(
            "SetDraftCustomer",
            repeatable=True,
            orderId=order["id"],
            customerId=known["id"] if known else None,
            input=None if known else row.customer.model_dump(exclude_none=True),
        )
    api.mutate(
        "SetDraftAddresses",
        repeatable=True,
        orderId=order["id"],
        shipping=address_input(row.shippingAddress),
        billing=address_input(row.billingAddress or row.shippingAddress),
    )
    filled = api.mutate(
        "SetDraftShipping",
        repeatable=True,
        orderId=order["id"],
        methodId=_shipping_method(api, order["id"], row),
    )
    if row.totalWithTax is not None and filled["totalWithTax"] != row.totalWithTax:
        raise Refused(
            f"order {row.reference} came to {row.totalWithTax}, the shop computes {filled['totalWithTax']} "
            f"{filled['currencyCode']}; it stays the draft {filled['code']} until prices or shipping are the same",
            code="total_differs",
        )
    moved: dict[str, Any] = api.mutate("MoveOrder", id=order["id"], state="ArrangingPayment")
    return moved


def _lines(api: Api, order: Mapping[str, Any], row: OrderRow) -> None:
    wanted: Counter[str] = Counter()
    for item in row.lines:
        wanted[item.sku] += item.quantity
    variants = variants_by_sku(api, wanted)
    unknown = [sku for sku in wanted if len(variants.get(sku, ())) != 1]
    if unknown:
        raise Refused(f"SKUs that are not exactly once in the shop: {', '.join(unknown)}", code="unknown_sku")
    for line in order["lines"]:
        sku = line["productVariant"]["sku"]
        quantity = wanted.pop(sku, 0)
        if quantity == 0:
            api.mutate("RemoveDraftLine", repeatable=True, orderId=order["id"], lineId=line["id"])
        elif quantity != line["quantity"]:
            change = {"orderLineId": line["id"], "quantity": quantity}
            api.mutate("AdjustDraftLine", repeatable=True, orderId=order["id"], input=change)
    for sku, quantity in wanted.items():
        new = {"productVariantId": variants[sku][0]["id"], "quantity": quantity}
        api.mutate("AddDraftItem", orderId=order["id"], input=new)


def _shipping_method(api: Api, order: str, row: OrderRow) -> str:
    methods = api.query("DraftShippingMethods", orderId=order)["eligibleShippingMethodsForDraftOrder"]
    for method in methods:
        if row.shippingMethod in (None, method["code"]):
            found: str = method["id"]
            return found
    known = ", ".join(method["code"] for method in methods) or "none"
    raise Refused(
        f"no shipping method {row.shippingMethod!r} for this order; eligible: {known}", code="no_shipping"
    )


def _pay(api: Api, order: Mapping[str, Any], row: OrderRow) -> dict[str, Any]:
    wanted = {"orderId": order["id"], "method": row.paymentMethod, "metadata": {"reference": row.reference}}
    if row.transactionId is not None:
        wanted["transactionId"] = row.transactionId
    paid: dict[str, Any] = api.mutate("AddManualPayment", input=wanted)
    return paid
