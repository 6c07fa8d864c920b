"""A turn: what changed since the last one becomes what channels may sell.

Stock is derived by a reader of the change feed, like a push, and not inside the transactions that write orders and
counts: those stay short and need no lock between each other, and nothing is missed, because the feed is complete and
this reader stands alone (docs/decisions/stock-reads-the-feed.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, Engine, delete, insert, text

from hub.feed import FeedPosition, enter_feed, horizon, load_position, more_behind, read_feed, save_position
from hub.stock.demand import KINDS, note_changes
from hub.stock.derive import FEW, MANY, PREPARED_AFTER, derive, empty, plan_for, prepare
from hub.stock.offers import EVERY_SKU, tell_sold, write_offers
from hub.stock.oversold import Oversold, flag_oversold
from hub.stock.shape import Place, build_shape
from hub.store.database import driver, reading
from hub.store.stock_tables import stock_counter, stock_pool_location, stock_pool_places, stock_rule
from mappings.problems import MappingError

if TYPE_CHECKING:
    from hub.systems import Systems
    from mappings import Mapping as RecordMapping

__all__ = ["ROUND", "StockRoom", "Turned", "refresh"]

ROUND = 10_000
"""Rows of the change feed, and SKUs, looked at in one transaction."""
PATIENCE = 5.0
"""Seconds to wait for a transaction that holds back newer changes; after that the next turn sees them."""
_SYSTEM, _FLOW = "hub", "stock"
_ALONE = text("SELECT pg_advisory_xact_lock(:lock)")
_LOCK = 0x7453_5354


@dataclass(slots=True)
class Turned:
    """What a turn came to.

    skus     SKUs worked out again
    changed  entities of the kind `sellable` that were written
    oversold units sold that are not there, flagged or changed by this turn
    waiting  newer changes are held back by a running transaction; another turn must follow
    """

    skus: int = 0
    changed: int = 0
    oversold: list[Oversold] = field(default_factory=list)
    waiting: bool = False


_BEGUN = text("SELECT EXISTS (SELECT FROM flow_state WHERE system = :system AND flow = :flow)")
_IDLE = text("SELECT NOT EXISTS (SELECT FROM entity WHERE kind = 'stock_position')")
_EXPIRE = text("""
    WITH gone AS (
        UPDATE stock_reservation SET state = 'expired', closed_at = now()
        WHERE state = 'open' AND expires_at <= now() RETURNING sku
    )
    INSERT INTO pg_temp.touched (sku) SELECT sku FROM gone
""")
_TAKE_DIRTY = text("""
    INSERT INTO pg_temp.touched (sku) SELECT DISTINCT sku FROM stock_dirty WHERE sku NOT IN (
        SELECT sku FROM pg_temp.touched WHERE sku IS NOT NULL) LIMIT :limit
""")
_PUT_OFF = text("""
    WITH kept AS (SELECT DISTINCT sku FROM pg_temp.touched WHERE sku IS NOT NULL ORDER BY sku LIMIT :limit),
    later AS (
        DELETE FROM pg_temp.touched WHERE sku IS NULL OR sku NOT IN (SELECT sku FROM kept) RETURNING sku
    )
    INSERT INTO stock_dirty (sku) SELECT DISTINCT sku FROM later WHERE sku IS NOT NULL
""")
_DIRTY = text("SELECT EXISTS (SELECT FROM stock_dirty)")
_DUE = text("""
    SELECT EXISTS (SELECT FROM stock_dirty)
        OR EXISTS (SELECT FROM stock_reservation WHERE state = 'open' AND expires_at <= now())
""")
_STATE = text("SELECT cursor, feed_xid, feed_seq FROM flow_state WHERE system = :system AND flow = :flow")
_SAVE_STATE = text("""
    INSERT INTO flow_state (system, flow, cursor) VALUES (:system, :flow, CAST(:state AS jsonb))
    ON CONFLICT (system, flow) DO UPDATE SET cursor = excluded.cursor
