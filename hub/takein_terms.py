"""What does not change while a page is taken in, and what taking in came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import Engine

from hub.entities import Written
from hub.erasure.guard import Guard
from hub.progress import Counter
from hub.reports import TakeIn
from mappings import Mapping as RecordMapping

__all__ = ["UNWATCHED", "Setting", "TakenIn"]

UNWATCHED = Counter(None)


@dataclass(slots=True)
class TakenIn(TakeIn):
    """The counts, which kinds of entity changed, and what an operator should read."""

    kinds: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """Record ids of the first mapping, refused ones too: what a listing has shown."""
    unreadable: int = 0
    """Rows that do not say what they are about, or not in a way that can be read."""
    again: set[str] = field(default_factory=set)
    """Quarantine subjects of what can only be named by its place in the page, or by its bytes."""
    overtaken: set[int] = field(default_factory=set)
    """Replay: positions of records that a newer page has brought meanwhile."""
    blank: set[int] = field(default_factory=set)
    """Positions of rows that tell of an erased person: they do not stay in the stored page."""
    keep: set[int] = field(default_factory=set)
    """Positions that stay: an erased person has come back by them."""

    def counts(self) -> dict[str, int]:
        """Only the numbers, for the intake's row."""
        return {part.name: getattr(self, part.name) for part in fields(TakeIn)}

    def note(self, written: Written) -> None:
        self.created += written.created
        self.updated += written.updated
        for kind, count in written.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + count

    def join(self, other: TakenIn) -> None:
        self.add(other)
        self.notes.extend(other.notes)
        self.seen |= other.seen
        self.unreadable += other.unreadable
        self.again |= other.again
        self.overtaken |= other.overtaken
        self.blank |= other.blank
        self.keep |= other.keep
        for kind, count in other.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + count


@dataclass(frozen=True, slots=True)
class Setting:
    """What does not change while one page is taken in through one mapping."""

    engine: Engine
    system: str
    flow: str
    context: Mapping[str, Any]
    authority: Mapping[str, Mapping[str, str]]
    mapping: RecordMapping
    record_key: str
    intake_id: int
    first: bool
    name: str = ""
    """The file or request, for notes."""
    replay: bool = False
    """The page was taken in before: what newer pages brought since is left alone."""
    only: frozenset[int] | None = None
    """Replay: only the units these positions belong to, whatever was known of them."""
    waiting: frozenset[str] = frozenset()
    """Records of which older pages hold rows that could not be read."""
    order: str | None = None
    """Path of the value the source orders versions of one record by."""
    listing: bool = False
    """Remember what was seen: the page belongs to a listing in which absence means deletion."""
    counter: Counter = UNWATCHED
    places: Sequence[tuple[int, int]] = ()
    """Several pages taken in as one: where a position lies, as page and position in it."""
    guard: Guard | None = None
    """Keeps erased persons erased; None while there are none."""

    def place(self, position: int) -> tuple[int, int]:
        """The page a position is of, and where it stands there."""
        return self.places[position] if self.places else (self.intake_id, position)
