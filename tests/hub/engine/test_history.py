"""What the change feed forgets no reader misses, wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Engine, text

from hub.feed import Changed, FeedPosition, enter_feed, forget_replaced, horizon, read_feed
from hub.store.database import open_engine

NOW = datetime(2026, 11, 29, tzinfo=UTC)
SYSTEMS = ("core", "shop", "wms")
CHANGES = st.lists(st.tuples(st.integers(1, 3), st.sampled_from(SYSTEMS), st.integers(0, 20)), max_size=12)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


def write(engine: Engine, changes: list[tuple[int, str, int]]) -> list[FeedPosition]:
    """One transaction a change, of an entity, by a system, so many days ago; the positions in order."""
    positions = []
    for entity, system, days in changes:
        with engine.begin() as connection:
            enter_feed(connection)
            row = connection.execute(
                text("INSERT INTO change_feed (entity_id, kind, version, system, at) "
                     "VALUES (:entity, 'order', 1, :system, :at) RETURNING xid, seq"),
                {"entity": entity, "system": system, "at": NOW - timedelta(days=days)},
            ).one()  # fmt: skip
            positions.append(FeedPosition(row.xid, row.seq))
    return positions


def seen(engine: Engine, position: FeedPosition, system: str) -> list[Changed]:
    with engine.begin() as connection:
        below = horizon(connection)
    with engine.connect() as connection:
        return read_feed(
            connection, position=position, below=below, kinds=["order"], system=system, limit=1000
        )[0]


def forget(engine: Engine, before: datetime, limit: int) -> int:
    whole = 0
    while True:
        with engine.begin() as connection:
            looked, gone = forget_replaced(connection, before=before, limit=limit)
        whole += gone
        if looked < limit:
            return whole


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(earlier=CHANGES, later=CHANGES, limit=st.integers(1, 5), days=st.integers(0, 20))
def test_every_reader_learns_the_same(
    engine: Engine,
    earlier: list[tuple[int, str, int]],
    later: list[tuple[int, str, int]],
    limit: int,
    days: int,
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE change_feed, flow_state")
    positions = [FeedPosition()]
    for changes in (earlier, later):
        positions += write(engine, changes)
        before = {(at, name): seen(engine, at, name) for at in positions for name in SYSTEMS}
        forget(engine, NOW - timedelta(days=days), limit)
        assert {(at, name): seen(engine, at, name) for at in positions for name in SYSTEMS} == before


def test_only_what_was_replaced_before_the_moment_goes(engine: Engine) -> None:
    write(engine, [(1, "core", 30), (1, "core", 20), (1, "shop", 20), (1, "core", 3), (2, "core", 30)])
    assert forget(engine, NOW - timedelta(days=10), 2) == 1
    assert forget(engine, NOW - timedelta(days=10), 2) == 0
    assert forget(engine, NOW, 2) == 1
    with engine.connect() as connection:
        left = connection.execute(text("SELECT entity_id, system FROM change_feed ORDER BY xid, seq")).all()
    assert [tuple(row) for row in left] == [(1, "shop"), (1, "core"), (2, "core")]