""")
_PLACES = text("SELECT location, online, pickup FROM stock_location ORDER BY location")
_CHANNELS = text(
    "SELECT key, content -> 'locations' AS locations FROM entity "
    "WHERE kind = 'channel' AND deleted_at IS NULL AND content ? 'locations'"
)
# Of each flow that brings counts: its newest page that is no event, and when its last whole listing began.
_LISTINGS = text("""
    SELECT f.system, f.flow, newest.id AS newest, coalesce((
        SELECT i.received_at FROM intake AS i WHERE i.system = f.system AND i.flow = f.flow AND i.id > coalesce((
            SELECT p.id FROM intake AS p WHERE p.system = f.system AND p.flow = f.flow AND p.complete
                AND p.id < whole.id ORDER BY p.id DESC LIMIT 1), 0)
        ORDER BY i.id LIMIT 1), whole.received_at) AS began
    FROM unnest(CAST(:systems AS text[]), CAST(:flows AS text[])) AS f(system, flow)
    LEFT JOIN LATERAL (SELECT i.id FROM intake AS i WHERE i.system = f.system AND i.flow = f.flow
                       AND i.state <> 'stored' AND i.event_id IS NULL ORDER BY i.id DESC LIMIT 1) AS newest ON true
    LEFT JOIN LATERAL (SELECT i.id, i.received_at FROM intake AS i WHERE i.system = f.system AND i.flow = f.flow
                       AND i.complete AND i.state <> 'stored' ORDER BY i.id DESC LIMIT 1) AS whole ON true
    ORDER BY 1, 2
