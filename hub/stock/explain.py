"""Why a channel shows what it shows: every term with the rows it comes from.

The rows are worked out by the statements of a turn, in a transaction that is rolled back: what is told here is what
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Row, text

from hub.stock.derive import REPLAYED
from hub.stock.oversold import Oversold, open_oversold
from hub.stock.turn import StockRoom
from hub.words import Words

if TYPE_CHECKING:
    from hub.systems import Systems
    from mappings import Mapping as RecordMapping

__all__ = ["Claim", "Counted", "Moved", "Shown", "StockExplanation", "Told", "explain_stock"]


@dataclass(frozen=True, slots=True)
class Told:
    """What a flow last told the channel's system of this number: the record as it was accepted."""

    system: str
    flow: str
    record: Mapping[str, Any]
    accepted_at: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """A channel's number: the content of its `sellable`, where its rule stands, its locations, what was sent."""

    channel: str
    content: Mapping[str, Any]
    rule: str
    locations: tuple[str, ...]
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """A count of the SKU, or of a part of it, as of a moment; `page` is the file or page that told it."""

    sku: str
    location: str
    system: str | None
    on_hand: int
    moved: int
    allocated: int
    safety_stock: int
    as_of: datetime
    page: str | None


@dataclass(frozen=True, slots=True)
class Moved:
    """A movement after the count, replayed on top of it."""

    key: str
    sku: str
    location: str
    quantity: int
    reason: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """Units somebody was promised. `kind`: order or reservation; `places`: where from; `why`: why it counts."""

    kind: str
    key: str
    channel: str
    sku: str
    units: int
    places: str
    why: Words
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class StockExplanation:
    """Everything behind the numbers of one SKU. `parts`: SKU -> units, where it is a kit."""

    sku: str
    shown: tuple[Shown, ...]
    parts: Mapping[str, int]
    counted: tuple[Counted, ...]
    moved: tuple[Moved, ...]
    claims: tuple[Claim, ...]
    oversold: tuple[Oversold, ...]


_SHOWN = text("""
    SELECT e.id, e.content, coalesce(r.channel, '*') AS rule_of, coalesce(r.sku, '') AS rule_sku, (
        SELECT array_agg(l.location ORDER BY l.location) FROM stock_pool_location AS l
        WHERE l.pool = coalesce(e.content ->> 'pool', '*')) AS locations
    FROM entity AS e LEFT JOIN LATERAL (
        SELECT channel, sku FROM stock_rule WHERE channel = e.content ->> 'channel' AND sku IN (:sku, '')
        ORDER BY sku DESC LIMIT 1) AS r ON true
    WHERE e.kind = 'sellable' AND e.content ? 'sku' AND e.content ->> 'sku' = :sku AND e.deleted_at IS NULL
      AND (CAST(:channel AS text) IS NULL OR e.content ->> 'channel' = :channel)
    ORDER BY e.key
""")
_TOLD = text(
    "SELECT entity_id, system, flow, record, accepted_at FROM ledger WHERE entity_id = ANY(:ids) ORDER BY system, flow"
)
_PARTS = text("SELECT part, units FROM stock_kit WHERE kit = :sku AND NOT stocked ORDER BY part")
# a look at one SKU also takes its neighbours in kits along; only what it is made of is told
_OWN = "(SELECT :sku UNION ALL SELECT part FROM stock_kit WHERE kit = :sku AND NOT stocked)"
_COUNTED = text(f"""
    SELECT p.sku, p.location, p.system, p.on_hand, p.moved, p.allocated, p.safety_stock, p.as_of, page.name AS page
    FROM pg_temp.turn_position AS p LEFT JOIN LATERAL (
        SELECT coalesce(i.name, i.source || ' #' || i.id) AS name
        FROM record AS r JOIN intake AS i ON i.id = r.intake_id
        WHERE r.entity_id = p.entity_id ORDER BY i.id DESC LIMIT 1) AS page ON true
    WHERE p.live AND p.sku IN {_OWN} ORDER BY p.sku, p.location
""")  # noqa: S608  (our own text)
_MOVED = text(f"""
    SELECT m.key, p.sku, p.location, (m.content ->> 'quantity')::bigint AS quantity, m.content ->> 'reason' AS reason,
           (m.content ->> 'occurred_at')::timestamptz AS occurred_at
    FROM pg_temp.turn_position AS p JOIN entity AS m ON {REPLAYED} WHERE p.sku IN {_OWN} ORDER BY 6, 1
""")  # noqa: S608
_CLAIMS = text(f"""
    SELECT c.kind, coalesce(c.order_key, v.key) AS key, c.channel, c.sku, c.units, c.places, d.ordered_at, v.expires_at,
           v.state, v.key AS reservation, told.*
    FROM pg_temp.turn_claim AS c
    LEFT JOIN pg_temp.turn_demand AS d ON c.kind = 'order' AND (d.order_id, d.sku) = (c.id, c.sku)
    LEFT JOIN stock_reservation AS v ON c.kind = 'reservation' AND v.id = c.id
    LEFT JOIN LATERAL (
        SELECT k.system AS told_system, max(l.accepted_at) AS accepted_at, k.books_after, max(p.as_of) AS as_of
        FROM pg_temp.turn_position AS p JOIN stock_counter AS k ON k.system = p.system AND k.flow IS NOT NULL
        LEFT JOIN ledger AS l ON l.entity_id = c.id AND l.system = k.system AND l.flow = k.flow
        WHERE c.kind = 'order' AND p.sku = c.sku AND p.live
        GROUP BY k.system, k.books_after ORDER BY 2 DESC NULLS LAST LIMIT 1
    ) AS told ON true
    WHERE c.sku IN {_OWN} ORDER BY c.sku, c.kind, c.id
""")  # noqa: S608


