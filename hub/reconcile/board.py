"""The board both sides are laid out on: temporary tables of one session, filled by COPY, compared by joins.

The process holds no more than a page of either side. The session commits after each page: a listing may take an hour,
and an open transaction would hold back the change feed and vacuum for as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Connection, Engine, text

from hub.store.database import copy_rows

__all__ = ["Board", "Held", "Shown"]

_TABLES = """
    CREATE TEMP TABLE shown (
        part int, key text, n bigint GENERATED ALWAYS AS IDENTITY, hash bytea, content text, fetch_id text,
        record_id text, position bigint, moment timestamptz);
    CREATE TEMP TABLE held (
        part int, key text, hash bytea, content text, entity_id bigint, entity_key text, changed_at timestamptz,
        moment timestamptz, fetch_id text, record_id text, sent_key text, accepted bytea);
    CREATE TEMP TABLE ours (part int, key text);
    CREATE TEMP TABLE unread (part int, key text, position bigint, reason text);
    CREATE TEMP TABLE diff (
        part int, key text, state text, reason text, remedy text, first_hash bytea, looked bool, fields text,
        entity_key text, fetch_id text, PRIMARY KEY (part, key));
"""
_HELD_TYPES = ["int4", "text", "bytea", "text", "int8", "text", *2 * ["timestamptz"], "text", "text", "bytea"]
_INDEXES = (
    "CREATE INDEX ON shown (part, key)",
    "CREATE INDEX ON shown (part, fetch_id)",
    "CREATE INDEX ON held (part, key)",
    "CREATE INDEX ON held (part, entity_id)",
    "CREATE INDEX ON held (part, sent_key)",
    "ANALYZE shown",
    "ANALYZE held",
)


@dataclass(slots=True)
class Shown:
    """A place as the system shows it. `content` is JSON, `moment` when it last changed there, where that is told."""

    key: str
    hash: bytes
    content: bytes
    fetch_id: str | None = None
    record_id: str | None = None
    position: int | None = None
    moment: datetime | None = None


@dataclass(slots=True)
class Held:
    """A place as the hub wants it at the system. `accepted` is the hash of what the ledger says stands there."""

    key: str
    hash: bytes
    content: bytes
    entity_id: int
    entity_key: str
    changed_at: datetime
    moment: datetime | None
    fetch_id: str | None
    sent_key: str
    accepted: bytes | None


_COMPARE = text("""
    INSERT INTO diff (part, key, state, first_hash, entity_key, fetch_id)
    SELECT :part, coalesce(h.key, s.key),
           CASE WHEN s.key IS NULL THEN 'only_hub' WHEN h.key IS NULL THEN 'only_system' ELSE 'differ' END,
           s.hash, h.entity_key, coalesce(s.fetch_id, h.fetch_id)
    FROM (SELECT * FROM held WHERE part = :part) AS h FULL JOIN (SELECT * FROM shown WHERE part = :part) AS s
         ON s.key = h.key
    WHERE h.key IS NULL OR s.key IS NULL OR h.hash IS DISTINCT FROM s.hash
""")
_COMPARE_AGAIN = text("""
    INSERT INTO diff (part, key, state, first_hash, entity_key, fetch_id, looked)
    SELECT :part, f.key,
           CASE WHEN s.key IS NULL THEN 'only_hub' WHEN h.key IS NULL THEN 'only_system' ELSE 'differ' END,
           f.first_hash, coalesce(h.entity_key, f.entity_key), coalesce(s.fetch_id, h.fetch_id, f.fetch_id), f.looked
    FROM first AS f LEFT JOIN held AS h ON h.part = :part AND h.key = f.key
                    LEFT JOIN shown AS s ON s.part = :part AND s.key = f.key
    WHERE (h.key IS NULL) <> (s.key IS NULL) OR h.hash IS DISTINCT FROM s.hash
""")
_SET_ASIDE = text(
    "CREATE TEMP TABLE first AS SELECT * FROM diff "
    "WHERE part = :part AND state IN ('only_hub', 'only_system', 'differ')"
)
_TAKE_AWAY = text("DELETE FROM diff WHERE part = :part AND state IN ('only_hub', 'only_system', 'differ')")
_TWICE = text("DELETE FROM shown AS a USING shown AS b WHERE a.part = b.part AND a.key = b.key AND a.n < b.n")
_TWICE_HELD = text(
    "DELETE FROM held AS a USING held AS b WHERE a.part = b.part AND a.key = b.key AND a.entity_id > b.entity_id"
)
_SETTLED = text("""
    INSERT INTO diff (part, key, state, reason, entity_key, fetch_id, looked)
    SELECT :part, f.key, 'in_flight', 'settled', f.entity_key, f.fetch_id, f.looked FROM first AS f
    WHERE NOT EXISTS (SELECT FROM diff AS d WHERE d.part = :part AND d.key = f.key)
""")
_MOVING = text("""
    UPDATE diff AS d SET state = 'in_flight', reason = 'moving'
    FROM diff AS own LEFT JOIN shown AS s ON s.part = :part AND s.key = own.key
    WHERE own.part = :part AND own.looked AND d.part = :part AND d.key = own.key AND d.state <> 'in_flight'
      AND s.hash IS DISTINCT FROM own.first_hash
""")
_CHANGED = text("""
    UPDATE diff AS d SET state = 'in_flight', reason = 'hub_changed' FROM held AS h
    WHERE d.part = :part AND d.state <> 'in_flight' AND h.part = :part AND h.key = d.key AND h.changed_at >= :as_of