""")
_LOOK = text("INSERT INTO pg_temp.touched (sku) VALUES (:sku)")
_OPEN_DEMAND = text("INSERT INTO stock_dirty (sku) SELECT DISTINCT sku FROM stock_demand")


def refresh(
    engine: Engine, systems: Systems, load_mapping: Callable[[str], RecordMapping], *, wait: bool = True
) -> Turned:
    """Bring what channels may sell up to date with everything committed before; cheap when nothing changed.

    One turn runs at a time, others wait for it. `wait` waits up to five seconds for changes that a running transaction
    holds back. Raises TooManyPools.
    """
    result = Turned()
    room = StockRoom(systems, load_mapping)
    until = time.monotonic() + PATIENCE
    while True:
        with reading(engine) as connection:
            below = horizon(connection)
        while True:
            with engine.begin() as connection:
                more = room.round(connection, below, result)
            if not more:
                break
        with reading(engine) as connection:
            position = load_position(connection, _SYSTEM, _FLOW)
            idle = _idle(connection)
            result.waiting = not idle and more_behind(connection, position=position, kinds=KINDS)
        if not (result.waiting and wait) or time.monotonic() >= until:
            return result
        time.sleep(0.02)


def _idle(connection: Connection) -> bool:
    """Whether nobody ever counted anything."""
    begun = connection.scalar(_BEGUN, {"system": _SYSTEM, "flow": _FLOW})
    return not begun and bool(connection.scalar(_IDLE))


class StockRoom:
    """What the system files say of stock, and one transaction of a turn after the other."""

    def __init__(self, systems: Systems, load_mapping: Callable[[str], RecordMapping]) -> None:
        self.systems = systems
        self._load = load_mapping
        self._counting = [
            (name, flow)
            for name, system in systems.systems.items()
            for flow, said in system.flows.items()
            if said.pull and any(self._entity(each) == "stock_position" for each in said.mapping_names)
        ]

    def _entity(self, mapping: str) -> str | None:
        try:
            return self._load(mapping).entity
        except MappingError:  # `validate` tells of it; stock goes on without it
            return None

    def _books_flow(self, system: str) -> str | None:
        """The first flow that sends orders to the system."""
        for name, flow in self.systems.systems[system].flows.items():
            if flow.push and any(self._entity(each) == "order" for each in flow.mapping_names):
                return name
        return None

    def round(self, connection: Connection, below: int, result: Turned) -> bool:
        """One transaction; returns whether another one must follow."""
        connection.execute(_ALONE, {"lock": _LOCK})
        if _idle(connection):
            return False
        enter_feed(connection)
        before = result.skus
        try:
            more = self._round(connection, below, result)
        finally:
            driver(connection).prepare_threshold = PREPARED_AFTER
        empty(connection, result.skus - before)
        return more

    def _round(self, connection: Connection, below: int, result: Turned) -> bool:
        row = connection.execute(_STATE, {"system": _SYSTEM, "flow": _FLOW}).one_or_none()
        state: dict[str, Any] = {} if row is None or row.cursor is None else row.cursor
        position = FeedPosition() if row is None else FeedPosition(row.feed_xid, row.feed_seq)
        before = orjson.dumps(state, option=orjson.OPT_SORT_KEYS)
        changed, behind = read_feed(
            connection, position=position, below=below, kinds=KINDS, system=_SYSTEM, limit=ROUND
        )
        prepare(connection)
        plan_for(connection, few=len(changed) <= FEW)
        by_kind: dict[str, list[int]] = {}
        for one in changed:
            by_kind.setdefault(one.kind, []).append(one.entity_id)
        told = [one.entity_id for one in changed if one.kind == "order" and not one.echo]
        if changed:
            note_changes(connection, by_kind, told)
        if behind != position:
            save_position(connection, _SYSTEM, _FLOW, behind)
        self._shape(connection, state)
        listings, pages = self._listings(connection)
        if pages != state.get("pages"):
            # a page that changed nothing says all the same that the counts are newer: look at open orders again
            state["pages"] = pages
            connection.execute(_OPEN_DEMAND)
        if not changed and not connection.scalar(_DUE):
            self._save(connection, state, before)
            return False
        if len(changed) >= ROUND // 2:  # more of the feed first: what is touched twice is worked out once
            connection.execute(_PUT_OFF, {"limit": 0})
            if told:
                tell_sold(connection)
            self._save(connection, state, before)
            return True
        connection.execute(_EXPIRE)
        connection.execute(_TAKE_DIRTY, {"limit": ROUND})
        connection.execute(_PUT_OFF, {"limit": ROUND})
        skus = derive(connection, owner=self._owner, listings=listings)
        result.skus += skus
        if skus:
            result.changed += write_offers(connection, many=skus >= MANY)
            result.oversold += flag_oversold(connection, self.systems)
        if told:
            tell_sold(connection)
        self._save(connection, state, before)
        return bool(connection.scalar(_DIRTY))

    def _save(self, connection: Connection, state: dict[str, Any], before: bytes) -> None:
        if orjson.dumps(state, option=orjson.OPT_SORT_KEYS) != before:
            connection.execute(
                _SAVE_STATE, {"system": _SYSTEM, "flow": _FLOW, "state": orjson.dumps(state).decode()}
            )

    def _shape(self, connection: Connection, state: dict[str, Any]) -> None:
        """Put the system files' rules into their tables; where they changed, every SKU is looked at again."""
        places = [Place(row.location, row.online, row.pickup) for row in connection.execute(_PLACES)]
        channels = {row.key: row.locations for row in connection.execute(_CHANNELS)}
        shape = build_shape(self.systems, places, channels, self._books_flow)
        digest = shape.digest(place.location for place in places)
        if digest == state.get("shape"):
            return
        known = state.get("places", [])
        if shape.digest(known) != state.get("shape_of_known"):
            connection.execute(EVERY_SKU)
        for table, rows in (
            (stock_rule, shape.rules),
            (stock_counter, shape.counters),
            (stock_pool_location, shape.pool_locations),
            (stock_pool_places, shape.pool_places),
        ):
            connection.execute(delete(table))
            if rows:
                connection.execute(insert(table), rows)
        everywhere = [place.location for place in places]
        state.update(shape=digest, places=everywhere, shape_of_known=shape.digest(everywhere))

    def look(self, connection: Connection, sku: str) -> None:
        """Fill the turn's temporary tables for one SKU. The caller rolls back: nothing of this is to stay."""
        connection.execute(_ALONE, {"lock": _LOCK})
        prepare(connection)
        connection.execute(_LOOK, {"sku": sku})
        derive(connection, owner=self._owner, listings=self._listings(connection)[0])

    @property
    def _owner(self) -> str | None:
        owners = self.systems.authority.get("stock_position", {})
        return owners.get("on_hand", owners.get("*"))

    def _listings(self, connection: Connection) -> tuple[list[tuple[str, str, datetime]], dict[str, int]]:
        """When whole listings began (system, flow, moment), and the newest page of each flow that brings counts."""
        if not self._counting:
            return [], {}
        systems, flows = zip(*self._counting, strict=True)
        rows = connection.execute(_LISTINGS, {"systems": list(systems), "flows": list(flows)}).all()
        pages = {f"{row.system}/{row.flow}": row.newest for row in rows if row.newest is not None}
        return [(row.system, row.flow, row.began) for row in rows if row.began is not None], pages
