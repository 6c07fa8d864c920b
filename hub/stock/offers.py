"""What each channel may offer: entities of the kind `sellable`, written where their content changed.

They go the ordinary way out: change feed, ledger, deliveries. A number that went down is urgent.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from hub.entities import HUB

__all__ = ["EVERY_SKU", "write_offers"]

# Rows of the channel's own rule for the SKU, its general one, or anybody's.
_RULE = """
    LEFT JOIN stock_rule AS one ON one.channel = w.channel AND one.sku = w.sku
    LEFT JOIN stock_rule AS own ON own.channel = w.channel AND own.sku = ''
    JOIN stock_rule AS def ON def.channel = '*' AND def.sku = ''
"""
_WRITE = text(f"""
    WITH concerned AS (
        SELECT sku FROM pg_temp.turn UNION SELECT sku FROM pg_temp.touched WHERE sku IS NOT NULL
        UNION SELECT k.kit FROM stock_kit AS k JOIN pg_temp.turn AS t ON t.sku = k.part WHERE NOT k.stocked
    ), wanted AS (
        SELECT DISTINCT e.content ->> 'channel' AS channel, c.sku FROM concerned AS c
        JOIN entity AS e ON e.kind = 'listing' AND e.content ? 'sku' AND e.content ->> 'sku' = c.sku
        WHERE e.deleted_at IS NULL
        UNION
        SELECT r.channel, c.sku FROM concerned AS c CROSS JOIN stock_rule AS r WHERE r.everything AND r.sku = ''
    ), ruled AS (
        SELECT w.channel, w.sku, coalesce(one.places, own.places, def.places) AS places,
               coalesce(one.policy, own.policy, def.policy) AS policy,
               coalesce(one.buffer, own.buffer, def.buffer) AS buffer,
               coalesce(one.share, own.share, def.share) AS share, coalesce(one.leave, own.leave, def.leave) AS leave,
               coalesce(one.at_most, own.at_most, def.at_most) AS at_most
        FROM wanted AS w {_RULE}
    ), made_of AS (
        SELECT sku, sku AS part, 1::bigint AS units FROM concerned AS c
        WHERE NOT EXISTS (SELECT FROM stock_kit AS k WHERE k.kit = c.sku AND NOT k.stocked)
        UNION ALL
        SELECT k.kit, k.part, k.units FROM concerned AS c JOIN stock_kit AS k ON k.kit = c.sku AND NOT k.stocked
    ), counted AS (  -- every part was counted somewhere once
        SELECT m.sku FROM made_of AS m GROUP BY m.sku
        HAVING bool_and(EXISTS (SELECT FROM stock_free AS f WHERE f.sku = m.part))
    ), bound AS (
        SELECT DISTINCT ON (r.channel, r.sku) r.*, p.pool, m.part, m.units AS part_units,
               coalesce(f.on_hand, 0) AS on_hand, coalesce(f.moved, 0) AS moved, coalesce(f.allocated, 0) AS allocated,
               coalesce(f.safety_stock, 0) AS safety_stock, coalesce(f.reserved, 0) AS reserved,
               coalesce(f.unbooked, 0) AS unbooked, floor(coalesce(f.free, 0)::numeric / m.units)::bigint AS free,
               coalesce(f.backorderable, false) AS backorderable
        FROM ruled AS r JOIN counted AS c ON c.sku = r.sku
        JOIN stock_pool_places AS p ON p.places = r.places
        JOIN made_of AS m ON m.sku = r.sku
        LEFT JOIN stock_free AS f ON f.sku = m.part AND f.pool = p.pool
        ORDER BY r.channel, r.sku, floor(coalesce(f.free, 0)::numeric / m.units), p.pool, m.part
    ), cut AS (
        SELECT b.*, kept.kept, left_over.units AS left_over, CASE WHEN left_over.units > b.leave
            THEN least(left_over.units * b.share / 10000, b.at_most) ELSE 0 END AS quantity
        FROM bound AS b
        CROSS JOIN LATERAL (SELECT least(b.buffer, greatest(b.free, 0)) AS kept) AS kept
        CROSS JOIN LATERAL (SELECT greatest(b.free, 0) - kept.kept AS units) AS left_over
    ), made AS (
        SELECT channel || '/' || sku AS key, quantity, jsonb_strip_nulls(jsonb_build_object(
            'key', channel || '/' || sku, 'channel', channel, 'sku', sku, 'quantity', quantity,
            'on_hand', nullif(on_hand, 0), 'moved', nullif(moved, 0), 'allocated', nullif(allocated, 0),
            'safety_stock', nullif(safety_stock, 0), 'reserved', nullif(reserved, 0), 'unbooked', nullif(unbooked, 0),
            'free', nullif(free, 0), 'buffer', nullif(kept, 0), 'withheld', nullif(left_over - quantity, 0),
            'policy', nullif(policy, 'shared'), 'pool', nullif(pool, '*'),
            'backorderable', CASE WHEN backorderable THEN true END,
            'limiting_part', nullif(part, sku), 'part_units', nullif(part_units, 1)
        )) AS content FROM cut
    ), news AS (
        SELECT m.key, m.content, e.id IS NOT NULL AND e.deleted_at IS NULL
               AND m.quantity < (e.content ->> 'quantity')::bigint AS urgent
        FROM made AS m LEFT JOIN entity AS e ON e.kind = 'sellable' AND e.key = m.key
        WHERE e.id IS NULL OR e.deleted_at IS NOT NULL OR e.content <> m.content
    ), written AS (
        INSERT INTO entity AS e (kind, key, version, content, hash, system)
        SELECT 'sellable', key, 1, content, substring(sha256(convert_to(content::text, 'UTF8')) FOR 16), :system
        FROM news ORDER BY key
        ON CONFLICT (kind, key) DO UPDATE SET version = e.version + 1, content = excluded.content, hash = excluded.hash,
            updated_at = now(), deleted_at = NULL
        RETURNING id, key, version
    ), gone AS (
        UPDATE entity AS e SET version = e.version + 1, deleted_at = now(), updated_at = now()
        FROM concerned AS c WHERE e.kind = 'sellable' AND e.content ? 'sku' AND e.content ->> 'sku' = c.sku
            AND e.deleted_at IS NULL AND NOT EXISTS (SELECT FROM made AS m WHERE m.key = e.key)
        RETURNING e.id, e.version
    ), fed AS (
        INSERT INTO change_feed (entity_id, kind, version, system, deleted, urgent)
        SELECT w.id, 'sellable', w.version, :system, false, n.urgent FROM written AS w JOIN news AS n ON n.key = w.key
        UNION ALL SELECT id, 'sellable', version, :system, true, true FROM gone
    )
    SELECT (SELECT count(*) FROM written) + (SELECT count(*) FROM gone)
""")  # noqa: S608  (our own text)
EVERY_SKU = text("""
    INSERT INTO stock_dirty (sku)
    SELECT DISTINCT content ->> 'sku' FROM entity WHERE kind = 'stock_position' AND content ? 'sku'
    UNION SELECT sku FROM stock_demand UNION SELECT kit FROM stock_kit UNION SELECT part FROM stock_kit
    UNION SELECT sku FROM stock_reservation WHERE state IN ('open', 'confirmed')
""")


def write_offers(connection: Connection) -> int:
    """Write what changed for the SKUs of the turn, and for kits made of them; returns how many entities."""
    return int(connection.scalar(_WRITE, {"system": HUB}) or 0)
