"""The two channels as processes of their own: `python -m tests.chaos.channels shop|tills SEED GATEWAY_URL...`.

The stand-ins of `sandbox/` behind a bad wire and a bad post, and `/_chaos/` for the one who plays buyers and clerks and
reads the books in the end. The port is the first line of output.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.shopify.cost import Bucket
from sandbox.shopify.courier import call_of
from sandbox.shopify.payloads import Told
from sandbox.shopify.server import Server as ShopServer, create_app as shop_app
from sandbox.shopify.shop import Shop
from sandbox.square import register
from sandbox.square.postman import Postman, Subscription, sign
from sandbox.square.seller import Limits, Seller
from sandbox.square.server import Server as TillServer, create_app as till_app
from tests.chaos.goods import goods, shop_goods, till_goods
from tests.chaos.post import Post
from tests.chaos.wire import CONTROL, Wire

__all__ = ["NOTIFICATION_URL", "STORE", "ShopDesk", "TillDesk"]

NOTIFICATION_URL = "http://hub.chaos.example/webhooks/tills"
"""What Square signs; the calls go to whichever gateway is up."""
STORE = "梅田店"
"""The location that sells what lies in the warehouse."""
ADDRESS = {
    "address_line_1": "神南1-1-1", "locality": "渋谷区", "administrative_district_level_1": "東京都",
    "postal_code": "150-0041", "country": "JP",
}  # fmt: skip
Said = dict[str, Any]


class ShopDesk:
    """The shop (Shopify): what its buyers and its clerks do, and its books."""

    def __init__(self, seed: str, post: Post) -> None:
        self.shop = Shop(
            seed=sum(seed.encode()), goods=shop_goods(goods(seed)), held_against_schema=False,
            bucket=Bucket(pace=10.0), tell=self._tell,
        )  # fmt: skip
        self.post = post

    def _tell(self, told: Told) -> None:
        headers, body = call_of(told, self.shop.webhook_secret)
        self.post.take(told.delivery, headers, body)

    def buy(self, sku: str, units: int, scene: str = "plain") -> Said | None:
        order = self.shop.sell(sku, units, scene=scene)
        return None if order is None else {"order": order["id"], "key": f"shop/{order['number']}"}

    def cancel(self, order: str, restock: bool = False) -> bool:
        with self.shop.lock:
            found = self.shop.orders[order]
            if found["cancelledAt"] or found["fulfillments"]:
                return False
            self.shop.cancel(found, "CUSTOMER", restock=restock)
            return True

    def price(self, sku: str, price: int) -> None:
        with self.shop.lock:
            variant = self.shop.variant_of_sku(sku)
            variant |= {"price": str(price), "updatedAt": self.shop.now()}
            self.shop.touch_product(variant["product"])

    def books(self) -> Said:
        with self.shop.lock:
            return {
                "orders": {
                    f"shop/{order['number']}": {
                        "units": _units(
                            (line["sku"], line["currentQuantity"]) for line in order["lineItems"]
                        ),
                        "ordered": _units((line["sku"], line["quantity"]) for line in order["lineItems"]),
                        "total": int(float(order["currentTotalPriceSet"]["shopMoney"]["amount"])),
                        "cancelled": bool(order["cancelledAt"]),
                        "held": "銀行振込" in order["paymentGatewayNames"],
                        "parcels": [
                            {
                                "numbers": [told["number"] for told in made["trackingInfo"]],
                                "units": sum(line["quantity"] for line in made["fulfillmentLineItems"]),
                            }
                            for made in order["fulfillments"]
                        ],
                    }
                    for order in self.shop.orders.values()
                },
                "returns": {},
                "shown": {
                    variant["sku"]: self.shop.available(variant["sku"])
                    for variant in self.shop.variants.values()
                },
                "prices": {variant["sku"]: int(variant["price"]) for variant in self.shop.variants.values()},
            }


class TillDesk:
    """The tills (Square): orders to be sent, taken ahead at a store that sells what lies in the warehouse."""

    def __init__(self, seed: str, post: Post) -> None:
        self.post = post
        self.seller = Seller(
            seed=sum(seed.encode()), goods=till_goods(goods(seed)), limits=Limits(per_second=50.0)
        )
        self.seller.postman = _TillPost(post)

    def buy(self, sku: str, units: int, scene: str = "plain") -> Said | None:
        with self.seller.lock:
            if self.seller.stock(sku, STORE) < units:
                return None
            recipient = {
                "display_name": "見本 花子", "phone_number": "0312345678", "email_address": "buyer@example.jp",
                "address": ADDRESS,
            }  # fmt: skip
            order = register.order_ahead(
                self.seller, STORE, [(sku, units)], kind="SHIPMENT", recipient=recipient
            )
            return {"order": order["id"], "key": f"tills/{order['id']}"}

    def cancel(self, order: str, restock: bool = False) -> bool:
        with self.seller.lock:
            if self.seller.orders[order]["state"] != "OPEN":
                return False
            register.cancel(self.seller, order)
            return True

    def take_back(self, order: str, sku: str) -> None:
        """The buyer sends it back, to the warehouse; the money goes back here."""
        register.take_back(self.seller, order, [(sku, 1)], restock=False)

    def price(self, sku: str, price: int) -> None:
        with self.seller.lock:
            row = self.seller.catalog[self.seller.variation(sku)]
            row["item_variation_data"]["price_money"]["amount"] = price
            row |= {"version": self.seller.new_version(), "updated_at": self.seller.now()}
            moment = {"updated_at": row["updated_at"]}
            data = {"type": "catalog_version", "object": {"catalog_version": moment}}
            self.seller.tell("catalog.version.updated", data)

    def books(self) -> Said:
        with self.seller.lock:
            return {
                "orders": {f"tills/{key}": self._order(row) for key, row in self.seller.orders.items()
                           if row.get("line_items")},
                "returns": {f"tills/{key}": f"tills/{row['returns'][0]['source_order_id']}"
                            for key, row in self.seller.orders.items() if row.get("returns")},
                "place": self.seller.location(STORE),
                "shown": {sku: self.seller.stock(sku, STORE) for sku in self._skus()},
                "prices": {
                    sku: self.seller.catalog[self.seller.variation(sku)]["item_variation_data"]["price_money"]["amount"]
                    for sku in self._skus()
                },
            }  # fmt: skip

    def _skus(self) -> list[str]:
        found = (row.get("item_variation_data") or {} for row in self.seller.catalog.values())
        return [data["sku"] for data in found if data]

    def _order(self, row: Mapping[str, Any]) -> Said:
        def sku(line: Mapping[str, Any]) -> str:
            return str(self.seller.catalog[line["catalog_object_id"]]["item_variation_data"]["sku"])

        cancelled = row["state"] == "CANCELED"
        ordered = _units((sku(line), int(line["quantity"])) for line in row["line_items"])
        return {
            "units": {} if cancelled else ordered, "ordered": ordered, "total": row["total_money"]["amount"],
            "cancelled": cancelled, "held": False, "parcels": [],
        }  # fmt: skip


class _TillPost(Postman):
    """Square's postman hands its letters to the bad post."""

    def __init__(self, post: Post) -> None:
        super().__init__(Subscription(NOTIFICATION_URL))
        self._post_office = post

    def publish(
        self, kind: str, merchant_id: str, created_at: str, data: dict[str, Any], **more: Any
    ) -> str | None:
        event_id = super().publish(kind, merchant_id, created_at, data, **more)
        with self._lock:
            letter = self._letters.pop()
        signature = sign(self.subscription.signature_key, NOTIFICATION_URL, letter.body)
        headers = {"Content-Type": "application/json", "x-square-hmacsha256-signature": signature}
        self._post_office.take(str(event_id), headers, letter.body)
        return event_id


