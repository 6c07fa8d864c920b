"""What happens to the shop's own orders elsewhere: shipments and cancellations into Shopify."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from connectors.contract import Batch, Call, Change, Outcome, Refused
from connectors.outcomes import Row, each, read_record
from connectors.shopify.api import Api
from connectors.shopify.config import ShopifyConfig
from connectors.shopify.shipping import Order, find_order

__all__ = ["CancellationRow", "FulfilmentRow", "already_shipped", "cancel", "ship"]

_OPEN = frozenset({"OPEN", "IN_PROGRESS"})
_WAITING = frozenset({"ON_HOLD", "SCHEDULED"})
_GONE = frozenset({"CANCELLED", "ERROR", "FAILURE"})
_CANCELLING = timedelta(seconds=15)


class OrderRow(Row):
    """Names an order of the shop: by its id, or by its name ("#1001")."""

    orderId: str | None = None  # noqa: N815  (Shopify's names)
    orderName: str | None = None  # noqa: N815

    @model_validator(mode="after")
    def _named(self) -> OrderRow:
        if not self.orderId and not self.orderName:
            raise ValueError("give orderId or orderName")
        return self


class LineRow(Row):
    """Units of one order line: by its id, or by SKU where the warehouse does not know the id."""

    lineItemId: str | None = None  # noqa: N815
    sku: str | None = None
    quantity: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _named(self) -> LineRow:
        if not self.lineItemId and not self.sku:
            raise ValueError("give lineItemId or sku")
        return self


class FulfilmentRow(OrderRow):
    """What left the warehouse for an order.

    company   the carrier in Shopify's own spelling ("Yamato (JA)"): then it links the numbers and follows the parcel
    numbers   tracking numbers of all parcels
    urls      tracking pages, where Shopify does not know the carrier
    """

    lines: Annotated[tuple[LineRow, ...], Field(min_length=1)]
    company: str | None = None
    numbers: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()


class CancellationRow(OrderRow):
    """An order that was cancelled as a whole. Money is not moved, except that Shopify voids an authorisation."""

    reason: Literal["CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF"] = "OTHER"
    note: Annotated[str, Field(max_length=255)] | None = None


def _find(api: Api, row: OrderRow) -> Order:
    return find_order(api, row.orderId, row.orderName)


# ---------------------------------------------------------------- shipments


def ship(call: Call[ShopifyConfig], batch: Batch) -> Iterator[Outcome]:
    """Add a fulfilment for each shipment. The order is looked at first, so what is there is never made twice.

    Units in a fulfilment with the same tracking numbers are this shipment's. Without tracking numbers, an equal
    fulfilment is taken for this one from the second attempt on; before, two equal part shipments are two. A shipment
    whose tracking numbers changed after it was told gets the new ones.
    """
    api = Api(call)

    def put(change: Change) -> Outcome:
        if change.deleted:
            raise Refused("a fulfilment that was made is not taken back by the hub", code="not_deleted")
        row = read_record(FulfilmentRow, change.record)
        if not any(line.quantity for line in row.lines):
            raise Refused("the shipment has no units", code="nothing_to_ship")
        order = _find(api, row)
        told = _told_before(order, change)
        if told is not None and _numbers(told) != set(row.numbers):
            return _corrected(api, change, row, order, told)
        made, left = _made_before(order, row, again=batch.attempt > 1 or told is not None)
        for group in _by_location(order, _chosen(order, left)):
            made.append(_create(api, row, group)["id"])
        return Outcome.done(change.key, external_id=made[0] if made else None)

    yield from each(batch, put)


def already_shipped(call: Call[ShopifyConfig], batch: Batch) -> Iterator[Outcome]:
    """The changes whose fulfilment is there."""
    api = Api(call)
    for change in batch:
        try:
            row = read_record(FulfilmentRow, change.record)
            order = _find(api, row)
            made, left = _made_before(order, row, again=True)
        except Refused:
            continue  # `ship` meets the same and says so
        if made and not left:
            yield Outcome.done(change.key, external_id=made[0])


def _standing(order: Order) -> list[Mapping[str, Any]]:
    return [made for made in order["fulfillments"] if made["status"] not in _GONE]


def _told_before(order: Order, change: Change) -> Mapping[str, Any] | None:
    """The fulfilment that an earlier version of this change became."""
    if change.external_id is None:
        return None
    return next((made for made in _standing(order) if made["id"] == change.external_id), None)


def _corrected(
    api: Api, change: Change, row: FulfilmentRow, order: Order, told: Mapping[str, Any]
) -> Outcome:
    """Give what was told before the tracking numbers it should have. Its units cannot be changed."""
    parts = [told]
    if _units_of(told) != _units(order, row):
        # it left from several places: each has a fulfilment with the numbers of before
        parts = [made for made in _standing(order) if _numbers(made) == _numbers(told)]
        if sum((_units_of(part) for part in parts), Counter()) != _units(order, row):
            raise Refused(
                f"fulfilment {told['id']} of order {order['name']} was made with other units and other tracking "
                f"numbers ({', '.join(sorted(_numbers(told))) or 'none'}); correct it at Shopify",
                code="fulfilment_differs",
            )
    for part in parts if row.numbers else ():
        api.mutate(
            "UpdateTracking", repeatable=True,
            id=part["id"], tracking=_tracking(row), notify=api.config.notify_customer,
        )  # fmt: skip
    return Outcome.done(change.key, external_id=told["id"])


def _numbers(made: Mapping[str, Any]) -> set[str]:
    return {info["number"] for info in made["trackingInfo"] if info["number"]}


def _units_of(made: Mapping[str, Any]) -> Counter[str]:
    """Order line id -> units in a fulfilment."""
    units: Counter[str] = Counter()
    for line in made["lines"]:
        units[line["lineItem"]["id"]] += line["quantity"] or 0
    return units


def _made_before(order: Order, row: FulfilmentRow, *, again: bool) -> tuple[list[str], Counter[str]]:
    """Fulfilments that are this shipment, and the units (order line id -> quantity) that are in none of them."""
    wanted = _units(order, row)
    made: list[str] = []
    left = Counter(wanted)
    for one in _standing(order):
        units = _units_of(one)
        if not row.numbers and again and not _numbers(one) and units == wanted:
            return [one["id"]], Counter()
        if row.numbers and _numbers(one) == set(row.numbers):
            made.append(one["id"])
            left -= units
    return made, +left


def _line_skus(order: Order) -> dict[str, str | None]:
    """Order line id -> SKU, of all lines that are or were to be sent."""
    skus: dict[str, str | None] = {}
    for place in order["fulfillmentOrders"]:
        for line in place["lines"]:
            skus[line["lineItem"]["id"]] = line["lineItem"]["sku"]
    for made in order["fulfillments"]:
        for line in made["lines"]:
            skus.setdefault(line["lineItem"]["id"], line["lineItem"]["sku"])
    return skus


def _units(order: Order, row: FulfilmentRow) -> Counter[str]:
    """Order line id -> units of the shipment; a line known by SKU only takes the order's lines of it one by one."""
    skus = _line_skus(order)
    room = _open_units(order) + sum((_units_of(made) for made in _standing(order)), Counter())
    units: Counter[str] = Counter()
    for line in row.lines:
        wanted = line.quantity
        places = _places(order, line, skus)
        for place in places:
            taken = wanted if place == places[-1] else min(wanted, max(room[place] - units[place], 0))
            units[place] += taken
            wanted -= taken
    return +units


