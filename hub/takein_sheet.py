"""Taking in a flat file without reading what is known.

First the file is told apart into runs of rows, each with a digest of its bytes (`connectors.contract.Sheet`), and the
digests are held against those of the last time: an order that did not change costs no more than that. What is left is
cut out of the file and read, mapped and validated, on all cores where there is much of it.

A file in which a group is torn, or too much cannot be read, takes the other way, row by row: every part of a torn
group must be refused. Both ways leave the same store; a test holds them to it.
"""

from __future__ import annotations

import io
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import IO, Any, cast

from sqlalchemy import Connection, text

from connectors.contract import Fault, Piece, Run, Sheet, Source
from hub.drafting import Drafter, Job, record_id_of
from hub.intake import Intake, open_body
from hub.mappers import mappers, processes
from hub.store.database import driver
from hub.takein_terms import Setting, TakenIn
from hub.takein_units import CHUNK, Taking
from mappings import Unit
from mappings.grouping import SeenKeys

__all__ = ["take_in_sheet"]

LOOK = 5000
"""Digests held against the store at once."""

MUCH = 16_000_000
"""Bytes to be mapped for which starting more processes pays."""

KEPT = 4_000_000
"""Bytes to be mapped that are kept from the first look; of more, the file is read a second time."""

_MOST_WAITING = 50_000
_A_RUN = 1000
"""Bytes of a run, about: for how many there is to be room."""
_SEPARATOR = "\x1f"

_DIFFERENT = """
    SELECT u.n FROM unnest(string_to_array(%(ids)s, %(separator)s)) WITH ORDINALITY AS u(id, n)
    LEFT JOIN record AS r ON r.system = %(system)s AND r.mapping = %(mapping)s AND r.record_id = u.id
    WHERE r.hash IS DISTINCT FROM substring(%(hashes)s::bytea FROM (u.n::int - 1) * 16 + 1 FOR 16)
"""
_WAITING = text("""
    SELECT subject FROM quarantine WHERE system = :system AND flow = :flow AND mapping = :mapping AND state = 'open'
    LIMIT :limit
""")


