"""To ask whether something waits costs the same however much lies behind the reader, whatever the planner believes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from hub import feed
from hub.store.database import open_engine
from hub.subscribers.register import BEHIND

ROWS = 20_000
_FILL = text("""
    INSERT INTO change_feed (entity_id, kind, version, system, urgent)
    SELECT n, 'stock_position', 1, 'wms', n % 2 = 0 FROM generate_series(1, :rows) AS n
""")
_POSITION = text("""
    INSERT INTO flow_state (system, flow, feed_xid, feed_seq)
    SELECT 'shop', 'stock', xid, seq FROM change_feed ORDER BY xid DESC, seq DESC LIMIT 1
    RETURNING feed_xid AS xid, feed_seq AS seq
""")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


def _pages(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


_SUBSCRIBER = f"""
    SELECT {BEHIND} FROM (SELECT CAST(:xid AS bigint) AS feed_xid, CAST(:seq AS bigint) AS feed_seq,
                                 CAST(:kinds AS text[]) AS kinds) AS s
"""


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(str(feed._MORE), id="a flow"),
        pytest.param(str(feed._URGENT_BEHIND), id="urgent"),
        pytest.param(_SUBSCRIBER, id="a subscriber"),
    ],
)
def test_nothing_behind_the_reader_is_read(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE change_feed DISABLE TRIGGER ALL"))
        connection.execute(_FILL, {"rows": ROWS})
        position = connection.execute(_POSITION).one()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE change_feed")
    names = {
        "xid": str(position.xid), "seq": str(position.seq), "kinds": "'{sellable,stock_position}'", "system": "'shop'",
        "flow": "'stock'",
    }  # fmt: skip
    asked = [name for name in names if f":{name}" in statement]
    query = statement
    for n, name in enumerate(asked, 1):
        query = query.replace(f":{name}", f"${n}")
    with engine.connect() as connection:
        # what a statement comes to that was asked often: a plan that knows neither position nor kinds
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        connection.exec_driver_sql(f"PREPARE asked AS {query}")
        given = ", ".join(names[name] for name in asked)
        found = connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE asked({given})"
        ).scalar()
    (told,) = found if isinstance(found, list) else json.loads(found)
    assert _pages(told["Plan"]) < 20, told
