"""A strict stand-in of Rakuten RMS WEB SERVICE: orders, shipping reports, stock, items, license key.

    with Server(Shop(limits=Limits(pace=100))) as server:
        server.shop.take_orders(3)
        httpx.post(f"{server.url}/es/2.0/order/searchOrder/", ...)

or `python -m sandbox.rakuten --port 0 --print-port --seed 7 --orders 40`. It holds callers to what the vendor
publishes (keys, switches, formats, limits, request rates) and answers in the vendor's forms.
"""

from sandbox.rakuten.server import Server, create_app
from sandbox.rakuten.shop import Fault, Limits, Shop

__all__ = ["Fault", "Limits", "Server", "Shop", "create_app"]
