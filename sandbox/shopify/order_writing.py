"""Order mutations: fulfilments, their tracking, cancellation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.shopify.clock import gid
from sandbox.shopify.payloads import fulfilment_body
from sandbox.shopify.reading import Reading
from sandbox.shopify.writing import wrong

__all__ = ["OrderWriting"]

Node = Mapping[str, Any]
_OPEN = ("OPEN", "IN_PROGRESS")


class OrderWriting:
    """fulfillmentCreate, fulfillmentTrackingInfoUpdate and orderCancel."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.shop = reading.shop

    # ------------------------------------------------------------ fulfilments

    def fulfillment_create(self, fulfillment: dict[str, Any], **_: Any) -> Node:
        self.reading.need("write_merchant_managed_fulfillment_orders", "fulfillmentCreate")
        chosen: list[tuple[dict[str, Any], dict[str, Any], int]] = []
        found: dict[str, Any] | None = None
        places = set()
        for n, part in enumerate(fulfillment["lineItemsByFulfillmentOrder"]):
            path = ("fulfillment", "lineItemsByFulfillmentOrder", str(n))
            order, held = self._held(part["fulfillmentOrderId"])
            if order is None or held is None:
                return _not_made(wrong("Fulfillment order does not exist.", *path, coded=False))
            if held["status"] not in _OPEN:
                text = (
                    f"Fulfillment order {held['id']} has an unfulfillable status= {held['status'].lower()}."
                )
                return _not_made(wrong(text, *path, coded=False))
            found = order
            places.add(held["_place"])
            lines = {line["id"]: line for line in held["_lines"]}
            asked = part.get("fulfillmentOrderLineItems")
            if asked is None:
                asked = [{"id": line["id"], "quantity": line["remainingQuantity"]} for line in held["_lines"]]
            for one in asked:
                line = lines.get(one["id"])
                if line is None or not 0 < one["quantity"] <= line["remainingQuantity"]:
                    text = "Invalid fulfillment order line item quantity requested."
                    return _not_made(wrong(text, *path, coded=False))
                chosen.append((held, line, one["quantity"]))
        if found is None or not chosen:
            return _not_made(wrong("There is nothing to fulfill.", "fulfillment", coded=False))
        if len(places) > 1:
            text = "All fulfillment orders must be assigned to the same location."
            return _not_made(wrong(text, "fulfillment", coded=False))
        return {
            "fulfillment": self._make(found, chosen, fulfillment.get("trackingInfo") or {}),
            "userErrors": [],
        }

    def _make(
        self, order: dict[str, Any], chosen: list[tuple[dict[str, Any], dict[str, Any], int]], tracking: Node
    ) -> Node:
        lines = []
        for held, line, units in chosen:
            line["remainingQuantity"] -= units
            level = self.shop.levels[line["lineItem"]["variant"]["inventoryItem"]["id"], held["_place"]]
            level.committed -= units
            level.updated = self.shop.now()
            lines.append(
                {"__typename": "FulfillmentLineItem", "quantity": units, "lineItem": line["lineItem"]}
            )
            if not any(one["remainingQuantity"] for one in held["_lines"]):
                held["status"] = "CLOSED"
        made = {
            "__typename": "Fulfillment",
            "id": gid("Fulfillment", 200000000 + self.shop.next("fulfilment")),
            "status": "SUCCESS",
            "trackingInfo": _tracking(tracking),
            "fulfillmentLineItems": lines,
        }
        order["fulfillments"] = [*order["fulfillments"], made]
        left = any(
            line["remainingQuantity"] for held in order["_fulfilment_orders"] for line in held["_lines"]
        )
        order["displayFulfillmentStatus"] = "PARTIALLY_FULFILLED" if left else "FULFILLED"
        self.shop.touch_order(order, "orders/partially_fulfilled" if left else "orders/fulfilled")
        self.shop.event("fulfillments/create", fulfilment_body(made, order))
        return made

    def _held(self, fulfilment_order: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        for order in self.shop.orders.values():
            for held in order["_fulfilment_orders"]:
                if held["id"] == fulfilment_order:
                    return order, held
        return None, None

    def tracking_update(
        self,
        fulfillmentId: str,  # noqa: N803
        trackingInfoInput: dict[str, Any],  # noqa: N803
        **_: Any,
    ) -> Node:
        self.reading.need("write_merchant_managed_fulfillment_orders", "fulfillmentTrackingInfoUpdate")
        for order in self.shop.orders.values():
            for made in order["fulfillments"]:
                if made["id"] == fulfillmentId:
                    made["trackingInfo"] = _tracking(trackingInfoInput)
                    self.shop.touch_order(order)
                    return {"fulfillment": made, "userErrors": []}
        return _not_made(wrong("Fulfillment does not exist.", "fulfillmentId", coded=False))

    # ------------------------------------------------------------ cancellation

    def order_cancel(
        self,
        orderId: str,  # noqa: N803
        reason: str,
        restock: bool,
        staffNote: str | None = None,  # noqa: N803
        **_: Any,
    ) -> Node:
        self.reading.need("write_orders", "orderCancel")
        order = self.shop.orders.get(orderId)
        if order is None:
            return _not_cancelled(wrong("Order does not exist", "orderId", code="NOT_FOUND"))
        if order["cancelledAt"]:
            return _not_cancelled(wrong("Order has already been cancelled", "orderId", code="INVALID"))
        if any(made["status"] == "SUCCESS" for made in order["fulfillments"]):
            text = "Cannot cancel an order with fulfillments that cannot be cancelled"
            return _not_cancelled(wrong(text, "orderId", code="INVALID"))
        if staffNote is not None and len(staffNote) > 255:
            return _not_cancelled(wrong("Staff note is too long", "staffNote", code="INVALID"))
        self.shop.cancel_later(order, reason, restock=restock)
        job = {"__typename": "Job", "id": f"gid://shopify/Job/{order['number']:08d}", "done": False}
        return {"job": job, "orderCancelUserErrors": [], "userErrors": []}


def _tracking(told: Node) -> list[Node]:
    numbers = told.get("numbers") or ([told["number"]] if told.get("number") else [])
    urls = told.get("urls") or ([told["url"]] if told.get("url") else [])
    company = told.get("company")
    rows = numbers or ([None] if company else [])
    return [
        {
            "__typename": "FulfillmentTrackingInfo",
            "company": company,
            "number": number,
            "url": urls[n] if n < len(urls) else None,
        }
        for n, number in enumerate(rows)
    ]


def _not_made(error: Node) -> Node:
    return {"fulfillment": None, "userErrors": [error]}


def _not_cancelled(error: Node) -> Node:
    return {"job": None, "orderCancelUserErrors": [error], "userErrors": []}
