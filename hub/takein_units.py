"""Taking in the units of a page through one mapping, chunk by chunk, and then the rows that could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from connectors.contract import Fault, Record
from hub.drafting import Candidate, candidate_of
from hub.quarantine import put_refusals, refused_rows
from hub.takein_chunk import take_chunk
from hub.takein_terms import Setting, TakenIn
from mappings import RecordFaults

__all__ = ["CHUNK", "Taking", "take_in_records"]

CHUNK = 2000
"""Units written in one transaction."""


def take_in_records(
    setting: Setting, records: Iterable[Record | Fault], apart: Mapping[str, Any] | None = None
) -> TakenIn:
    """Take records in through one mapping, chunk by chunk.

    Rows that could not be read go into quarantine once, with the first mapping; the document such a row belongs to
    is held back by the mapping's grouping.
    """
    taking = Taking(setting)
    for unit in setting.mapping.units(taking.watched(records), setting.context, apart=apart):
        if isinstance(unit, RecordFaults):
            taking.take(unit)
        else:
            taking.take(candidate_of(setting.mapping, setting.record_key, setting.order, unit))
    return taking.end()


class Taking:
    """Gathers units until they fill a chunk. Hand everything over with `take` and the rows' faults, then `end`."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._keys: dict[int, str] = {}
        self._chunk: list[Candidate | RecordFaults] = []
        self.result = TakenIn()
        self.unreadable: list[Fault] = []

    def watched(self, records: Iterable[Record | Fault]) -> Iterator[Record | Fault]:
        """The same rows, their faults and notes noted."""
        for row in records:
            if isinstance(row, Fault):
                self.unreadable.append(row)
            else:
                for note in row.notes:
                    self.note(row.position, note)
            yield row

    def note(self, position: int, words: str) -> None:
        """What an operator should know of a good row."""
        if self._setting.first:
            self.result.notes.append(f"{self._setting.name}:{position}: {words}")

    def known(self, count: int, names: set[str]) -> None:
        """So many records are as they were, and need no closer look; of a listing their names."""
        self.result.records += count
        self.result.unchanged += count
        self.result.seen |= names
        self._setting.counter.add(count)

    def take(self, unit: Candidate | RecordFaults) -> None:
        """A unit, or why there is none."""
        if self._setting.first and (self._setting.listing or isinstance(unit, RecordFaults)):
            self._look_at(unit)
        if self._wanted(unit):
            self._chunk.append(unit)
        if len(self._chunk) >= CHUNK:
            self._write()

    def end(self) -> TakenIn:
        """Write what is left; what it all came to."""
        if self._chunk:
            self._write()
        self.result.unreadable += len(self.unreadable)
        if self.unreadable and self._setting.first:
            self._refuse_rows()
        return self.result

    def _write(self) -> None:
        self.result.join(take_chunk(self._setting, self._chunk))
        self._chunk = []

    def _look_at(self, unit: Candidate | RecordFaults) -> None:
        """Note what the page speaks of, and which record an unreadable row belongs to."""
        name = unit.record_id if isinstance(unit, Candidate) else unit.external_id
        if name is None:
            self.result.unreadable += 1
        elif isinstance(unit, RecordFaults):
            self._keys.update(dict.fromkeys(unit.positions, name))
        if self._setting.listing and name:
            self.result.seen.add(name)

    def _wanted(self, unit: Candidate | RecordFaults) -> bool:
        only = self._setting.only
        if only is not None and not only.intersection(unit.positions):
            return False
        if not isinstance(unit, RecordFaults):
            return True
        # a document of which no row could be read is told by its rows alone, and one that is torn by the first mapping
        torn = all(fault.code == "group_broken" for fault in unit.faults)
        unread = unit.data is not None and unit.data.get("rows") == []
        return not (unread or (torn and not self._setting.first))

    def _refuse_rows(self) -> None:
        """Put rows that could not be read into quarantine, those of a replay that were asked for."""
        setting, result = self._setting, self.result
        every = refused_rows(setting.system, setting.flow, setting.intake_id, self.unreadable, self._keys)
        refusals = [r for r in every if setting.only is None or setting.only.intersection(r.positions)]
        if refusals:
            with setting.engine.begin() as connection:
                put_refusals(connection, refusals)
        result.again.update(refusal.subject for refusal in refusals)
        result.records += len(refusals)
        result.quarantined += len(refusals)
