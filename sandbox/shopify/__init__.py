"""A strict stand-in of a Shopify shop: the Admin GraphQL API and signed webhooks.

    with Server(Shop()) as server:
        server.shop.take_orders(3)
        httpx.post(f"{server.url}/admin/api/2026-10/graphql.json", ...)

or `python -m sandbox.shopify --port 0 --print-port --seed 7 --orders 40`. It answers exactly what was selected, keeps
the cost bucket, compares quantities, asks for idempotency keys, and knows no field it does not have. Needs the
package graphql-core (to read queries). Where the vendor's introspection is at hand, every request and answer is held
against it. What no published source shows is marked "assumed".
"""

from sandbox.shopify.courier import Courier, Subscription
from sandbox.shopify.server import Server, create_app
from sandbox.shopify.shop import Fault, Shop

__all__ = ["Courier", "Fault", "Server", "Shop", "Subscription", "create_app"]
