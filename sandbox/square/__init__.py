"""A strict stand-in of Square: catalogue, inventory, orders, customers, payments, signed webhooks.

    with Server(Seller(limits=Limits(pace=100))) as server:
        sell(server.seller, "渋谷店", [("TEA-100", 1)])
        httpx.post(f"{server.url}/v2/orders/search", ...)

or `python -m sandbox.square --port 0 --print-port --notify https://hub.example.jp/webhooks/square-main`. It holds
callers to what Square publishes (token, version, required fields, limits, cursors, optimistic locks, idempotency keys)
and answers in Square's forms.
"""

from sandbox.square.postman import Habits, Postman, Subscription, sign
from sandbox.square.register import cancel, hand_over, order_ahead, ring_up, sell, take_back
from sandbox.square.seller import Fault, Limits, Seller
from sandbox.square.server import Server, create_app

__all__ = [
    "Fault",
    "Habits",
    "Limits",
    "Postman",
    "Seller",
    "Server",
    "Subscription",
    "cancel",
    "create_app",
    "hand_over",
    "order_ahead",
    "ring_up",
    "sell",
    "sign",
    "take_back",
]
