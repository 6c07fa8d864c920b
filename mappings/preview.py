"""What a mapping makes of records, value by value beside the column it came from. Nothing is stored or sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mappings.faults import FieldFault, RecordFaults
from mappings.grouping import RecordLike
from mappings.mapping import Mapping as LoadedMapping, Outgoing

__all__ = ["PreviewRow", "Previewed", "preview_entity", "preview_records"]


class PreviewRow(NamedTuple):
    """One line of the side-by-side view.

    field, value     what was made
    column, source   the column(s) it was made of, and what stood there; `how` the transforms between
    line             the row it stood in, where positions are known
    """

    field: str
    value: Any
    column: str
    source: Any
    how: str
    line: int | None = None


@dataclass(frozen=True)
class Previewed:
    """One record (or group of rows): the rows to show, the entity, or what is wrong with it.

    skipped  the mapping's `when` turned it away
    absent   columns the mapping reads that this record does not have at all: optional, or misspelt
    """

    name: str
    positions: tuple[int, ...]
    rows: Sequence[PreviewRow] = ()
    result: Mapping[str, Any] | None = None
    faults: Sequence[FieldFault] = ()
    skipped: bool = False
    absent: Sequence[str] = ()


def preview_records(
    mapping: LoadedMapping, records: Iterable[RecordLike], context: Mapping[str, Any]
) -> Iterator[Previewed]:
    """Map records with an incoming mapping, one `Previewed` for each entity or refused record, in order."""
    columns = mapping.columns
    for unit in mapping.units(records, context):
        if isinstance(unit, RecordFaults):
            yield Previewed(unit.external_id or "", unit.positions, faults=unit.faults)
            continue
        try:
            entity = mapping.to_entity(unit.data, context, positions=unit.positions)
        except RecordFaults as error:
            yield Previewed(unit.external_id, unit.positions, faults=error.faults)
            continue
        rows = [] if entity is None else _rows(mapping, unit.data, context, None)
        absent = sorted(columns - unit.data.keys())
        yield Previewed(unit.external_id, unit.positions, rows, entity, skipped=entity is None, absent=absent)


def preview_entity(
    mapping: LoadedMapping,
    entity: Mapping[str, Any],
    context: Mapping[str, Any],
    related: Mapping[str, Any] | None = None,
) -> Previewed:
    """Map one entity with an outgoing mapping; `result` is the record, `name` its key."""
    try:
        out: Outgoing | None = mapping.from_entity(entity, context, related)
    except RecordFaults as error:
        return Previewed(str(entity.get("key", "")), (), faults=error.faults)
    if out is None:
        return Previewed(str(entity.get("key", "")), (), skipped=True)
    return Previewed(out.key, (), _rows(mapping, entity, context, related), out.record)


def _rows(mapping: LoadedMapping, data: Any, context: Mapping[str, Any], related: Any) -> list[PreviewRow]:
    return [PreviewRow(*origin) for origin in mapping.explain(data, context, related)]
