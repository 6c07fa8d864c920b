"""Runs of flows, and what an operator sees of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, text, update

from hub.logs import mask, mask_record
from hub.reports import FlowStatus
from hub.store.tables import flow_run
from hub.systems import Flow, System, Systems

__all__ = ["begin_run", "end_run", "flow_statuses", "note_run"]


def begin_run(connection: Connection, *, system: str, flow: str, direction: str) -> int:
    """Write down that a run began. Runs that never ended are marked as crashed: the caller holds the flow's lock."""
    connection.execute(
        update(flow_run)
        .where(flow_run.c.system == system, flow_run.c.flow == flow, flow_run.c.outcome == "running")
        .values(outcome="crashed", finished_at=func.now(), error="the process ended without saying how")
    )
    query = insert(flow_run).values(system=system, flow=flow, direction=direction).returning(flow_run.c.id)
    run_id: int = connection.execute(query).scalar_one()
    return run_id


def _shown(error: str | None) -> str | None:
    """An error as it is kept: the other side may have named a person in it."""
    return None if error is None else mask("", error)


def end_run(
    connection: Connection, run_id: int, outcome: str, counts: Mapping[str, Any], error: str | None
) -> None:
    connection.execute(
        update(flow_run)
        .where(flow_run.c.id == run_id)
        .values(outcome=outcome, finished_at=func.now(), counts=mask_record(counts), error=_shown(error))
    )


def note_run(
    connection: Connection, *, system: str, flow: str, direction: str, started_at: datetime, outcome: str,
    counts: Mapping[str, Any], error: str | None,
) -> None:  # fmt: skip
    """Write down a run that is over."""
    connection.execute(
        insert(flow_run).values(
            system=system, flow=flow, direction=direction, started_at=started_at, finished_at=func.now(),
            outcome=outcome, counts=mask_record(counts), error=_shown(error),
        )
    )  # fmt: skip


_NEWEST = text("""
    SELECT DISTINCT ON (system, flow) system, flow, started_at, outcome, error, counts,
           (SELECT max(o.finished_at) FROM flow_run AS o
            WHERE o.system = r.system AND o.flow = r.flow AND o.outcome = 'ok') AS last_ok_at
    FROM flow_run AS r ORDER BY system, flow, id DESC
""")
_OPEN = text("SELECT system, flow, count(*) AS n FROM quarantine WHERE state = 'open' GROUP BY system, flow")
_UNSENT = text(
    "SELECT system, flow, count(*) AS n FROM delivery WHERE finished_at IS NULL GROUP BY system, flow"
)


def flow_statuses(connection: Connection, systems: Systems, now: datetime) -> list[FlowStatus]:
    """Every flow of every system, in the order of the files."""
    newest = {(row.system, row.flow): row for row in connection.execute(_NEWEST)}
    refused = {(row.system, row.flow): row.n for row in connection.execute(_OPEN)}
    unsent = {(row.system, row.flow): row.n for row in connection.execute(_UNSENT)}
    result = []
    for system in systems.systems.values():
        for name, flow in system.flows.items():
            key = (system.system, name)
            result.append(
                _status(system, name, flow, newest.get(key), refused.get(key, 0), unsent.get(key, 0), now)
            )
    return result


def _status(
    system: System, name: str, flow: Flow, run: Any, refused: int, unsent: int, now: datetime
) -> FlowStatus:
    last_ok = None if run is None else run.last_ok_at
    late_after: timedelta | None = system.alerts.late_after
    return FlowStatus(
        system=system.system,
        flow=name,
        direction="pull" if flow.pull else "push",
        title_ja=flow.title.ja if flow.title else name,
        title_en=flow.title.en if flow.title else name,
        schedule=None if flow.schedule is None else str(flow.schedule),
        last_run_at=None if run is None else run.started_at,
        last_ok_at=last_ok,
        outcome=None if run is None else run.outcome,
        error=None if run is None else run.error,
        counts={} if run is None else run.counts or {},
        late=late_after is not None and run is not None and (last_ok is None or now - last_ok > late_after),
        open_quarantine=refused,
        open_deliveries=unsent,
    )
