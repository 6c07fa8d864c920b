"""What happens to the shop's own orders elsewhere: shipments and cancellations into Vendure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from connectors.contract import Batch, Call, Change, Outcome, Refused
from connectors.outcomes import Row, each, read_record
from connectors.vendure.api import Api
from connectors.vendure.config import VendureConfig

__all__ = ["CancellationRow", "FulfilmentRow", "already_shipped", "cancel", "find_order", "ship"]


_UNPAID = (
    "order {code} is only authorised: the fulfilment is there, but the shop keeps the order in PaymentAuthorized until "
    "the payment is captured (settle_on_shipping does it before)"
)


class LineRow(Row):
    """Units of one order line: by its id, or by SKU where the warehouse does not know the id."""

    orderLineId: str | None = None  # noqa: N815  (Vendure's names)
    sku: str | None = None
    quantity: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _named(self) -> LineRow:
        if self.orderLineId is None and self.sku is None:
            raise ValueError("give orderLineId or sku")
        return self


class FulfilmentRow(Row):
    """What left the warehouse for an order.

    orderCode     the order's code in the shop
    method        how it went, shown to the customer ("ヤマト運輸")
    trackingCode  number to ask the carrier with
    delivered     it has arrived
    """

    orderCode: Annotated[str, Field(min_length=1)]  # noqa: N815
    lines: Annotated[tuple[LineRow, ...], Field(min_length=1)]
    method: str = ""
    trackingCode: str = ""  # noqa: N815
    delivered: bool = False


class CancellationRow(Row):
    """Lines that were cancelled, as totals (`quantity` units of the line in all); no lines: the whole order."""

    orderCode: Annotated[str, Field(min_length=1)]  # noqa: N815
    lines: tuple[LineRow, ...] = ()
    reason: str = ""
    cancelShipping: bool = True  # noqa: N815


def find_order(api: Api, code: str) -> dict[str, Any]:
    """The order of this code. Raises `Refused` (code `unknown_order`)."""
    items = api.query("Orders", options={"take": 1, "filter": {"code": {"eq": code}}})["orders"]["items"]
    if not items:
        raise Refused(f"no order {code!r} in this channel", code="unknown_order")
    order: dict[str, Any] = items[0]
    return order


# ---------------------------------------------------------------- shipments


def ship(call: Call[VendureConfig], batch: Batch) -> Iterator[Outcome]:
    """Add a fulfilment for each shipment and move it to Shipped (or Delivered).

    The order is looked at first. A fulfilment with the same tracking code and the same units is the one we would make;
    it is only moved on. Without a tracking code that is taken for granted from the second attempt on: before, two
    equal part shipments are two fulfilments.
    """
    api = Api(call)

    def put(change: Change) -> Outcome:
        if change.deleted:
            raise Refused("a fulfilment that was made is not taken back by the hub", code="not_deleted")
        row = read_record(FulfilmentRow, change.record)
        order = find_order(api, row.orderCode)
        fulfilment = _made_before(order, row, change.external_id, again=batch.attempt > 1)
        if fulfilment is None:
            fulfilment = _add(api, order, row)
        fulfilment = _move(api, fulfilment, delivered=row.delivered)
        unpaid = order["state"] == "PaymentAuthorized" and not api.config.settle_on_shipping
        return Outcome.done(
            change.key,
            external_id=fulfilment["id"],
            external_version=fulfilment["state"],
            notes=(_UNPAID.format(code=order["code"]),) if unpaid else (),
        )

    yield from each(batch, put)


def already_shipped(call: Call[VendureConfig], batch: Batch) -> Iterator[Outcome]:
    """The changes whose fulfilment is there and as far as it should be."""
    api = Api(call)
    for change in batch:
        try:
            row = read_record(FulfilmentRow, change.record)
            order = find_order(api, row.orderCode)
            made = _made_before(order, row, change.external_id, again=True)
        except Refused:
            continue  # `ship` meets the same and says so
        if made is not None and made["state"] in (
            {"Delivered"} if row.delivered else {"Shipped", "Delivered"}
        ):
            yield Outcome.done(change.key, external_id=made["id"], external_version=made["state"])


def _made_before(
    order: Mapping[str, Any], row: FulfilmentRow, external_id: str | None, *, again: bool
) -> dict[str, Any] | None:
    wanted = _units(order, row.lines)
    for made in order["fulfillments"] or ():
        if made["state"] == "Cancelled":
            continue
        same_units = _units_of(order, made) == wanted
        same_code = (made["trackingCode"] or "") == row.trackingCode
        if made["id"] == external_id and not (same_units and same_code):
            raise Refused(
                f"fulfilment {made['id']} of order {order['code']} was made with other units or another tracking code "
                f"({made['trackingCode'] or 'none'}); Vendure cannot change it, correct it in the shop",
                code="fulfilment_differs",
            )
        if same_units and same_code and (row.trackingCode or again or made["id"] == external_id):
            found: dict[str, Any] = made
            return found
    return None


def _skus(order: Mapping[str, Any]) -> dict[str, str]:
    return {line["id"]: line["productVariant"]["sku"] for line in order["lines"]}


def _units(order: Mapping[str, Any], lines: tuple[LineRow, ...]) -> Counter[str]:
    """SKU -> units asked for; by SKU, since a warehouse may know nothing else."""
    units: Counter[str] = Counter()
    for line in lines:
        units[_skus(order)[_places(order, line)[0]]] += line.quantity
    return +units


def _places(order: Mapping[str, Any], line: LineRow) -> list[str]:
    """Ids of the order lines that a line may mean: the one of its id, or all of its SKU.

    A warehouse may number lines its own way, so an id counts only where its SKU agrees.
    """
    skus = _skus(order)
    if line.orderLineId in skus and line.sku in (None, skus[line.orderLineId]):
        return [line.orderLineId]
    places = [place for place, sku in skus.items() if sku == line.sku]
    if not places:
        raise Refused(
            f"order {order['code']} has no line {line.sku or line.orderLineId!r}", code="unknown_line"
        )
    return places


def _units_of(order: Mapping[str, Any], fulfilment: Mapping[str, Any]) -> Counter[str]:
    skus = _skus(order)
    units: Counter[str] = Counter()
    for line in fulfilment["lines"]:
        units[skus.get(line["orderLineId"], "")] += line["quantity"]
    return units


def _open_units(order: Mapping[str, Any]) -> dict[str, int]:
    """Order line id -> units in no fulfilment yet."""
    remaining = {line["id"]: line["quantity"] for line in order["lines"]}
    for made in order["fulfillments"] or ():
        if made["state"] != "Cancelled":
            for line in made["lines"]:
                remaining[line["orderLineId"]] = remaining.get(line["orderLineId"], 0) - line["quantity"]
    return remaining


def _chosen(order: Mapping[str, Any], lines: tuple[LineRow, ...]) -> list[dict[str, Any]]:
    """Order line ids and quantities; a line known only by SKU takes the order's lines of that SKU one by one."""
    remaining = _open_units(order)
    chosen: Counter[str] = Counter()
    for line in lines:
        wanted = line.quantity
        for place in _places(order, line):
            taken = min(wanted, max(remaining[place], 0))
            chosen[place] += taken
            remaining[place] -= taken
            wanted -= taken
        if wanted:
            raise Refused(
                f"order {order['code']}: {wanted} of {line.quantity} units of {line.sku or line.orderLineId} are in no "
                "order line that is still open; they may be in a fulfilment made in the shop, or cancelled",
                code="nothing_open",
            )
    return [{"orderLineId": line, "quantity": quantity} for line, quantity in chosen.items() if quantity]


