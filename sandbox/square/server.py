"""The stand-in as an ASGI app, and a server around it for tests and the demo.

Faults strike first; then token, version, permission, media type and request rate are looked at, and only then
the API itself.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.rakuten.rate import Rate
from sandbox.square import catalog_api, customer_api, inventory_api, order_api
from sandbox.square.answers import Refusal, no
from sandbox.square.driving import driving
from sandbox.square.faults import Faults
from sandbox.square.seller import Row, Seller

__all__ = ["Server", "create_app"]

Handler = Callable[[Seller, Any], Row]

_WRITES: tuple[tuple[str, str, Handler], ...] = (
    ("/v2/catalog/search", "ITEMS_READ", catalog_api.search),
    ("/v2/catalog/batch-retrieve", "ITEMS_READ", catalog_api.batch_retrieve),
    ("/v2/catalog/batch-upsert", "ITEMS_WRITE", catalog_api.batch_upsert),
    ("/v2/inventory/changes/batch-create", "INVENTORY_WRITE", inventory_api.batch_change),
    ("/v2/inventory/changes/batch-retrieve", "INVENTORY_READ", inventory_api.retrieve_changes),
    ("/v2/inventory/counts/batch-retrieve", "INVENTORY_READ", inventory_api.retrieve_counts),
    ("/v2/orders/search", "ORDERS_READ", order_api.search_orders),
    ("/v2/orders/batch-retrieve", "ORDERS_READ", order_api.retrieve_orders),
    ("/v2/customers/search", "CUSTOMERS_READ", customer_api.search),
    ("/v2/customers/bulk-retrieve", "CUSTOMERS_READ", customer_api.bulk_retrieve),
    ("/v2/customers/bulk-create", "CUSTOMERS_WRITE", customer_api.bulk_create),
    ("/v2/customers/bulk-update", "CUSTOMERS_WRITE", customer_api.bulk_update),
)
_MONEY_QUERY = (
    "begin_time end_time sort_order cursor location_id total last_4 card_brand limit updated_at_begin_time"
    " updated_at_end_time sort_field status source_type"
)
_READS: tuple[tuple[str, str, Handler, str], ...] = (
    ("/v2/catalog/list", "ITEMS_READ", catalog_api.list_catalog, "cursor types catalog_version"),
    ("/v2/locations", "MERCHANT_PROFILE_READ", order_api.list_locations, ""),
    ("/v2/payments", "PAYMENTS_READ", order_api.list_payments, _MONEY_QUERY),
    ("/v2/refunds", "PAYMENTS_READ", order_api.list_refunds, _MONEY_QUERY),
    (
        "/v2/customers",
        "CUSTOMERS_READ",
        customer_api.list_customers,
        "cursor limit sort_field sort_order count",
    ),
)


def create_app(seller: Seller) -> ASGIApp:
    """Square's paths over `seller`, and `/_sandbox/` for whoever drives the stand-in from outside."""
    desk = _Desk(seller)
    api = Starlette(
        routes=[
            *(desk.post(*each) for each in _WRITES),
            *(desk.get(*each) for each in _READS),
            desk.one("/v2/payments/{wanted}", "PAYMENTS_READ", order_api.one_payment),
            desk.one("/v2/refunds/{wanted}", "PAYMENTS_READ", order_api.one_refund),
            *driving(seller),
        ],
        exception_handlers={HTTPException: _unknown},
    )
    api.router.redirect_slashes = False
    return Faults(api, seller)


class _Desk:
    """Looks at a request before its handler does, and turns refusals into answers."""

    def __init__(self, seller: Seller) -> None:
        self.seller = seller
        self._rate = Rate()

    def post(self, path: str, permission: str, handler: Handler) -> Route:
        """A call with a JSON body."""

        async def asked(request: Request) -> Any:
            return await _json(request)

        return self._route(path, "POST", permission, handler, asked)

    def get(self, path: str, permission: str, handler: Handler, known: str) -> Route:
        """A call with a query; names that are not `known` are refused."""

        async def asked(request: Request) -> Any:
            for name in request.query_params.keys() - set(known.split()):
                raise no("UNKNOWN_QUERY_PARAMETER", f"`{name}` is not known.", name)
            return dict(request.query_params)

        return self._route(path, "GET", permission, handler, asked)

    def one(self, path: str, permission: str, handler: Handler) -> Route:
        """A call for one thing by the id in its path."""

        async def asked(request: Request) -> Any:
            return request.path_params["wanted"]

        return self._route(path, "GET", permission, handler, asked)

    def _route(
        self,
        path: str,
        method: str,
        permission: str,
        handler: Handler,
        read: Callable[[Request], Awaitable[Any]],
    ) -> Route:
        async def run(request: Request) -> Response:
            try:
                self._let_in(request, permission)
                asked = await read(request)
                # written out under the lock: a register selling meanwhile must not change what is being told
                with self.seller.lock:
                    self.seller.calls.append((request.url.path, asked))
                    return JSONResponse(handler(self.seller, asked))
            except Refusal as refusal:
                return refusal.answer()

        return Route(path, run, methods=[method])

    def _let_in(self, request: Request, permission: str) -> None:
        seller = self.seller
        entry: dict[str, Any] = {"category": "AUTHENTICATION_ERROR"}
        if request.headers.get("authorization") != f"Bearer {seller.access_token}":
            raise no("UNAUTHORIZED", "This request could not be authorized.", status=401, **entry)
        version = request.headers.get("square-version")
        if version is None and seller.version_required:
            raise no("BAD_REQUEST", "Pin the API version: the header Square-Version is missing.")
        if version is not None and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", version):
            raise no("INVALID_SQUARE_VERSION_FORMAT", f"`{version}` is no version.")
        if permission not in seller.permissions:
            raise no("INSUFFICIENT_SCOPES", f"The merchant has not given {permission}.", status=403, **entry)
        if not self._rate.allows("all", seller.limits.per_second, seller.limits.pace):
            seller.refused += 1
            raise no("RATE_LIMITED", "Too many requests.", status=429, category="RATE_LIMIT_ERROR")


async def _json(request: Request) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise no("UNSUPPORTED_MEDIA_TYPE", f"`{kind}` is not supported.", status=415)
    try:
        return json.loads(await request.body())
    except ValueError:
        raise no("EXPECTED_JSON_BODY", "The request body is no JSON.") from None


async def _unknown(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(status, "BAD_REQUEST")
    return no(code, "Resource not found." if status == 404 else "Not allowed.", status=status).answer()


class Server:
    """The stand-in on a free port of this machine, in a thread: `with Server(seller) as server: server.url`.

    `app` serves instead of the seller's own (tests let one server stand before seller after seller).
    """

    def __init__(
        self,
        seller: Seller | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        app: ASGIApp | None = None,
    ) -> None:
        self.seller = seller or Seller()
        self._config = uvicorn.Config(
            app or create_app(self.seller),
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
        self._thread = threading.Thread(target=self._server.run, args=([sock],), name="square", daemon=True)
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