def _places(order: Order, line: LineRow, skus: Mapping[str, str | None]) -> list[str]:
    """Ids of the order lines a row may mean: the one of its id, or all of its SKU.

    A warehouse may number lines its own way, so an id counts only where its SKU agrees.
    """
    named = line.lineItemId
    if named is not None and named in skus and line.sku in (None, skus[named]):
        return [named]
    places = [place for place, sku in skus.items() if sku and sku == line.sku]
    if not places:
        raise Refused(f"order {order['name']} has no line {line.sku or named!r}", code="unknown_line")
    return places


def _open_units(order: Order, statuses: frozenset[str] = _OPEN | _WAITING) -> Counter[str]:
    """Order line id -> units still to be sent."""
    units: Counter[str] = Counter()
    for place in order["fulfillmentOrders"]:
        if place["status"] in statuses:
            for line in place["lines"]:
                units[line["lineItem"]["id"]] += line["remainingQuantity"]
    return units


_Chosen = dict[str, dict[str, int]]
"""Fulfilment order id -> its line's id -> units."""


def _chosen(order: Order, left: Counter[str]) -> _Chosen:
    """Which lines of which fulfilment orders the units are taken from. Raises `Refused` where there are not enough."""
    chosen: _Chosen = defaultdict(dict)
    missing = Counter(left)
    for place in order["fulfillmentOrders"]:
        if place["status"] not in _OPEN:
            continue
        for line in place["lines"]:
            taken = min(missing[line["lineItem"]["id"]], line["remainingQuantity"])
            if taken > 0:
                chosen[place["id"]][line["id"]] = taken
                missing[line["lineItem"]["id"]] -= taken
    short = +missing
    if not short:
        return chosen
    skus = _line_skus(order)
    what = ", ".join(f"{units} x {skus.get(line) or line}" for line, units in short.items())
    if order["cancelledAt"]:
        raise Refused(
            f"order {order['name']} was cancelled at Shopify: stop the parcel", code="order_cancelled"
        )
    held = _open_units(order, _WAITING)
    if any(held[line] for line in short):
        raise Refused(
            f"order {order['name']} is on hold or scheduled at Shopify ({what}): release it there, then send it again",
            code="on_hold",
        )
    raise Refused(
        f"order {order['name']}: {what} is not open for fulfilment; it may be fulfilled by hand, or removed",
        code="nothing_open",
    )


