"""What webhooks carry: bodies in the form of the old REST API, with numbers for ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.shopify.clock import number_of

__all__ = ["Told", "customer_body", "fulfilment_body", "level_body", "order_body", "product_body"]

Node = Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """One event: topic, body, id of its delivery, when it happened, which shop."""

    topic: str
    body: Mapping[str, Any]
    delivery: str
    at: str
    shop: str


def _amount(bag: Node) -> str:
    return str(bag["shopMoney"]["amount"]).removesuffix(".0")


def order_body(order: Node) -> dict[str, Any]:
    return {
        "id": number_of(order["id"]),
        "admin_graphql_api_id": order["id"],
        "name": order["name"],
        "order_number": order["number"],
        "email": order["email"],
        "created_at": order["createdAt"],
        "updated_at": order["updatedAt"],
        "cancelled_at": order["cancelledAt"],
        "currency": order["currencyCode"],
        "taxes_included": order["taxesIncluded"],
        "total_price": _amount(order["totalPriceSet"]),
        "financial_status": order["displayFinancialStatus"].lower(),
        "fulfillment_status": None
        if order["displayFulfillmentStatus"] == "UNFULFILLED"
        else order["displayFulfillmentStatus"].lower(),
        "line_items": [
            {
                "id": number_of(line["id"]),
                "sku": line["sku"],
                "title": line["title"],
                "quantity": line["quantity"],
                "current_quantity": line["currentQuantity"],
                "price": _amount(line["originalUnitPriceSet"]),
            }
            for line in order["lineItems"]
        ],
    }


def fulfilment_body(fulfilment: Node, order: Node) -> dict[str, Any]:
    return {
        "id": number_of(fulfilment["id"]),
        "order_id": number_of(order["id"]),
        "status": fulfilment["status"].lower(),
        "created_at": order["updatedAt"],
        "updated_at": order["updatedAt"],
        "tracking_numbers": [info["number"] for info in fulfilment["trackingInfo"]],
    }


def product_body(product: Node, variants: Sequence[Node]) -> dict[str, Any]:
    return {
        "id": number_of(product["id"]),
        "admin_graphql_api_id": product["id"],
        "title": product["title"],
        "handle": product["handle"],
        "status": product["status"].lower(),
        "created_at": product["createdAt"],
        "updated_at": product["updatedAt"],
        "variants": [
            {
                "id": number_of(one["id"]),
                "sku": one["sku"],
                "price": one["price"],
                "inventory_item_id": number_of(one["inventoryItem"]["id"]),
            }
            for one in variants
        ],
    }


def level_body(item: str, place: str, available: int, updated: str) -> dict[str, Any]:
    return {
        "inventory_item_id": number_of(item),
        "location_id": number_of(place),
        "available": available,
        "updated_at": updated,
    }


def customer_body(customer: Node) -> dict[str, Any]:
    email = customer["defaultEmailAddress"]
    return {
        "id": number_of(customer["id"]),
        "admin_graphql_api_id": customer["id"],
        "email": email["emailAddress"] if email else None,
        "first_name": customer["firstName"],
        "last_name": customer["lastName"],
        "created_at": customer["createdAt"],
        "updated_at": customer["updatedAt"],
    }
