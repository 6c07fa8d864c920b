"""`GET /stock/{sku}`: what channels may sell of a SKU, term by term; `/key` and `/status`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import Engine, text

from hub.api.describe import answers
from hub.api.entities import envelope, json_answer, utc
from hub.api.kinds import EntityKey, Plain
from hub.api.problems import Problem
from hub.api.security import Caller, not_allowed, requires
from hub.engine import Hub
from hub.logs import mask
from hub.words import Words

__all__ = ["hub_router", "stock_router"]

# first whether the SKU waits for a turn: read the other way round, a turn in between would make an old number look new
_PENDING = text("SELECT EXISTS (SELECT FROM stock_dirty WHERE sku = :sku)")
_SHOWN = text("""
    SELECT key, version, updated_at, deleted_at, content::text AS content, content ->> 'channel' AS channel
    FROM entity WHERE kind = 'sellable' AND content ? 'sku' AND content ->> 'sku' = :sku AND deleted_at IS NULL
    ORDER BY key
""")


def stock_router(engine: Engine) -> APIRouter:
    """The route of stock."""
    routes = APIRouter(tags=["stock"])

    @routes.get(
        "/stock/{sku:path}", operation_id="stock", summary="販売可能数と内訳 / What channels may sell, term by term",
        description="最後の計算の結果。今取れるかは取り置くとわかる。reserve だけの鍵はそのチャネルの分だけ / "
        "As of "
        "the last time it was worked out; whether units can be had now, a reservation tells. With the scope reserve "
        "only what its channels may sell.",
        responses=answers("StockOfSku", "not_found"),
        openapi_extra={"security": [{"key": ["read:sellable"]}, {"key": ["reserve"]}]},
    )  # fmt: skip
    def stock(
        sku: EntityKey,
        caller: Annotated[Caller, Depends(_anyone)],
        channel: Annotated[Plain | None, Query(description="このチャネルだけ / only this channel")] = None,
    ) -> Response:
        return json_answer(_stock(engine, caller, sku, channel))

    return routes


_anyone = requires()


def _stock(engine: Engine, caller: Caller, sku: str, channel: str | None) -> dict[str, Any]:
    every = caller.may_read("sellable")
    if not every:
        if channel is not None:
            caller.must(f"reserve:{channel}")
        elif not any(scope.startswith("reserve") for scope in caller.scopes):
            raise not_allowed("read:sellable", "reserve")
    with engine.connect() as connection:
        pending = bool(connection.scalar(_PENDING, {"sku": sku}))
        rows = connection.execute(_SHOWN, {"sku": sku}).all()
    shown = [
        envelope("sellable", row)
        for row in rows
        if channel in (None, row.channel) and (every or caller.may(f"reserve:{row.channel}"))
    ]
    if not shown:
        raise Problem(
            "not_found",
            Words(
                "このSKUはどのチャネルにも販売可能数がありません。", "No channel has a number for this SKU."
            ),
        )
    return {"sku": sku, "pending": pending, "channels": shown}


def hub_router(hub: Hub) -> APIRouter:
    """How the hub is doing, and what the caller's key is."""
    routes = APIRouter(tags=["hub"])

    @routes.get(
        "/key", operation_id="key", summary="この鍵の権限 / What this key may", responses=answers("KeyInfo"),
    )  # fmt: skip
    def key(caller: Annotated[Caller, Depends(_anyone)]) -> Response:
        return json_answer({
            "id": caller.key_id, "name": caller.name, "scopes": sorted(caller.scopes), "kinds": caller.kinds,
            "expires_at": None if caller.expires_at is None else utc(caller.expires_at),
        })  # fmt: skip

    @routes.get(
        "/status", operation_id="status", summary="フロー・ジョブ・API残量の状態 / Flows, jobs and rate budgets",
        responses=answers("Status"), openapi_extra={"security": [{"key": ["admin"]}]},
    )  # fmt: skip
    def status(caller: Annotated[Caller, Depends(_admin)]) -> Response:  # noqa: ARG001
        return json_answer({
            "flows": [_masked(one.as_dict()) for one in hub.status()],
            "jobs": [_masked(one.as_dict()) for one in hub.job_statuses()],
            "budgets": [one.as_dict() for one in hub.budget_statuses()],
        })  # fmt: skip

    return routes


_admin = requires("admin")


def _masked(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "error": None if content["error"] is None else mask("error", content["error"])}