def _by_location(order: Order, chosen: _Chosen) -> list[_Chosen]:
    """One group for each location: a fulfilment leaves from one place."""
    groups: dict[str, _Chosen] = defaultdict(dict)
    for place in order["fulfillmentOrders"]:
        if place["id"] in chosen:
            groups[place["location"]][place["id"]] = chosen[place["id"]]
    return list(groups.values())


def _tracking(row: FulfilmentRow) -> dict[str, Any]:
    told: dict[str, Any] = {"numbers": list(row.numbers)}
    if row.company:
        told["company"] = row.company
    if row.urls:
        told["urls"] = list(row.urls)
    return told


def _create(api: Api, row: FulfilmentRow, group: _Chosen) -> Mapping[str, Any]:
    fulfilment: dict[str, Any] = {
        "lineItemsByFulfillmentOrder": [
            {
                "fulfillmentOrderId": place,
                "fulfillmentOrderLineItems": [
                    {"id": line, "quantity": units} for line, units in lines.items()
                ],
            }
            for place, lines in group.items()
        ],
        "notifyCustomer": api.config.notify_customer,
    }
    if row.numbers or row.company:
        fulfilment["trackingInfo"] = _tracking(row)
    made: Mapping[str, Any] = api.mutate("CreateFulfilment", fulfillment=fulfilment)["fulfillment"]
    return made


# ---------------------------------------------------------------- cancellations


def cancel(call: Call[ShopifyConfig], batch: Batch) -> Iterator[Outcome]:
    """Cancel whole orders. Shopify does it in a job; an order not cancelled yet is looked at again a little later.

    An order with parcels under way is refused. Nothing is refunded: that stays with a person.
    """
    api = Api(call)

    def put(change: Change) -> Outcome:
        row = read_record(CancellationRow, change.record)
        order = _find(api, row)
        if order["cancelledAt"]:
            return Outcome.done(change.key, external_id=order["id"])
        if any(_units_of(made) for made in _standing(order)):
            raise Refused(
                f"order {order['name']} has parcels on their way; it cannot be cancelled any more, take it as a return",
                code="already_shipped",
            )
        api.mutate(
            "CancelOrder",
            id=order["id"],
            reason=row.reason,
            restock=api.config.restock_cancelled,
            notify=api.config.notify_customer,
            refund={"originalPaymentMethodsRefund": False},
            note=row.note,
        )
        if not _find(api, row)["cancelledAt"]:
            reason = f"Shopify is still cancelling order {order['name']}"
            return Outcome.retry(change.key, reason, after=_CANCELLING)
        return Outcome.done(change.key, external_id=order["id"])

    yield from each(batch, put)
