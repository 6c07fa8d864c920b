"""Putting differences right, after a person has seen the plan: by the ordinary roads, never by writing entities here.

Take in: the system is asked for the things again, or its listing is taken in from the beginning (deletions go through
the brake, as always). Send again: what the ledger believes is forgotten, and the ordinary push sends these keys.
Each difference is looked at once more first; one that has vanished meanwhile is skipped, and told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from hub import intake as intakes
from hub.deletes import Listing
from hub.progress import Counter
from hub.reconcile.board import Board, Shown
from hub.reconcile.details import compare_fields
from hub.reconcile.incoming import Tally, hold_incoming, refine_incoming
from hub.reconcile.outgoing import hold_outgoing
from hub.reconcile.parts import Part, parts_of
from hub.reconcile.results import DIFFERENT, Difference, Result, load_differences, load_run
from hub.reports import PullReport
from hub.words import HubError

if TYPE_CHECKING:
    from hub.engine import Hub

__all__ = ["ONLY", "FixReport", "Plan", "apply_fix", "plan_fix"]

ONLY = {"hub": "only_hub", "system": "only_system", "differ": "differ"}
"""What `--only` may say -> the state it means."""
IDS = 100
"""Ids fetched in one run of a flow."""


class NoReason(HubError):
    """A fix is written down with its reason, and none was given."""


@dataclass(slots=True)
class Plan:
    """What a fix would do. `left` are differences only a person can settle; `newer` is a later run of the same."""

    result: Result
    take_in: list[Difference] = field(default_factory=list)
    send: list[Difference] = field(default_factory=list)
    left: list[Difference] = field(default_factory=list)
    newer: int | None = None

    @property
    def empty(self) -> bool:
        return not self.take_in and not self.send


@dataclass(slots=True)
class FixReport:
    """What became of each difference: fixed, vanished (before anything was done), still (as different as before)."""

    run: int
    fixed: list[Difference] = field(default_factory=list)
    vanished: list[Difference] = field(default_factory=list)
    still: list[Difference] = field(default_factory=list)
    left: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        return {
            "fixed": len(self.fixed), "vanished": len(self.vanished), "still": len(self.still), "left": self.left,
        }  # fmt: skip


_NEWER = text("""
    SELECT max(n.id) FROM reconcile_run AS r JOIN reconcile_run AS n
           ON n.system = r.system AND n.subject = r.subject AND n.id > r.id AND n.outcome IN ('equal', 'different')
    WHERE r.id = :run
""")


def plan_fix(hub: Hub, run: int, *, only: str | None = None, keys: Sequence[str] | None = None) -> Plan:
    """What would be taken in and what would be sent; changes nothing and asks nobody.

    `only` is one of `ONLY`; `keys` are keys of entities or places. Raises LookupError for an unknown run.
    """
    states = DIFFERENT if only is None else (ONLY[only],)
    with hub.engine.connect() as connection:
        plan = Plan(load_run(connection, run), newer=connection.scalar(_NEWER, {"run": run}))
        for one in load_differences(connection, run, states=states, keys=keys):
            {"take_in": plan.take_in, "send": plan.send}.get(one.remedy, plan.left).append(one)
    return plan


_BEGIN = text("""
    INSERT INTO reconcile_fix (run_id, reason, params) VALUES (:run, :reason, jsonb_build_object('only',
        CAST(:only AS text), 'keys', to_jsonb(CAST(:keys AS text[])))) RETURNING id
""")
_END = text(
    "UPDATE reconcile_fix SET finished_at = now(), counts = jsonb_build_object('fixed', CAST(:fixed AS int), "
    "'vanished', CAST(:vanished AS int), 'still', CAST(:still AS int), 'left', CAST(:left AS int)) WHERE id = :id"
)
_SETTLE = text("""
    UPDATE reconcile_difference SET outcome = :outcome, settled_at = now() WHERE run_id = :run AND n = ANY(:ns)