""")
_YOUNG = text("""
    UPDATE diff AS d SET state = 'in_flight', reason = 'young' FROM shown AS s
    WHERE d.part = :part AND d.state IN ('only_system', 'differ') AND s.part = :part AND s.key = d.key
      AND s.moment >= :young
""")
_OUTSIDE = text("""
    UPDATE diff AS d SET state = 'unjudged' FROM held AS h
    WHERE d.part = :part AND d.state = 'only_hub' AND h.part = :part AND h.key = d.key
      AND (NOT :whole AND h.moment IS NULL OR h.moment < CAST(:since AS timestamptz)
           OR h.moment > CAST(:until AS timestamptz))
""")


class Board:
    """The tables of one run. A context manager: the session ends with it, and its tables with the session."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection = engine.connect()

    def __enter__(self) -> Self:
        with self.writing() as connection:
            connection.execute(text(_TABLES))
        return self

    def __exit__(self, *_: object) -> None:
        # closed for good: temporary tables must not go back to the pool
        self._connection.invalidate()
        self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction of the board's session."""
        with self._connection.begin():
            yield self._connection

    def stream(self, query: str, names: dict[str, Any], size: int = 1000) -> Iterator[Any]:
        """The rows of a query over the board, a page at a time. The board may be written to only after the last."""
        with self._connection.begin():
            options = {"stream_results": True, "yield_per": size}
            yield from self._connection.execute(text(query), names, execution_options=options)

    # ------------------------------------------------------------ laying out

    def show(self, part: int, rows: Sequence[Shown]) -> None:
        """Lay out what the system shows."""
        if not rows:
            return
        with self.writing() as connection:
            copy_rows(
                connection,
                "COPY pg_temp.shown (part, key, hash, content, fetch_id, record_id, position, moment) "
                "FROM STDIN (FORMAT BINARY)",
                ["int4", "text", "bytea", "text", "text", "text", "int8", "timestamptz"],
                (
                    (part, r.key, r.hash, r.content.decode(), r.fetch_id, r.record_id, r.position, r.moment)
                    for r in rows
                ),
            )

    def hold(self, part: int, rows: Sequence[Held]) -> None:
        """Lay out what the hub wants."""
        if not rows:
            return
        with self.writing() as connection:
            copy_rows(
                connection,
                "COPY pg_temp.held (part, key, hash, content, entity_id, entity_key, changed_at, moment, fetch_id, "
                "sent_key, accepted) FROM STDIN (FORMAT BINARY)",
                _HELD_TYPES,
                (
                    (
                        part, r.key, r.hash, r.content.decode(), r.entity_id, r.entity_key, r.changed_at, r.moment,
                        r.fetch_id, r.sent_key, r.accepted,
                    )
                    for r in rows
                ),
            )  # fmt: skip

    def cannot_read(self, part: int, rows: Iterable[tuple[str, int | None, str]]) -> None:
        """Note what cannot be compared: key or record id, position, why."""
        values = [{"part": part, "key": k, "position": p, "reason": r} for k, p, r in rows]
        if values:
            with self.writing() as connection:
                connection.execute(
                    text("INSERT INTO unread VALUES (:part, :key, :position, :reason)"), values
                )

    def laid_out(self) -> None:
        """Both sides are complete: a place shown twice counts as shown last."""
        with self.writing() as connection:
            connection.execute(_TWICE)
            connection.execute(_TWICE_HELD)
            for statement in _INDEXES:
                connection.execute(text(statement))

    # ------------------------------------------------------------ comparing

    def compare(self, part: int) -> None:
        """Write down every place where the two sides differ."""
        with self.writing() as connection:
            connection.execute(_COMPARE, {"part": part})

    def begin_again(self, part: int) -> None:
        """Set aside what differed, to be compared once more with what was looked at meanwhile."""
        with self.writing() as connection:
            connection.execute(text("DROP TABLE IF EXISTS first"))
            connection.execute(_SET_ASIDE, {"part": part})
            connection.execute(_TAKE_AWAY, {"part": part})
            connection.execute(_COMPARE_AGAIN, {"part": part})

    def end_again(self, part: int, as_of: datetime, young: datetime) -> None:
        """Tell what is in flight: equal by now, changed between the looks, or too young to have come."""
        with self.writing() as connection:
            connection.execute(_SETTLED, {"part": part})
            connection.execute(_MOVING, {"part": part})
            connection.execute(_CHANGED, {"part": part, "as_of": as_of})
            connection.execute(_YOUNG, {"part": part, "young": young})

    def outside(self, part: int, *, whole: bool, since: datetime | None, until: datetime | None) -> None:
        """What the hub alone has is no difference where the listing says nothing of it."""
        with self.writing() as connection:
            connection.execute(_OUTSIDE, {"part": part, "whole": whole, "since": since, "until": until})

    def execute(self, query: str, **names: Any) -> int:
        """One statement over the board; returns how many rows it touched."""
        with self.writing() as connection:
            return connection.execute(text(query), names).rowcount

    def scalar(self, query: str, **names: Any) -> Any:
        with self.writing() as connection:
            return connection.scalar(text(query), names)

    def rows(self, query: str, **names: Any) -> list[Any]:
        """The rows of a query that gives few."""
        with self.writing() as connection:
            return list(connection.execute(text(query), names))
