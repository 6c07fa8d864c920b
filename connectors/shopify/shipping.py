"""How far an order is sent: its fulfilment orders (what is to leave, from where) and its fulfilments (what left)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.contract import Refused
from connectors.shopify.api import Api
from connectors.shopify.ids import gid, search_text
from connectors.shopify.walk import Size

__all__ = ["Order", "find_order"]

Order = Mapping[str, Any]
"""id, name, cancelledAt, `fulfillmentOrders` and `fulfillments` as lists, each with all its `lines`."""

_PLACES_AT_ONCE = 10
_LINES_AT_ONCE = 20
_REST_AT_ONCE = 100


def find_order(api: Api, order_id: str | None, name: str | None) -> Order:
    """The order of an id or a name ("#1001"), read whole. Raises `Refused` (code `unknown_order`)."""
    wanted = gid("Order", order_id) if order_id else _id_of_name(api, name or "")
    found = _with_places(api, wanted) if wanted else None
    if found is None:
        raise Refused(
            f"order {name or order_id} is not in the shop, or too old for this app to see "
            "(60 days without the scope read_all_orders)",
            code="unknown_order",
        )
    return {**found, "fulfillments": _fulfilments(api, found["id"], found["fulfillmentsCount"])}


def _id_of_name(api: Api, name: str) -> str | None:
    # The search knows no case and takes parts of words: only the very same name counts.
    nodes = api.query("OrderIds", query=f"name:{search_text(name)}")["orders"]["nodes"]
    return next((str(node["id"]) for node in nodes if node["name"] == name), None)


def _with_places(api: Api, order_id: str) -> dict[str, Any] | None:
    size = Size(_PLACES_AT_ONCE, _LINES_AT_ONCE)
    places: list[dict[str, Any]] = []
    after: str | None = None
    while True:

        def ask(first: int, nested: int, after: str | None = after) -> dict[str, Any] | None:
            order: dict[str, Any] | None = api.query(
                "OrderShipping", id=order_id, first=first, nested=nested, after=after
            )["order"]
            return order

        order = size.fitting(ask)
        if order is None:
            return None
        page = order["fulfillmentOrders"]
        for place in page["nodes"]:
            lines = _whole(api, place["lineItems"], "FulfilmentOrderLines", place["id"], "lineItems")
            location = (place["assignedLocation"]["location"] or {}).get("id", "")
            places.append(
                {"id": place["id"], "status": place["status"], "location": location, "lines": lines}
            )
        if not page["pageInfo"]["hasNextPage"]:
            return {**order, "fulfillmentOrders": places}
        after = page["pageInfo"]["endCursor"]


def _fulfilments(api: Api, order_id: str, counted: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    count = int(counted["count"]) if counted else 0
    if not count:
        return []

    def ask(_first: int, nested: int) -> list[dict[str, Any]]:
        order = api.query("OrderFulfilments", id=order_id, count=count, nested=nested)["order"]
        return list(order["fulfillments"]) if order else []

    return [
        {
            "id": made["id"],
            "status": made["status"],
            "trackingInfo": made["trackingInfo"],
            "lines": _whole(
                api, made["fulfillmentLineItems"], "FulfilmentLines", made["id"], "fulfillmentLineItems"
            ),
        }
        for made in Size(1, _LINES_AT_ONCE).fitting(ask)
    ]


def _whole(
    api: Api, connection: Mapping[str, Any], query: str, owner: str, field: str
) -> list[dict[str, Any]]:
    """A nested connection, read to its end."""
    rows, page = list(connection["nodes"]), connection["pageInfo"]
    size = Size(_REST_AT_ONCE, 1)
    while page["hasNextPage"]:

        def ask(first: int, _nested: int, after: str = page["endCursor"]) -> dict[str, Any]:
            return api.query(query, id=owner, first=first, after=after)

        found = next(iter(size.fitting(ask).values()))
        if found is None:
            break
        rows += found[field]["nodes"]
        page = found[field]["pageInfo"]
    return rows
