"""Bytes of WAL, counted."""

from __future__ import annotations

from contextlib import ExitStack

from sqlalchemy import Engine, QueuePool, text

__all__ = ["wal_of"]

_TELL = text("SELECT pg_stat_force_next_flush()")
_WAL = text("""
    SELECT coalesce(sum(w.wal_bytes), 0) FROM pg_stat_activity AS a, pg_stat_get_backend_wal(a.pid) AS w
    WHERE a.datname = current_database()
""")


def wal_of(engine: Engine, sessions: int = 4) -> int | None:
    """What the sessions that are open in this database have written; other tests write beside it into other ones.

    Opens so many that stay: what a session wrote is forgotten with it. None before PostgreSQL 18.
    """
    assert isinstance(engine.pool, QueuePool)
    with ExitStack() as held:
        lines = [held.enter_context(engine.connect()) for _ in range(max(sessions, engine.pool.checkedin()))]
        if lines[0].dialect.server_version_info < (18,):  # type: ignore[operator]
            return None
        for line in lines:  # a session tells its figures once a second, or when it is asked to
            line.execute(_TELL)
            line.commit()
        return int(lines[0].scalar(_WAL) or 0)
