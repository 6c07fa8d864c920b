"""The stand-in as an ASGI app, and a server around it for tests and the demo.

The gateway comes first, as at the vendor: faults strike, then key, function switch, media type and request
rate are looked at, time passes, and only then the API itself.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.rakuten import inventory_api, item_api, order_api, shipping_api
from sandbox.rakuten.answers import Asked, gateway_error, unauthorised
from sandbox.rakuten.rate import Rate
from sandbox.rakuten.shop import Fault, Shop

__all__ = ["Server", "create_app"]

Handler = Callable[[Shop, Asked], Awaitable[Response]]


def create_app(shop: Shop) -> ASGIApp:
    """The vendor's paths over `shop`, and `/_sandbox/` for whoever drives the stand-in from outside."""
    rate = Rate()

    def route(path: str, handler: Handler, method: str, function: str, bucket: str) -> Route:
        async def answer(request: Request) -> Response:
            limits = shop.limits
            per_second = float(getattr(limits, f"{bucket}_per_second"))
            refused = await _gateway(shop, request, function)
            if refused is not None:
                return refused
            # the order API shares one bucket, inventory and item calls have one per kind
            if not rate.allows(bucket, per_second, limits.pace):
                shop.refused += 1
                return JSONResponse(
                    {"Results": {"errorCode": "TOO_MANY_REQUESTS", "message": "Too many requests"}},
                    429,
                    headers={"Retry-After": "1"},
                )
            body: Any = None
            if method == "POST":
                try:
                    body = json.loads(await request.body())
                except ValueError:
                    body = None
            shop.calls.append(request.url.path)
            return await handler(shop, Asked(dict(request.query_params), request.path_params, body))

        return Route(path, answer, methods=[method])

    order, inventory = "/es/2.0/order", "/es/{version:str}/inventories"
    api = Starlette(
        routes=[
            route(f"{order}/searchOrder/", order_api.search_order, "POST", "order", "order"),
            route(f"{order}/getOrder/", order_api.get_order, "POST", "order", "order"),
            route(f"{order}/confirmOrder/", order_api.confirm_order, "POST", "order", "order"),
            route(f"{order}/updateOrderShipping/", shipping_api.update_shipping, "POST", "order", "order"),
            route(
                f"{order}/updateOrderShippingAsync/",
                shipping_api.update_shipping_async,
                "POST",
                "order",
                "order",
            ),
            route(
                f"{order}/getResultUpdateOrderShippingAsync/",
                shipping_api.shipping_result,
                "POST",
                "order",
                "order",
            ),
            route(
                f"{inventory}/bulk-upsert", inventory_api.bulk_upsert, "POST", "inventory", "inventory_write"
            ),
            route(f"{inventory}/bulk-get", inventory_api.bulk_get, "POST", "inventory", "inventory_read"),
            route(
                f"{inventory}/bulk-get/range",
                inventory_api.bulk_get_range,
                "GET",
                "inventory",
                "inventory_read",
            ),
            route("/es/2.0/items/search", item_api.search_items, "GET", "item", "item"),
            route("/es/2.0/items/manage-numbers/{manage_number}", item_api.get_item, "GET", "item", "item"),
            route(
                "/es/1.0/license-management/license-key/expiry-date",
                item_api.license_expiry,
                "GET",
                "license",
                "item",
            ),
            Route("/_sandbox/orders", _new_orders(shop), methods=["POST"]),
            Route("/_sandbox/state", _state(shop), methods=["GET"]),
        ]
    )
    api.router.redirect_slashes = False
    return _Faults(api, shop)


