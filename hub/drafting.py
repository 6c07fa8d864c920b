"""From a record to what its entity is to be: name it, map it, validate it. Nothing here knows the database.

So it can be done in other processes: see hub/mappers.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from canonical_model.content import dump_json
from canonical_model.entity import Entity, entity_model
from connectors.contract import Fault, Piece, Pieces, Record
from hub.digests import digest
from mappings import Mapping as RecordMapping, RecordFaults, Unit

__all__ = [
    "Candidate",
    "Drafted",
    "Drafter",
    "Job",
    "Made",
    "candidate_of",
    "content_of",
    "make",
    "record_id_of",
]


class Made(NamedTuple):
    """An entity in the stored form."""

    key: str
    content: bytes


class Candidate(NamedTuple):
    """One unit of a page, and what it is to become.

    hash  of the raw record and the mapping's digest
    unit  what it is made from, while that is still to be done
    made  the entity, None when the mapping is not meant for it, or why there can be none
    """

    record_id: str
    external_id: str
    group: str | None
    positions: tuple[int, ...]
    order_value: str | None
    hash: bytes
    unit: Unit | None = None
    made: Made | RecordFaults | None = None


def content_of(kind: str, mapped: Mapping[str, Any]) -> tuple[Entity, bytes]:
    """Validate what a mapping made and give it in the stored form. Raises pydantic's ValidationError."""
    model = entity_model(kind).model_validate(mapped)
    return model, dump_json(model)


def make(mapping: RecordMapping, context: Mapping[str, Any], unit: Unit) -> Made | RecordFaults | None:
    """The unit's entity; None when the mapping is not meant for it; the faults, with the record, when there is none."""
    try:
        mapped = mapping.to_entity(unit.data, context, positions=unit.positions)
        if mapped is None:
            return None
        try:
            model, content = content_of(mapping.entity, mapped)
        except ValidationError as error:
            raise mapping.model_faults(error, unit.data, context, positions=unit.positions) from error
    except RecordFaults as error:
        error.data = dict(unit.data)
        return error.bare()
    return Made(model.key, content)


def _at(data: Any, path: str) -> Any:
    for step in path.split("."):
        data = data.get(step) if isinstance(data, Mapping) else None
    return data


def record_id_of(record_key: str, unit: Unit) -> str:
    """What a record is called: the value its rows share or the source's key, and the entity's own id beside it.

    Both are needed: many orders speak of one customer, and one item of a catalogue may be read as many SKUs.
    """
    value: Any = unit.group
    if value is None:
        value = _at(unit.data, record_key)
    if value in (None, "", unit.external_id):
        return unit.external_id
    return f"{value}#{unit.external_id}" if unit.external_id else str(value)


def candidate_of(mapping: RecordMapping, record_key: str, order: str | None, unit: Unit) -> Candidate:
    """A unit with its name, not made yet. `order`: path of what the source orders versions by."""
    version = None if order is None else _at(unit.data, order)
    return Candidate(
        record_id_of(record_key, unit), unit.external_id, unit.group, unit.positions,
        None if version is None else str(version),
        digest(orjson.dumps(unit.data, default=str), mapping.digest.encode()), unit,
    )  # fmt: skip


# ---------------------------------------------------------------- pieces of files


class Job(NamedTuple):
    """Some runs of a sheet that are to be read. `hashes`: line a run begins in -> its hash."""

    pieces: Sequence[Piece]
    hashes: Mapping[int, bytes]


class Drafted(NamedTuple):
    """What became of a job. `notes` are what an operator should know of good rows: position and words."""

    units: list[Candidate | RecordFaults]
    unreadable: list[Fault]
    notes: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Drafter:
    """What is the same for all jobs of a page."""

    mapping: RecordMapping
    context: Mapping[str, Any]
    record_key: str
    pieces: Pieces

    def run(self, job: Job) -> Drafted:
        """Read, map and validate. The same for the same job wherever it runs."""
        done = Drafted([], [], [])
        for unit in self.mapping.units(self._watched(job.pieces, done), self.context):
            done.units.append(unit if isinstance(unit, RecordFaults) else self._made(unit, job.hashes))
        return done

    def _watched(self, pieces: Iterable[Piece], done: Drafted) -> Iterator[Record | Fault]:
        for piece in pieces:
            for row in self.pieces.read(piece):
                if isinstance(row, Fault):
                    done.unreadable.append(row)
                elif row.notes:
                    done.notes.extend((row.position, note) for note in row.notes)
                yield row

    def _made(self, unit: Unit, hashes: Mapping[int, bytes]) -> Candidate:
        return Candidate(
            record_id_of(self.record_key, unit), unit.external_id, unit.group, unit.positions, None,
            hashes[unit.positions[0]], None, make(self.mapping, self.context, unit),
        )  # fmt: skip