""")


def apply_fix(
    hub: Hub, run: int, *, reason: str, only: str | None = None, keys: Sequence[str] | None = None
) -> FixReport:
    """Carry the plan out, and look again at what came of it. The reason is kept.

    Raises Retry, Refused or Misconfigured as the flows do; what was settled before that stays settled.
    """
    if not reason.strip():
        raise NoReason("理由を書いてください(--reason)。", "Give the reason (--reason).")
    plan = plan_fix(hub, run, only=only, keys=keys)
    report = FixReport(run, left=len(plan.left))
    with hub.engine.begin() as connection:
        names = {"run": run, "reason": reason.strip(), "only": only, "keys": keys and list(keys)}
        fix_id = connection.execute(_BEGIN, names).scalar_one()
    try:
        # what the system says comes in first: what is to be sent may follow from it
        for part, mine in _by_part(hub, plan, plan.take_in):
            _settle(hub, part, plan.result, mine, report, _take_in)
        for part, mine in _by_part(hub, plan, plan.send):
            _settle(hub, part, plan.result, mine, report, _send)
    finally:
        with hub.engine.begin() as connection:
            connection.execute(_END, {"id": fix_id, **report.counts})
    return report


def _by_part(hub: Hub, plan: Plan, found: Sequence[Difference]) -> Iterator[tuple[Part, list[Difference]]]:
    parts, _ = parts_of(hub, plan.result.system, plan.result.subject)
    for part in parts:
        mine = [d for d in found if (d.flow, d.direction, d.kind) == (part.flow, part.direction, part.kind)]
        if mine:
            yield part, mine


def _settle(
    hub: Hub, part: Part, result: Result, mine: list[Difference], report: FixReport, road: Any
) -> None:
    """Look, go the road for what still differs, look again, and write down what became of each."""
    told = next(
        p for p in result.parts if (p.flow, p.direction, p.kind) == (part.flow, part.direction, part.kind)
    )
    open_keys = _still_different(hub, part, told.how, mine)
    todo = [one for one in mine if one.key in open_keys]
    vanished = [one for one in mine if one.key not in open_keys]
    if part.direction == "out" and part.kind == "sellable":
        hub.refresh_stock()
    still: set[str] = set()
    if todo:
        report.notes += road(hub, part, told, todo)
        still = _still_different(hub, part, told.how, todo, gone=True)
    outcomes = {
        "vanished": vanished,
        "fixed": [one for one in todo if one.key not in still],
        "still": [one for one in todo if one.key in still],
    }
    with hub.engine.begin() as connection:
        for outcome, ones in outcomes.items():
            getattr(report, outcome).extend(ones)
            connection.execute(
                _SETTLE, {"outcome": outcome, "run": result.run, "ns": [one.n for one in ones]}
            )


# ---------------------------------------------------------------- looking


_NOT_ACCEPTED = text("""
    SELECT k.key FROM unnest(CAST(:keys AS text[])) AS k(key)
    LEFT JOIN ledger AS l ON l.system = :system AND l.flow = :flow AND l.key = k.key
    WHERE coalesce(l.hash, '') = ''
""")


def _still_different(
    hub: Hub, part: Part, how: str, mine: Sequence[Difference], *, gone: bool = False
) -> set[str]:
    """The keys that differ at this moment. Where the system cannot be asked, against what it showed in the run, or,
    once the road was `gone`, by what it accepted.
    """
    from hub.reconcile.run import eyes_of, look_at

    if gone and part.direction == "out" and part.source.by_id is None:
        names = {"system": part.system, "flow": part.flow, "keys": [one.sent_key for one in mine]}
        with hub.engine.connect() as connection:
            refused = set(connection.scalars(_NOT_ACCEPTED, names))
        return {one.key for one in mine if one.sent_key in refused}
    with Board(hub.engine) as board:
        _lay_out_known(board, part, mine)
        asked = how == "api" and part.source.by_id is not None
        ids = sorted({one.fetch_id for one in mine if one.fetch_id}) if asked else []
        look_at(hub, board, part, ids)
        if part.direction == "in":
            hold_incoming(board, part, again=True)
        else:
            with hub.call(part.bound, None) as call:
                hold_outgoing(hub, board, part, eyes_of(part, call)[1], Tally(), again=True)
        board.begin_again(part.number)
        if part.direction == "in" and ids:
            refine_incoming(board, part)
        if ids:
            compare_fields(hub, board, part)
        rows = board.rows("SELECT key FROM diff WHERE part = :part", part=part.number)
        return {row.key for row in rows} & {one.key for one in mine}


def _lay_out_known(board: Board, part: Part, mine: Sequence[Difference]) -> None:
    with board.writing() as connection:
        connection.execute(
            text(
                "INSERT INTO diff (part, key, state, entity_key, fetch_id) "
                "VALUES (:part, :key, :state, :entity_key, :fetch_id)"
            ),
            [
                {
                    "part": part.number, "key": one.key, "state": one.state, "entity_key": one.entity_key,
                    "fetch_id": one.fetch_id,
                }
                for one in mine
            ],
        )  # fmt: skip
    board.show(
        part.number,
        [Shown(one.key, one.system_hash, b"{}", one.fetch_id) for one in mine if one.system_hash is not None],
    )


# ---------------------------------------------------------------- into the hub

_FORGET_RECORDS = text("""
    UPDATE record SET hash = '' WHERE system = :system AND mapping = :mapping AND entity_id IN (
        SELECT id FROM entity WHERE kind = :kind AND key = ANY(:keys))