def explain_stock(
    engine: Engine,
    systems: Systems,
    load_mapping: Callable[[str], RecordMapping],
    sku: str,
    channel: str | None = None,
) -> StockExplanation:
    """Everything behind the numbers of a SKU, of one channel or of all. Raises LookupError for a SKU nobody counts.

    Call `refresh` before, so that the numbers are of this moment too.
    """
    with engine.connect() as connection, connection.begin() as looking:
        StockRoom(systems, load_mapping).look(connection, sku)
        names = {"sku": sku, "channel": channel}
        counted = tuple(Counted(**row._mapping) for row in connection.execute(_COUNTED, names))
        shown = _shown(connection, systems, names)
        if not counted and not shown:
            raise LookupError(f"nobody counts {sku!r}")
        found = StockExplanation(
            sku=sku,
            shown=shown,
            parts={row.part: row.units for row in connection.execute(_PARTS, names)},
            counted=counted,
            moved=tuple(Moved(**row._mapping) for row in connection.execute(_MOVED, names)),
            claims=tuple(_claim(row) for row in connection.execute(_CLAIMS, names)),
            oversold=tuple(open_oversold(connection, systems, sku)),
        )
        looking.rollback()
    return found


def _shown(connection: Connection, systems: Systems, names: Mapping[str, Any]) -> tuple[Shown, ...]:
    rows = connection.execute(_SHOWN, names).all()
    told: dict[int, list[Told]] = {}
    for row in connection.execute(_TOLD, {"ids": [row.id for row in rows]}):
        told.setdefault(row.entity_id, []).append(Told(row.system, row.flow, row.record, row.accepted_at))
    return tuple(
        Shown(
            channel=row.content["channel"],
            content=row.content,
            rule=_rule(systems, row),
            locations=tuple(row.locations or ()),
            told=tuple(told.get(row.id, ())),
        )
        for row in rows
    )


def _rule(systems: Systems, row: Row[Any]) -> str:
    """The place in a system file the rule stands in; nothing where it is the default."""
    for system in systems.systems.values():
        if system.allocation is not None and system.constants.get("channel") == row.rule_of:
            at: Sequence[str] = ("allocation", "skus", row.rule_sku) if row.rule_sku else ("allocation",)
            return f"{system.path.name}:{system.marks.line(tuple(at))} {'.'.join(at)}"
    return ""


def _claim(row: Row[Any]) -> Claim:
    since = row.ordered_at if row.kind == "order" else row.expires_at
    return Claim(row.kind, row.key, row.channel, row.sku, row.units, row.places, _why(row), since)


def _why(row: Row[Any]) -> Words:
    if row.kind == "reservation":
        if row.state == "confirmed":
            return Words("確定済み、受注の取込待ち", "confirmed, its order is still to come")
        if row.expires_at is None:
            return Words("期限なし", "until it is released")
        return Words("期限まで", "until it runs out")
    if row.told_system is None:
        return Words("出荷の報告がまだ在庫に入っていません", "no count holds its shipping yet")
    if row.accepted_at is None:
        return Words(
            f"{row.told_system} がまだ受け取っていません", f"{row.told_system} has not accepted it yet"
        )
    return Words(
        f"{row.told_system} が受け取り済み、在庫の計上待ち",
        f"accepted by {row.told_system}, its count does not hold it yet",
    )
