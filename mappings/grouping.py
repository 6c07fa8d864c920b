"""Rows to documents: brings the rows of one thing together while the file streams by.

A group is finished when another key starts. Of finished groups only eight bytes of hash and the last line are
remembered, so that a key that comes again (a file that is not sorted) is noticed however large the file is.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from mappings.faults import FieldFault, RecordFaults, make_fault
from mappings.nodes import equal
from mappings.paths import Path, follow

__all__ = [
    "Apart",
    "GroupData",
    "RecordLike",
    "Same",
    "SeenKeys",
    "Unit",
    "UnreadableLike",
    "group_rows",
    "rows_apart",
]


class RecordLike(Protocol):
    """What the hub hands over: a row and where it stood."""

    @property
    def data(self) -> Mapping[str, Any]: ...
    @property
    def position(self) -> int: ...


class UnreadableLike(Protocol):
    """A row that could not be read, and the columns of it that could."""

    @property
    def position(self) -> int: ...
    @property
    def hint(self) -> Mapping[str, Any] | None: ...


class Unit(NamedTuple):
    """The record, or the rows of one group, that make one entity. `group` is the value the rows share."""

    external_id: str
    data: Mapping[str, Any]
    positions: tuple[int, ...]
    group: str | None = None


class GroupData(dict[str, Any]):
    """The first row's columns and `rows`, all rows; knows the lines its rows stood in."""

    __slots__ = ("positions",)
    positions: tuple[int, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class SeenKeys:
    """Hashes of keys and a number for each: a hash table in two arrays, 24 to 48 bytes a key.

    `expected`: how many keys there is room for before the table must grow.
    """

    def __init__(self, expected: int = 500) -> None:
        self._mask = (1 << max(2 * expected, 1).bit_length()) - 1
        self._hashes = array("q", bytes(8 * (self._mask + 1)))
        self._numbers = array("q", bytes(8 * (self._mask + 1)))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def swap(self, key: str, number: int) -> int | None:
        """Store a number for a key; the number it had before, if any."""
        digest = hash(key) or 1
        hashes, mask = self._hashes, self._mask
        at = digest & mask
        while (there := hashes[at]) != digest:
            if not there:
                hashes[at], self._numbers[at] = digest, number
                self._count += 1
                if self._count * 2 > mask:
                    self._grow()
                return None
            at = (at + 1) & mask
        before, self._numbers[at] = self._numbers[at], number
        return before

    def _grow(self) -> None:
        old = zip(self._hashes, self._numbers, strict=True)
        self._mask = mask = self._mask * 2 + 1
        self._hashes = hashes = array("q", bytes(8 * (mask + 1)))
        self._numbers = numbers = array("q", bytes(8 * (mask + 1)))
        for digest, number in old:
            if digest:
                at = digest & mask
                while hashes[at]:
                    at = (at + 1) & mask
                hashes[at], numbers[at] = digest, number


class Apart(NamedTuple):
    """Where a group is torn: it ended in `first_line` and comes again in `line`."""

    first_line: int
    line: int


class Same(NamedTuple):
    """Columns that must be equal in all rows of a group, and the generated function that reads them all."""

    paths: Sequence[Path]
    values: Callable[[Mapping[str, Any]], Any]


KeyOf = Callable[[Mapping[str, Any]], str | None]
KeyFaults = Callable[[Mapping[str, Any], Sequence[int]], RecordFaults]


def group_rows(
    records: Iterable[Any],
    key_of: KeyOf,
    same: Same,
    refuse: KeyFaults,
    skips: Callable[[Any], bool],
    apart: Mapping[str, Apart],
) -> Iterator[tuple[str, GroupData] | RecordFaults | Any]:
    """Groups as (key, data), in the order of the file; faults of groups; single records without key.

    `refuse` makes the faults of a row without a key; `skips` says that such a row is none of this mapping's; groups
    in `apart` are refused in each of their places.
    A record without `data` is one that could not be read: it spoils the group that the columns in its `hint` name, or
    in whose midst it stands.
    """
    seen = SeenKeys()
    group: _Group | None = None
    loose: list[Any] = []
    for record in records:
        data = getattr(record, "data", None)
        readable = data is not None
        if data is None:
            data = getattr(record, "hint", None) or {}
        key = key_of(data)
        if key is None and not readable:
            loose.append(record)
            continue
        if group is not None and key == group.key:
            group.broken += loose  # unreadable rows in the midst of a group can only be its own
            loose = []
            group.add(record, data, readable)
            continue
        loose = []
        if group is not None:
            yield group.finish(same, seen, apart)
            group = None
        if key is not None:
            group = _Group(key)
            group.add(record, data, readable)
        elif readable:
            yield record if skips(data) else refuse(data, (record.position,))
    if group is not None:
        yield group.finish(same, seen, apart)


def rows_apart(records: Iterable[Any], key_of: KeyOf) -> dict[str, Apart]:
    """The keys whose rows do not stand together, and the lines between which they are torn."""
    seen = SeenKeys()
    apart: dict[str, Apart] = {}
    key: str | None = None
    begun = line = 0

    def end_run() -> None:
        if key is not None and (ended := seen.swap(key, line)) is not None:
            apart.setdefault(key, Apart(ended, begun))

    for record in records:
        data = getattr(record, "data", None)
        own = key_of(getattr(record, "hint", None) or {} if data is None else data)
        if own is None and data is None:
            continue  # it may stand in the midst of anything
        if own != key:
            end_run()
            key, begun = own, record.position
        line = record.position
    end_run()
    return apart


class _Group:
    __slots__ = ("broken", "key", "positions", "rows")

    def __init__(self, key: str) -> None:
        self.key = key
        self.rows: list[Mapping[str, Any]] = []
        self.positions: list[int] = []
        self.broken: list[Any] = []

    def add(self, record: Any, data: Mapping[str, Any], readable: bool) -> None:
        if readable:
            self.rows.append(data)
            self.positions.append(record.position)
        else:
            self.broken.append(record)

    def finish(
        self, same: Same, seen: SeenKeys, apart: Mapping[str, Apart]
    ) -> tuple[str, GroupData] | RecordFaults:
        rows, positions = self.rows, self.positions
        lines = [*positions, *(record.position for record in self.broken)]
        ended = seen.swap(self.key, max(lines))
        faults: list[FieldFault] = []
        torn = apart.get(self.key) or (Apart(ended, min(lines)) if ended is not None else None)
        if torn is not None:
            faults.append(self._fault("group_split", None, torn.line, None, torn._asdict()))
        faults += [self._unreadable(record) for record in self.broken]
        if len(rows) > 1 and same.paths:
            wanted = same.values(rows[0])
            if any(same.values(row) != wanted for row in rows[1:]):
                faults += self._conflicts(same.paths)
        data = GroupData(rows[0] if rows else {})
        data["rows"] = rows
        data.positions = tuple(positions)
        if faults:
            return RecordFaults(faults, positions=sorted(lines), external_id=self.key, data=data)
        return self.key, data

    def _conflicts(self, same: Sequence[Path]) -> Iterator[FieldFault]:
        first = self.rows[0]
        for path in same:
            steps = path.steps
            wanted = follow(steps, first)
            for row, line in zip(self.rows[1:], self.positions[1:], strict=True):
                given = follow(steps, row)
                if given != wanted and not equal(_trimmed(given), _trimmed(wanted)):
                    details = {
                        "name": path.label,
                        "first": wanted,
                        "first_line": self.positions[0],
                        "line": line,
                    }
                    yield self._fault("group_conflict", path.label, line, given, details)

    def _unreadable(self, record: Any) -> FieldFault:
        details = {"line": record.position, "detail": record.reason}
        details["detail_ja"] = getattr(record, "reason_ja", None) or record.reason
        column, value = getattr(record, "column", None), getattr(record, "value", None)
        return self._fault("group_broken", column, record.position, value, details)

    def _fault(
        self, code: str, column: str | None, line: int, value: object, details: Mapping[str, object]
    ) -> FieldFault:
        return make_fault(code, "", column, line, value, {**details, "group": self.key})


def _trimmed(value: Any) -> Any:
    return (value.strip() or None) if isinstance(value, str) else value