def _units(pairs: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for sku, units in pairs:
        if sku and units:
            found[sku] = found.get(sku, 0) + units
    return found


# ---------------------------------------------------------------- the process


class _Front:
    """`/_chaos/` here, everything else over the wire."""

    def __init__(self, control: ASGIApp, api: ASGIApp) -> None:
        self.control = control
        self.api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and scope["path"].startswith(CONTROL)
        await (self.control if ours else self.api)(scope, receive, send)


def _control(desk: ShopDesk | TillDesk, wire: Wire, post: Post) -> ASGIApp:
    def does(work: Callable[..., Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            asked = json.loads(await request.body() or b"{}")
            return JSONResponse(await run_in_threadpool(work, **asked))

        return answer

    def storm() -> None:
        wire.storm()
        post.storm()

    def calm() -> None:
        wire.calm()
        post.calm()

    def state() -> Said:
        return {
            **desk.books(), "events": post.told(), "waiting": post.waiting, "faults": dict(wire.made),
            "calls": wire.calls,
        }  # fmt: skip

    work: dict[str, Callable[..., Any]] = {
        "buy": desk.buy, "cancel": desk.cancel, "price": desk.price, "storm": storm, "calm": calm, "state": state,
        "waiting": lambda: post.waiting,
    }  # fmt: skip
    if isinstance(desk, TillDesk):
        work["take_back"] = desk.take_back
    return Starlette(
        routes=[Route(f"{CONTROL}/{name}", does(each), methods=["POST"]) for name, each in work.items()]
    )


def main(arguments: list[str]) -> int:
    """Serve one channel until told to stop."""
    which, seed, *urls = arguments
    post = Post(urls, f"{seed}/{which}")
    desk: ShopDesk | TillDesk
    server: ShopServer | TillServer
    if which == "shop":
        desk = ShopDesk(seed, post)
        wire = Wire(shop_app(desk.shop), f"{seed}/{which}")
        server = ShopServer(desk.shop, app=_Front(_control(desk, wire, post), wire))
    else:
        desk = TillDesk(seed, post)
        wire = Wire(till_app(desk.seller), f"{seed}/{which}")
        server = TillServer(desk.seller, app=_Front(_control(desk, wire, post), wire))

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with server:
        print(server.url, flush=True)
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
