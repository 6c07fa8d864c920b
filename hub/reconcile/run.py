"""One comparison from its beginning to its report: read, lay out, compare, look again, tell."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from connectors.contract import Call, Deletes, Retry, StandingsFunction
from hub.calendar import JST
from hub.progress import Counter, Watch
from hub.reconcile.board import Board
from hub.reconcile.details import compare_fields, difference_rows, figures_of
from hub.reconcile.incoming import Tally, explain_incoming, hold_incoming, lay_out, refine_incoming
from hub.reconcile.listing import Extent, open_extent, sheets, sheets_by_id
from hub.reconcile.outgoing import (
    explain_outgoing,
    hold_outgoing,
    lay_out_standings,
    mark_ours,
    mark_waiting,
)
from hub.reconcile.parts import Part, moment_sql, parts_of
from hub.reconcile.report import write_report
from hub.reconcile.results import STATES, PartResult, Result, begin_run, end_run
from hub.store.database import try_lock
from hub.words import Language, Words, language

if TYPE_CHECKING:
    from hub.engine import Hub

__all__ = ["DAYS", "Compared", "Options", "eyes_of", "look_at", "reconcile"]

DAYS = 30
"""How far back things that happen at moments (orders, payments, shipments) are compared."""
GRACE = timedelta(minutes=10)
"""What changed at the system this short a time ago is on its way: the next pull or event brings it."""
LOOK = 2000
"""Differences that are looked at a second time."""
IDS = 50
"""Ids asked for at once."""
_NEVER = datetime.max.replace(tzinfo=UTC)

log = structlog.get_logger("tsunagi.reconcile")


@dataclass(frozen=True, slots=True)
class Options:
    """How a comparison is made.

    days, since, until  the stretch of time of what happens at moments; `since` counts before `days`
    file    a full listing written by the system, instead of asking it
    grace   how young a change at the system is in flight
    reveal  the report shows personal data; the store never does
    """

    days: int = DAYS
    since: datetime | None = None
    until: datetime | None = None
    file: Path | None = None
    grace: timedelta = GRACE
    reveal: bool = False

    def told(self) -> dict[str, Any]:
        """For the run's row."""
        return {
            "days": self.days, "since": _iso(self.since), "until": _iso(self.until),
            "file": None if self.file is None else self.file.name, "grace": self.grace.total_seconds(),
            "reveal": self.reveal,
        }  # fmt: skip


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


@dataclass(slots=True)
class Compared:
    """A part with what was read for it, and how many differences were looked at a second time."""

    part: Part
    extent: Extent
    tally: Tally = field(default_factory=Tally)
    looked: int = 0
    unlooked: int = 0


def reconcile(
    hub: Hub,
    system: str,
    subject: str,
    *,
    reports: Path,
    options: Options | None = None,
    lang: Language | None = None,
    watch: Watch | None = None,
) -> Result:
    """Compare what the hub holds of `subject` (a kind of entity, or a flow) with what the system lists; write a report.

    Writes no entity, moves no cursor, takes no file away. The report lies in a folder of its own below `reports`.
    Raises UnknownName, NothingToCompare, NoListing; Retry, Refused and Misconfigured as the source does; Retry while
    the same comparison runs elsewhere.
    """
    options = options or Options()
    parts, notes = parts_of(hub, system, subject)
    with try_lock(hub.engine, f"reconcile:{system}:{subject}") as mine:
        if not mine:
            raise Retry(f"{system} {subject} is being compared elsewhere", after=timedelta(minutes=1))
        if any(part.direction == "out" and part.kind == "sellable" for part in parts):
            hub.refresh_stock()
        with hub.engine.begin() as connection:
            run, started_at = begin_run(connection, system, subject, options.told())
        result = Result(run, system, subject, started_at, notes=notes)
        began = time.monotonic()
        try:
            with Board(hub.engine) as board:
                found = _lay_out_all(hub, board, parts, options, started_at, Counter(watch))
                for one in found:
                    _compare(hub, board, one, options)
                result.parts = [_part_result(board, one) for one in found]
                result.outcome = "different" if result.differences else "equal"
                result.seconds = round(time.monotonic() - began, 1)
                numbered = _numbered(board, found)
                write_report(hub, result, numbered, reports, lang or language(), reveal=options.reveal)
        except BaseException as error:
            result.outcome, result.error = "failed", f"{type(error).__name__}: {error}"[:2000]
            raise
        finally:
            with hub.engine.begin() as connection:
                end_run(connection, result)
            log.info(
                "reconciled", system=system, subject=subject, outcome=result.outcome, counts=result.counts
            )
    return result


# ---------------------------------------------------------------- reading


