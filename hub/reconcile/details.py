"""From the board to what people read: fields, sums, and the differences in order. A page of it at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import text

from hub.reconcile.board import Board
from hub.reconcile.fields import FieldDifference, differences_of, differences_of_values
from hub.reconcile.figures import Figures, Group, Measure, measures_of
from hub.reconcile.incoming import SAID
from hub.reconcile.parts import Part
from hub.reconcile.results import Difference

if TYPE_CHECKING:
    from hub.engine import Hub

__all__ = ["compare_fields", "difference_rows", "figures_of"]

PAGE = 500

_HUB_CONTENT = {"in": SAID, "out": "h.content::jsonb"}
_JOINED = """
    FROM diff AS d
    LEFT JOIN shown AS s ON s.part = d.part AND s.key = d.key
    LEFT JOIN held AS h ON h.part = d.part AND h.key = d.key
    LEFT JOIN entity AS e ON e.id = h.entity_id
    LEFT JOIN contribution AS c ON c.entity_id = e.id AND c.system = :system
"""
_CONTENTS = """
    SELECT d.key, d.state, s.content AS shown, {hub} AS hub {joined}
    WHERE d.part = :part AND d.state <> 'unjudged' AND d.key > :after ORDER BY d.key LIMIT :limit
"""

HEADLINES: dict[str, tuple[str, ...]] = {
    "order": ("ordered_at", "totals.payable.amount", "confirmation"),
    "payment": ("order_key", "amount.amount", "paid_on"),
    "refund": ("order_key", "amount.amount", "decided_at"),
    "return": ("order_key", "status"),
    "shipment": ("order_key", "shipped_on", "shipped_at"),
    "settlement": ("amount.amount", "paid_on"),
    "stock_position": ("on_hand", "allocated", "as_of"),
    "stock_movement": ("quantity", "occurred_at"),
    "listing": ("title", "price.amount", "active"),
    "product": ("name", "title"),
    "customer": ("name.full", "email"),
}
"""What is told of a thing only one side has."""


def compare_fields(hub: Hub, board: Board, part: Part) -> None:
    """Work out the fields of every difference; what turns out to mean the same is no difference."""
    owners = hub.systems.authority.get(part.kind, {})
    query = _CONTENTS.format(hub=_HUB_CONTENT[part.direction], joined=_JOINED)
    after = ""
    while rows := board.rows(query, part=part.number, system=part.system, after=after, limit=PAGE):
        told: list[dict[str, Any]] = []
        same: list[str] = []
        for row in rows:
            shown = None if row.shown is None else orjson.loads(row.shown)
            found = _fields(part, row.hub, shown, owners)
            if row.state == "differ" and not found:
                same.append(row.key)
            elif found:
                fields = orjson.dumps([one.as_dict() for one in found]).decode()
                told.append({"part": part.number, "key": row.key, "fields": fields})
        with board.writing() as connection:
            if told:
                connection.execute(
                    text("UPDATE diff SET fields = :fields WHERE part = :part AND key = :key"), told
                )
            connection.execute(
                text("DELETE FROM diff WHERE part = :part AND key = ANY(:keys)"),
                {"part": part.number, "keys": same},
            )
        after = rows[-1].key


def _fields(
    part: Part, hub: Mapping[str, Any] | None, shown: Mapping[str, Any] | None, owners: Mapping[str, str]
) -> list[FieldDifference]:
    if hub is not None and shown is not None:
        if part.direction == "out":
            return differences_of_values(hub, shown)
        return differences_of(part.kind, hub, shown, owners)
    one = hub or shown
    if one is None:
        return []
    paths = list(one) if part.direction == "out" else HEADLINES.get(part.kind, ())
    found = []
    for path in paths:
        value = _value(one, path)
        if value is not None:
            found.append(FieldDifference(path, value if hub else None, None if hub else value))
    return found


def _value(content: Mapping[str, Any], path: str) -> Any:
    value: Any = content
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


# ---------------------------------------------------------------- sums

_SIDES = """
    SELECT d.state, s.content AS shown, h.key IS NOT NULL AS is_held,
           CASE WHEN d.key IS NOT NULL THEN {hub} END AS hub
    FROM (SELECT * FROM held WHERE part = :part) AS h FULL JOIN (SELECT * FROM shown WHERE part = :part) AS s
         ON s.key = h.key
    LEFT JOIN diff AS d ON d.part = :part AND d.key = coalesce(h.key, s.key)
    LEFT JOIN entity AS e ON e.id = h.entity_id
    LEFT JOIN contribution AS c ON c.entity_id = e.id AND c.system = :system
    WHERE d.state IS NULL OR d.state IN ('only_hub', 'only_system', 'differ')
"""


def figures_of(board: Board, part: Part) -> Figures:
    """Counts and sums of both sides. What is in flight, unmanaged or could not be compared is in neither."""
    figures = Figures()
    query = _SIDES.format(hub=_HUB_CONTENT[part.direction])
    for row in board.stream(query, {"part": part.number, "system": part.system}):
        shown = None if row.shown is None else orjson.loads(row.shown)
        if row.state is None:
            group, amounts = _amounts(part, shown or {})
            figures.add(0, group, iter(amounts))
            figures.add(1, group, iter(amounts))
            continue
        for side, content in enumerate((row.hub, shown)):
            if content is not None:
                group, amounts = _amounts(part, content)
                figures.add(side, group, iter(amounts))
    return figures


def _amounts(part: Part, content: Mapping[str, Any]) -> tuple[Group, list[tuple[Measure, int]]]:
    if part.direction == "in":
        return measures_of(part.kind, content)
    channel = str(part.bound.system.constants.get("channel", ""))
    amounts = [(Measure("count"), 1)]
    for name, value in content.items():
        if isinstance(value, int) and not isinstance(value, bool):
            amounts.append((Measure("units"), value))
        elif isinstance(value, list):
            amounts.append((Measure("packages" if name == "parcels" else name), len(value)))
    return Group(channel, ""), amounts


# ---------------------------------------------------------------- differences

_ROWS = """
    SELECT d.key, d.state, d.reason, d.remedy, d.fields, d.entity_key, d.fetch_id, h.sent_key, h.hash AS hub_hash,
           s.hash AS system_hash, coalesce(s.position, u.position) AS position {joined}
    LEFT JOIN LATERAL (SELECT min(position) AS position FROM unread AS u WHERE u.part = d.part AND u.key = d.key) AS u
         ON true
    WHERE d.part = :part AND d.state <> 'unjudged'
    ORDER BY array_position(
        ARRAY['only_system', 'only_hub', 'differ', 'unreadable', 'in_flight', 'unmanaged'], d.state), d.key
"""


def difference_rows(board: Board, part: Part) -> Iterator[Difference]:
    """Every difference of a part, what needs a person first, values unmasked."""
    query = _ROWS.format(joined=_JOINED)
    for row in board.stream(query, {"part": part.number, "system": part.system}):
        fields = [FieldDifference(**one) for one in orjson.loads(row.fields or b"[]")]
        yield Difference(
            part.flow, part.direction, part.kind, row.key, row.state, row.reason, row.remedy or "none", fields,
            row.entity_key, row.sent_key, row.fetch_id, row.position, _bytes(row.hub_hash), _bytes(row.system_hash),
        )  # fmt: skip


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
