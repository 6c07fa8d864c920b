"""Which stored pages hold a person, and in which rows.

Pages are searched for the person's values and external ids in every encoding; that only says where to look. Then the
page is read as it is when it is taken in, and each row asked whom it is about: by its external id, or by mapping it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, text

from connectors.contract import Fault, Misconfigured, Record, Source
from hub.erasure.person import Found, own_ids
from hub.erasure.personal import KINDS_OF_PERSONS, parties_of
from hub.erasure.values import fold, leaves, patterns
from hub.intake import Intake, decode, load_intake
from hub.system_file import UnknownName
from mappings import Mapping as RecordMapping, RecordFaults, Unit
from mappings.interpreter import Walk

if TYPE_CHECKING:
    from hub.engine import BoundFlow, Hub

__all__ = ["PageRows", "Reader", "candidates", "reader_of", "rows_of"]

_EDGE = 256
"""Bytes looked at on both sides of where one stored part ends and the next begins."""

_HITS = text("""
    SELECT DISTINCT b.intake_id FROM intake_body AS b JOIN intake AS i ON i.id = b.intake_id
    WHERE b.intake_id > :after
      AND EXISTS (SELECT FROM unnest(CAST(:needles AS bytea[])) AS n WHERE position(n IN b.body) > 0)
    UNION
    SELECT DISTINCT b.intake_id FROM intake_body AS b
    JOIN intake_body AS next ON next.intake_id = b.intake_id AND next.part = b.part + 1
    WHERE b.intake_id > :after AND b.part >= 0
      AND EXISTS (SELECT FROM unnest(CAST(:needles AS bytea[])) AS n
                  WHERE position(n IN substring(b.body FROM greatest(length(b.body) - :edge + 1, 1))
                                      || substring(next.body FOR :edge)) > 0)
    ORDER BY 1
""")


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads the pages of one flow; `bound` is None when the flow is no longer there or set up."""

    bound: BoundFlow | None
    config: Any = None

    @property
    def source(self) -> Source | None:
        return None if self.bound is None else self.bound.source


@dataclass(slots=True)
class PageRows:
    """Rows of a page: the person's own, and those of others that name the person (position -> what is there)."""

    item: Intake
    own: set[int] = field(default_factory=set)
    others: set[int] = field(default_factory=set)
    readable: bool = True


def candidates(connection: Connection, found: Found, after: int = 0) -> list[int]:
    """Pages that may hold the person, by the bytes in them."""
    needles = patterns(found.person.written(found.person.telling) | own_ids(found))
    if not needles:
        return []
    return list(connection.scalars(_HITS, {"needles": needles, "after": after, "edge": _EDGE}))


def reader_of(hub: Hub, system: str, flow: str) -> Reader:
    """How the flow reads its pages today."""
    try:
        bound = hub.bind(system, flow)
        _ = bound.source
        return Reader(bound, hub.settings_of(system))
    except (Misconfigured, UnknownName, LookupError):
        return Reader(None)


def rows_of(hub: Hub, connection: Connection, found: Found, intake_id: int, reader: Reader) -> PageRows:
    """Read the page and say which of its rows are about the person."""
    rows = PageRows(load_intake(connection, intake_id))
    source = reader.source
    if reader.bound is None or source is None:
        rows.readable = False
        return rows
    read = _Read(found, rows, reader.bound)

    def records() -> Iterator[Record | Fault]:
        return decode(hub.engine, rows.item, source, reader.config)

    for row in records():
        read.look(row)
    if read.suspects:
        for mapping in reader.bound.mappings:
            for unit in mapping.units(records(), reader.bound.context):
                read.ask(mapping, unit)
    rows.others = (rows.others | (read.sure - read.settled)) - rows.own
    return rows


class _Read:
    """Reading one page. `suspects` are rows that hold one of the values or ids at all, `sure` those that hold more than
    a name, which others may have too.
    """

    def __init__(self, found: Found, rows: PageRows, bound: BoundFlow) -> None:
        self._found = found
        self._rows = rows
        self._bound = bound
        self._ids = {fold(one) for one in own_ids(found)}
        self.suspects: set[int] = set()
        self.sure: set[int] = set()
        self.settled: set[int] = set()
        """Suspects that were found to name the person nowhere: they only hold an id that looks alike."""

    def look(self, row: Record | Fault) -> None:
        person = self._found.person
        if isinstance(row, Fault):
            texts = [
                *leaves(row.hint),
                row.raw.decode("cp932", "replace"),
                row.raw.decode("utf-8", "replace"),
            ]
            if any(person.surely(text) for text in texts):
                self._rows.own.add(row.position)
            return
        body = orjson.dumps(row.data, default=str).decode()
        # systems that keep a number or a name in parts: they stand next to each other
        joined = "".join(leaves(row.data))
        if person.mentioned(body) or person.mentioned(joined) or any(one in fold(body) for one in self._ids):
            self.suspects.add(row.position)
            if person.surely(body) or person.surely(joined):
                self.sure.add(row.position)

    def ask(self, mapping: RecordMapping, unit: Unit | RecordFaults) -> None:
        if mapping.entity not in KINDS_OF_PERSONS or not self.suspects.intersection(unit.positions):
            return
        system = self._bound.system.system
        if unit.external_id and unit.external_id in self._found.ids.get((system, mapping.entity), ()):
            self._rows.own.update(unit.positions)
            return
        content = _partly(mapping, unit, self._bound.context)
        if content is None:
            return
        if self._is_own(mapping.entity, content):
            self._rows.own.update(unit.positions)
        elif {content.get("key"), content.get("customer_key")} & set(self._found.alike):
            self.settled.update(unit.positions)  # of somebody who was left out on purpose
        elif any(self._found.person.is_party(party) for party in parties_of(mapping.entity, content)):
            self._rows.others.update(unit.positions)

    def _is_own(self, kind: str, content: Mapping[str, Any]) -> bool:
        found = self._found
        if kind == "customer":
            return content.get("key") in found.person.keys
        if content.get("customer_key"):
            return content["customer_key"] in found.person.keys
        if kind == "order":
            return content.get("key") in found.order_keys or found.person.is_party(content.get("buyer") or {})
        return content.get("order_key") in found.order_keys


def _partly(
    mapping: RecordMapping, unit: Unit | RecordFaults, context: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What the mapping makes of the record, as far as it comes: refused records name people too."""
    if not unit.data:
        return None
    walk = Walk(mapping.tree, unit.data, context, {}, unit.positions)
    filled: dict[str, Any] = orjson.loads(orjson.dumps(walk.fields(), default=str))
    return filled
