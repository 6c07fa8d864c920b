"""W3: after a count in which 1 % of the SKUs differ, what channels are to be told lies ready in deliveries.

    python -m bench.w3.work [--skus 100000] [--channels 5] [--orders 20000] [--rounds 3]

Beside each other, on one database with fsync on:

- **ours**   from the change feed of the counts to stored deliveries: the stock room's turn, then, for the push of each
             channel, echoes, mapping (the one shipped for Shopify), ledger, batches of 250
- **limit**  the least that can be done without a change feed: one statement that compares the whole count with what
             every channel was told and writes what differs, in batches of 250. No orders, no terms, no records, no
             history

Both must have named the same messages (channel, SKU, quantity) before a figure counts. Rounds are interleaved; what was
written before is settled on the disk before each.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from sqlalchemy import text

from bench.result import Plan, Result, ratio, show
from connectors.contract import Batch, Call, Connector, Outcome, Title
from connectors.registry import Connectors
from hub.engine import Hub
from hub.feed import horizon
from hub.home import Home
from hub.outgoing import queue_round
from hub.postgres import EmbeddedPostgres
from hub.reports import PushReport
from hub.store.database import migrate, open_engine
from hub.systems import load_systems

__all__ = ["GOAL", "Shop", "run"]

GOAL = 1.5
BATCH = 250
FLOW = "stock"
CHANNEL = """
system: {name}
connector: bench
title: {name}
constants: {{channel: {name}}}
allocation: {{buffer: {buffer}}}
flows:
  stock: {{push: stock, mapping: shopify/sellable.out}}
"""


class Nothing(BaseModel):
    """The connector has no settings."""


connector = Connector("bench", title=Title("Bench", "Bench"), config=Nothing)


@connector.sink("stock", key="sku", batch_size=BATCH)
def stock(call: Call[Nothing], batch: Batch) -> Iterable[Outcome]:
    """Nothing is sent here: what is measured ends with the stored batches."""
    raise NotImplementedError


_POSITIONS = """
    WITH made AS (
        INSERT INTO entity (kind, key, version, content, hash, system)
        SELECT 'stock_position', sku || '@EAST', 1, jsonb_build_object(
            'key', sku || '@EAST', 'sku', sku, 'location', 'EAST', 'on_hand', 30 + n % 70, 'allocated', n % 7 + 1,
            'as_of', '2026-11-20T00:00:00Z'), ''::bytea, 'wms'
        FROM (SELECT n, 'SKU-' || lpad(n::text, 7, '0') AS sku FROM generate_series(1, :skus) AS n) AS s
        RETURNING id
    ) INSERT INTO change_feed (entity_id, kind, version, system) SELECT id, 'stock_position', 1, 'wms' FROM made
"""
_LISTINGS = """
    WITH made AS (
        INSERT INTO entity (kind, key, version, content, hash, system)
        SELECT 'listing', c || '/' || sku, 1, jsonb_build_object(
            'key', c || '/' || sku, 'sku', sku, 'channel', c, 'external_id', sku,
            'ids', jsonb_build_object('inventory_item_id', 'gid://shopify/InventoryItem/' || c || sku)), ''::bytea, c
        FROM (SELECT 'SKU-' || lpad(n::text, 7, '0') AS sku FROM generate_series(1, :skus) AS n) AS s
        CROSS JOIN unnest(CAST(:channels AS text[])) AS c RETURNING id, system
    ) INSERT INTO change_feed (entity_id, kind, version, system) SELECT id, 'listing', 1, system FROM made
"""
_ORDERS = """
    WITH made AS (
        INSERT INTO entity (kind, key, version, content, hash, system)
        SELECT 'order', 'ch1/' || n, 1, jsonb_build_object(
            'key', 'ch1/' || n, 'number', n::text, 'channel', 'ch1', 'ordered_at', '2026-11-20T01:00:00Z',
            'recipients', '[{"id": "1"}]'::jsonb, 'lines', jsonb_build_array(jsonb_build_object(
                'id', '1', 'sku', 'SKU-' || lpad((n * 4 % :skus + 1)::text, 7, '0'),
                'quantity', '{"ordered": 1}'::jsonb))
        ), ''::bytea, 'ch1' FROM generate_series(1, :orders) AS n RETURNING id
    ) INSERT INTO change_feed (entity_id, kind, version, system) SELECT id, 'order', 1, 'ch1' FROM made
