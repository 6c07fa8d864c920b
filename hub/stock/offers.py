"""What each channel may offer: entities of the kind `sellable`, written where their content changed.

They go the ordinary way out: change feed, ledger, deliveries. A number that went down is urgent.

OFFSET 0 keeps the planner from reading all entities where a handful is looked up by key.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from hub.entities import HUB

__all__ = ["EVERY_SKU", "tell_sold", "write_offers"]

_WANTED = text("""
    INSERT INTO pg_temp.turn_wanted (channel, sku)
    WITH concerned AS (
        SELECT sku FROM pg_temp.turn UNION SELECT sku FROM pg_temp.touched WHERE sku IS NOT NULL
        UNION SELECT k.kit FROM stock_kit AS k JOIN pg_temp.turn AS t ON t.sku = k.part WHERE NOT k.stocked
    )
    SELECT l.channel, c.sku FROM concerned AS c CROSS JOIN LATERAL (
        SELECT e.content ->> 'channel' AS channel FROM entity AS e
        WHERE e.kind = 'listing' AND e.content ? 'sku' AND e.content ->> 'sku' = c.sku AND e.deleted_at IS NULL OFFSET 0
    ) AS l
    UNION
    SELECT r.channel, c.sku FROM concerned AS c CROSS JOIN stock_rule AS r WHERE r.everything AND r.sku = ''
    UNION  -- what is offered now and may no longer be
    SELECT NULL, c.sku FROM concerned AS c
""")
# what a SKU is made of: itself, or the parts of a kit
_PARTS = text("""
    INSERT INTO pg_temp.turn_part (sku, part, units)
    SELECT w.sku, coalesce(k.part, w.sku), coalesce(k.units, 1) FROM (SELECT DISTINCT sku FROM pg_temp.turn_wanted) AS w
    LEFT JOIN stock_kit AS k ON k.kit = w.sku AND NOT k.stocked
""")
# Of all pools around a channel's places the tightest, and in it the scarcest part. Only what differs from the entity is
# kept; `content` is NULL where nothing may be offered any more.
_MADE = text("""
    INSERT INTO pg_temp.turn_offer (id, key, sku, content, urgent)
    WITH ruled AS (  -- the channel's rule for the SKU, its general one, or anybody's
        SELECT w.channel, w.sku, coalesce(one.places, own.places, def.places) AS places,
               coalesce(one.policy, own.policy, def.policy) AS policy,
               coalesce(one.buffer, own.buffer, def.buffer) AS buffer,
               coalesce(one.share, own.share, def.share) AS share, coalesce(one.leave, own.leave, def.leave) AS leave,
               coalesce(one.at_most, own.at_most, def.at_most) AS at_most
        FROM pg_temp.turn_wanted AS w
        LEFT JOIN stock_rule AS one ON one.channel = w.channel AND one.sku = w.sku
        LEFT JOIN stock_rule AS own ON own.channel = w.channel AND own.sku = ''
        JOIN stock_rule AS def ON def.channel = '*' AND def.sku = ''
        WHERE w.channel IS NOT NULL
    ), free AS MATERIALIZED (
        SELECT f.* FROM (SELECT DISTINCT part FROM pg_temp.turn_part) AS m
        CROSS JOIN LATERAL (SELECT * FROM stock_free WHERE sku = m.part OFFSET 0) AS f
    ), counted AS (  -- every part was counted somewhere once
        SELECT m.sku FROM pg_temp.turn_part AS m LEFT JOIN (SELECT DISTINCT sku FROM free) AS f ON f.sku = m.part
        GROUP BY m.sku HAVING bool_and(f.sku IS NOT NULL)
    ), pooled AS (
        SELECT r.*, p.pool, m.part, m.units AS part_units,
               floor(coalesce(f.free, 0)::numeric / m.units)::bigint AS free,
               f.on_hand, f.moved, f.allocated, f.safety_stock, f.reserved, f.unbooked, f.backorderable
        FROM ruled AS r JOIN counted AS c ON c.sku = r.sku
        JOIN stock_pool_places AS p ON p.places = r.places
        JOIN pg_temp.turn_part AS m ON m.sku = r.sku
        LEFT JOIN free AS f ON f.sku = m.part AND f.pool = p.pool
    ), bound AS (
        SELECT DISTINCT ON (channel, sku) *, least(buffer, greatest(free, 0)) AS kept FROM pooled
        ORDER BY channel, sku, free, pool, part
    ), cut AS (
        SELECT *, channel || '/' || sku AS key, greatest(free, 0) - kept AS left_over,
               CASE WHEN greatest(free, 0) - kept > leave
                    THEN least((greatest(free, 0) - kept) * share / 10000, at_most) ELSE 0 END AS quantity
        FROM bound
    ), known AS (
        SELECT w.sku, e.* FROM (SELECT DISTINCT sku FROM pg_temp.turn_wanted) AS w CROSS JOIN LATERAL (
            SELECT id, key, content, deleted_at IS NOT NULL AS gone FROM entity
            WHERE kind = 'sellable' AND content ? 'sku' AND content ->> 'sku' = w.sku OFFSET 0
        ) AS e
    ), made AS (
        SELECT known.id, coalesce(known.key, cut.key) AS key, coalesce(known.sku, cut.sku) AS sku,
               cut.key IS NULL AS withdrawn, cut.quantity, known.gone, known.content AS was,
            jsonb_strip_nulls(jsonb_build_object(
            'key', cut.key, 'channel', channel, 'sku', cut.sku, 'quantity', quantity,
            'on_hand', nullif(on_hand, 0), 'moved', nullif(moved, 0), 'allocated', nullif(allocated, 0),
            'safety_stock', nullif(safety_stock, 0), 'reserved', nullif(reserved, 0), 'unbooked', nullif(unbooked, 0),
            'free', nullif(free, 0), 'buffer', nullif(kept, 0), 'withheld', nullif(left_over - quantity, 0),
            'policy', nullif(policy, 'shared'), 'pool', nullif(pool, '*'),
            'backorderable', CASE WHEN backorderable THEN true END,
            'limiting_part', nullif(part, cut.sku), 'part_units', nullif(part_units, 1), 'sold_there',
            nullif(coalesce((known.content ->> 'sold_there')::bigint, 0) + (sold.key IS NOT NULL)::int, 0)
        )) AS content
        FROM cut FULL JOIN known ON known.key = cut.key
        LEFT JOIN pg_temp.sold_there AS sold ON sold.key = cut.key
    )
    SELECT id, key, sku, CASE WHEN NOT withdrawn THEN content END,
           withdrawn OR coalesce(NOT gone AND quantity < (was ->> 'quantity')::bigint, false)
    FROM made WHERE CASE WHEN withdrawn THEN NOT gone ELSE gone IS NOT FALSE OR was <> content END
