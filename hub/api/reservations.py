"""`/reservations`: a claim on units, for own shops and registers, on `hub.stock.reservations`."""

from __future__ import annotations

from asyncio import wrap_future
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool

from hub.api.describe import answers
from hub.api.entities import json_answer, utc
from hub.api.kinds import EntityKey, Plain
from hub.api.problems import Problem
from hub.api.security import Caller, not_allowed, requires
from hub.api.turns import Turns
from hub.stock.claims import Claim
from hub.stock.queues import queues_of
from hub.stock.reservations import (
    LONGEST,
    NotEnough,
    NotReservable,
    ReservationClosed,
    Reserved,
    confirm,
    release,
    reserved,
)
from hub.words import Words

__all__ = ["ReservationKey", "router"]

MOST = 1_000_000
"""Units of one reservation."""
NO_STORE = {"cache-control": "no-store"}

ReservationKey = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


class Wanted(BaseModel):
    """What is to be reserved."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sku: Annotated[
        Plain,
        Field(min_length=1, description="SKU。セット品なら構成品を押さえる / of a kit its parts are taken"),
    ]
    quantity: Annotated[int, Field(ge=1, le=MOST, description="個数 / units")]
    channel: Annotated[Plain, Field(min_length=1, description="売るチャネル / the channel that sells them")]
    location: Annotated[Plain | None, Field(
        min_length=1, description="この拠点からだけ(店舗受取) / only from this location (pickup)"
    )] = None  # fmt: skip
    order_key: Annotated[EntityKey | None, Field(
        description="すでに受注があるとき。確定した取り置きになり、受注が届くまで期限なし / "
        "the order, if there is one: "
        "confirmed at once, stands until the order comes"
    )] = None  # fmt: skip
    expires_in: Annotated[int, Field(
        ge=1, le=int(LONGEST.total_seconds()), description="有効期間(秒) / seconds it holds"
    )] = 900  # fmt: skip


class Ordered(BaseModel):
    """The buyer has ordered."""

    model_config = ConfigDict(extra="forbid", strict=True)

    order_key: Annotated[
        EntityKey, Field(description="受注のキー 「チャネル/番号」 / key of the order, channel/number")
    ]


def router(engine: Engine, turns: Turns) -> APIRouter:
    """The routes of reservations."""
    routes = APIRouter(prefix="/reservations", tags=["reservations"])
    desk = _Desk(engine, turns)
    scope: dict[str, Any] = {"security": [{"key": ["reserve"]}]}

    @routes.post(
        "", operation_id="reserve", summary="取り置く / Reserve",
        description="在庫より多くは決して取り置かない。同じ Idempotency-Key の再送には同じ取り置きを返す / "
        "Never more than "
        "there is. Sent again with the same Idempotency-Key, the same reservation is answered, nothing is taken twice.",
        responses=answers(
            "HeldUnits", "bad_json", "not_enough", "reservation_ended", "not_reservable", "key_reused", "too_large",
            "bad_media_type", "store_down",
        ),
        openapi_extra=scope,
    )  # fmt: skip
    async def make(
        wanted: Wanted,
        idempotency_key: Annotated[str, Header(
            min_length=1, max_length=202, pattern=r"^[\x21-\x7e]+$",
            description="この取り置きのキー(UUIDなど、200字まで) / the key of this reservation (a UUID, say)",
        )],
        caller: Annotated[Caller, Depends(_may_reserve)],
    ) -> Response:  # fmt: skip
        caller.must(f"reserve:{wanted.channel}")
        return _answer(await desk.make(_unquoted(idempotency_key), wanted))

    @routes.get(
        "/{key:path}", operation_id="reservation", summary="取り置きを取得 / Read a reservation",
        responses=answers("HeldUnits", "not_found"), openapi_extra=scope,
    )  # fmt: skip
    def one(key: ReservationKey, caller: Annotated[Caller, Depends(_may_reserve)]) -> Response:
        return _answer(desk.one(key, caller))

    @routes.post(
        "/{key:path}/confirm", operation_id="confirmReservation", summary="受注に結びつける / Confirm for an order",
        description="受注が届くまで期限なしで押さえ、届いたら受注に引き継ぐ。繰り返してもよい / Stands until the order "
        "comes, then the order counts. May be repeated.",
        responses=answers("HeldUnits", "bad_json", "not_found", "reservation_ended", "too_large", "bad_media_type"),
        openapi_extra=scope,
    )  # fmt: skip
    def settle(
        key: ReservationKey, ordered: Ordered, caller: Annotated[Caller, Depends(_may_reserve)]
    ) -> Response:
        return _answer(desk.confirm(key, ordered.order_key, caller))

    @routes.post(
        "/{key:path}/release", operation_id="releaseReservation", summary="取り置きをやめる / Release",
        description="数を返す。繰り返してもよい / Gives the units back. May be repeated.",
        responses=answers("HeldUnits", "not_found", "reservation_ended"), openapi_extra=scope,
    )  # fmt: skip
    def give_back(key: ReservationKey, caller: Annotated[Caller, Depends(_may_reserve)]) -> Response:
        return _answer(desk.release(key, caller))

    return routes


_anyone = requires()


async def _may_reserve(request: Request) -> Caller:
    """For some channel at least; for which, the call itself says."""
    caller = await _anyone(request)
    if not any(caller.may(scope) for scope in ("reserve", *caller.scopes) if scope.startswith("reserve")):
        raise not_allowed("reserve")
    return caller


class _Desk:
    """What the routes do."""

    def __init__(self, engine: Engine, turns: Turns) -> None:
        self._engine = engine
        self._queues = queues_of(engine)
        self._turns = turns

    async def make(self, key: str, wanted: Wanted) -> Reserved:
        """No thread waits for it: callers of one SKU are decided for together, hundreds at a time."""
        try:
            held = await self._take(
                Claim(
                    wanted.sku, wanted.quantity, wanted.channel, timedelta(seconds=wanted.expires_in), wanted.location,
                    key,
                )
            )  # fmt: skip
        except NotEnough as error:
            raise Problem("not_enough", error.words, available=error.left) from None
        except NotReservable as error:
            raise Problem("not_reservable", error.words) from None
        except ReservationClosed as error:
            raise Problem("key_reused", error.words) from None
        if held.location != wanted.location:
            raise Problem("key_reused")
        if held.state not in ("open", "confirmed", "ordered"):
            # a repetition that comes too late must not look like units in hand
            raise _ended(held)
        if wanted.order_key is not None and held.order_key != wanted.order_key:
            if held.state != "open":
                raise Problem("key_reused")
            return await run_in_threadpool(self._confirm, key, wanted.order_key)
        self._turns.soon()
        return held

    async def _take(self, claim: Claim) -> Reserved:
        try:
            return await wrap_future(self._queues.ask(claim))
        except NotEnough as error:
            if not error.stale:
                raise
        await run_in_threadpool(self._turns.catch_up)
        return await wrap_future(self._queues.ask(claim))

    def one(self, key: str, caller: Caller) -> Reserved:
        with self._engine.connect() as connection:
            try:
                held = reserved(connection, key)
            except ReservationClosed as error:
                raise Problem("not_found", Words(error.ja, error.en)) from None
        if not caller.may(f"reserve:{held.channel}"):
            raise Problem("not_found")  # another channel's reservations are none of its business
        return held

    def confirm(self, key: str, order_key: str, caller: Caller) -> Reserved:
        held = self.one(key, caller)
        if held.state in ("confirmed", "ordered") and held.order_key == order_key:
            return held
        if held.state == "confirmed":
            raise Problem(
                "conflict",
                Words("すでに別の受注に結びついています。", "It is confirmed for another order already."),
                reservation=_content(held),
            )
        return self._confirm(key, order_key)

    def _confirm(self, key: str, order_key: str) -> Reserved:
        try:
            with self._engine.begin() as connection:
                held = confirm(connection, key, order_key)
        except ReservationClosed:
            with self._engine.connect() as connection:
                raise _ended(reserved(connection, key)) from None
        self._turns.soon()
        return held

    def release(self, key: str, caller: Caller) -> Reserved:
        held = self.one(key, caller)
        if held.state == "released":
            return held
        try:
            with self._engine.begin() as connection:
                held = release(connection, key)
        except ReservationClosed:
            held = self.one(key, caller)
            if held.state != "released":
                raise _ended(held) from None
        self._turns.soon()
        return held


def _ended(held: Reserved) -> Problem:
    return Problem(
        "reservation_ended",
        Words(f"この取り置きは終わっています({held.state})。", f"This reservation has ended ({held.state})."),
        reservation=_content(held),
    )


def _unquoted(key: str) -> str:
    """The draft of the header wants quotes, most senders leave them out."""
    bare = key[1:-1] if len(key) > 2 and key[0] == key[-1] == '"' else key
    if len(bare) > 200:
        raise Problem(
            "invalid",
            Words("Idempotency-Key は200字までです。", "An Idempotency-Key has 200 characters at most."),
        )
    return bare


def _content(held: Reserved) -> dict[str, Any]:
    ends = None if held.expires_at is None else utc(held.expires_at)
    return {
        "key": held.key, "sku": held.sku, "quantity": held.quantity, "channel": held.channel, "state": held.state,
        "expires_at": ends, "location": held.location, "order_key": held.order_key,
    }  # fmt: skip


def _answer(held: Reserved) -> Response:
    return json_answer(_content(held), NO_STORE)
