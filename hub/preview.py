"""What a mapping makes of a file of records, before anything is stored or sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from connectors.contract import Fault, Record
from connectors.file_exchange.formats import read_records
from hub.entities import content_of
from hub.home import Settings
from hub.systems import System, Systems, load_systems
from hub.words import HubError
from mappings import FieldFault, Mapping as RecordMapping, RecordFaults, Unit, load_mapping
from mappings.preview import PreviewRow, preview_entity

__all__ = ["PreviewedRecord", "preview_file"]


@dataclass(frozen=True, slots=True)
class PreviewedRecord:
    """One record (or group of rows): what became of it, or what is wrong with it.

    faults   code, line, column, value, ja, en of each fault
    rows     field, value, column, source value
    """

    name: str
    line: int | None
    entity: Mapping[str, Any] | None = None
    rows: list[PreviewRow] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    skipped: bool = False


def preview_file(
    mapping: str, file: Path, *, system: str | None = None, layout: str | None = None
) -> Iterator[PreviewedRecord]:
    """Map every record of a file, one result each in the file's order; unreadable rows come where they stand.

    The file is JSON (a list), JSON lines, or anything a layout describes. Constants and layout are those of `system`,
    or of the first system whose flow uses the mapping. Raises HubError when the file cannot be read at all.
    """
    settings = Settings.from_env()
    systems = load_systems(settings.systems)
    loaded = load_mapping(mapping, roots=[settings.home.root / "mappings"])
    used = systems.get(system) if system else _user_of(mapping, systems)
    context = {
        "system": {"id": used.system, **used.constants} if used else {"id": "preview", "channel": "preview"}
    }
    if loaded.direction == "out":
        yield from _outgoing(loaded, file, context)
        return
    unreadable: list[Fault] = []

    def watched() -> Iterator[Record | Fault]:
        for row in _records(file, layout or _layout_of(mapping)):
            if isinstance(row, Fault):
                unreadable.append(row)
            yield row

    for unit in loaded.units(watched(), context):
        while unreadable:
            yield _unreadable(unreadable.pop(0))
        yield (
            _refused(unit.external_id or "", unit)
            if isinstance(unit, RecordFaults)
            else _mapped(loaded, unit, context)
        )
    yield from map(_unreadable, unreadable)


def _mapped(mapping: RecordMapping, unit: Unit, context: Mapping[str, Any]) -> PreviewedRecord:
    try:
        entity = mapping.to_entity(unit.data, context, positions=unit.positions)
        if entity is None:
            return PreviewedRecord(unit.external_id, unit.positions[0], skipped=True)
        try:
            _, content = content_of(mapping.entity, entity)
        except ValidationError as error:
            raise mapping.model_faults(error, unit.data, context, positions=unit.positions) from error
    except RecordFaults as refused:
        return _refused(unit.external_id, refused)
    rows = [PreviewRow(*origin) for origin in mapping.explain(unit.data, context, positions=unit.positions)]
    return PreviewedRecord(unit.external_id, unit.positions[0], orjson.loads(content), rows)


def _refused(name: str, refused: RecordFaults) -> PreviewedRecord:
    line = refused.positions[0] if refused.positions else None
    return PreviewedRecord(name, line, faults=[_fault(fault) for fault in refused.faults])


def _user_of(mapping: str, systems: Systems) -> System | None:
    users = (s for s in systems.systems.values() if any(mapping in f.mapping_names for f in s.flows.values()))
    return next(users, None)


def _layout_of(mapping: str) -> str:
    return mapping.rpartition("/")[2].removesuffix(".in")


def _records(file: Path, layout: str) -> Iterator[Record | Fault]:
    if file.suffix in (".json", ".jsonl"):
        yield from _json_records(file)
        return
    with file.open("rb") as body:
        yield from read_records(body, layout)


def _json_records(file: Path) -> Iterator[Record | Fault]:
    body = file.read_bytes()
    try:
        rows = (
            [orjson.loads(line) for line in body.splitlines() if line.strip()]
            if file.suffix == ".jsonl"
            else None
        )
        rows = orjson.loads(body) if rows is None else rows
    except orjson.JSONDecodeError as error:
        raise HubError(f"{file}: JSONとして読めません: {error}", f"{file} is not JSON: {error}") from error
    for position, data in enumerate(rows if isinstance(rows, list) else [rows]):
        yield Record(data, position)


def _outgoing(mapping: RecordMapping, file: Path, context: Mapping[str, Any]) -> Iterator[PreviewedRecord]:
    """Entities in, records out; `related` entities stand beside each entity: {"entity": ..., "related": ...}."""
    for record in _json_records(file):
        if isinstance(record, Record):
            data = record.data
            entity, related = (data["entity"], data.get("related")) if "entity" in data else (data, None)
            found = preview_entity(mapping, entity, context, related)
            faults = [_fault(fault) for fault in found.faults]
            yield PreviewedRecord(
                found.name, record.position, found.result, list(found.rows), faults, found.skipped
            )


def _fault(fault: FieldFault) -> dict[str, Any]:
    return {
        "code": fault.code, "line": fault.position, "column": fault.column, "value": fault.value, "field": fault.field,
        "ja": fault.reason_ja, "en": fault.reason_en,
    }  # fmt: skip


def _unreadable(fault: Fault) -> PreviewedRecord:
    told = {
        "code": fault.code, "line": fault.position, "column": fault.column, "value": fault.value,
        "ja": fault.reason_ja or fault.reason, "en": fault.reason,
    }  # fmt: skip
    return PreviewedRecord("", fault.position, faults=[told])
