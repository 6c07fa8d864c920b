"""The application: `api(hub)`, and `beside_webhooks(hub)`, what the gateway serves beside its webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.pool import QueuePool
from starlette.exceptions import HTTPException

from hub.api import changes, documents, entities, reservations, stock
from hub.api.calls import Calls
from hub.api.edge import MAX_BYTES, Edge
from hub.api.security import Guard
from hub.api.turns import Turns
from hub.engine import Hub

__all__ = ["PREFIX", "api", "beside_webhooks", "close"]

PREFIX = "/api/v1"


def api(hub: Hub, *, max_bytes: int = MAX_BYTES) -> FastAPI:
    """The API of a hub, to be mounted under `PREFIX`; `close` it when it is done with.

    Handlers are synchronous and run in threads; what they may be at once is bounded where the API is served.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    calls = Calls()
    app.state.hub, app.state.calls = hub, calls
    app.state.guard = Guard(hub.engine)
    app.state.turns = turns = Turns(hub)
    said = documents.Documents(app, version("tsunagi"))
    app.openapi = lambda: said.openapi  # type: ignore[method-assign]
    for router in (
        reservations.router(hub.engine, turns),
        stock.stock_router(hub.engine),
        changes.router(hub.engine),
        stock.hub_router(hub),
        documents.router(said),
        *_others(hub),
        entities.router(hub.engine),
    ):
        app.include_router(router)
    # errors are told by the edge, all in one way
    app.add_exception_handler(HTTPException, _on)
    app.add_exception_handler(RequestValidationError, _on)
    app.add_middleware(Edge, calls=calls, max_bytes=max_bytes)
    return app


def _others(hub: Hub) -> list[Any]:
    """Routers of other rooms. A room adds a function `router(hub) -> APIRouter` and a line here; its routes are guarded
    by `requires(...)` of hub/api/security.py and described by their own answers.
    """
    # that room knows our security, so it is not imported above
    from hub.subscribers.api import router as subscribers

    return [subscribers(hub)]


async def _on(_request: Request, error: Exception) -> Any:
    raise error


def close(app: FastAPI) -> None:
    """Let what goes on beside the calls end, and write down when keys were used."""
    app.state.turns.close()
    app.state.guard.close()


def beside_webhooks(hub: Hub) -> FastAPI:
    """What the gateway serves beside its webhooks: the API, with no more threads than the engine has connections."""
    mounted = api(hub)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        pool = hub.engine.pool
        if isinstance(pool, QueuePool):
            anyio.to_thread.current_default_thread_limiter().total_tokens = max(2, pool.size())
        yield
        await anyio.to_thread.run_sync(close, mounted)

    app = FastAPI(title="Tsunagi", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.mount(PREFIX, mounted)
    app.state.metrics = mounted.state.calls.text
    app.state.mounted = {PREFIX: mounted}
    return app
