"""A line to PostgreSQL for few statements that are run over and over: prepared once, their lists sent in binary.

A statement is planned once, and a list of values costs one join of bytes: the driver's own way over its adapters,
cursors and waits took more of a webhook than its signature. Everything else (the address, TLS, passwords, errors) is
psycopg's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

import psycopg
from psycopg import errors, pq

__all__ = ["Line", "Statement", "bytes_list", "text_list"]

_HEAD = Struct(">iiIii")
_LENGTH = Struct(">i")
_NULL = _LENGTH.pack(-1)
_TEXT, _BYTEA = 25, 17


def _array(kind: int, values: Sequence[bytes | None]) -> bytes:
    """A list as PostgreSQL's arrays are sent in binary (src/backend/utils/adt/arrayfuncs.c, array_recv)."""
    length = _LENGTH.pack
    parts = [_HEAD.pack(1, 1, kind, len(values), 1) if values else _HEAD.pack(0, 0, kind, 0, 0)[:12]]
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            parts += (length(len(value)), value)
    return b"".join(parts)


def text_list(values: Sequence[bytes | None]) -> bytes:
    """A `text[]`, of texts in UTF-8."""
    return _array(_TEXT, values)


def bytes_list(values: Sequence[bytes | None]) -> bytes:
    """A `bytea[]`."""
    return _array(_BYTEA, values)


@dataclass(frozen=True, slots=True)
class Statement:
    """With parameters $1, $2, ... of these types; every one is sent in binary. `name` is its own on its line."""

    name: str
    sql: str
    types: Sequence[str]


class Line:
    """Opened by the first run, and again after it broke. One run at a time.

    name   what the session is called (`application_name`)
    """

    def __init__(self, url: str, name: str, statements: Sequence[Statement]) -> None:
        self._url = url
        self._name = name
        self._statements = statements
        self._connection: psycopg.AsyncConnection | None = None
        self._watched: tuple[asyncio.AbstractEventLoop, int] | None = None
        self._asked: asyncio.Future[pq.abc.PGresult] | None = None
        self._found: pq.abc.PGresult | None = None

    async def run(
        self, statement: Statement, values: Sequence[bytes | None]
    ) -> list[tuple[bytes | None, ...]]:
        """The rows the statement gives, their values as text. It is committed when this returns.

        Raises psycopg.Error, of the server or because it is away; OSError.
        """
        connection = self._connection
        if connection is None or connection.closed or connection.pgconn.status != pq.ConnStatus.OK:
            connection = await self._open()
        try:
            result = await self._ask(connection.pgconn, statement, values)
        except BaseException:
            await self.close()  # what it is in the middle of is not known: the next run begins anew
            raise
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise errors.error_from_result(result)
        get, columns = result.get_value, range(result.nfields)
        return [tuple([get(row, column) for column in columns]) for row in range(result.ntuples)]

    async def close(self) -> None:
        """Let go of the connection."""
        self._look_away()
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _open(self) -> psycopg.AsyncConnection:
        await self.close()
        connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, application_name=self._name, connect_timeout=5
        )
        self._connection = connection
        # lists of every length go the same way: planning it anew each time would cost more than running it
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        for one in self._statements:
            await connection.execute(f"PREPARE {one.name} ({', '.join(one.types)}) AS {one.sql}".encode())
        # watched from now on: to begin and end that for each run costs half a dozen system calls
        self._watched = asyncio.get_running_loop(), connection.pgconn.socket
        self._watched[0].add_reader(self._watched[1], self._readable)
        return connection

    async def _ask(
        self, line: pq.abc.PGconn, statement: Statement, values: Sequence[bytes | None]
    ) -> pq.abc.PGresult:
        assert self._watched is not None
        loop, number = self._watched
        self._asked, self._found = loop.create_future(), None
        line.send_query_prepared(statement.name.encode(), values, [pq.Format.BINARY] * len(values))
        while line.flush():  # a large group does not fit into the socket at once; answers are read meanwhile
            await _writable(loop, number)
        return await self._asked

    def _readable(self) -> None:
        assert self._connection is not None
        line, asked = self._connection.pgconn, self._asked
        try:
            line.consume_input()
            while not line.is_busy():
                result = line.get_result()
                if result is None:
                    self._answered(asked)
                    return
                self._found = result
        except psycopg.Error as error:
            self._look_away()  # a broken line is readable for ever
            if asked is not None and not asked.done():
                asked.set_exception(error)

    def _answered(self, asked: asyncio.Future[pq.abc.PGresult] | None) -> None:
        found, self._found = self._found, None
        if asked is None or asked.done():
            return
        if found is None:
            asked.set_exception(psycopg.OperationalError("the server gave no answer"))
        else:
            asked.set_result(found)

    def _look_away(self) -> None:
        if self._watched is not None:
            loop, number = self._watched
            self._watched = None
            loop.remove_reader(number)


async def _writable(loop: asyncio.AbstractEventLoop, number: int) -> None:
    """Return when there is room to write."""
    room: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not room.done():
            room.set_result(None)

    loop.add_writer(number, tell)
    try:
        await room
    finally:
        loop.remove_writer(number)
