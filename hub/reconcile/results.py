"""What a comparison came to, kept in the store: runs, their differences, and what was done about them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, insert, text, update

from hub.reconcile.fields import FieldDifference
from hub.store.database import copy_rows
from hub.store.reconcile_tables import reconcile_run
from hub.words import HubError, Words

__all__ = [
    "DIFFERENT",
    "STATES",
    "Difference",
    "PartResult",
    "Result",
    "TooDifferent",
    "begin_run",
    "end_run",
    "forget_keys",
    "latest",
    "load_differences",
    "load_run",
    "store_differences",
    "tidy",
]

DIFFERENT = ("only_hub", "only_system", "differ", "unreadable")
"""States that make a run different. The others are told, and are no differences."""
STATES = (*DIFFERENT, "in_flight", "unmanaged", "unjudged")


@dataclass(slots=True)
class Difference:
    """One place where the two sides are not the same.

    key        of the entity, or of the place at the system
    remedy     take_in, send or none: what a fix would do
    entity_key, sent_key, fetch_id, position   what the fix needs: entity, ledger row, id at the source, row of the page
    """

    flow: str
    direction: str
    kind: str
    key: str
    state: str
    reason: str | None = None
    remedy: str = "none"
    fields: list[FieldDifference] = field(default_factory=list)
    entity_key: str | None = None
    sent_key: str | None = None
    fetch_id: str | None = None
    position: int | None = None
    hub_hash: bytes | None = None
    system_hash: bytes | None = None
    n: int = 0


@dataclass(slots=True)
class PartResult:
    """One flow of a run.

    how, source, name   what was read: the system's API, the newest complete listing in intake, or a file
    since, until        the stretch of time that was compared, where it is one
    counts              records, skipped, both, equal, and one for each state
    sums                rows of `Figures.rows`
    """

    flow: str
    direction: str
    kind: str
    how: str
    source: str
    name: str
    since: str | None
    until: str | None
    whole: bool
    intake_id: int | None
    counts: dict[str, int]
    sums: list[dict[str, Any]]
    notes: list[Words] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            name: getattr(self, name)
            for name in ("flow", "direction", "kind", "how", "source", "name", "since", "until", "whole", "intake_id",
                         "counts", "sums")
        } | {"notes": [list(note) for note in self.notes]}  # fmt: skip

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> PartResult:
        return cls(**{**told, "notes": [Words(*note) for note in told["notes"]]})


@dataclass(slots=True)
class Result:
    """A run. `folder` holds index.html, differences.csv, sums.csv and summary.json."""

    run: int
    system: str
    subject: str
    started_at: datetime
    parts: list[PartResult] = field(default_factory=list)
    notes: list[Words] = field(default_factory=list)
    folder: Path | None = None
    seconds: float = 0.0
    outcome: str = "running"
    error: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Of all parts together."""
        total: dict[str, int] = {}
        for part in self.parts:
            for name, count in part.counts.items():
                total[name] = total.get(name, 0) + count
        return total

    @property
    def differences(self) -> int:
        """How many places are really different."""
        counts = self.counts
        return sum(counts.get(state, 0) for state in DIFFERENT)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`, summary.json and a task's result."""
        return {
            "run": self.run, "system": self.system, "subject": self.subject, "outcome": self.outcome,
            "started_at": self.started_at, "seconds": self.seconds, "differences": self.differences,
            "counts": self.counts, "parts": [part.as_dict() for part in self.parts],
            "notes": [list(note) for note in self.notes], "folder": None if self.folder is None else str(self.folder),
        }  # fmt: skip


class TooDifferent(HubError):
    """A comparison found more differences than its limit."""

    def __init__(self, result: Result, limit: int) -> None:
        counts = result.counts
        super().__init__(
            f"{result.system} {result.subject} の差異が {result.differences} 件あります(上限 {limit}): "
            f"ハブだけ {counts['only_hub']}、相手だけ {counts['only_system']}、内容が違う {counts['differ']}、"
            f"比べられない {counts['unreadable']}。報告書: {result.folder}。"
            f"直し方の確認: tsunagi reconcile fix {result.run}",
            f"{result.system} {result.subject} has {result.differences} differences (limit {limit}): "
            f"{counts['only_hub']} only in the hub, {counts['only_system']} only at the system, "
            f"{counts['differ']} differ, {counts['unreadable']} not comparable. Report: {result.folder}. "
            f"What would put it right: tsunagi reconcile fix {result.run}",
        )


# ---------------------------------------------------------------- writing

_ALONE_FAILED = text("""
    UPDATE reconcile_run SET outcome = 'failed', finished_at = now(), error = 'the process ended without saying how'
    WHERE system = :system AND subject = :subject AND outcome = 'running'
""")


def begin_run(
    connection: Connection, system: str, subject: str, params: Mapping[str, Any]
) -> tuple[int, datetime]:
    """Write down that a run began; the caller holds its lock, so one that never ended has died. Id and moment."""
    connection.execute(_ALONE_FAILED, {"system": system, "subject": subject})
    query = insert(reconcile_run).values(system=system, subject=subject, params=dict(params))
    row = connection.execute(query.returning(reconcile_run.c.id, reconcile_run.c.started_at)).one()
    return row.id, row.started_at


def end_run(connection: Connection, result: Result) -> None:
    connection.execute(
        update(reconcile_run)
        .where(reconcile_run.c.id == result.run)
        .values(
            finished_at=text("now()"), outcome=result.outcome, error=result.error,
            counts=result.counts | {"differences": result.differences},
            parts=[part.as_dict() for part in result.parts],
            folder=None if result.folder is None else result.folder.name,
        )
    )  # fmt: skip


def store_differences(connection: Connection, run: int, rows: Iterable[Difference]) -> None:
    """Store differences; their values are masked here."""
    copy_rows(
        connection,
        "COPY reconcile_difference (run_id, n, flow, direction, kind, key, state, reason, remedy, entity_key, "
        "sent_key, fetch_id, position, hub_hash, system_hash, fields) FROM STDIN (FORMAT BINARY)",
        ["int8", "int4", *10 * ["text"], "int8", "bytea", "bytea", "jsonb"],
        (
            (
                run, d.n, d.flow, d.direction, d.kind, d.key, d.state, d.reason, d.remedy, d.entity_key, d.sent_key,
                d.fetch_id, d.position, d.hub_hash, d.system_hash,
                orjson.dumps([one.masked().as_dict() for one in d.fields]),
            )
            for d in rows
        ),
    )  # fmt: skip


# ---------------------------------------------------------------- reading

_RUN = """
    SELECT id, system, subject, started_at, outcome, parts, folder, error,
           extract(epoch FROM coalesce(finished_at, now()) - started_at)::float8 AS seconds
    FROM reconcile_run {where}
"""


def _result(row: Any, reports: Path | None) -> Result:
    return Result(
        row.id, row.system, row.subject, row.started_at,
        [PartResult.from_dict(part) for part in row.parts or ()],
        folder=None if row.folder is None or reports is None else reports / row.folder,
        seconds=round(row.seconds, 1), outcome=row.outcome, error=row.error,
    )  # fmt: skip


def load_run(connection: Connection, run: int, reports: Path | None = None) -> Result:
    """A run as it was stored. Raises LookupError when there is none."""
    row = connection.execute(text(_RUN.format(where="WHERE id = :run")), {"run": run}).one_or_none()
    if row is None:
        raise LookupError(f"there is no comparison {run}")
    return _result(row, reports)


def latest(connection: Connection, reports: Path | None = None, system: str | None = None) -> list[Result]:
    """The newest finished run of each system and subject."""
    where = """
        WHERE id IN (SELECT DISTINCT ON (system, subject) id FROM reconcile_run
                     WHERE outcome <> 'running' AND (CAST(:system AS text) IS NULL OR system = :system)
                     ORDER BY system, subject, id DESC)
        ORDER BY system, subject
    """
    rows = connection.execute(text(_RUN.format(where=where)), {"system": system})
    return [_result(row, reports) for row in rows]


_DIFFERENCES = text("""
    SELECT n, flow, direction, kind, key, state, reason, remedy, entity_key, sent_key, fetch_id, position, hub_hash,
           system_hash, fields
    FROM reconcile_difference
    WHERE run_id = :run AND (CAST(:states AS text[]) IS NULL OR state = ANY(:states))
      AND (CAST(:keys AS text[]) IS NULL OR key = ANY(:keys) OR entity_key = ANY(:keys))
      AND (outcome IS NULL OR outcome = 'still')
    ORDER BY n
""")


def load_differences(
    connection: Connection,
    run: int,
    *,
    states: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
) -> Iterator[Difference]:
    """Stored differences that are not settled, values masked; only of these states, only of these keys."""
    names = {"run": run, "states": states and list(states), "keys": keys and list(keys)}
    for row in connection.execute(_DIFFERENCES, names):
        told = dict(row._mapping)
        told["fields"] = [FieldDifference(**one) for one in told["fields"]]
        yield Difference(**told)


# ---------------------------------------------------------------- forgetting


def forget_keys(connection: Connection, kind: str, keys: Sequence[str]) -> int:
    """Remove what comparisons keep of these entities (a person asked to be erased); returns how many rows."""
    return connection.execute(
        text(
            "DELETE FROM reconcile_difference WHERE kind = :kind AND (key = ANY(:keys) OR entity_key = ANY(:keys))"
        ),
        {"kind": kind, "keys": list(keys)},
    ).rowcount


_OLD = text("DELETE FROM reconcile_run WHERE started_at < :older_than RETURNING folder")


def tidy(engine: Engine, reports: Path, *, older_than: datetime) -> int:
    """Remove runs of before `older_than` with their differences and reports; returns how many."""
    with engine.begin() as connection:
        folders = list(connection.scalars(_OLD, {"older_than": older_than}))
    for name in folders:
        if name:
            shutil.rmtree(reports / Path(name).name, ignore_errors=True)
    return len(folders)
