"""`GET /changes`: the change feed, without gaps, to the last decided row; it can be waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Engine, text
from starlette.concurrency import run_in_threadpool

from canonical_model import ENTITIES
from hub.api.cursors import feed_cursor, feed_position
from hub.api.describe import answers
from hub.api.entities import NO_STORE, envelope, json_answer, utc
from hub.api.kinds import LIMIT, Plain
from hub.api.problems import Problem
from hub.api.security import Caller, requires
from hub.feed import FeedPosition, horizon
from hub.words import Words

__all__ = ["LONGEST", "WAITERS", "Changes", "Newest", "router"]

LONGEST = 25
"""Seconds a call may wait."""
WAITERS = 200
"""Calls of one process that may wait at once; others are answered at once."""
LOOK = 0.4
"""Seconds between two looks at the feed while somebody waits, however many do."""
NOW = "now"
_END = 2**63 - 1
_ABOUT = (
    "確定した変更を、抜けなく、順に。同じ cursor からは何度でも読める。2回変わったものは2回現れる。始めるときは "
    "after=now の cursor を取り、全件を検索し、その cursor から続ける / "
    "Decided changes in order, without gaps; a cursor may be read from again. What changed twice comes twice. "
    "To begin, take the cursor of after=now, search everything, go on from there."
)
_allowed = requires("changes")

_READ = """
    WITH next AS (
        SELECT n.* FROM unnest(CAST(:kinds AS text[])) AS k(kind), LATERAL (
            SELECT xid, seq, entity_id, kind, version, system, deleted, at FROM change_feed AS f
            WHERE f.kind = k.kind AND (f.xid, f.seq) > (:xid, :seq) AND f.xid < :below
            ORDER BY f.xid, f.seq LIMIT :limit
        ) AS n ORDER BY n.xid, n.seq LIMIT :limit
    )
    SELECT n.xid, n.seq, n.kind, n.version AS changed_to, n.system, n.deleted, n.at, e.key{columns}
    FROM next AS n LEFT JOIN entity AS e ON e.id = n.entity_id ORDER BY n.xid, n.seq
"""
_WITHOUT = text(_READ.format(columns=""))
_WITH = text(_READ.format(
    columns=", e.version, e.updated_at, e.deleted_at,"
    " CASE WHEN e.deleted_at IS NULL THEN e.content::text END AS content"
))  # fmt: skip
_NEWEST = text("SELECT xid, seq FROM change_feed WHERE xid < :below ORDER BY xid DESC, seq DESC LIMIT 1")


class Asked(BaseModel):
    """The query of `GET /changes`."""

    model_config = ConfigDict(extra="forbid")

    after: Annotated[Plain | None, Field(
        description="前の答えの cursor。省略すると最初から、now なら今から / `cursor` of the answer before; without it "
        "from the beginning, `now`: from this moment on"
    )] = None  # fmt: skip
    kinds: Annotated[Plain | None, Field(
        max_length=1000, description="種類をカンマ区切りで。省略すると鍵で読めるすべて / kinds, separated by commas; "
        "without it all the key may read"
    )] = None  # fmt: skip
    limit: Annotated[int, Field(ge=1, le=LIMIT, description="最大件数 / most changes in one answer")] = 100
    content: Annotated[bool, Field(description="今の内容も付ける / also what each entity is now")] = False
    wait: Annotated[int, Field(
        ge=0, le=LONGEST, description="何もなければ最大この秒数待つ / seconds to wait when there is nothing"
    )] = 0  # fmt: skip


class Newest:
    """The last decided row of the feed, looked at by one task for all who wait."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._looking: asyncio.Task[FeedPosition] | None = None
        self._at = 0.0
        self.waiting = 0

    async def look(self) -> FeedPosition:
        """The position, not older than `LOOK` seconds."""
        old = self._looking
        if (
            old is None
            or old.get_loop() is not asyncio.get_running_loop()
            or (old.done() and time.monotonic() - self._at >= LOOK)
        ):
            self._at = time.monotonic()
            self._looking = old = asyncio.create_task(run_in_threadpool(self._read), name="newest change")
        return await asyncio.shield(old)

    def _read(self) -> FeedPosition:
        with self._engine.begin() as connection:
            below = horizon(connection)
        with self._engine.connect() as connection:
            row = connection.execute(_NEWEST, {"below": below}).one_or_none()
        return FeedPosition() if row is None else FeedPosition(row.xid, row.seq)