""")
# New ones of a SKU lie side by side: when its count changes they change together, on one page instead of on many. There
# is no join here, so no plan that could read all entities.
_WRITE = text("""
    WITH written AS (
        INSERT INTO entity AS e (kind, key, version, content, hash, system)
        SELECT 'sellable', key, 1, content, substring(sha256(convert_to(content::text, 'UTF8')) FOR 16), :system
        FROM pg_temp.turn_offer WHERE content IS NOT NULL ORDER BY sku, key
        ON CONFLICT (kind, key) DO UPDATE SET version = e.version + 1, content = excluded.content, hash = excluded.hash,
            updated_at = now(), deleted_at = NULL
        RETURNING id, key, version
    ), gone AS (
        UPDATE entity SET version = version + 1, deleted_at = now(), updated_at = now()
        WHERE id = ANY(ARRAY(SELECT id FROM pg_temp.turn_offer WHERE content IS NULL)) RETURNING id, version
    ), fed AS (
        INSERT INTO change_feed (entity_id, kind, version, system, deleted, urgent)
        SELECT w.id, 'sellable', w.version, :system, false, m.urgent
        FROM written AS w JOIN pg_temp.turn_offer AS m ON m.key = w.key
        UNION ALL SELECT id, 'sellable', version, :system, true, true FROM gone
    )
    SELECT (SELECT count(*) FROM written) + (SELECT count(*) FROM gone)
""")
# A channel lowers its own number with every order, and may raise it when one is called off. What it was last sent is
# then not what it shows, whatever our number comes to: so the count of such changes is part of what the ledger
# compares (hub.outgoing). Those that were worked out in this transaction hold it already.
_SOLD_THERE = text("""
    WITH known AS (
        SELECT e.key, jsonb_set(e.content, '{sold_there}',
                                to_jsonb(coalesce((e.content ->> 'sold_there')::bigint, 0) + 1)) AS content
        FROM pg_temp.sold_there AS s CROSS JOIN LATERAL (
            SELECT * FROM entity WHERE kind = 'sellable' AND key = s.key OFFSET 0
        ) AS e WHERE e.deleted_at IS NULL AND e.updated_at <> now()
    ), written AS (
        INSERT INTO entity AS e (kind, key, version, content, hash, system)
        SELECT 'sellable', key, 1, content, substring(sha256(convert_to(content::text, 'UTF8')) FOR 16), :system
        FROM known ORDER BY key
        ON CONFLICT (kind, key) DO UPDATE SET version = e.version + 1, content = excluded.content, hash = excluded.hash,
            updated_at = now() RETURNING id, version
    )
    INSERT INTO change_feed (entity_id, kind, version, system) SELECT id, 'sellable', version, :system FROM written
""")
EVERY_SKU = text("""
    INSERT INTO stock_dirty (sku)
    SELECT DISTINCT content ->> 'sku' FROM entity WHERE kind = 'stock_position' AND content ? 'sku'
    UNION SELECT sku FROM stock_demand UNION SELECT kit FROM stock_kit UNION SELECT part FROM stock_kit
    UNION SELECT sku FROM stock_reservation WHERE state IN ('open', 'confirmed')
""")


def tell_sold(connection: Connection) -> None:
    """See that channels that sold are told their number again, those included whose SKUs another turn works out."""
    connection.execute(_SOLD_THERE, {"system": HUB})


def write_offers(connection: Connection, *, many: bool) -> int:
    """Write what changed for the SKUs of the turn, and for kits made of them; returns how many entities.

    `many` tells the planner how large the temporary tables are.
    """
    connection.execute(_WANTED)
    if many:
        connection.exec_driver_sql("ANALYZE pg_temp.turn_wanted")
    connection.execute(_PARTS)
    if many:
        connection.exec_driver_sql("ANALYZE pg_temp.turn_part")
    connection.execute(_MADE)
    return int(connection.scalar(_WRITE, {"system": HUB}) or 0)