async def _gateway(shop: Shop, request: Request, function: str) -> Response | None:
    wanted = base64.b64encode(f"{shop.service_secret}:{shop.license_key}".encode("ascii")).decode()
    expired = shop.license_expires is not None and shop.license_expires <= shop.clock()
    if request.headers.get("authorization") != f"ESA {wanted}" or expired:
        return unauthorised()
    if function not in shop.functions:
        return gateway_error("ES04-01", "This API function is not enabled for the shop.", 403)
    if request.method == "POST":
        kind, _, parameter = request.headers.get("content-type", "").partition(";")
        charset = parameter.strip().lower()
        spaced = shop.refuse_space_in_content_type and parameter.startswith(" ")
        if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8") or spaced:
            return gateway_error("ES04-03", "Unsupported Media Type", 415)
    shop.tick()
    shipping_api.work_off(shop)
    return None


def _new_orders(shop: Shop) -> Callable[[Request], Awaitable[Response]]:
    async def take(request: Request) -> Response:
        asked = json.loads(await request.body() or b"{}")
        return JSONResponse(
            {"orderNumbers": shop.take_orders(int(asked.get("count", 1)), scene=asked.get("scene"))}
        )

    return take


def _state(shop: Shop) -> Callable[[Request], Awaitable[Response]]:
    async def show(_: Request) -> Response:
        return JSONResponse(
            {
                "orders": {number: order["orderProgress"] for number, order in shop.orders.items()},
                "parcels": {
                    number: [
                        row for package in order["PackageModelList"] for row in package["ShippingModelList"]
                    ]
                    for number, order in shop.orders.items()
                },
                "stock": [shop.stock[key] for key in sorted(shop.stock)],
            }
        )

    return show


class _Faults:
    """Makes the wire fail where a test asked for it; outside of every other rule."""

    def __init__(self, app: ASGIApp, shop: Shop) -> None:
        self.app = app
        self.shop = shop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._strike(scope.get("path", "")) if scope["type"] == "http" else None
        if fault is None:
            await self.app(scope, receive, send)
        elif fault.kind == "429":
            await PlainTextResponse("busy", 429, headers={"Retry-After": "1"})(scope, receive, send)
        elif fault.kind == "500":
            await PlainTextResponse("<html>Internal Server Error</html>", 500)(scope, receive, send)
        elif fault.kind == "no_answer":
            await asyncio.sleep(fault.seconds)
            await PlainTextResponse("gateway time-out", 504)(scope, receive, send)
        else:
            await self._spoil(fault, scope, receive, send)

    def _strike(self, path: str) -> Fault | None:
        for fault in self.shop.faults:
            if fault.path in path and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    async def _spoil(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the API do its work, then keep the answer back (`lost_answer`) or cut it (`cut_body`)."""
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self.app(scope, receive, keep)
        if fault.kind == "lost_answer":
            await asyncio.sleep(fault.seconds)
        for message in kept:
            if fault.kind == "cut_body" and message["type"] == "http.response.body":
                await send(
                    {**message, "body": message["body"][: len(message["body"]) // 2], "more_body": True}
                )
            else:
                await send(message)


class Server:
    """The stand-in on a free port of this machine, in a thread: `with Server(shop) as server: server.url`.

    `app` serves instead of the shop's own (tests let one server stand before shop after shop).
    """

    def __init__(
        self,
        shop: Shop | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        app: ASGIApp | None = None,
    ) -> None:
        self.shop = shop or Shop()
        self._config = uvicorn.Config(
            app or create_app(self.shop),
            host=host,
            port=port,
            log_level="critical",
            loop="asyncio",  # uvloop is not made for several loops in one process
            lifespan="off",
            ws="none",
        )
        self._server = uvicorn.Server(self._config)
        self._thread: threading.Thread | None = None
        self.url = ""

    def __enter__(self) -> Self:
        # bound here, not in the thread: the port is known and reachable before anyone is told of it
        sock = self._config.bind_socket()
        sock.listen()
        self.url = f"http://{self._config.host}:{sock.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.run, args=([sock],), name="rakuten", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread is not None:
            self._thread.join(timeout=10)
        self.shop.close()

    def wait(self) -> None:
        """Serve until the process is told to stop."""
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout=0.5)