def _lay_out_all(
    hub: Hub, board: Board, parts: Sequence[Part], options: Options, now: datetime, counter: Counter
) -> list[Compared]:
    """Read every listing once, and lay out both sides."""
    found: list[Compared] = []
    incoming: dict[str, list[Part]] = {}
    for part in parts:
        if part.direction == "in":
            incoming.setdefault(part.flow, []).append(part)
        else:
            found.append(_read_outgoing(hub, board, part, options, now, counter))
    for group in incoming.values():
        found += _read_incoming(hub, board, group, options, now, counter)
    for one in found:
        if one.part.direction == "in":
            hold_incoming(board, one.part)
    board.laid_out()
    return sorted(found, key=lambda one: one.part.number)


def _window(part: Part, options: Options, now: datetime) -> tuple[datetime | None, datetime | None]:
    if not part.dated:
        return None, None
    if options.since is not None or options.file is not None:
        return options.since, options.until
    midnight = now.astimezone(JST).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=options.days), options.until


def _params(extent: Extent) -> dict[str, Any]:
    return {} if extent.how != "api" or extent.since is None else {"since": extent.since.isoformat()}


def _read_incoming(
    hub: Hub, board: Board, group: Sequence[Part], options: Options, now: datetime, counter: Counter
) -> list[Compared]:
    part = group[0]
    since, until = _window(part, options, now)
    extent = open_extent(hub, part, file=options.file, since=since, until=until, now=now)
    tallies = {one.number: Tally() for one in group}
    with hub.call(part.bound, _params(extent)) as call:
        for sheet in sheets(hub, part, call, extent, options.file):
            extent.pages += 1
            counter.at(sheet.name)
            lay_out(hub, board, group, sheet, tallies, counter)
    found = [Compared(one, extent, tallies[one.number]) for one in group]
    if part.dated and extent.how != "intake":
        extent.whole = False
    if part.dated and extent.how == "file" and extent.since is None:
        _stretch_of_file(board, group, extent)
    return found


_STRETCH = "SELECT min({moment}), max({moment}) FROM shown WHERE part = :part"


def _stretch_of_file(board: Board, group: Sequence[Part], extent: Extent) -> None:
    """A file that was given covers the time from the first to the last thing in it."""
    for part in group:
        moment = moment_sql(part.kind, "content::jsonb")
        row = board.rows(_STRETCH.format(moment=moment), part=part.number)[0]
        if row[0] is not None:
            extent.since, extent.until = row[0], extent.until or row[1]
            return


def _read_outgoing(
    hub: Hub, board: Board, part: Part, options: Options, now: datetime, counter: Counter
) -> Compared:
    since, until = _window(part, options, now)
    extent = Extent("api", part.source.name, now, since, until, whole=not part.dated)
    one = Compared(part, extent)
    with hub.call(part.bound, _params(extent)) as call:
        shown, written = eyes_of(part, call)
        for sheet in sheets(hub, part, call, extent, None):
            extent.pages += 1
            counter.at(sheet.name)
            lay_out_standings(board, part, sheet, shown, one.tally, counter)
        hold_outgoing(hub, board, part, written, one.tally)
    return one


def eyes_of(part: Part, call: Call[Any]) -> tuple[StandingsFunction, StandingsFunction]:
    """What a record of the listing shows, and what a record that was sent must have become."""
    listed = part.bound.sink.listed
    assert listed is not None  # parts_of
    return listed.open(call)


# ---------------------------------------------------------------- comparing


def _compare(hub: Hub, board: Board, one: Compared, options: Options) -> None:
    part, extent = one.part, one.extent
    with ExitStack() as doors:
        written: StandingsFunction | None = None
        if part.direction == "out":
            written = eyes_of(part, doors.enter_context(hub.call(part.bound, None)))[1]
            mark_ours(board, part, written)
        board.compare(part.number)
        _refine(hub, board, part)
        board.outside(part.number, whole=extent.whole, since=extent.since, until=extent.until)
        _look_again(hub, board, one)
        if written is None:
            hold_incoming(board, part, again=True)
        else:
            hold_outgoing(hub, board, part, written, one.tally, again=True)
    board.begin_again(part.number)
    _refine(hub, board, part)
    young = extent.as_of - options.grace if extent.how == "api" and part.direction == "in" else _NEVER
    board.end_again(part.number, extent.as_of, young)
    compare_fields(hub, board, part)
    (explain_incoming if part.direction == "in" else explain_outgoing)(board, part)
    _choose_remedies(board, one)


def _refine(hub: Hub, board: Board, part: Part) -> None:
    if part.direction == "in":
        refine_incoming(board, part)
    else:
        mark_waiting(hub, board, part)


_ASKED = """
    SELECT DISTINCT fetch_id FROM diff
    WHERE part = :part AND state IN ('only_hub', 'only_system', 'differ') AND fetch_id IS NOT NULL
    ORDER BY fetch_id LIMIT :limit
"""


