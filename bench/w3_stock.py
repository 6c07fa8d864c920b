"""W3: what channels may sell after a count, 100,000 SKUs on 5 channels, 1 % of them changed.

    python bench/w3_stock.py [--skus 100000] [--channels 5] [--orders 20000] [--rounds 5] [--json FILE]

Beside each other, on one database with fsync on:

- **turn**: the stock room of the hub: change feed -> terms, offers and change feed of `sellable`. It looks at what
  changed.
- **set difference**: the least that can be done without a change feed: one temporary table of the whole count, one
  statement that compares it with what every channel was told and writes what differs. No orders, no terms, no history.

Both must name the same numbers before anything is measured. Rounds are interleaved; medians are compared.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from hub.home import Home
from hub.postgres import EmbeddedPostgres
from hub.stock import refresh
from hub.store.database import migrate, open_engine
from hub.systems import Systems, load_systems
from mappings import load_mapping

CHANNEL = """
system: {name}
connector: bench
title: {name}
constants: {{channel: {name}}}
allocation: {{buffer: {buffer}}}
"""
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
            'key', c || '/' || sku, 'sku', sku, 'channel', c, 'external_id', sku), ''::bytea, c
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
# a count in which every hundredth SKU differs, another hundredth each round
_COUNT = """
    WITH made AS (
        UPDATE entity SET version = version + 1, updated_at = now(),
            content = content || jsonb_build_object('on_hand', (content ->> 'on_hand')::int + 1)
        WHERE kind = 'stock_position' AND id % 100 = :part RETURNING id, version
    ) INSERT INTO change_feed (entity_id, kind, version, system) SELECT id, 'stock_position', version, 'wms' FROM made
"""
_STATE = """
    CREATE TABLE bare_count (sku text PRIMARY KEY, on_hand bigint, allocated bigint);
    CREATE TABLE bare_rule (channel text PRIMARY KEY, buffer bigint);
    CREATE TABLE bare_told (channel text, sku text, quantity bigint, PRIMARY KEY (channel, sku));
    CREATE TABLE bare_message
        (id bigint GENERATED ALWAYS AS IDENTITY, batch bigint, channel text, sku text, quantity bigint);
"""
_BARE = """
    WITH now AS (
        SELECT r.channel, c.sku, greatest(c.on_hand - c.allocated - r.buffer, 0) AS quantity
        FROM pg_temp.snapshot AS c CROSS JOIN bare_rule AS r
    ), written AS (
        INSERT INTO bare_told AS t (channel, sku, quantity)
        SELECT n.channel, n.sku, n.quantity FROM now AS n LEFT JOIN bare_told AS o USING (channel, sku)
        WHERE o.quantity IS DISTINCT FROM n.quantity
        ON CONFLICT (channel, sku) DO UPDATE SET quantity = excluded.quantity RETURNING channel, sku, quantity
    )
    INSERT INTO bare_message (batch, channel, sku, quantity)
    SELECT (row_number() OVER (PARTITION BY channel ORDER BY sku) - 1) / 250, channel, sku, quantity FROM written
"""
_SNAPSHOT = """
    CREATE TEMP TABLE snapshot ON COMMIT DROP AS
    SELECT content ->> 'sku' AS sku, (content ->> 'on_hand')::bigint AS on_hand,
           (content ->> 'allocated')::bigint AS allocated FROM entity WHERE kind = 'stock_position'
"""
_DIFFERENT = """
    SELECT count(*) FROM bare_told AS t JOIN entity AS e ON e.kind = 'sellable' AND e.key = t.channel || '/' || t.sku
    WHERE t.quantity <> (e.content ->> 'quantity')::bigint + coalesce((e.content ->> 'unbooked')::bigint, 0)
"""


def build(engine: Engine, skus: int, channels: list[str], orders: int) -> None:
    with engine.begin() as connection:
        connection.execute(text(_POSITIONS), {"skus": skus})
        connection.execute(text(_LISTINGS), {"skus": skus, "channels": channels})
        connection.execute(text(_ORDERS), {"skus": skus, "orders": orders})
        connection.exec_driver_sql(_STATE)
        connection.execute(
            text("INSERT INTO bare_rule (channel, buffer) VALUES (:channel, :buffer)"),
            [{"channel": name, "buffer": n} for n, name in enumerate(channels)],
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def bare(engine: Engine) -> float:
    """The set difference; reading the snapshot out of the hub's own table is not counted."""
    with engine.begin() as connection:
        connection.exec_driver_sql(_SNAPSHOT)
        connection.exec_driver_sql("ANALYZE pg_temp.snapshot")
        begun = time.perf_counter()
        connection.exec_driver_sql(_BARE)
        connection.commit()
        return time.perf_counter() - begun


def turn(engine: Engine, systems: Systems) -> tuple[float, Any]:
    begun = time.perf_counter()
    turned = refresh(engine, systems, load_mapping)
    return time.perf_counter() - begun, turned


def agree(connection: Connection) -> None:
    different = connection.scalar(text(_DIFFERENT))
    if different:
        raise SystemExit(f"{different} numbers differ between the two ways")


def measure(engine: Engine, systems: Systems, rounds: int) -> dict[str, float]:
    first, _ = turn(engine, systems)
    first_bare = bare(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        agree(connection)
        connection.exec_driver_sql("VACUUM ANALYZE")
    turns, bares, idle, changed = [], [], [], 0
    for part in range(rounds):
        with engine.begin() as connection:
            connection.execute(text(_COUNT), {"part": part})
        took, turned = turn(engine, systems)
        turns.append(took)
        changed = turned.changed
        bares.append(bare(engine))
        idle.append(turn(engine, systems)[0])
        with engine.connect() as connection:
            agree(connection)
    return {
        "changed": changed, "first_turn_s": first, "first_bare_s": first_bare,
        "turn_s": statistics.median(turns), "bare_s": statistics.median(bares),
        "nothing_new_s": statistics.median(idle), "ratio": statistics.median(turns) / statistics.median(bares),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skus", type=int, default=100_000)
    parser.add_argument("--channels", type=int, default=5)
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    channels = [f"ch{n}" for n in range(asked.channels)]
    folder = Path(tempfile.mkdtemp(prefix="tsunagi-bench-"))
    home = Home(folder)
    try:
        for n, name in enumerate(channels):
            (folder / f"{name}.yaml").write_text(CHANNEL.format(name=name, buffer=n), "utf-8")
        systems = load_systems([folder])
        engine = open_engine(EmbeddedPostgres(home).admin_url())
        migrate(engine)
        build(engine, asked.skus, channels, asked.orders)
        found = measure(engine, systems, asked.rounds)
        engine.dispose()
    finally:
        EmbeddedPostgres(home).remove()
        shutil.rmtree(folder, ignore_errors=True)
    print(
        f"{asked.skus} SKUs x {asked.channels} channels, {asked.orders} open orders, 1 % counted differently "
        f"({found['changed']:.0f} numbers written)\n"
        f"  set difference over everything  {found['bare_s']:.3f} s   (first load {found['first_bare_s']:.1f} s)\n"
        f"  turn over what changed          {found['turn_s']:.3f} s   (first load {found['first_turn_s']:.1f} s)\n"
        f"  turn with nothing new           {found['nothing_new_s'] * 1000:.1f} ms\n"
        f"  ratio                           {found['ratio']:.2f}"
    )
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
