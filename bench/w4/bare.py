"""What the gateway is compared with: plain ASGI, HMAC, one table, group commit by hand, and nothing else."""

from __future__ import annotations

import asyncio
import hmac
from typing import Any

import orjson

from bench.w4.shop import HEADER, SECRET

_TABLE = "CREATE TABLE IF NOT EXISTS bare_{} (id text PRIMARY KEY, body bytea NOT NULL)"


class _Group:
    def __init__(self, variant: str, url: str) -> None:
        self._variant, self._url = variant, url
        self._waiting: list[tuple[str, bytes, asyncio.Future[None]]] = []
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def add(self, event_id: str, body: bytes) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((event_id, body, future))
        self._came.set()
        await future

    async def _run(self) -> None:
        write = await (self._asyncpg() if self._variant == "bare-asyncpg" else self._psycopg())
        while True:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await write([one[0] for one in batch], [one[1] for one in batch])
                for _, _, future in batch:
                    future.set_result(None)

    async def _asyncpg(self) -> Any:
        import asyncpg

        connection = await asyncpg.connect(self._url)
        await connection.execute(_TABLE.format("asyncpg"))
        insert = await connection.prepare(
            "INSERT INTO bare_asyncpg SELECT * FROM unnest($1::text[], $2::bytea[]) ON CONFLICT DO NOTHING"
        )
        return insert.fetch

    async def _psycopg(self) -> Any:
        import psycopg

        connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        await connection.execute(_TABLE.format("psycopg").encode())

        async def insert(ids: list[str], bodies: list[bytes]) -> None:
            await connection.execute(
                "INSERT INTO bare_psycopg SELECT * FROM unnest(%b::text[], %b::bytea[]) ON CONFLICT DO NOTHING",
                [ids, bodies],
            )

        return insert


def application(variant: str, url: str) -> Any:
    """The ASGI application; `variant` names the driver."""
    group = _Group(variant, url)
    header = HEADER.encode()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        body = (await receive())["body"]
        given = dict(scope["headers"]).get(header, b"").decode()
        good = hmac.compare_digest(hmac.digest(SECRET.encode(), body, "sha256").hex(), given)
        if good:
            await group.add(orjson.loads(body)["id"], body)
        await send(
            {
                "type": "http.response.start",
                "status": 200 if good else 401,
                "headers": [(b"content-length", b"2")],
            }
        )
        await send({"type": "http.response.body", "body": b"ok"})

    return app
