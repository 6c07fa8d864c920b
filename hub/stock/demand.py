"""From the change feed to the SKUs whose numbers must be worked out again, and to what orders ask for.

Runs in the transaction of a turn (`hub.stock.turn`). Everything is set-based: one statement a kind of entity, whatever
the number of changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, text

__all__ = ["KINDS", "note_changes"]

KINDS = (
    "stock_position", "stock_movement", "order", "shipment", "reservation", "listing", "product", "location", "channel",
)  # fmt: skip
"""The kinds of entity whose changes may change what a channel can sell."""

_BY_SKU = text("""
    INSERT INTO pg_temp.touched (sku)
    SELECT DISTINCT content ->> 'sku' FROM entity WHERE id = ANY(:ids) AND content ? 'sku'
""")
_NEW_LOCATIONS = text("""
    INSERT INTO stock_location (location)
    SELECT DISTINCT content ->> 'location' FROM entity WHERE id = ANY(:ids)
    ON CONFLICT DO NOTHING
""")
_LOCATIONS = text("""
    WITH said AS (
        SELECT key, deleted_at IS NULL AND coalesce((content ->> 'active')::bool, true) AS active,
               coalesce((content ->> 'sells_online')::bool, true) AS online,
               coalesce((content ->> 'pickup')::bool, false) AS pickup,
               coalesce((content ->> 'safety_stock')::bigint, 0) AS safety_stock
        FROM entity WHERE id = ANY(:ids)
    ), written AS (
        INSERT INTO stock_location AS l (location, online, pickup, safety_stock)
        SELECT key, online AND active, pickup AND active, safety_stock FROM said
        ON CONFLICT (location) DO UPDATE SET online = excluded.online, pickup = excluded.pickup,
            safety_stock = excluded.safety_stock
            WHERE (l.online, l.pickup, l.safety_stock) <> (excluded.online, excluded.pickup, excluded.safety_stock)
        RETURNING location
    )
    INSERT INTO stock_dirty (sku)
    SELECT DISTINCT e.content ->> 'sku' FROM entity AS e JOIN written AS w ON w.location = e.content ->> 'location'
    WHERE e.kind = 'stock_position' AND e.content ? 'sku'
""")
_KITS = text("""
    WITH said AS (
        SELECT DISTINCT ON (kit, part) e.id, v ->> 'sku' AS kit, p ->> 'sku' AS part,
               (p ->> 'quantity')::bigint AS units
        FROM entity AS e, jsonb_array_elements(e.content -> 'variants') AS v, jsonb_array_elements(v -> 'kit') AS p
        WHERE e.id = ANY(:ids) AND e.deleted_at IS NULL AND v ? 'kit' AND v ->> 'sku' <> p ->> 'sku'
        ORDER BY kit, part, e.id DESC
    ), gone AS (
        DELETE FROM stock_kit AS k WHERE k.product_id = ANY(:ids)
            AND NOT EXISTS (SELECT FROM said AS s WHERE (s.kit, s.part) = (k.kit, k.part))
        RETURNING k.kit, k.part
    ), written AS (
        INSERT INTO stock_kit AS k (kit, part, units, product_id) SELECT kit, part, units, id FROM said
        ON CONFLICT (kit, part) DO UPDATE SET units = excluded.units, product_id = excluded.product_id
            WHERE (k.units, k.product_id) <> (excluded.units, excluded.product_id)
        RETURNING k.kit, k.part
    ), changed AS (SELECT kit, part FROM gone UNION SELECT kit, part FROM written)
    INSERT INTO pg_temp.touched (sku) SELECT kit FROM changed UNION SELECT part FROM changed
""")
# orders that changed, or that something which changed speaks of
_ORDERS = text("""
    INSERT INTO pg_temp.touched_order (id)
    SELECT id FROM entity WHERE id = ANY(:orders)
    UNION
    SELECT o.id FROM entity AS f CROSS JOIN LATERAL (
        SELECT id FROM entity WHERE kind = 'order' AND key = f.content ->> 'order_key' OFFSET 0
    ) AS o WHERE f.id = ANY(:facts) AND f.content ? 'order_key'
