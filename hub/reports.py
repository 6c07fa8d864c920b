"""What a run says of itself: small, JSON-able, addable."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

__all__ = ["FlowStatus", "PullReport", "PushReport", "QuarantineRow", "ReplayReport", "TakeIn"]


class _Report:
    __slots__ = ()

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON-able values."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


@dataclass(slots=True)
class TakeIn(_Report):
    """What taking records in came to. Every record is counted in exactly one of the last six.

    records      records read, rows of a group counted once each group
    created / updated     entities written
    unchanged    records the hub already had, byte for byte, or that changed nothing in the entity
    skipped      records the mapping's `when` is not meant for
    quarantined  records refused, each with its reason
    superseded   records followed by a newer one of the same thing, in the same chunk or in an earlier page or event
    """

    records: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    quarantined: int = 0
    superseded: int = 0

    def add(self, other: TakeIn) -> None:
        for part in fields(TakeIn):
            setattr(self, part.name, getattr(self, part.name) + getattr(other, part.name))

    @property
    def changed(self) -> int:
        return self.created + self.updated


@dataclass(slots=True)
class PullReport(TakeIn):
    """A pull: what was taken in, and how it was received."""

    system: str = ""
    flow: str = ""
    pages: int = 0
    recovered: int = 0
    """Pages an interrupted run had stored and this one took in."""
    kinds: dict[str, int] = field(default_factory=dict)
    """Entity kind -> entities created or updated; what wakes the flows behind."""
    deleted: int = 0
    """Entities the system says are gone."""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(slots=True)
class PushReport(_Report):
    """A push. Every entity read is in exactly one of echoes, not_for_us, unchanged, quarantined or sent."""

    system: str = ""
    flow: str = ""
    read: int = 0
    echoes: int = 0
    not_for_us: int = 0
    unchanged: int = 0
    quarantined: int = 0
    sent: int = 0
    done: int = 0
    retry: int = 0
    refused: int = 0
    deliveries: int = 0
    resumed: int = 0
    """Deliveries an earlier run had stored and this one finished."""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(slots=True)
class ReplayReport(_Report):
    """What became of quarantined rows that were tried again."""

    tried: int = 0
    through: int = 0
    superseded: int = 0
    """Rows of which a newer page has brought the same thing meanwhile: closed, and nothing overwritten."""
    still_refused: int = 0
    missing: int = 0
    """Rows whose bytes are no longer kept."""


@dataclass(frozen=True, slots=True)
class FlowStatus(_Report):
    """One flow, as an operator wants to see it in the morning."""

    system: str
    flow: str
    direction: str
    title_ja: str
    title_en: str
    schedule: str | None
    last_run_at: datetime | None
    last_ok_at: datetime | None
    outcome: str | None
    error: str | None
    counts: dict[str, Any]
    late: bool
    open_quarantine: int
    open_deliveries: int


@dataclass(frozen=True, slots=True)
class QuarantineRow(_Report):
    """One refused record, with its first fault. `value_masked` and the reasons never show personal data.

    more  how many other faults it has
    """

    id: int
    system: str
    flow: str
    direction: str
    stage: str
    mapping: str
    subject: str
    code: str
    reason_ja: str
    reason_en: str
    column: str | None
    field: str | None
    value_masked: str | None
    position: int | None
    name: str | None
    state: str
    replays: int
    created_at: datetime
    more: int = 0
