"""What is left of each SKU, worked out set-based for the SKUs of a turn.

The order of the statements matters: `lock` takes the rows of `stock_free` first, so that no reservation changes them
while the sums behind them are made (`hub.stock.reservations`); only statements after it see what was reserved before.

as_of    the moment a position is of: what its system says, but never later than it came; without that, when it was
         last seen (the page that told it, or a whole listing that told no other), less the system's `age`
booked   an order's units are booked once the counts hold them: from when it was placed, where the counting system
         is the order's own; `books_after` after that system accepted it; or when the hub was told of their shipping,
         or a day after their shipping date, whatever is first
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from hub.stock.policy import COUNT_AGE
from hub.store.database import driver

__all__ = ["FEW", "MANY", "PREPARED_AFTER", "REPLAYED", "TEMPORARY", "derive", "empty", "plan_for", "prepare"]

_TABLES = (
    "touched (sku text)",
    "touched_order (id bigint)",
    "turn (sku text)",
    """turn_position (sku text, location text, system text, entity_id bigint, on_hand bigint, allocated bigint,
        safety_stock bigint, backorderable bool, as_of timestamptz, live bool, moved bigint)""",
    """turn_demand (order_id bigint, order_key text, channel text, sku text, place text, units bigint,
        ordered_at timestamptz)""",
    """turn_shipped (order_id bigint, sku text, location text, units bigint, short bigint, moved bool, booked bool,
        uncounted bool)""",
    "turn_open (order_id bigint, order_key text, channel text, sku text, place text, units bigint)",
    "turn_claim (kind text, id bigint, order_key text, channel text, sku text, places text, units bigint)",
    "turn_wanted (channel text, sku text)",
    "turn_part (sku text, part text, units bigint)",
    "turn_offer (id bigint, key text, sku text, content jsonb, urgent bool)",
    "sold_there (key text)",
    """asked (order_id bigint, sku text, place text, order_key text, channel text, units bigint,
        ordered_at timestamptz)""",
)

_EXPAND_STOCKED = text("""
    WITH changed AS (
        UPDATE stock_kit AS k SET stocked = NOT k.stocked
        WHERE k.kit IN (SELECT sku FROM pg_temp.touched) AND k.stocked <> EXISTS (
            SELECT FROM entity AS e WHERE e.kind = 'stock_position' AND e.content ? 'sku'
                AND e.content ->> 'sku' = k.kit AND e.deleted_at IS NULL
        ) RETURNING k.part
    )
    INSERT INTO pg_temp.touched (sku) SELECT part FROM changed
""")
_TURN = text("""
    WITH raw AS (SELECT DISTINCT sku FROM pg_temp.touched WHERE sku IS NOT NULL),
    base AS (
        SELECT coalesce(k.part, r.sku) AS sku FROM raw AS r LEFT JOIN stock_kit AS k ON k.kit = r.sku AND NOT k.stocked
    )
    INSERT INTO pg_temp.turn (sku)
    SELECT sku FROM base
    UNION
    SELECT s.part FROM base AS b JOIN stock_kit AS k ON k.part = b.sku AND NOT k.stocked
    JOIN stock_kit AS s ON s.kit = k.kit
""")
_LOCK = text(
    "SELECT count(*) FROM (SELECT FROM stock_free WHERE sku IN (SELECT sku FROM pg_temp.turn) "
    "ORDER BY sku, pool FOR UPDATE) AS held"
)

# `began`: listings that were whole, and when they began
_POSITIONS = text("""
    INSERT INTO pg_temp.turn_position
        (sku, location, system, entity_id, on_hand, allocated, safety_stock, backorderable, as_of, live, moved)
    SELECT t.sku, e.content ->> 'location', coalesce(e.system, :owner), e.id,
           (e.content ->> 'on_hand')::bigint, coalesce((e.content ->> 'allocated')::bigint, 0),
           greatest(coalesce((e.content ->> 'safety_stock')::bigint, 0), coalesce(l.safety_stock, 0)),
           coalesce((e.content ->> 'backorderable')::bool, false),
           CASE WHEN e.content ? 'as_of'
                THEN least((e.content ->> 'as_of')::timestamptz, coalesce(seen.at, e.updated_at))
                ELSE coalesce(seen.at, e.updated_at) - coalesce(c.count_age, :count_age) END,
           e.deleted_at IS NULL, 0
    FROM pg_temp.turn AS t
    CROSS JOIN LATERAL (SELECT * FROM entity WHERE kind = 'stock_position' AND content ? 'sku'
                        AND content ->> 'sku' = t.sku OFFSET 0) AS e
    LEFT JOIN LATERAL (
        SELECT max(greatest(i.received_at, b.began_at)) AS at FROM record AS r JOIN intake AS i ON i.id = r.intake_id
        LEFT JOIN unnest(CAST(:systems AS text[]), CAST(:flows AS text[]), CAST(:began AS timestamptz[]))
            AS b(system, flow, began_at) ON (b.system, b.flow) = (i.system, i.flow)
        WHERE r.entity_id = e.id
    ) AS seen ON true
    LEFT JOIN stock_counter AS c ON c.system = coalesce(e.system, :owner)
    LEFT JOIN stock_location AS l ON l.location = e.content ->> 'location'
