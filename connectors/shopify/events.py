"""Webhooks of Shopify. They are thin here: whatever the body says, the thing is fetched by its id.

Why not take the body as it is: it is shaped as in the old REST API and not as our queries; it is built when it is
sent, not when it happened; deliveries come doubled and in any order; and only the body is signed, so topic, shop and
delivery id in the headers are anybody's word. Fetched by id, each of these does no harm.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.contract import Event, Refused
from connectors.shopify.config import ShopifyConfig
from connectors.shopify.ids import gid
from connectors.webhooks import shopify as verify

__all__ = ["TOPICS", "events"]

Body = Mapping[str, Any]
Names = tuple[str, tuple[str, ...], tuple[str, ...]]
"""(source, ids to fetch, ids that are gone)"""


def _fetch(source: str, kind: str, *path: str) -> Callable[[Body], Names]:
    def read(body: Body) -> Names:
        value: Any = body
        for step in path:
            value = value[step]
        return source, (gid(kind, value),), ()

    return read


def _gone(source: str, kind: str) -> Callable[[Body], Names]:
    def read(body: Body) -> Names:
        # The topic is not signed: the body of a living thing, sent again under a deletion's topic, must delete nothing.
        if "created_at" in body or "updated_at" in body:
            raise ValueError("this is no deletion: the body describes something that is there")
        return source, (), (gid(kind, body["id"]),)

    return read


def _merged(body: Body) -> Names:
    kept = gid("Customer", body["admin_graphql_api_customer_kept_id"])
    return "customers", (kept,), (gid("Customer", body["admin_graphql_api_customer_deleted_id"]),)


_ORDER = _fetch("orders", "Order", "id")
_OF_ORDER = _fetch("orders", "Order", "order_id")
_PRODUCT = _fetch("products", "Product", "id")
_VARIANTS = _fetch("variants", "Product", "id")
_LEVEL = _fetch("inventory", "InventoryItem", "inventory_item_id")
_CUSTOMER = _fetch("customers", "Customer", "id")

TOPICS: Mapping[str, tuple[Callable[[Body], Names], ...]] = {
    "orders/create": (_ORDER,),
    "orders/updated": (_ORDER,),
    "orders/paid": (_ORDER,),
    "orders/cancelled": (_ORDER,),
    "orders/fulfilled": (_ORDER,),
    "orders/partially_fulfilled": (_ORDER,),
    "orders/edited": (_fetch("orders", "Order", "order_edit", "order_id"),),
    "orders/delete": (_gone("orders", "Order"),),
    "refunds/create": (_OF_ORDER,),
    "order_transactions/create": (_OF_ORDER,),
    "fulfillments/create": (_OF_ORDER,),
    "fulfillments/update": (_OF_ORDER,),
    "products/create": (_PRODUCT, _VARIANTS),
    "products/update": (_PRODUCT, _VARIANTS),
    "products/delete": (_gone("products", "Product"),),
    "inventory_levels/update": (_LEVEL,),
    "inventory_levels/connect": (_LEVEL,),
    "inventory_levels/disconnect": (_LEVEL,),
    "inventory_items/update": (_fetch("inventory", "InventoryItem", "id"),),
    "customers/create": (_CUSTOMER,),
    "customers/update": (_CUSTOMER,),
    "customers/enable": (_CUSTOMER,),
    "customers/disable": (_CUSTOMER,),
    "customers/delete": (_gone("customers", "Customer"),),
    "customers/merge": (_merged,),
    "customers_email_marketing_consent/update": (_fetch("customers", "Customer", "customer_id"),),
    # Asked for by law. What is kept of the customer is looked at (data_request) or marked as gone (redact); erasing
    # it is an operator's command, see docs/connectors/shopify.md.
    "customers/data_request": (_fetch("customers", "Customer", "customer", "id"),),
    "customers/redact": (lambda body: ("customers", (), (gid("Customer", body["customer"]["id"]),)),),
    # Nothing of the hub hangs on these; refusing them would make Shopify drop the subscription.
    "shop/redact": (),
    "shop/update": (),
    "app/uninstalled": (),
    "bulk_operations/finish": (),
}


def events(headers: Mapping[str, str], body: bytes, config: ShopifyConfig) -> Sequence[Event]:
    """Verify X-Shopify-Hmac-Sha256 and name what to fetch.

    A delivery that is sent again is known by X-Shopify-Webhook-Id, made unique per source, because a product's event
    names two. Raises `Misconfigured` without a secret, `Refused` for a wrong signature (`bad_signature`), another
    shop's call (`other_account`), an unknown topic (`unknown_topic`), a body that cannot be read (`bad_event`).
    """
    verify(headers, body, [config.webhook_secret, config.previous_webhook_secret])
    told = {name.lower(): value.strip() for name, value in headers.items()}
    if told.get("x-shopify-shop-domain", "").lower() != config.shop:
        raise Refused("the call is of another shop (X-Shopify-Shop-Domain)", code="other_account")
    topic = told.get("x-shopify-topic", "").lower()
    if topic not in TOPICS:
        raise Refused(f"the topic {topic[:80]!r} is not taken in", code="unknown_topic")
    delivery = told.get("x-shopify-webhook-id", "")
    if not delivery:
        raise Refused("the header X-Shopify-Webhook-Id is missing", code="bad_event")
    try:
        said = json.loads(body)
        named = [read(said) for read in TOPICS[topic]]
        at = told.get("x-shopify-triggered-at")
        occurred_at = datetime.fromisoformat(at) if at else None
    except (ValueError, KeyError, TypeError, RecursionError, Refused) as error:
        raise Refused(
            f"the body of {topic} cannot be read: {type(error).__name__}", code="bad_event"
        ) from None
    return [
        Event(source, f"{delivery}:{source}", occurred_at, fetch=fetch, deleted=gone)
        for source, fetch, gone in named
    ]
