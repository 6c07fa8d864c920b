"""The stand-in as an ASGI app, and a server around it for tests and the demo.

As at the vendor: version and token first, then the query is read and priced, the bucket asked, the schema held
against it, and only then it is carried out.
"""

from __future__ import annotations

import asyncio
import json
import threading
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.shopify.clock import number_of
from sandbox.shopify.cost import DEAREST, actual_cost, requested_cost
from sandbox.shopify.courier import Courier, Subscription
from sandbox.shopify.graph import GraphProblem, Operation, read_operation, run
from sandbox.shopify.order_writing import OrderWriting
from sandbox.shopify.reading import Reading
from sandbox.shopify.schema import answer_faults, input_faults, request_faults
from sandbox.shopify.shop import Fault, Shop
from sandbox.shopify.stock_writing import StockWriting
from sandbox.shopify.writing import GoodsWriting, PeopleWriting

__all__ = ["Server", "answer", "create_app"]

_DOCUMENTATION = "https://shopify.dev/api/usage/rate-limits"


def create_app(shop: Shop) -> ASGIApp:
    """The Admin API over `shop`, and `/_sandbox/` for whoever drives the stand-in from outside."""

    async def graphql(request: Request) -> Response:
        version = _version(shop, request.path_params["version"])
        if version is None:
            return JSONResponse({"errors": "Not Found"}, 404)
        if request.headers.get("x-shopify-access-token") != shop.access_token:
            text = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return JSONResponse({"errors": text}, 401)
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return JSONResponse({"errors": "Unsupported media type"}, 415)
        try:
            body = json.loads(await request.body())
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return JSONResponse({"errors": "Required parameter missing or invalid"}, 400)
        said = await run_in_threadpool(answer, shop, version, body)
        return JSONResponse(said, headers={"X-Shopify-API-Version": version})

    api = Starlette(
        routes=[
            Route("/admin/api/{version}/graphql.json", graphql, methods=["POST"]),
            Route("/_sandbox/orders", _new_orders(shop), methods=["POST"]),
            Route("/_sandbox/webhooks", _subscribe(shop), methods=["POST"]),
            Route("/_sandbox/faults", _add_faults(shop), methods=["POST"]),
            Route("/_sandbox/state", _state(shop), methods=["GET"]),
        ]
    )
    return _Faults(api, shop)


def _version(shop: Shop, asked: str) -> str | None:
    """The version that answers: one that has ended falls forward to the oldest that is still there."""
    if asked in shop.versions:
        return asked
    oldest = min(shop.versions)
    well_formed = len(asked) == 7 and asked[4:] in ("-01", "-04", "-07", "-10") and asked[:4].isdigit()
    return oldest if well_formed and asked < oldest else None