""")
# What leaves for an order the hub knows is not replayed: the order counts, and it stands either in `allocated` or in
# what is not booked yet. The text comparison lets the index find the newest movements.
REPLAYED = """
    m.kind = 'stock_movement' AND m.content ->> 'sku' = p.sku AND m.content ->> 'location' = p.location
    AND m.content ->> 'occurred_at' >= to_char(p.as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
    AND (m.content ->> 'occurred_at')::timestamptz > p.as_of AND p.live AND m.deleted_at IS NULL
    AND coalesce(m.content ->> 'quality', 'good') = 'good'
    AND NOT ((m.content ->> 'quantity')::bigint < 0 AND m.content ? 'order_key' AND EXISTS (
        SELECT FROM entity AS o
        WHERE o.kind = 'order' AND o.key = m.content ->> 'order_key' AND o.deleted_at IS NULL))
"""
"""Which movements `m` are replayed on top of the count `p`."""
_MOVED = text(f"""
    UPDATE pg_temp.turn_position AS p SET moved = since.units FROM (
        SELECT p.entity_id, sum((m.content ->> 'quantity')::bigint) AS units
        FROM pg_temp.turn_position AS p CROSS JOIN LATERAL (
            SELECT m.content FROM entity AS m WHERE {REPLAYED} OFFSET 0
        ) AS m
        GROUP BY p.entity_id
    ) AS since WHERE since.entity_id = p.entity_id
""")  # noqa: S608  (our own text)
_DEMAND = text("""
    INSERT INTO pg_temp.turn_demand (order_id, order_key, channel, sku, place, units, ordered_at)
    SELECT d.order_id, d.order_key, d.channel, t.sku,
           CASE WHEN count(DISTINCT d.place) = 1 THEN min(d.place) ELSE '' END, sum(d.units * b.units),
           min(d.ordered_at)
    FROM pg_temp.turn AS t
    JOIN (SELECT sku AS ordered, sku AS part, 1 AS units FROM pg_temp.turn
          UNION ALL SELECT kit, part, units FROM stock_kit WHERE NOT stocked) AS b ON b.part = t.sku
    JOIN stock_demand AS d ON d.sku = b.ordered
    GROUP BY d.order_id, d.order_key, d.channel, t.sku
""")
# The shipments and movements of these orders, in units of the turn's SKUs, and whether the counts hold them. A line
# whose SKU the order does not have is found by its order line.
_SHIPPED = text("""
    WITH orders AS (SELECT DISTINCT order_id, order_key FROM pg_temp.turn_demand),
    facts AS (
        SELECT o.order_id, f.system, f.content ->> 'location' AS location, l ->> 'sku' AS told,
               l ->> 'line_id' AS line_id, (l ->> 'quantity')::bigint AS units,
               coalesce((l ->> 'short')::bigint, 0) AS short,
               CASE WHEN f.content ? 'status' THEN f.content ->> 'status' NOT IN ('instructed', 'started')
                    ELSE f.content ?| ARRAY['shipped_on', 'shipped_at', 'delivered_at'] END AS moved,
               least(f.updated_at, (f.content ->> 'shipped_at')::timestamptz + interval '1 day',
                     ((f.content ->> 'shipped_on')::date + 2)::timestamp AT TIME ZONE 'Asia/Tokyo') AS booked_at
        FROM orders AS o CROSS JOIN LATERAL (
            SELECT * FROM entity WHERE kind = 'shipment' AND content ->> 'order_key' = o.order_key OFFSET 0
        ) AS f CROSS JOIN jsonb_array_elements(f.content -> 'lines') AS l
        WHERE f.deleted_at IS NULL AND coalesce(f.content ->> 'status', '') <> 'cancelled'
        UNION ALL
        SELECT o.order_id, f.system, f.content ->> 'location', f.content ->> 'sku', NULL,
               -(f.content ->> 'quantity')::bigint, 0, NULL, (f.content ->> 'occurred_at')::timestamptz
        FROM orders AS o CROSS JOIN LATERAL (
            SELECT * FROM entity WHERE kind = 'stock_movement' AND content ->> 'order_key' = o.order_key OFFSET 0
        ) AS f
        WHERE f.deleted_at IS NULL AND (f.content ->> 'quantity')::bigint < 0
    ), named AS (
        SELECT f.*, CASE WHEN f.line_id IS NULL
                OR EXISTS (SELECT FROM stock_demand AS d WHERE d.order_id = f.order_id AND d.sku = f.told)
                OR EXISTS (SELECT FROM pg_temp.turn_demand AS d WHERE d.order_id = f.order_id AND d.sku = f.told)
            THEN f.told
            ELSE coalesce((SELECT l ->> 'sku' FROM entity AS o, jsonb_array_elements(o.content -> 'lines') AS l
                           WHERE o.id = f.order_id AND l ->> 'id' = f.line_id LIMIT 1), f.told) END AS sku
        FROM facts AS f
    ), based AS (
        SELECT n.order_id, coalesce(k.part, n.sku) AS sku, n.system, n.location,
               n.units * coalesce(k.units, 1) AS units, n.short * coalesce(k.units, 1) AS short, n.moved, n.booked_at
        FROM named AS n LEFT JOIN stock_kit AS k ON k.kit = n.sku AND NOT k.stocked
    )
    INSERT INTO pg_temp.turn_shipped (order_id, sku, location, units, short, moved, booked, uncounted)
    SELECT b.order_id, b.sku, CASE WHEN here.as_of IS NULL THEN NULL ELSE b.location END, b.units, b.short, b.moved,
           counted.as_of >= b.booked_at
           -- nobody counts there: what left does not lie with us
           OR (counted.as_of IS NULL AND b.moved IS NOT FALSE),
           counted.as_of IS NULL
    FROM based AS b JOIN pg_temp.turn AS t ON t.sku = b.sku
    LEFT JOIN pg_temp.turn_position AS here ON here.sku = b.sku AND here.location = b.location AND here.live
    LEFT JOIN LATERAL (SELECT max(as_of) AS as_of FROM pg_temp.turn_position AS p
                       WHERE p.sku = b.sku AND p.system = b.system AND p.live) AS own ON true
    LEFT JOIN LATERAL (SELECT max(as_of) AS as_of FROM pg_temp.turn_position AS p
                       WHERE p.sku = b.sku AND p.live) AS any_one ON true
    CROSS JOIN LATERAL (SELECT CASE WHEN b.location IS NOT NULL THEN here.as_of
                                    ELSE coalesce(own.as_of, any_one.as_of) END AS as_of) AS counted
""")
# A unit told by a shipment and by a movement is one unit: the larger of the two counts.
_OPEN = text("""
    WITH counted AS (
        SELECT p.sku, p.system, p.location, max(p.as_of) AS as_of, c.channel, c.flow, c.books_after
        FROM pg_temp.turn_position AS p JOIN stock_counter AS c ON c.system = p.system
        WHERE p.live GROUP BY GROUPING SETS ((p.sku, p.system, p.location, c.channel, c.flow, c.books_after),
                                             (p.sku, p.system, c.channel, c.flow, c.books_after))
    ), said AS (
        SELECT d.order_id, d.sku,
               bool_or(c.channel = d.channel AND c.as_of >= d.ordered_at) AS own,
               bool_or(c.flow IS NOT NULL AND c.as_of >= told.at + c.books_after) AS accepted
        FROM pg_temp.turn_demand AS d
        JOIN counted AS c ON c.sku = d.sku AND c.location IS NOT DISTINCT FROM (
            SELECT p.location FROM pg_temp.turn_position AS p
            WHERE p.sku = d.sku AND p.location = d.place AND p.live LIMIT 1)
        LEFT JOIN LATERAL (SELECT max(l.accepted_at) AS at FROM ledger AS l
                           WHERE l.entity_id = d.order_id AND l.system = c.system AND l.flow = c.flow) AS told ON true
        GROUP BY d.order_id, d.sku
    ), shipped AS (
        SELECT s.order_id, s.sku,
               greatest(sum(s.units) FILTER (WHERE s.booked AND s.moved),
                        sum(s.units) FILTER (WHERE s.booked AND s.moved IS NULL)) AS units,
               sum(s.units) FILTER (WHERE s.booked AND s.moved IS FALSE) AS instructed,
               sum(s.short) FILTER (WHERE s.booked AND s.moved) AS short
        FROM pg_temp.turn_shipped AS s GROUP BY s.order_id, s.sku
    )
    INSERT INTO pg_temp.turn_open (order_id, order_key, channel, sku, place, units)
    SELECT d.order_id, d.order_key, d.channel, d.sku, d.place,
           CASE WHEN said.own OR said.accepted
                THEN least(greatest(d.units - coalesce(shipped.units, 0), 0), coalesce(shipped.short, 0))
                ELSE greatest(d.units - coalesce(shipped.units, 0)
                     - CASE WHEN EXISTS (SELECT FROM counted AS c WHERE c.sku = d.sku AND c.flow IS NOT NULL)
                            THEN coalesce(shipped.instructed, 0) ELSE 0 END, 0) END
    FROM pg_temp.turn_demand AS d
    LEFT JOIN said ON (said.order_id, said.sku) = (d.order_id, d.sku)
    LEFT JOIN shipped ON (shipped.order_id, shipped.sku) = (d.order_id, d.sku)
""")
# Booked whole: the counts hold it, nothing more to remember. A kit's row only once all its parts are. Where nobody
# counts yet, the first count may be older than what left: it is remembered for a month. So is what was reported missing
# and no count has seen yet: from that count on it is owed again.
_SETTLE = text("""
    DELETE FROM stock_demand AS d USING (
        SELECT d.order_id, d.sku FROM stock_demand AS d
        JOIN (SELECT sku AS ordered, sku AS part FROM pg_temp.turn
              UNION ALL SELECT kit, part FROM stock_kit WHERE NOT stocked) AS b ON b.ordered = d.sku
        LEFT JOIN pg_temp.turn_open AS o ON o.order_id = d.order_id AND o.sku = b.part
        WHERE d.order_id IN (SELECT order_id FROM pg_temp.turn_open WHERE units = 0)
        GROUP BY d.order_id, d.sku HAVING bool_and(coalesce(o.units = 0, false) AND (
            d.ordered_at < now() - interval '30 days' OR NOT EXISTS (
                SELECT FROM pg_temp.turn_shipped AS s
                WHERE (s.order_id, s.sku) = (d.order_id, b.part)
                    AND (s.uncounted OR (s.short > 0 AND s.booked IS NOT TRUE)))))
    ) AS done WHERE (d.order_id, d.sku) = (done.order_id, done.sku)
""")
# The order a reservation was for is here: from now on the order counts.
_HANDED_OVER = text("""
    UPDATE stock_reservation AS v SET state = 'ordered', closed_at = now()
    WHERE v.state IN ('open', 'confirmed') AND v.order_key IS NOT NULL AND v.sku IN (
        SELECT sku FROM pg_temp.turn UNION SELECT k.kit FROM stock_kit AS k JOIN pg_temp.turn AS t ON t.sku = k.part
    ) AND EXISTS (
        SELECT FROM entity AS o WHERE o.kind = 'order' AND o.key = v.order_key AND o.deleted_at IS NULL)
""")
# Open units that a warehouse has in hand are promised from that warehouse, the others from wherever the channel sells.
_CLAIMS = text("""
    WITH located AS (
        SELECT o.order_id, o.sku, s.location,
               greatest(least(s.units, o.units - (sum(s.units) OVER w - s.units)), 0) AS units
        FROM pg_temp.turn_open AS o JOIN (
            SELECT order_id, sku, location, sum(units) AS units FROM pg_temp.turn_shipped
            WHERE location IS NOT NULL AND moved IS NOT NULL AND NOT booked GROUP BY order_id, sku, location
        ) AS s ON (s.order_id, s.sku) = (o.order_id, o.sku)
        WHERE o.units > 0
        WINDOW w AS (PARTITION BY o.order_id, o.sku ORDER BY s.location)
    )
    INSERT INTO pg_temp.turn_claim (kind, id, order_key, channel, sku, places, units)
    SELECT 'order', o.order_id, o.order_key, o.channel, o.sku, '@' || l.location, l.units
    FROM located AS l JOIN pg_temp.turn_open AS o ON (o.order_id, o.sku) = (l.order_id, l.sku) WHERE l.units > 0
    UNION ALL
    SELECT 'order', o.order_id, o.order_key, o.channel, o.sku,
           CASE WHEN o.place = '' THEN coalesce(r.places, '*') ELSE '@' || o.place END, o.units - coalesce(l.units, 0)
    FROM pg_temp.turn_open AS o
    LEFT JOIN (SELECT order_id, sku, sum(units) AS units FROM located GROUP BY order_id, sku) AS l
        ON (l.order_id, l.sku) = (o.order_id, o.sku)
    LEFT JOIN stock_rule AS r ON r.channel = o.channel AND r.sku = ''
    WHERE o.units > coalesce(l.units, 0)
    UNION ALL
    SELECT 'reservation', v.id, v.order_key, v.channel, t.sku,
           CASE WHEN v.location IS NULL THEN coalesce(r.places, '*') ELSE '@' || v.location END, v.quantity * b.units
    FROM pg_temp.turn AS t
    JOIN (SELECT sku AS ordered, sku AS part, 1 AS units FROM pg_temp.turn
          UNION ALL SELECT kit, part, units FROM stock_kit WHERE NOT stocked) AS b ON b.part = t.sku
    JOIN stock_reservation AS v ON v.sku = b.ordered AND v.state IN ('open', 'confirmed')
    LEFT JOIN stock_rule AS r ON r.channel = v.channel AND r.sku = ''
""")
_FREE = text("""
    WITH lying AS (
        SELECT p.sku, l.pool, sum(p.units) AS on_hand, sum(p.moved) AS moved, sum(p.allocated) AS allocated,
               sum(least(p.safety_stock, greatest(p.units - p.allocated, 0))) AS safety_stock,
               bool_or(p.backorderable) AS backorderable
        FROM (SELECT sku, location, CASE WHEN live THEN greatest(on_hand + moved, 0) ELSE 0 END AS units,
                     CASE WHEN live THEN moved ELSE 0 END AS moved,
                     CASE WHEN live THEN allocated ELSE 0 END AS allocated, safety_stock,
                     live AND backorderable AS backorderable
              FROM pg_temp.turn_position) AS p
        JOIN stock_pool_location AS l ON l.location = p.location
        GROUP BY p.sku, l.pool
    ), promised AS (
        SELECT c.sku, p.pool, coalesce(sum(c.units) FILTER (WHERE c.kind = 'reservation'), 0) AS reserved,
               coalesce(sum(c.units) FILTER (WHERE c.kind = 'order'), 0) AS unbooked
        FROM pg_temp.turn_claim AS c JOIN stock_pool_places AS p ON p.places = c.places
        GROUP BY c.sku, p.pool
    ), gone AS (
        DELETE FROM stock_free AS f USING pg_temp.turn AS t WHERE f.sku = t.sku
            AND NOT EXISTS (SELECT FROM lying AS l WHERE (l.sku, l.pool) = (f.sku, f.pool))
    )
    INSERT INTO stock_free AS f
        (sku, pool, on_hand, moved, allocated, safety_stock, reserved, unbooked, free, backorderable)
    SELECT l.sku, l.pool, l.on_hand, l.moved, l.allocated, l.safety_stock,
           coalesce(p.reserved, 0), coalesce(p.unbooked, 0),
           l.on_hand - l.allocated - l.safety_stock - coalesce(p.reserved, 0) - coalesce(p.unbooked, 0), l.backorderable
    FROM lying AS l LEFT JOIN promised AS p ON (p.sku, p.pool) = (l.sku, l.pool)
    ON CONFLICT (sku, pool) DO UPDATE SET on_hand = excluded.on_hand, moved = excluded.moved,
        allocated = excluded.allocated, safety_stock = excluded.safety_stock, reserved = excluded.reserved,
        unbooked = excluded.unbooked, free = excluded.free, backorderable = excluded.backorderable
    WHERE (f.on_hand, f.moved, f.allocated, f.safety_stock, f.reserved, f.unbooked, f.free, f.backorderable)
        IS DISTINCT FROM (excluded.on_hand, excluded.moved, excluded.allocated, excluded.safety_stock,
                          excluded.reserved, excluded.unbooked, excluded.free, excluded.backorderable)
""")
_ANALYZE = "ANALYZE pg_temp.{}"
MANY = 500
"""From so many SKUs on the planner is told how large the temporary tables are; below, that costs more than it helps."""


FEW = 200
"""Up to so many changes, or SKUs, the plans are those for a few: see `plan_for`."""
_THERE = text("SELECT to_regclass('pg_temp.asked') IS NOT NULL")
# A temporary table without statistics is taken for a thousand rows, and joined by reading the other table whole.
_FEW = "".join(
    f"SET LOCAL {name} = {value}; "
    for name, value in (
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("enable_seqscan", "off"),
        ("jit", "off"),
        ("plan_cache_mode", "force_generic_plan"),
    )
)
_USUAL = "".join(
    f"SET LOCAL {name} TO DEFAULT; "
    for name in ("enable_hashjoin", "enable_mergejoin", "enable_seqscan", "jit", "plan_cache_mode")
)
PREPARED_AFTER = 5
"""Executions after which psycopg has the server keep a statement with its plan: its own default."""
TEMPORARY = [each.partition(" ")[0] for each in _TABLES]
_DELETE = "; ".join(f"DELETE FROM pg_temp.{name}" for name in TEMPORARY)  # noqa: S608  (our own names)
_TRUNCATE = f"TRUNCATE {', '.join(f'pg_temp.{name}' for name in TEMPORARY)}"
_TURNS = 50
"""So often rows are deleted before the tables are cut: a cut makes all their files anew, but leaves no dead rows."""


def prepare(connection: Connection) -> None:
    """The turn's temporary tables. They are made once in a session, and always empty at the start of a transaction."""
    if not connection.scalar(_THERE):
        connection.exec_driver_sql("; ".join(f"CREATE TEMP TABLE {each}" for each in _TABLES))


def empty(connection: Connection, skus: int) -> None:
    """Leave the temporary tables empty, after a turn of so many SKUs."""
    turns = connection.info["turns"] = connection.info.get("turns", 0) + 1
    connection.exec_driver_sql(_TRUNCATE if skus > FEW or turns % _TURNS == 0 else _DELETE)


def plan_for(connection: Connection, *, few: bool) -> None:
    """How the statements of this transaction are planned from here on.

    For a few SKUs: by index, row by row, with plans that are kept. For many: as the server sees fit, anew each time; a
    plan that was kept for a few goes row by row.
    """
    connection.exec_driver_sql(_FEW if few else _USUAL)
    driver(connection).prepare_threshold = PREPARED_AFTER if few else None


def derive(
    connection: Connection,
    *,
    owner: str | None,
    listings: Sequence[tuple[str, str, datetime]],
) -> int:
    """Work out what is left of every SKU in pg_temp.touched and its relatives; returns how many SKUs that were.

    `owner` is the system that owns stock positions where several speak of one; `listings` are (system, flow, began).
    """
    connection.execute(_EXPAND_STOCKED)
    connection.execute(_TURN)
    skus: int = connection.scalar(text("SELECT count(*) FROM pg_temp.turn")) or 0
    if not skus:
        return 0
    plan_for(connection, few=skus <= FEW)

    def analyze(*tables: str) -> None:
        for table in tables if skus >= MANY else ():
            connection.execute(text(_ANALYZE.format(table)))

    analyze("turn")
    connection.execute(_LOCK)
    connection.execute(text("DELETE FROM stock_dirty WHERE sku IN (SELECT sku FROM pg_temp.touched)"))
    names: dict[str, Any] = {
        "owner": owner,
        "count_age": COUNT_AGE,
        "systems": [system for system, _, _ in listings],
        "flows": [flow for _, flow, _ in listings],
        "began": [began for _, _, began in listings],
    }
    connection.execute(_POSITIONS, names)
    analyze("turn_position")
    connection.execute(_MOVED)
    if connection.execute(_DEMAND).rowcount:
        analyze("turn_demand")
        connection.execute(_SHIPPED)
        analyze("turn_shipped")
        connection.execute(_OPEN)
        analyze("turn_open")
        connection.execute(_SETTLE)
    connection.execute(_HANDED_OVER)
    connection.execute(_CLAIMS)
    analyze("turn_claim")
    connection.execute(_FREE)
    return skus
