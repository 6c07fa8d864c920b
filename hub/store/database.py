"""The way to PostgreSQL: engine, migrations, flow locks."""

from __future__ import annotations

import hashlib
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DisconnectionError

from hub.digests import digest
from hub.jobs import schema as jobs_schema
from hub.words import HubError

if TYPE_CHECKING:  # it takes a tenth of a second, and most programs never ask for it
    from alembic.config import Config

__all__ = [
    "SchemaBehind",
    "check_lines",
    "copy_rows",
    "digest",
    "driver",
    "lock_number",
    "migrate",
    "open_engine",
    "reading",
    "schema_is_current",
    "try_lock",
]

MIGRATIONS = Path(__file__).parent / "migrations"
SILENCE = 30.0
"""Seconds after which a connection nobody used is asked whether it still stands: some firewalls end it unsaid."""
_MIGRATION_LOCK = 0x7453_554E  # any constant: only one process migrates at a time
_ANY_VERSION = text("SELECT to_regclass('alembic_version') IS NOT NULL")
_VERSIONS = text("SELECT version_num FROM alembic_version")


class SchemaBehind(HubError):
    """The database is older or newer than this program."""

    def __init__(self) -> None:
        super().__init__(
            "データベースの版がこのプログラムと異なります。`tsunagi init` を実行してください。",
            "The database's schema is not the one this program needs. Run `tsunagi init`.",
        )


def open_engine(url: str, *, threads: int = 1) -> Engine:
    """An engine over psycopg 3, for so many runs at once. `url` may begin with postgresql:// or postgres://.

    A run holds its lock in one session and writes in another, and its source or sink may ask a third.
    """
    scheme, rest = url.split("://", 1)
    if scheme in ("postgres", "postgresql"):
        url = f"postgresql+psycopg://{rest}"
    engine = create_engine(
        url,
        pool_size=3 * threads + 1,
        pool_use_lifo=True,  # a few connections do the work, and keep its plans
        max_overflow=8,
        json_serializer=_json,
        json_deserializer=orjson.loads,
        hide_parameters=True,  # error texts must not carry the values of rows
        connect_args={"application_name": "tsunagi"},
    )
    check_lines(engine)
    return engine


def check_lines(engine: Engine) -> None:
    """Replace a connection the server has closed before it is used, at no round trip.

    A server that goes away says so, and what it said lies unread on the line; then, and after a long silence, the
    connection is asked. SQLAlchemy's own check (`pool_pre_ping`) asks each time: with short transactions a sixth of
    what a worker does.
    """
    dialect = engine.dialect

    def checked_out(line: Any, record: Any, _proxy: object) -> None:
        idle = time.monotonic() - record.info.get("used", 0.0)
        if (idle < SILENCE and not _spoken(line)) or "used" not in record.info:
            return
        try:
            there = dialect.do_ping(line)
        except psycopg.Error:
            there = False
        if not there:
            raise DisconnectionError("the server has closed this connection")

    def checked_in(_line: object, record: Any) -> None:
        record.info["used"] = time.monotonic()

    event.listen(engine, "checkout", checked_out)
    event.listen(engine, "checkin", checked_in)


def _spoken(line: psycopg.Connection[Any]) -> bool:
    """Whether the server has said something nobody asked for: notices are read with the answers, so it is the end."""
    if line.closed:
        return True
    poll = select.poll()
    poll.register(line.fileno(), select.POLLIN)
    return bool(poll.poll(0))


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection whose statements stand each for itself: one question, and no transaction around it."""
    with engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


def _json(value: Any) -> bytes:
    # bytes are JSON already: what was hashed is what is stored
    return value if isinstance(value, bytes) else orjson.dumps(value)


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest version; safe to call from several processes at once."""
    from alembic import command

    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        command.upgrade(_config(connection), "head")
        jobs_schema.bring_up(connection)


def schema_is_current(engine: Engine) -> bool:
    """Whether the database has exactly the schema this program was written for. Every command asks it."""
    with engine.connect() as connection:
        if not connection.scalar(_ANY_VERSION):
            return False
        return list(connection.scalars(_VERSIONS)) == [_newest()] and jobs_schema.is_current(connection)


def _newest() -> str:
    """The newest migration. Alembic, which would tell it, takes longer to import than a small pull to run."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]


def driver(connection: Connection) -> psycopg.Connection[Any]:
    """The psycopg connection under a SQLAlchemy one, in the same transaction; for COPY."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return raw


def copy_rows(
    connection: Connection, statement: str, types: list[str], rows: Iterator[tuple[Any, ...]]
) -> None:
    """Run `COPY ... FROM STDIN (FORMAT BINARY)` in the connection's transaction."""
    with driver(connection).cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def lock_number(name: str) -> int:
    """The number of the advisory lock of that name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


@contextmanager
def try_lock(engine: Engine, name: str) -> Iterator[bool]:
    """Hold the lock `name` for the body of the with-statement, if nobody else does.

    The lock belongs to a database session of its own: it ends with the process, however that dies.
    """
    number = lock_number(name)
    with reading(engine) as connection:
        held = bool(connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": number}))
        try:
            yield held
        finally:
            if held:
                connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": number})