def answer(shop: Shop, version: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON answer to a GraphQL request's body."""
    name = body.get("operationName")
    with shop.lock:
        shop.tick()
        operation: Operation | None = None
        cost = 0
        try:
            operation = read_operation(body.get("query"), name, body.get("variables"))
            cost = requested_cost(operation)
            if cost > DEAREST:
                raise GraphProblem(
                    f"Query cost is {cost}, which exceeds the single query max cost limit ({DEAREST}).",
                    "MAX_COST_EXCEEDED", cost=cost, maxCost=DEAREST, documentation=_DOCUMENTATION,
                )  # fmt: skip
            if cost > shop.bucket.available():
                raise GraphProblem("Throttled", "THROTTLED", documentation=_DOCUMENTATION)
            _hold_request(shop, version, operation, body)
            shop.calls.append(str(name))
            data = run(operation, _root(shop, version, operation))
        except GraphProblem as problem:
            return {"errors": [problem.as_error()], "extensions": _cost(shop, cost, None)}
        spent = actual_cost(operation)
        shop.bucket.take(spent)
        if shop.held_against_schema:
            faults = answer_faults(version, operation.document, data, dict(operation.variables), name)
            if faults:
                raise AssertionError(f"the stand-in answers {name} against the vendor's schema: {faults[:3]}")
        return {"data": data, "extensions": _cost(shop, cost, spent)}


def _hold_request(shop: Shop, version: str, operation: Operation, body: dict[str, Any]) -> None:
    if not shop.held_against_schema:
        return
    faults = request_faults(version, str(body["query"]))
    if faults:
        raise GraphProblem(faults[0], "undefinedField")
    wrong = input_faults(
        version, operation.document, body.get("operationName"), dict(body.get("variables") or {})
    )
    if wrong:
        raise GraphProblem(wrong[0], "INVALID_VARIABLE")


def _root(shop: Shop, version: str, operation: Operation) -> dict[str, Any]:
    reading = Reading(shop)
    if not operation.mutation:
        return reading.root
    goods, people = GoodsWriting(reading), PeopleWriting(reading)
    stock, orders = StockWriting(reading, version), OrderWriting(reading)
    return {
        "productSet": goods.product_set,
        "metafieldsSet": goods.metafields_set,
        "customerSet": people.customer_set,
        "customerAddressCreate": people.address_create,
        "customerEmailMarketingConsentUpdate": people.email_consent,
        "inventorySetQuantities": stock.set_quantities,
        "inventoryActivate": stock.activate,
        "fulfillmentCreate": orders.fulfillment_create,
        "fulfillmentTrackingInfoUpdate": orders.tracking_update,
        "orderCancel": orders.order_cancel,
    }


def _cost(shop: Shop, requested: int, actual: int | None) -> dict[str, Any]:
    return {
        "cost": {
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": shop.bucket.status(),
        }
    }


# ---------------------------------------------------------------- driving it from outside


def _new_orders(shop: Shop) -> Any:
    async def take(request: Request) -> Response:
        asked = json.loads(await request.body() or b"{}")
        if "sku" in asked:
            order = shop.sell(asked["sku"], int(asked.get("units", 1)))
            return JSONResponse({"orders": [order["name"]] if order else []}, 200 if order else 409)
        return JSONResponse(
            {"orders": shop.take_orders(int(asked.get("count", 1)), scene=asked.get("scene"))}
        )

    return take


def _subscribe(shop: Shop) -> Any:
    async def add(request: Request) -> Response:
        if not isinstance(shop.tell, Courier):
            return JSONResponse({"error": "this stand-in was started without a courier"}, 409)
        asked = json.loads(await request.body())
        secret = asked.get("secret", shop.webhook_secret)
        shop.tell.subscriptions.append(Subscription(asked["url"], secret, tuple(asked.get("topics", ()))))
        return JSONResponse({"subscriptions": len(shop.tell.subscriptions)})

    return add


def _add_faults(shop: Shop) -> Any:
    async def add(request: Request) -> Response:
        shop.faults.extend(Fault(**one) for one in json.loads(await request.body()))
        return JSONResponse({"faults": len(shop.faults)})

    return add


def _state(shop: Shop) -> Any:
    async def show(_: Request) -> Response:
        with shop.lock:
            skus = {one["inventoryItem"]["id"]: one["sku"] for one in shop.variants.values()}
            stock = [
                {
                    "sku": skus.get(item), "location": shop.places[place]["name"], "available": level.available,
                    "committed": level.committed, "on_hand": level.on_hand,
                }
                for (item, place), level in shop.levels.items()
            ]  # fmt: skip
            orders = {
                order["name"]: {
                    "id": number_of(order["id"]),
                    "financial": order["displayFinancialStatus"],
                    "fulfilment": order["displayFulfillmentStatus"],
                    "cancelled": order["cancelledAt"],
                    "lines": {line["sku"]: line["currentQuantity"] for line in order["lineItems"]},
                    "parcels": [
                        [i["number"] for i in made["trackingInfo"]] for made in order["fulfillments"]
                    ],
                }
                for order in shop.orders.values()
            }
        return JSONResponse({"stock": stock, "orders": orders})

    return show


class _Faults:
    """Makes the wire fail where a test asked for it; outside of every other rule."""

    def __init__(self, app: ASGIApp, shop: Shop) -> None:
        self.app = app
        self.shop = shop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self.shop.faults or "/admin/api/" not in scope.get("path", ""):
            await self.app(scope, receive, send)
            return
        body, replay = await _taken(receive)
        fault = self._strike(body)
        if fault is None:
            await self.app(scope, replay, send)
        elif fault.kind == "429":
            await PlainTextResponse("busy", 429, headers={"Retry-After": "1"})(scope, replay, send)
        elif fault.kind == "500":
            await PlainTextResponse("<html>Internal Server Error</html>", 500)(scope, replay, send)
        elif fault.kind == "throttled":
            self.shop.bucket.empty()
            await self.app(scope, replay, send)
        elif fault.kind == "internal":
            error = {"message": "Internal error. Looks like something went wrong on our end.",
                     "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": "sandbox"}}  # fmt: skip
            await JSONResponse({"errors": [error]})(scope, replay, send)
        elif fault.kind == "no_answer":
            await asyncio.sleep(fault.seconds)
            await PlainTextResponse("gateway time-out", 504)(scope, replay, send)
        else:
            await self._spoil(fault, scope, replay, send)

    def _strike(self, body: bytes) -> Fault | None:
        try:
            name = str(json.loads(body).get("operationName"))
        except (ValueError, AttributeError):
            name = ""
        for fault in self.shop.faults:
            if fault.operation in name and fault.times > 0 and self.shop.dice.random() < fault.chance:
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


async def _taken(receive: Receive) -> tuple[bytes, Receive]:
    """The request's body, and a `receive` that gives it once more."""
    messages: list[Message] = []
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    waiting = list(messages)

    async def replay() -> Message:
        return waiting.pop(0) if waiting else await receive()

    return b"".join(m.get("body", b"") for m in messages), replay


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
        self._thread = threading.Thread(target=self._server.run, args=([sock],), name="shopify", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread is not None:
            self._thread.join(timeout=10)

    def wait(self) -> None:
        """Serve until the process is told to stop."""
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout=0.5)