def take_in_sheet(setting: Setting, item: Intake, source: Source, config: Any) -> TakenIn | None:
    """Take a page in as a sheet; None, and nothing done, where it must be read row by row."""
    names = setting.mapping.plain_keys
    by_hand = (
        setting.replay or setting.only is not None or setting.order is not None or item.event_id is not None
    )
    if source.sheet is None or names is None or by_hand:
        return None
    taking = Taking(setting)
    with open_body(setting.engine, item.id) as stored:
        passed = _Passing(stored)
        sheet = source.sheet(cast("IO[bytes]", passed), config, item.params)
        if sheet is None or (names.group is not None and names.group not in sheet.columns):
            return None
        todo = _Look(setting, sheet, taking, passed, item.size // _A_RUN).through()
    if todo is None:
        return None
    if todo.count:
        drafter = Drafter(setting.mapping, setting.context, setting.record_key, sheet.pieces)
        with (
            _cutter(setting, item, todo) as cut,
            mappers(drafter, processes() if todo.size >= MUCH else 1) as workers,
        ):
            for done in workers.run(todo.jobs(cut, sheet.faults)):
                taking.unreadable += done.unreadable
                for position, words in done.notes:
                    taking.note(position, words)
                for unit in done.units:
                    taking.take(unit)
    return taking.end()


@dataclass(slots=True)
class _Todo:
    """The runs that must be read: 40 bytes each, however long they are."""

    begins: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q"))
    lines: array[int] = field(default_factory=lambda: array("q"))
    hashes: bytearray = field(default_factory=bytearray)
    size: int = 0
    """Bytes of all of them."""
    kept: dict[int, bytes] | None = field(default_factory=dict)
    """Their bytes by where they begin, while they are few."""

    @property
    def count(self) -> int:
        return len(self.begins)

    def add(self, run: Run, passed: _Passing) -> None:
        self.begins.append(run.begin)
        self.ends.append(run.end)
        self.lines.append(run.line)
        self.hashes += run.digest
        self.size += run.end - run.begin
        if self.kept is None:
            return
        raw = passed.cut(run.begin, run.end) if self.size <= KEPT else None
        if raw is None:
            self.kept = None
            passed.let_go()
        else:
            self.kept[run.begin] = raw

    def cut(self, begin: int, end: int) -> bytes:
        """Some runs that stand together, out of what was kept."""
        assert self.kept is not None
        parts = []
        while begin < end:
            parts.append(self.kept[begin])
            begin += len(parts[-1])
        return b"".join(parts)

    def jobs(self, cut: Callable[[int, int], bytes], faults: Mapping[int, Fault]) -> Iterator[Job]:
        """The runs, cut out of the file, so many together as are written together."""
        bad = sorted(faults)
        for first in range(0, self.count, CHUNK):
            behind = min(first + CHUNK, self.count)
            pieces: list[Piece] = []
            at = first
            while at < behind:
                begin = at
                while at + 1 < behind and self.begins[at + 1] == self.ends[at]:
                    at += 1
                raw, line = cut(self.begins[begin], self.ends[at]), self.lines[begin]
                until = line + raw.count(b"\n")
                own = {n: faults[n] for n in bad[bisect_left(bad, line) : bisect_left(bad, until + 1)]}
                pieces.append(Piece(raw, line, own))
                at += 1
            hashes = {self.lines[n]: bytes(self.hashes[16 * n : 16 * n + 16]) for n in range(first, behind)}
            yield Job(pieces, hashes)


@contextmanager
def _cutter(setting: Setting, item: Intake, todo: _Todo) -> Iterator[Callable[[int, int], bytes]]:
    """What gives the bytes from one place of the file to another, asked in the file's order."""
    if todo.kept is not None:
        yield todo.cut
        return
    with open_body(setting.engine, item.id) as body:
        yield _Cutter(body)


class _Passing(io.RawIOBase):
    """A stream of which the bytes that passed last can be had again."""

    _HELD = 16_000_000

    def __init__(self, body: IO[bytes]) -> None:
        self._body = body
        self._held: deque[tuple[int, bytes]] = deque()
        self._at = 0
        self._holding = True

    def let_go(self) -> None:
        """Hold nothing from now on."""
        self._holding = False
        self._held.clear()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """As the stream's own."""
        chunk = self._body.read(size)
        if chunk and self._holding:
            self._held.append((self._at, chunk))
            self._at += len(chunk)
            while len(self._held) > 1 and self._at - self._held[1][0] >= self._HELD:
                self._held.popleft()
        return chunk

    def cut(self, begin: int, end: int) -> bytes | None:
        """The bytes between two places; None when they are no longer held."""
        parts = []
        for at, chunk in reversed(self._held):
            if at < end:
                parts.append(chunk[max(begin - at, 0) : end - at])
            if at <= begin:
                return b"".join(reversed(parts))
        return None


class _Cutter:
    """Cuts pieces out of a stream that cannot go back."""

    def __init__(self, body: IO[bytes]) -> None:
        self._body, self._at = body, 0

    def __call__(self, begin: int, end: int) -> bytes:
        while self._at < begin:
            passed = self._body.read(min(begin - self._at, 1 << 20))
            if not passed:
                break
            self._at += len(passed)
        raw = self._body.read(end - begin)
        self._at += len(raw)
        return raw


class _Look:
    """One look through a sheet: what is known stays, what is left is to be done.

    The store is asked about some runs while the next ones are told apart.
    """

    def __init__(
        self, setting: Setting, sheet: Sheet, taking: Taking, passed: _Passing, expected: int
    ) -> None:
        self._passed = passed
        names = setting.mapping.plain_keys
        assert names is not None
        self._setting, self._sheet, self._taking = setting, sheet, taking
        self._group = names.group
        wanted = names.columns if names.group is not None else names.columns | {setting.record_key}
        self._columns = sorted(wanted & sheet.columns)
        self._shared = names.group is not None and not names.columns
        self._seen = SeenKeys(expected)
        self._todo = _Todo()
        self._waiting: frozenset[str] = frozenset()
        self._known = 0
        self._names: set[str] = set()

    def through(self) -> _Todo | None:
        """What is to be done; None when the file must be read row by row. Only then nothing was noted in `taking`."""
        setting = self._setting
        with setting.engine.connect() as connection, ThreadPoolExecutor(1, "look") as asking:
            waiting = self._all_waiting(connection)
            if waiting is None:
                return None
            self._waiting = waiting | setting.waiting
            runs = self._sheet.runs(self._group, self._columns, setting.mapping.digest.encode())
            asked: Callable[[], None] | None = None
            while batch := list(islice(runs, LOOK)):
                names = self._names_of(batch)
                if names is None:
                    return None
                ask = [n for n, name in enumerate(names) if name and _SEPARATOR not in name]
                answer = asking.submit(self._different, connection, batch, names, ask)
                if asked is not None:
                    asked()
                asked = partial(self._sort, batch, names, ask, answer)
            if asked is not None:
                asked()
            if self._sheet.crowded:
                return None
        self._taking.known(self._known, self._names)
        return self._todo

    def _names_of(self, batch: Sequence[Run]) -> list[str | None] | None:
        """What the records are called; None when a group comes a second time, or a row may be a record's second one."""
        names: list[str | None] = []
        grouped, shared, swap = self._group is not None, self._shared, self._seen.swap
        for run in batch:
            name = run.key if shared and run.values is not None else self._name(run)
            if name is None and not grouped and self._may_be_named(run):
                return None
            # what comes twice is decided by the order it comes in, so it is looked at
            again = run.key or name
            if again is not None and swap(again, 0) is not None:
                if grouped:
                    return None
                name = None
            names.append(name)
        return names

    def _sort(
        self,
        batch: Sequence[Run],
        names: Sequence[str | None],
        ask: Sequence[int],
        answer: Future[frozenset[int]],
    ) -> None:
        """What is as it was, and is not waited for, is known; the rest is to be done."""
        different, waiting = answer.result(), self._waiting
        same = [n for n in ask if n not in different] if different else ask
        if waiting:
            same = [n for n in same if names[n] not in waiting and batch[n].key not in waiting]
        self._known += len(same)
        if self._setting.listing:
            self._names.update(name for n in same if (name := names[n]) is not None)
        if len(same) < len(batch):
            known = set(same)
            for n, run in enumerate(batch):
                if n not in known:
                    self._todo.add(run, self._passed)

    def _name(self, run: Run) -> str | None:
        """What its record is called; None where that takes more than a look."""
        if run.values is None:
            return None
        external = self._setting.mapping.id_of(run.values, self._setting.context)
        if external is None:
            return None
        return record_id_of(self._setting.record_key, Unit(external, run.values, (run.line,), run.key))

    def _may_be_named(self, run: Run) -> bool:
        if run.line in self._sheet.faults:
            return False
        return run.values is None or any(run.values.values())

    def _all_waiting(self, connection: Connection) -> frozenset[str] | None:
        setting = self._setting
        names = {"system": setting.system, "flow": setting.flow, "mapping": setting.mapping.name}
        found = list(connection.scalars(_WAITING, {**names, "limit": _MOST_WAITING + 1}))
        return None if len(found) > _MOST_WAITING else frozenset(found)

    def _different(
        self, connection: Connection, batch: Sequence[Run], names: Sequence[str | None], ask: Sequence[int]
    ) -> frozenset[int]:
        """Which of the runs in `ask` belong to records with another hash than the store knows, or none."""
        if not ask:
            return frozenset()
        values = {
            "ids": _SEPARATOR.join(names[n] or "" for n in ask), "separator": _SEPARATOR,
            "hashes": b"".join([batch[n].digest for n in ask]),
            "system": self._setting.system, "mapping": self._setting.mapping.name,
        }  # fmt: skip
        with driver(connection).cursor(binary=True) as cursor:
            return frozenset(ask[row[0] - 1] for row in cursor.execute(_DIFFERENT, values))