def _add(api: Api, order: Mapping[str, Any], row: FulfilmentRow) -> dict[str, Any]:
    lines = _chosen(order, row.lines)
    if not lines:
        raise Refused(f"order {order['code']}: no units to ship", code="nothing_to_ship")
    if api.config.settle_on_shipping:
        for payment in order["payments"] or ():
            if payment["state"] == "Authorized":
                api.mutate("SettlePayment", repeatable=True, id=payment["id"])
    made: dict[str, Any] = api.mutate(
        "AddFulfilment",
        input={
            "lines": lines,
            "handler": {
                "code": api.config.fulfilment_handler,
                "arguments": [
                    {"name": "method", "value": row.method},
                    {"name": "trackingCode", "value": row.trackingCode},
                ],
            },
        },
    )
    return made


def _move(api: Api, fulfilment: dict[str, Any], *, delivered: bool) -> dict[str, Any]:
    for state in ("Shipped", "Delivered") if delivered else ("Shipped",):
        if state in fulfilment["nextStates"] and fulfilment["state"] != "Delivered":
            fulfilment = api.mutate("MoveFulfilment", id=fulfilment["id"], state=state)
    return fulfilment


# ---------------------------------------------------------------- cancellations


def cancel(call: Call[VendureConfig], batch: Batch) -> Iterator[Outcome]:
    """Cancel orders or units of them. Quantities are totals, so a repeat finds nothing left to do.

    Money is not moved: releasing or refunding a payment stays with a person. Units in a fulfilment are refused.
    """
    api = Api(call)

    def put(change: Change) -> Outcome:
        row = read_record(CancellationRow, change.record)
        order = find_order(api, row.orderCode)
        if order["state"] == "Cancelled":
            return Outcome.done(change.key, external_id=order["code"])
        lines = _to_cancel(order, row)
        if lines:
            whole = sum(line["quantity"] for line in lines) == order["totalQuantity"]
            wanted: dict[str, Any] = {"orderId": order["id"], "reason": row.reason, "lines": lines}
            # Shipping is only given back with the whole order.
            api.mutate("CancelOrder", input={**wanted, "cancelShipping": row.cancelShipping and whole})
        return Outcome.done(change.key, external_id=order["code"])

    yield from each(batch, put)


def _to_cancel(order: Mapping[str, Any], row: CancellationRow) -> list[dict[str, Any]]:
    remaining = _open_units(order)
    totals: Counter[str] = Counter()
    if row.lines:
        for wanted in row.lines:
            totals[_places(order, wanted)[0]] += wanted.quantity
    else:
        totals.update({line["id"]: line["orderPlacedQuantity"] for line in order["lines"]})
    lines = []
    for line in order["lines"]:
        more = totals[line["id"]] - (line["orderPlacedQuantity"] - line["quantity"])
        if more > remaining[line["id"]]:
            raise Refused(
                f"order {order['code']}: {more} units of {line['productVariant']['sku']} are to be cancelled, but only "
                f"{max(remaining[line['id']], 0)} are in no fulfilment",
                code="already_shipped",
            )
        if more > 0:
            lines.append({"orderLineId": line["id"], "quantity": more})
    return lines