"""
# a count in which every hundredth SKU differs, by one more or one less; another hundredth each round
_COUNT = """
    WITH made AS (
        UPDATE entity SET version = version + 1, updated_at = now(),
            content = content || jsonb_build_object('on_hand', (content ->> 'on_hand')::int + id % 2 * 2 - 1)
        WHERE kind = 'stock_position' AND content ->> 'sku' LIKE 'SKU-_____' || lpad(CAST(:part AS text), 2, '0')
        RETURNING id, version
    ) INSERT INTO change_feed (entity_id, kind, version, system) SELECT id, 'stock_position', version, 'wms' FROM made
"""
_STATE = """
    CREATE TABLE bare_rule (channel text PRIMARY KEY, buffer bigint);
    CREATE TABLE bare_told (channel text, sku text, quantity bigint, PRIMARY KEY (channel, sku));
    CREATE TABLE bare_message (batch bigint, channel text, sku text, quantity bigint);
"""
# What every channel was told: here the same as the hub's own numbers, orders and all.
_TOLD = """
    INSERT INTO bare_told (channel, sku, quantity)
    SELECT content ->> 'channel', content ->> 'sku', (content ->> 'quantity')::bigint
    FROM entity WHERE kind = 'sellable' ORDER BY 1, 2
"""
_SNAPSHOT = """
    CREATE TEMP TABLE snapshot ON COMMIT DROP AS
    SELECT p.content ->> 'sku' AS sku,
           (p.content ->> 'on_hand')::bigint - (p.content ->> 'allocated')::bigint - coalesce(d.units, 0) AS free
    FROM entity AS p LEFT JOIN (SELECT sku, sum(units) AS units FROM stock_demand GROUP BY sku) AS d
        ON d.sku = p.content ->> 'sku'
    WHERE p.kind = 'stock_position'
"""
_BARE = """
    WITH differs AS (
        SELECT r.channel, c.sku, greatest(c.free - r.buffer, 0) AS quantity
        FROM pg_temp.snapshot AS c CROSS JOIN bare_rule AS r
        LEFT JOIN bare_told AS o ON o.channel = r.channel AND o.sku = c.sku
        WHERE o.quantity IS DISTINCT FROM greatest(c.free - r.buffer, 0)
    ), written AS (
        INSERT INTO bare_told AS t (channel, sku, quantity) SELECT channel, sku, quantity FROM differs
        ON CONFLICT (channel, sku) DO UPDATE SET quantity = excluded.quantity RETURNING channel, sku, quantity
    )
    INSERT INTO bare_message (batch, channel, sku, quantity)
    SELECT (row_number() OVER (PARTITION BY channel ORDER BY sku) - 1) / 250, channel, sku, quantity FROM written
"""
_MESSAGES = """
    SELECT md5(string_agg(channel || ' ' || sku || ' ' || quantity, E'\\n' ORDER BY channel, sku)) AS digest,
           count(*) AS messages, count(DISTINCT (channel, batch)) AS batches, max(held) AS largest
    FROM (SELECT *, count(*) OVER (PARTITION BY channel, batch) AS held FROM ({}) AS m) AS n
"""
_BARE_MESSAGES = _MESSAGES.format("SELECT channel, sku, quantity, batch FROM bare_message")
_OUR_MESSAGES = _MESSAGES.format("""
    SELECT d.system AS channel, c.record ->> 'sku' AS sku, (c.record ->> 'available')::bigint AS quantity,
           d.id AS batch FROM delivery AS d JOIN delivery_change AS c ON c.delivery_id = d.id
    WHERE d.finished_at IS NULL
""")
# The channels accept everything: the ledger holds it.
_ACCEPT_FIRST = """
    INSERT INTO ledger (system, flow, key, entity_id, entity_version, hash, record, delivery_id)
    SELECT e.content ->> 'channel', 'stock', e.key, e.id, e.version, ''::bytea, jsonb_build_object(
        'sku', e.content -> 'sku', 'available', e.content -> 'quantity',
        'inventoryItemId', 'gid://shopify/InventoryItem/' || (e.content ->> 'channel') || (e.content ->> 'sku')), 0
    FROM entity AS e WHERE e.kind = 'sellable' ORDER BY e.id
"""
_ACCEPT = """
    WITH accepted AS (
        UPDATE ledger AS l SET entity_version = c.entity_version, hash = c.hash, record = c.record,
            delivery_id = d.id, accepted_at = now()
        FROM delivery AS d JOIN delivery_change AS c ON c.delivery_id = d.id
        WHERE d.finished_at IS NULL AND (l.system, l.flow, l.key) = (d.system, d.flow, c.key)
    )
    UPDATE delivery SET state = 'done', finished_at = now() WHERE finished_at IS NULL
