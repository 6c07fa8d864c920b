"""What a mapping makes of a file of records, before anything is stored or sent.

Needs neither the database nor the secrets of a system: constants, layout and interface are read from the system file
whose flow uses the mapping, so the keys are the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import orjson
from pydantic import ValidationError

from canonical_model.content import dump_json, from_content
from canonical_model.entity import ENTITIES, entity_model
from connectors.contract import Fault, Misconfigured, Record
from hub.home import Settings
from hub.progress import Counter, Watch
from hub.systems import Flow, System, Systems, UnknownName, load_systems
from hub.words import HubError
from mappings import FieldFault, Mapping as RecordMapping, RecordFaults, Unit, load_mapping
from mappings.preview import PreviewRow, preview_entity
from mappings.problems import suggestion

__all__ = ["NoSuchFile", "Preview", "PreviewedRecord", "UnreadableFile", "open_preview"]

_EVERY = 500
"""Records between two words to the watcher."""


class UnreadableFile(HubError):
    """The file as a whole is not what its layout, or its name, says."""


class NoSuchFile(HubError):
    """There is no file of that name, or nobody may read it."""


@dataclass(frozen=True, slots=True)
class PreviewedRecord:
    """One record (or group of rows): what became of it, or what is wrong with it.

    name     the id the record has in its system, or the key it goes out under
    result   the entity in its stored form; of an outgoing mapping the record (`{"rows": [...]}` for several)
    rows     field, value, column, source value, transforms; only where they were asked for
    faults   code, id, line, column, value, field, ja, en of each fault
    skipped  the mapping's `when` turned it away
    absent   columns the mapping reads that this record does not have at all: optional, or misspelt
    notes    what the reading of its rows substituted or found odd
    """

    name: str
    line: int | None
    result: Mapping[str, Any] | None = None
    rows: Sequence[PreviewRow] = ()
    faults: Sequence[Mapping[str, Any]] = ()
    skipped: bool = False
    absent: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(slots=True)
class _Seen:
    """What passed by on the way to the mapping: unreadable rows to be shown, notes by position."""

    unreadable: list[Fault] = field(default_factory=list)
    notes: dict[int, Sequence[str]] = field(default_factory=dict)

    def notes_of(self, positions: Sequence[int]) -> list[str]:
        return [note for position in positions for note in self.notes.pop(position, ())] if self.notes else []


@dataclass(frozen=True, slots=True)
class Preview:
    """A mapping with the context it runs in. `system` is None when no system file uses it."""

    mapping: RecordMapping
    file: Path
    system: System | None
    context: Mapping[str, Any]
    read: Callable[[], Iterator[Record | Fault]]
    related: Mapping[str, Mapping[str, Mapping[str, Any]]]
    origins: bool

    def records(self, watch: Watch | None = None) -> Iterator[PreviewedRecord]:
        """Map every record, one result each in the file's order; unreadable rows come where they stand.

        Raises UnreadableFile when nothing could be read, NoSuchFile, and Misconfigured for an unknown layout.
        """
        if self.mapping.direction == "out":
            yield from map(self._entity, self._watched(watch))
            return
        seen = _Seen()
        apart = self.mapping.rows_apart(self.read(), self.context)
        for unit in self.mapping.units(self._watched(watch, seen), self.context, apart=apart):
            while seen.unreadable:
                yield _unreadable(seen.unreadable.pop(0))
            yield replace(self._unit(unit), notes=seen.notes_of(unit.positions))
        yield from map(_unreadable, seen.unreadable)

    def _watched(self, watch: Watch | None, seen: _Seen | None = None) -> Iterator[Record | Fault]:
        counter, read, seen = Counter(watch), 0, seen or _Seen()
        for row in self.read():
            if isinstance(row, Fault):
                if row.whole:
                    raise UnreadableFile(
                        f"{self.file}: {row.reason_ja or row.reason}", f"{self.file}: {row.reason}"
                    )
                seen.unreadable.append(row)
            else:
                read += 1
                if row.notes:
                    seen.notes[row.position] = row.notes
                if read % _EVERY == 0:
                    counter.add(_EVERY)
            yield row

    def _unit(self, unit: Unit | RecordFaults) -> PreviewedRecord:
        if isinstance(unit, RecordFaults):
            return _refused(unit.external_id or "", unit)
        line = unit.positions[0]
        try:
            entity = self.mapping.to_entity(unit.data, self.context, positions=unit.positions)
            if entity is None:
                return PreviewedRecord(unit.external_id, line, skipped=True)
            try:
                content = dump_json(entity_model(self.mapping.entity).model_validate(entity))
            except ValidationError as error:
                raise self.mapping.model_faults(
                    error, unit.data, self.context, positions=unit.positions
                ) from error
        except RecordFaults as refused:
            return _refused(unit.external_id, refused)
        result = orjson.loads(content)
        if not self.origins:
            return PreviewedRecord(unit.external_id, line, result)
        found = self.mapping.explain(unit.data, self.context, positions=unit.positions)
        absent = sorted(self.mapping.columns - unit.data.keys())
        rows = [PreviewRow(*origin) for origin in found]
        return PreviewedRecord(unit.external_id, line, result, rows, absent=absent)

    def _entity(self, row: Record | Fault) -> PreviewedRecord:
        if isinstance(row, Fault):
            return _unreadable(row)
        data = row.data
        wrapped = "entity" in data and set(data) <= {"entity", "related"}
        try:
            entity = _full(self.mapping.entity, data["entity"] if wrapped else data)
            related = self._related(entity, (data.get("related") or {}) if wrapped else {})
        except _NotValid as error:
            return PreviewedRecord(error.name, row.position, faults=error.faults(row.position))
        except RecordFaults as refused:
            return _refused(str(entity.get("key", "")), refused, row.position)
        found = preview_entity(self.mapping, entity, self.context, related)
        faults = [{**_fault(fault, found.name), "line": row.position} for fault in found.faults]
        return PreviewedRecord(found.name, row.position, found.result, found.rows, faults, found.skipped)

    def _related(
        self, entity: Mapping[str, Any], given: Mapping[str, Any]
    ) -> dict[str, Mapping[str, Any] | None]:
        """What stands beside the entity, else what the files of related entities hold under its key."""
        keys = self.mapping.related_keys(entity, self.context)
        found: dict[str, Mapping[str, Any] | None] = {}
        for name, related in self.mapping.related.items():
            content = given.get(name) or self.related.get(name, {}).get(keys.get(name) or "")
            found[name] = None if content is None else _full(related.entity, content)
        return found


def open_preview(
    mapping: str,
    file: Path,
    *,
    system: str | None = None,
    layout: str | None = None,
    related: Mapping[str, Path] | None = None,
    origins: bool = True,
) -> Preview:
    """Get ready to show what `mapping` makes of `file`; `Preview.records` then reads it.

    The file is JSON (a list), JSON lines, or what a layout describes. Constants, and the layout if none is given, are
    those of `system`, or of the first system whose flow uses the mapping. An outgoing mapping takes entities as
    `tsunagi export` writes them, alone or as {"entity": ..., "related": {name: entity}}; `related` names files of
    the entities they refer to. Raises MappingError, UnknownName, NoSuchFile, UnreadableFile, Misconfigured.
    """
    settings = Settings.from_env()
    systems = load_systems(settings.systems)
    loaded = load_mapping(mapping, roots=[settings.home.root / "mappings"])
    used = systems.get(system) if system else _user_of(mapping, systems)
    constants = {"channel": "preview"} if used is None else used.constants
    context = {"system": {"id": used.system if used else "preview", **constants}}
    if not file.is_file():
        raise NoSuchFile(f"{file} というファイルはありません。", f"There is no file {file}.")
    if unknown := sorted(set(related or {}) - set(loaded.related)):
        ja, en = suggestion(unknown[0], loaded.related)
        raise UnknownName(
            f"{mapping} に related「{unknown[0]}」はありません。{ja}",
            f"{mapping} has no related entity {unknown[0]!r}.{en}",
        )
    beside = {name: _by_key(path) for name, path in (related or {}).items()}
    return Preview(loaded, file, used, context, _reader(loaded, file, used, layout), beside, origins)


# ---------------------------------------------------------------- reading


def _user_of(mapping: str, systems: Systems) -> System | None:
    return next((s for s in systems.systems.values() if _flow_of(mapping, s) is not None), None)


def _flow_of(mapping: str, system: System | None) -> Flow | None:
    flows = system.flows.values() if system else ()
    return next((flow for flow in flows if mapping in flow.mapping_names), None)


def _reader(
    mapping: RecordMapping, file: Path, system: System | None, layout: str | None
) -> Callable[[], Iterator[Record | Fault]]:
    if file.suffix.lower() in (".jsonl", ".ndjson"):
        return lambda: _json_lines(file)
    if file.suffix.lower() == ".json" or mapping.direction == "out":
        return lambda: _json_list(file)
    decode = _decoder(mapping, system, layout)

    def rows() -> Iterator[Record | Fault]:
        with _readable(file), file.open("rb") as body:
            yield from decode(body)

    return rows


def _decoder(
    mapping: RecordMapping, system: System | None, layout: str | None
) -> Callable[[IO[bytes]], Iterator[Record | Fault]]:
    """How the hub itself reads this file: by the interface of the flow that uses the mapping, else by a layout."""
    # here and not above: records of an API need nothing of it
    from connectors.file_exchange.config import FileExchangeConfig
    from connectors.file_exchange.formats import decode, read_records

    flow = _flow_of(mapping.name, system)
    if layout is None and system is not None and flow is not None and system.connector == "file_exchange":
        try:
            # where the partner is and how to log in there does not matter here
            config = FileExchangeConfig.model_validate({**system.settings, "protocol": "local"})
            config.incoming(flow.params)
        except (ValidationError, Misconfigured) as error:
            raise UnreadableFile(
                f"{system.path} の設定に誤りがあります。`tsunagi check {system.system}` で確認するか、"
                "--layout を指定してください。",
                f"The settings in {system.path} are wrong: see `tsunagi check {system.system}`, or give --layout.",
            ) from error
        return lambda body: decode(body, config, flow.params)
    name = layout or mapping.name.rpartition("/")[2].removesuffix(".in")
    return lambda body: read_records(body, name)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NoSuchFile(
            f"{file} を読めません: {error.strerror}", f"{file} cannot be read: {error.strerror}"
        ) from error


def _json_list(file: Path) -> Iterator[Record | Fault]:
    with _readable(file):
        body = file.read_bytes()
    try:
        rows = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableFile(
            f"{file}: JSONとして読めません({error.lineno} 行目 {error.colno} 文字目)。",
            f"{file} is not JSON (line {error.lineno}, column {error.colno}).",
        ) from error
    for position, data in enumerate(rows if isinstance(rows, list) else [rows]):
        yield _json_record(data, position, b"")


def _json_lines(file: Path) -> Iterator[Record | Fault]:
    with _readable(file), file.open("rb") as body:
        for line, raw in enumerate(body, start=1):
            if not raw.strip():
                continue
            try:
                data = orjson.loads(raw)
            except orjson.JSONDecodeError:
                data = None
            yield _json_record(data, line, raw)


def _json_record(data: Any, position: int, raw: bytes) -> Record | Fault:
    if isinstance(data, dict):
        return Record(data, position)
    return Fault(
        position,
        "not_an_object",
        "this is not a JSON object",
        raw,
        reason_ja="JSONのオブジェクトではありません。",
    )


def _by_key(file: Path) -> dict[str, dict[str, Any]]:
    """A file of entities by their keys."""
    if not file.is_file():
        raise NoSuchFile(f"{file} というファイルはありません。", f"There is no file {file}.")
    rows = _json_lines(file) if file.suffix.lower() in (".jsonl", ".ndjson") else _json_list(file)
    return {str(row.data.get("key", "")): dict(row.data) for row in rows if isinstance(row, Record)}


# ---------------------------------------------------------------- entities and faults


class _NotValid(Exception):
    """An entity of the file that does not fit its model."""

    def __init__(self, name: str, error: ValidationError) -> None:
        super().__init__(name)
        self.name = name
        self._error = error

    def faults(self, line: int) -> list[dict[str, Any]]:
        found = []
        for detail in self._error.errors(include_url=False, include_context=False):
            place = ".".join(map(str, detail["loc"]))
            value = None if detail["type"] == "missing" else _short(detail["input"])
            found.append(
                {
                    "code": "model", "id": self.name, "line": line, "column": place, "value": value, "field": place,
                    "ja": f"項目 {place} が標準形に合いません: {detail['msg']}",
                    "en": f"The field {place} does not fit the model: {detail['msg']}",
                }
            )  # fmt: skip
        return found


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return text if len(text) <= 80 else f"{text[:79]}…"


def _full(kind: str, content: Any) -> dict[str, Any]:
    """An entity with the model's defaults in it, as an outgoing flow sees it. Raises _NotValid."""
    if isinstance(content, Mapping) and "version" not in ENTITIES[kind].model_fields:
        content = {name: value for name, value in content.items() if name != "version"}  # `export` writes it
    name = str(content.get("key", "")) if isinstance(content, Mapping) else ""
    try:
        return from_content(kind, content).model_dump(mode="json")
    except ValidationError as error:
        raise _NotValid(name, error) from error


def _refused(name: str, refused: RecordFaults, line: int | None = None) -> PreviewedRecord:
    where = refused.positions[0] if refused.positions else line
    # one bad cell may feed several fields; that is still one thing to mend
    told: dict[tuple[Any, ...], dict[str, Any]] = {}
    for fault in refused.faults:
        told.setdefault((fault.code, fault.position, fault.column, fault.value), _fault(fault, name))
    return PreviewedRecord(name, where, faults=list(told.values()))


def _fault(fault: FieldFault, name: str) -> dict[str, Any]:
    return {
        "code": fault.code, "id": name, "line": fault.position, "column": fault.column, "value": fault.value,
        "field": fault.field, "ja": fault.reason_ja, "en": fault.reason_en,
    }  # fmt: skip


def _unreadable(fault: Fault) -> PreviewedRecord:
    told = {
        "code": fault.code, "id": "", "line": fault.position, "column": fault.column, "value": fault.value,
        "field": None, "ja": fault.reason_ja or fault.reason, "en": fault.reason,
    }  # fmt: skip
    return PreviewedRecord("", fault.position, faults=[told])