""")
# What an order asks for: what was ordered and not cancelled, and what left all the same. Of an order cancelled as a
# whole only what left: until the count is newer, those units still stand in it.
_ASKED = text("""
    INSERT INTO pg_temp.asked (order_id, sku, place, order_key, channel, units, ordered_at)
    SELECT order_id, sku, place, order_key, channel, sum(units), ordered_at FROM (
        SELECT e.id AS order_id, e.key AS order_key, l ->> 'sku' AS sku, e.content ->> 'channel' AS channel,
               (e.content ->> 'ordered_at')::timestamptz AS ordered_at, coalesce(s.location, '') AS place,
               greatest(
                   CASE WHEN e.content ->> 'confirmation' = 'cancelled' OR e.content ? 'cancelled_at' THEN 0
                        ELSE (l #>> '{quantity,ordered}')::bigint
                             - coalesce((l #>> '{quantity,cancelled}')::bigint, 0) END,
                   coalesce((l #>> '{quantity,shipped}')::bigint, 0)
               ) AS units
        FROM pg_temp.touched_order AS t JOIN entity AS e ON e.id = t.id AND e.deleted_at IS NULL
        CROSS JOIN jsonb_array_elements(e.content -> 'lines') AS l
        LEFT JOIN stock_location AS s ON s.location = (
            SELECT r #>> '{delivery,place}' FROM jsonb_array_elements(e.content -> 'recipients') AS r
            WHERE r ->> 'id' = coalesce(l ->> 'recipient_id', '1') LIMIT 1
        )
    ) AS lines
    GROUP BY order_id, sku, place, order_key, channel, ordered_at HAVING sum(units) > 0
""")
_CHANGED_DEMAND = text("""
    WITH gone AS (
        DELETE FROM stock_demand AS d USING pg_temp.touched_order AS t
        WHERE d.order_id = t.id AND NOT EXISTS (
            SELECT FROM pg_temp.asked AS a WHERE (a.order_id, a.sku, a.place) = (d.order_id, d.sku, d.place)
        ) RETURNING d.sku
    ), written AS (
        INSERT INTO stock_demand AS d (order_id, sku, place, order_key, channel, units, ordered_at)
        SELECT order_id, sku, place, order_key, channel, units, ordered_at FROM pg_temp.asked
        ON CONFLICT (order_id, sku, place) DO UPDATE
            SET units = excluded.units, channel = excluded.channel, ordered_at = excluded.ordered_at
            WHERE (d.units, d.channel, d.ordered_at) <> (excluded.units, excluded.channel, excluded.ordered_at)
        RETURNING d.sku
    )
    INSERT INTO pg_temp.touched (sku) SELECT sku FROM gone UNION SELECT sku FROM written
""")
_SOLD_THERE = text("""
    INSERT INTO pg_temp.sold_there (key)
    SELECT DISTINCT (e.content ->> 'channel') || '/' || (l ->> 'sku')
    FROM entity AS e CROSS JOIN jsonb_array_elements(e.content -> 'lines') AS l WHERE e.id = ANY(:orders)
""")
# a shipment, a movement or a reservation may book an order whose demand did not change
_TOLD_OF = text("""
    INSERT INTO pg_temp.touched (sku)
    SELECT d.sku FROM stock_demand AS d JOIN entity AS o ON o.id = d.order_id
    JOIN entity AS f ON f.content ->> 'order_key' = o.key WHERE f.id = ANY(:facts) AND f.content ? 'order_key'
""")
# the reservation of an order that came now no longer counts
_RESERVED_FOR = text("""
    INSERT INTO pg_temp.touched (sku)
    SELECT r.sku FROM pg_temp.touched_order AS t JOIN entity AS e ON e.id = t.id
    JOIN stock_reservation AS r ON r.order_key = e.key AND r.state IN ('open', 'confirmed')
""")
# a movement of an order that is not known counts as it is; when the order comes, the order counts
_MOVED_FOR = text("""
    INSERT INTO pg_temp.touched (sku)
    SELECT m.content ->> 'sku' FROM pg_temp.touched_order AS t JOIN entity AS e ON e.id = t.id CROSS JOIN LATERAL (
        SELECT content FROM entity WHERE kind = 'stock_movement' AND content ->> 'order_key' = e.key OFFSET 0
    ) AS m
""")
_RESERVATIONS = text("""
    INSERT INTO stock_reservation AS r
        (key, origin, sku, quantity, channel, location, order_key, state, expires_at, closed_at)
    SELECT key, coalesce(system, 'hub'), content ->> 'sku', (content ->> 'quantity')::bigint, content ->> 'channel',
           content ->> 'location', content ->> 'order_key', state, (content ->> 'expires_at')::timestamptz,
           CASE WHEN state IN ('open', 'confirmed') THEN NULL ELSE now() END
    FROM entity, LATERAL (
        SELECT CASE WHEN deleted_at IS NOT NULL THEN 'released' ELSE coalesce(content ->> 'state', 'open') END AS state
    ) AS said
    WHERE id = ANY(:ids)
    ON CONFLICT (key) DO UPDATE SET sku = excluded.sku, quantity = excluded.quantity, channel = excluded.channel,
        location = excluded.location, order_key = excluded.order_key, state = excluded.state,
        expires_at = excluded.expires_at, closed_at = coalesce(r.closed_at, excluded.closed_at)
        WHERE r.origin <> 'api'
""")
_FORMER = text("""
    INSERT INTO pg_temp.touched (sku)
    SELECT r.sku FROM stock_reservation AS r JOIN entity AS e ON e.key = r.key WHERE e.id = ANY(:ids)
""")


def note_changes(
    connection: Connection, changed: Mapping[str, Sequence[int]], told: Sequence[int] = ()
) -> None:
    """Put the SKUs that these entities concern into pg_temp.touched. `changed` is kind -> entity ids.

    `told` are the orders of which a system said something new, and not only the hub by deriving their state.
    Locations whose safety stock changed go to `stock_dirty`: they may concern every SKU.
    """
    if ids := list(changed.get("location", ())):
        connection.execute(_LOCATIONS, {"ids": ids})
    if ids := list(changed.get("stock_position", ())):
        connection.execute(_NEW_LOCATIONS, {"ids": ids})
    if ids := list(changed.get("product", ())):
        connection.execute(_KITS, {"ids": ids})
    if ids := list(changed.get("reservation", ())):
        connection.execute(_FORMER, {"ids": ids})
        connection.execute(_RESERVATIONS, {"ids": ids})
    plain = [
        i
        for kind in ("stock_position", "stock_movement", "reservation", "listing")
        for i in changed.get(kind, ())
    ]
    if plain:
        connection.execute(_BY_SKU, {"ids": plain})
    orders = list(changed.get("order", ()))
    facts = [i for kind in ("shipment", "stock_movement") for i in changed.get(kind, ())]
    if orders or facts:
        connection.execute(_ORDERS, {"orders": orders, "facts": facts})
        connection.execute(_ASKED)
        connection.execute(_CHANGED_DEMAND)
        connection.execute(_RESERVED_FOR)
        if orders:
            connection.execute(_MOVED_FOR)
        if told:
            connection.execute(_SOLD_THERE, {"orders": list(told)})
        if facts:
            connection.execute(_TOLD_OF, {"facts": facts})