"""
_AT_THE_END = """
    INSERT INTO flow_state (system, flow, feed_xid, feed_seq)
    SELECT c, 'stock', f.xid, f.seq FROM unnest(CAST(:channels AS text[]) || ARRAY['hub']) AS c,
        (SELECT xid, seq FROM change_feed ORDER BY xid DESC, seq DESC LIMIT 1) AS f
    ON CONFLICT (system, flow) DO UPDATE SET feed_xid = excluded.feed_xid, feed_seq = excluded.feed_seq
"""
# what else may lie in a store: the same goods under other numbers, of channels that are not pushed to
_MULTIPLY = """
    WITH made AS (
        INSERT INTO entity (kind, key, version, content, hash, system)
        SELECT kind, key || '-' || n, version,
               content || jsonb_build_object('key', key || '-' || n, 'sku', (content ->> 'sku') || '-' || n),
               hash, system
        FROM entity CROSS JOIN generate_series(2, :times) AS n
        WHERE kind IN ('stock_position', 'listing', 'sellable') RETURNING id, kind, key, version, content
    ), fed AS (
        INSERT INTO change_feed (entity_id, kind, version, system)
        SELECT id, kind, version, 'hub' FROM made
    ), free AS (
        INSERT INTO stock_free SELECT sku || '-' || n, pool, on_hand, moved, allocated, safety_stock, reserved,
            unbooked, free, backorderable FROM stock_free CROSS JOIN generate_series(2, :times) AS n
    )
    INSERT INTO ledger (system, flow, key, entity_id, entity_version, hash, record, delivery_id)
    SELECT content ->> 'channel', 'stock', key, id, version, ''::bytea,
           jsonb_build_object('sku', content -> 'sku', 'available', content -> 'quantity'), 0
    FROM made WHERE kind = 'sellable'