def _look_again(hub: Hub, board: Board, one: Compared) -> None:
    """Ask the system once more for what differs, by id, where it can be asked so."""
    part = one.part
    if one.extent.how != "api" or part.source.by_id is None:
        return
    ids = [row.fetch_id for row in board.rows(_ASKED, part=part.number, limit=LOOK + 1)]
    one.unlooked = max(len(ids) - LOOK, 0)
    ids = ids[:LOOK]
    one.looked = len(ids)
    board.execute(
        "UPDATE diff SET looked = true WHERE part = :part AND fetch_id = ANY(:ids)", part=part.number, ids=ids
    )
    look_at(hub, board, part, ids)


def look_at(hub: Hub, board: Board, part: Part, ids: Sequence[str]) -> None:
    """Lay out what the system shows of these ids now, in place of what it showed before."""
    for start in range(0, len(ids), IDS):
        asked = list(ids[start : start + IDS])
        with hub.call(part.bound, {"ids": asked}) as call:
            board.execute(
                "DELETE FROM shown WHERE part = :part AND fetch_id = ANY(:ids)", part=part.number, ids=asked
            )
            for sheet in sheets_by_id(part, call):
                if part.direction == "in":
                    lay_out(hub, board, [part], sheet, {part.number: Tally()}, Counter(None))
                else:
                    lay_out_standings(board, part, sheet, eyes_of(part, call)[0], Tally(), Counter(None))
    board.execute(
        "DELETE FROM shown AS a USING shown AS b "
        "WHERE a.part = :part AND b.part = :part AND a.key = b.key AND a.n < b.n",
        part=part.number,
    )


_REMEDY_IN = """
    UPDATE diff SET remedy = CASE
        WHEN reason = 'in_quarantine' THEN 'none'
        WHEN state IN ('only_system', 'differ') AND :takes THEN 'take_in'
        WHEN state = 'only_hub' AND :deletes THEN 'take_in'
        ELSE 'none' END
    WHERE part = :part
"""
_REMEDY_OUT = """
    UPDATE diff SET remedy = CASE
        WHEN reason = 'refused' THEN 'none'
        WHEN state = 'only_hub' OR (state = 'differ' AND :repeatable) THEN 'send'
        ELSE 'none' END
    WHERE part = :part
"""


def _choose_remedies(board: Board, one: Compared) -> None:
    part, how = one.part, one.extent.how
    if part.direction == "out":
        board.execute(_REMEDY_OUT, part=part.number, repeatable=part.repeatable)
        return
    deletes = how == "api" and one.extent.whole and part.source.deletes is Deletes.ABSENCE
    board.execute(_REMEDY_IN, part=part.number, takes=how != "file", deletes=deletes)


# ---------------------------------------------------------------- telling


def _part_result(board: Board, one: Compared) -> PartResult:
    part, extent, tally = one.part, one.extent, one.tally
    counts = dict.fromkeys(STATES, 0)
    for row in board.rows(
        "SELECT state, count(*) AS n FROM diff WHERE part = :part GROUP BY state", part=part.number
    ):
        counts[row.state] = row.n
    hub_side = board.scalar("SELECT count(*) FROM held WHERE part = :part", part=part.number)
    system_side = board.scalar("SELECT count(*) FROM shown WHERE part = :part", part=part.number)
    both = board.scalar(
        "SELECT count(*) FROM held AS h JOIN shown AS s ON s.part = h.part AND s.key = h.key WHERE h.part = :part",
        part=part.number,
    )
    unequal = board.scalar(
        "SELECT count(*) FROM diff AS d JOIN held AS h ON h.part = d.part AND h.key = d.key "
        "JOIN shown AS s ON s.part = d.part AND s.key = d.key WHERE d.part = :part",
        part=part.number,
    )
    counts = {
        "records": tally.records, "skipped": tally.skipped, "in_hub": hub_side, "at_system": system_side, "both": both,
        "equal": both - unequal, **counts, "looked": one.looked,
    }  # fmt: skip
    return PartResult(
        part.flow, part.direction, part.kind, extent.how, part.source.name, extent.name, _iso(extent.since),
        _iso(extent.until), extent.whole, extent.intake_id, counts, figures_of(board, part).rows(), _notes(one),
    )  # fmt: skip


def _notes(one: Compared) -> list[Words]:
    notes = []
    if one.tally.rows_unreadable:
        n = one.tally.rows_unreadable
        notes.append(
            Words(
                f"一覧のうち {n} 行が読めませんでした。「ハブだけにある」データがその中にあるかもしれません。",
                f"{n} rows of the listing could not be read: what only the hub has may be among them.",
            )
        )
    if one.unlooked:
        notes.append(
            Words(
                f"差異が多いため、再確認は最初の {LOOK} 件だけ行いました。",
                f"There are many differences: only the first {LOOK} were looked at a second time.",
            )
        )
    return notes


def _numbered(board: Board, found: Sequence[Compared]) -> Iterator[Any]:
    n = 0
    for one in found:
        for difference in difference_rows(board, one.part):
            n += 1
            difference.n = n
            yield difference