""")


def _take_in(hub: Hub, part: Part, told: Any, todo: Sequence[Difference]) -> list[str]:
    """The ordinary road into the hub, for these. That their records were seen before does not count this time."""
    with hub.engine.begin() as connection:
        connection.execute(
            _FORGET_RECORDS,
            {
                "system": part.system, "mapping": part.mapping.name, "kind": part.kind,
                "keys": [one.key for one in todo],
            },
        )  # fmt: skip
    if told.how == "intake":
        return _replay(hub, part, told.intake_id, [one.position for one in todo if one.position is not None])
    ids = sorted({one.fetch_id for one in todo if one.fetch_id and one.state != "only_hub"})
    single = part.source.by_id is not None and all(one.fetch_id and one.state != "only_hub" for one in todo)
    if not single:
        return _pull_all(hub, part, told.since)
    notes: list[str] = []
    for start in range(0, len(ids), IDS):
        notes += hub.fetch(part.system, part.flow, ids[start : start + IDS]).notes
    return notes


def _replay(hub: Hub, part: Part, intake_id: int, positions: Sequence[int]) -> list[str]:
    report = PullReport(system=part.system, flow=part.flow)
    with hub.run(part.bound, "replay", report), hub.call(part.bound, None) as call:
        hub.take_in_page(part.bound, intake_id, call, report, Counter(None), only=frozenset(positions))
    return report.notes


def _pull_all(hub: Hub, part: Part, since: str | None) -> list[str]:
    """Take the listing in from its beginning; the flow's cursor stays where it is. Deletions keep to the brake."""
    report = PullReport(system=part.system, flow=part.flow)
    params = {} if since is None else {"since": since}
    with hub.run(part.bound, "pull", report), hub.call(part.bound, params) as call:
        listing = Listing(whole=since is None)
        for page in part.source.run(call, None):
            with hub.engine.begin() as connection:
                stored = intakes.store_page(
                    connection, system=part.system, flow=part.flow, source=part.source.name,
                    page=replace(page, cursor=None), params=call.params,
                )  # fmt: skip
            if stored is not None:
                report.pages += 1
                hub.take_in_page(part.bound, stored, call, report, Counter(None), listing=listing)
    return report.notes


# ---------------------------------------------------------------- out of the hub

_FORGET_ACCEPTED = text(
    "UPDATE ledger SET hash = '' WHERE system = :system AND flow = :flow AND key = ANY(:keys)"
)


def _send(hub: Hub, part: Part, _told: Any, todo: Sequence[Difference]) -> list[str]:
    """The ordinary push, for these. What the ledger believes of them is forgotten: it is not what stands there."""
    with hub.engine.begin() as connection:
        connection.execute(
            _FORGET_ACCEPTED,
            {
                "system": part.system, "flow": part.flow,
                "keys": [one.sent_key for one in todo if one.sent_key is not None],
            },
        )  # fmt: skip
    keys = sorted({one.entity_key for one in todo if one.entity_key is not None})
    return hub.push(part.system, part.flow, {"keys": keys}).notes