"""


class Shop:
    """A store with goods on channels, everybody told of everything."""

    def __init__(self, url: str, folder: Path, skus: int, channels: int, orders: int) -> None:
        self.channels = [f"ch{n}" for n in range(channels)]
        self.engine = open_engine(url)
        folder.mkdir(parents=True, exist_ok=True)
        for n, name in enumerate(self.channels):
            (folder / f"{name}.yaml").write_text(CHANNEL.format(name=name, buffer=n), "utf-8")
        self.hub = Hub(self.engine, load_systems([folder]), Connectors(bench=connector))
        if faults := self.hub.validate():
            raise SystemExit(str(faults[0]))
        self._fill(skus, orders)

    def _fill(self, skus: int, orders: int) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(_POSITIONS), {"skus": skus})
            connection.execute(text(_LISTINGS), {"skus": skus, "channels": self.channels})
            connection.execute(text(_ORDERS), {"skus": skus, "orders": orders})
            connection.exec_driver_sql(_STATE)
            connection.execute(
                text("INSERT INTO bare_rule (channel, buffer) VALUES (:channel, :buffer)"),
                [{"channel": name, "buffer": n} for n, name in enumerate(self.channels)],
            )
        self.settle()
        begun = time.perf_counter()
        self.hub.refresh_stock()
        self.first = time.perf_counter() - begun
        with self.engine.begin() as connection:
            connection.exec_driver_sql(_TOLD)
            connection.exec_driver_sql(_ACCEPT_FIRST)
            connection.execute(text(_AT_THE_END), {"channels": self.channels})

    def multiply(self, times: int) -> None:
        """So many times the goods, under other SKUs."""
        with self.engine.begin() as connection:
            connection.execute(text(_MULTIPLY), {"times": times})
            connection.execute(text(_AT_THE_END), {"channels": self.channels})

    def settle(self) -> None:
        """What was written before is on the disk, hint bits too, and not paid for by who comes next."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM (ANALYZE)")
        self.checkpoint()

    def checkpoint(self) -> None:
        """What was written before is on the disk."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("CHECKPOINT")

    def count(self, part: int) -> None:
        """The warehouse counts: every hundredth SKU differs, another hundredth for each `part` below 100."""
        with self.engine.begin() as connection:
            connection.execute(text(_COUNT), {"part": part})

    def turn(self) -> int:
        """What changed becomes what channels may sell; returns how many numbers were written."""
        return self.hub.refresh_stock().changed

    def queue(self) -> int:
        """The pushes of all channels up to their stored deliveries, four at once as in a worker; returns how many."""
        with ThreadPoolExecutor(4) as threads:
            return sum(threads.map(self._queue, self.channels))

    def _queue(self, name: str) -> int:
        bound = self.hub.bind(name, FLOW)
        report = PushReport(system=name, flow=FLOW)
        with self.engine.begin() as connection:
            below = horizon(connection)
        more = True
        while more:
            with self.engine.begin() as connection:
                more = queue_round(connection, bound.outgoing, below=below, report=report)
        return report.deliveries

    def bare(self) -> float:
        """The limit, in seconds; reading the snapshot out of the hub's own table is not counted."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE bare_message")
        with self.engine.begin() as connection:
            connection.exec_driver_sql(_SNAPSHOT)
            connection.exec_driver_sql("ANALYZE pg_temp.snapshot")
            connection.exec_driver_sql("SET LOCAL work_mem = '64MB'")
            begun = time.perf_counter()
            connection.exec_driver_sql(_BARE)
            connection.commit()
            return time.perf_counter() - begun

    def agree(self) -> tuple[int, int, int]:
        """Raises SystemExit when the two ways name other messages, or a batch is too large.

        Returns how many messages there are, and in how many batches each way has them: ours begins a new one with
        each stretch of the feed.
        """
        with self.engine.connect() as connection:
            bare, mine = (
                connection.exec_driver_sql(query).one() for query in (_BARE_MESSAGES, _OUR_MESSAGES)
            )
        digest, messages, batches, largest = bare
        if (mine[0], mine[1]) != (digest, messages) or mine[3] > largest or not messages:
            raise SystemExit(f"the ways name other messages: {bare} and {mine}")
        return messages, mine[2], batches

    def accept(self) -> None:
        """The channels accept what lies ready."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(_ACCEPT)

    def close(self) -> None:
        self.hub.close()


@contextmanager
def server() -> Iterator[tuple[str, Path]]:
    """A PostgreSQL of its own with a migrated database: its URL, and a folder; both end with the block."""
    folder = Path(tempfile.mkdtemp(prefix="tsunagi-bench-"))
    postgres = EmbeddedPostgres(Home(folder / "home"))
    try:
        url = postgres.admin_url()
        engine = open_engine(url)
        migrate(engine)
        engine.dispose()
        yield url, folder
    finally:
        postgres.remove()
        shutil.rmtree(folder, ignore_errors=True)


def measure(shop: Shop, rounds: int) -> Result:
    """`rounds` counts, each by both ways; who begins changes from round to round."""
    ours: list[float] = []
    turns: list[float] = []
    limit: list[float] = []
    messages = 0

    def mine() -> None:
        shop.settle()
        begun = time.perf_counter()
        shop.turn()
        between = time.perf_counter()
        shop.queue()
        ended = time.perf_counter()
        turns.append(between - begun)
        ours.append(ended - begun)

    def theirs() -> None:
        shop.settle()
        limit.append(shop.bare())

    for part in range(rounds + 1):
        shop.count(part)
        for way in (mine, theirs) if part % 2 else (theirs, mine):
            way()
        messages, batches, fewest = shop.agree()
        shop.accept()
        if part == 0:  # plans and caches of both are warm from here on
            ours.clear(), turns.clear(), limit.clear()
    return Result(
        "W3", "1 % of 100,000 SKUs counted differently, 5 channels, to stored batches", "s", median(ours),
        median(limit), ratio(ours, limit), GOAL,
        details={"turn_s": round(median(turns), 4), "messages": messages, "batches": batches, "batches_limit": fewest,
                 "first_turn_s": round(shop.first, 2)},
    )  # fmt: skip


def run(plan: Plan, skus: int = 100_000, channels: int = 5, orders: int = 20_000) -> list[Result]:
    """W3 of the issue."""
    with server() as (url, folder):
        shop = Shop(url, folder / "systems", skus, channels, orders)
        try:
            return [measure(shop, plan.rounds)]
        finally:
            shop.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--skus", type=int, default=100_000)
    parser.add_argument("--channels", type=int, default=5)
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    found: list[Any] = run(Plan(rounds=asked.rounds), asked.skus, asked.channels, asked.orders)
    show(found, Console(width=150))
    for one in found:
        print(one.as_dict())


if __name__ == "__main__":
    main()
