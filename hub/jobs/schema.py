"""The job queue's own tables: procrastinate's SQL, in a PostgreSQL schema of their own.

procrastinate brings its tables as one file, and every later change as a file of its own. They are applied in the
transaction of the hub's migrations, and what was applied is written down: a newer procrastinate is followed by
`tsunagi init` as a newer version of the hub is.

Its functions name tables without a schema. Each gets a search path of its own, so that any session of the hub can put
a job into the queue within its own transaction.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import psycopg
from sqlalchemy import Connection, text

__all__ = ["SCHEMA", "bring_up", "is_current"]

SCHEMA = "tsunagi_jobs"

_THERE = text(f"SELECT to_regclass('{SCHEMA}.applied') IS NOT NULL")
_APPLIED = text(f"SELECT name FROM {SCHEMA}.applied")  # noqa: S608  (the name is ours)
_NOTE = text(f"INSERT INTO {SCHEMA}.applied (name) VALUES (:name)")  # noqa: S608
_PATH = "SELECT current_setting('search_path')"
_GIVE_PATHS = f"""
    DO $$
    DECLARE made regprocedure;
    BEGIN
        FOR made IN SELECT oid FROM pg_proc WHERE pronamespace = '{SCHEMA}'::regnamespace LOOP
            EXECUTE format('ALTER FUNCTION %s SET search_path = {SCHEMA}, pg_temp', made);
        END LOOP;
    END $$
"""  # noqa: S608


def _scripts() -> Path:
    """procrastinate's SQL files. It is not imported for them: every command looks whether the schema is current."""
    found = find_spec("procrastinate")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "sql"


def _changes() -> list[Path]:
    """procrastinate's migration files, oldest first; their names begin with the version."""
    return sorted((_scripts() / "migrations").glob("*.sql"))


def is_current(connection: Connection) -> bool:
    """Whether the queue's tables are those of the installed procrastinate."""
    if not connection.scalar(_THERE):
        return False
    return set(connection.scalars(_APPLIED)) >= {path.name for path in _changes()}


def bring_up(connection: Connection) -> None:
    """Create the queue's tables, or bring them to the installed procrastinate, in the caller's transaction."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    if connection.scalar(_THERE):
        have = set(connection.scalars(_APPLIED))
        todo = [path for path in _changes() if path.name not in have]
        scripts = [path.read_text("utf-8") for path in todo]
    else:
        raw.execute(f"CREATE SCHEMA {SCHEMA}")
        raw.execute(f"CREATE TABLE {SCHEMA}.applied (name text PRIMARY KEY, at timestamptz DEFAULT now())")
        todo, scripts = _changes(), [(_scripts() / "schema.sql").read_text("utf-8")]
    if not todo:
        return
    before = raw.execute(_PATH).fetchone()
    raw.execute(f"SET LOCAL search_path = {SCHEMA}")
    for script in scripts:
        raw.execute(script.encode())
    raw.execute(_GIVE_PATHS.encode())
    raw.execute("SELECT set_config('search_path', %s, true)", before)
    connection.execute(_NOTE, [{"name": path.name} for path in todo])