class Changes:
    """The feed as one caller asks for it."""

    def __init__(self, engine: Engine, kinds: Sequence[str], asked: Asked) -> None:
        self._engine = engine
        self._kinds = list(kinds)
        self._asked = asked
        self.position = FeedPosition()
        self.after_now = asked.after == NOW
        if asked.after is not None and not self.after_now:
            self.position = feed_position(asked.after)

    def read(self) -> dict[str, Any]:
        """What changed behind the position, which moves on. Raises a Problem (410) for a position yet to come."""
        with self._engine.begin() as connection:
            below = horizon(connection)
        if self.after_now:
            self.after_now = False
            self.position = FeedPosition(max(below - 1, 0), _END)
        elif self.position.xid >= below and self._too_far(self.position):
            raise Problem("cursor_ahead")
        with self._engine.connect() as connection:
            return self._page(connection, below)

    def _too_far(self, position: FeedPosition) -> bool:
        """Whether no transaction has that number yet: a cursor never lies there, unless the database was set back."""
        with self._engine.connect() as connection:
            newest = connection.scalar(text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"))
        return position.xid >= int(newest or 0)

    def _page(self, connection: Connection, below: int) -> dict[str, Any]:
        asked = self._asked
        rows = connection.execute(
            _WITH if asked.content else _WITHOUT,
            {"kinds": self._kinds, "xid": self.position.xid, "seq": self.position.seq, "below": below,
             "limit": asked.limit},
        ).all()  # fmt: skip
        if rows:
            self.position = FeedPosition(rows[-1].xid, rows[-1].seq)
        changes = []
        for row in rows:
            if row.key is None:  # erased since, and nothing of it is to be told
                continue
            change = {
                "kind": row.kind, "key": row.key, "version": row.changed_to, "deleted": row.deleted,
                "system": row.system, "at": utc(row.at),
            }  # fmt: skip
            if asked.content:
                change["entity"] = envelope(row.kind, row)
            changes.append(change)
        return {"changes": changes, "cursor": feed_cursor(self.position), "more": len(rows) == asked.limit}


def router(engine: Engine) -> APIRouter:
    """The route of the change feed."""
    routes = APIRouter(tags=["changes"])
    newest = Newest(engine)

    @routes.get(
        "/changes", operation_id="changes", summary="変更フィード / Change feed",
        description=_ABOUT,
        responses=answers("Changes", "bad_cursor", "cursor_ahead"),
        openapi_extra={"security": [{"key": ["changes"]}]},
    )  # fmt: skip
    async def changes(
        request: Request, asked: Annotated[Asked, Query()], caller: Annotated[Caller, Depends(_allowed)]
    ) -> Response:
        feed = Changes(engine, kinds_of(asked, caller), asked)
        seen = await newest.look() if asked.wait else FeedPosition()
        found = await run_in_threadpool(feed.read)
        if asked.wait and not found["changes"] and newest.waiting < WAITERS:
            newest.waiting += 1
            try:
                found = await _wait(request, feed, newest, seen, found, asked.wait)
            finally:
                newest.waiting -= 1
        return json_answer(found, NO_STORE)

    return routes


async def _wait(
    request: Request, feed: Changes, newest: Newest, seen: FeedPosition, found: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Until there is something, or the time is over. No connection and no thread is held meanwhile."""
    until = time.monotonic() + seconds
    while not found["changes"] and (left := until - time.monotonic()) > 0:
        await asyncio.sleep(min(LOOK, left))
        now = await newest.look()
        if now != seen:
            seen = now
            found = await run_in_threadpool(feed.read)
        elif await request.is_disconnected():
            break
    return found


def kinds_of(asked: Asked, caller: Caller) -> Sequence[str]:
    """The kinds that are asked for. Raises a Problem (422, 403)."""
    if asked.kinds is None:
        if not caller.kinds:
            caller.must("read:*")
        return caller.kinds
    kinds = sorted({kind.strip() for kind in asked.kinds.split(",") if kind.strip()})
    unknown = [kind for kind in kinds if kind not in ENTITIES]
    if unknown or not kinds:
        message = Words(
            f"種類は {', '.join(sorted(ENTITIES))} のどれかです。",
            f"Kinds are: {', '.join(sorted(ENTITIES))}.",
        )
        raise Problem("invalid", message)
    for kind in kinds:
        caller.must_read(kind)
    return kinds
