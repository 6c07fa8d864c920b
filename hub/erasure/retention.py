"""How long each thing is kept: rules in TSUNAGI_HOME/retention.yaml, a day's turn that removes what is older.

Removed is only what is settled: pages that were taken in and no open quarantine row needs, closed quarantine rows,
finished deliveries. Large tables are emptied in portions, each in a transaction of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection, Engine, TextClause, text

from hub import intake as intakes
from hub.durations import Duration
from hub.feed import forget_replaced
from hub.home import Home
from hub.jobs.queue import forget as forget_jobs
from hub.stock.reservations import tidy as tidy_reservations
from hub.words import HubError

if TYPE_CHECKING:
    from hub.engine import Hub

__all__ = ["PORTION", "Retention", "RetentionFault", "load_retention", "tidy_up"]

PORTION = 1000
"""Rows removed in one transaction."""


class RetentionFault(HubError):
    """retention.yaml cannot be read."""


class Retention(BaseModel):
    """How long things are kept, as `90d` or `12h`; 0d removes at the next turn. docs/personal-data.md tells of each.

    received      bytes of pages, files and events; that they came is remembered
    quarantine    refused records that were closed
    deliveries    batches sent, with their records and attempts
    runs          runs of flows; the newest of each flow stays
    history       changes that a newer one of the same entity by the same system has replaced since
    jobs          jobs that failed for good
    reservations  reservations and oversold flags that ended
    messages      webhooks sent to subscribers
    reports       comparisons with a system, and other files under reports/
    logs          log files nobody has written to since
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    received: Duration = timedelta(days=90)
    quarantine: Duration = timedelta(days=180)
    deliveries: Duration = timedelta(days=400)
    runs: Duration = timedelta(days=400)
    history: Duration = timedelta(days=400)
    jobs: Duration = timedelta(days=30)
    reservations: Duration = timedelta(days=90)
    messages: Duration = timedelta(days=90)
    reports: Duration = timedelta(days=180)
    logs: Duration = timedelta(days=90)


def load_retention(home: Home) -> Retention:
    """The rules of a home; the usual ones where it has none. Raises RetentionFault."""
    path = home.root / "retention.yaml"
    try:
        said = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        return Retention()
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RetentionFault(f"{path} を読めません: {error}", f"Cannot read {path}: {error}") from error
    try:
        return Retention.model_validate(said or {})
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        field = ".".join(map(str, found["loc"])) or "?"
        known = ", ".join(Retention.model_fields)
        raise RetentionFault(
            f"{path} の {field}: {found['input']!r} は使えません。`received: 90d` の形で、項目は {known} です。",
            f"{path}, {field}: {found['input']!r} cannot be used. Write it like `received: 90d`; there are {known}.",
        ) from error


_CLOSED = text("""
    DELETE FROM quarantine WHERE id = ANY(ARRAY(
        SELECT id FROM quarantine WHERE state <> 'open' AND resolved_at < :before ORDER BY id LIMIT :limit))
""")
_SENT = text("""
    DELETE FROM delivery WHERE id = ANY(ARRAY(
        SELECT d.id FROM delivery AS d WHERE d.finished_at < :before
          AND NOT EXISTS (SELECT FROM quarantine AS q WHERE q.delivery_id = d.id AND q.state = 'open')
        ORDER BY d.id LIMIT :limit))
""")
_RUNS = text("""
    DELETE FROM flow_run WHERE id = ANY(ARRAY(
        SELECT r.id FROM flow_run AS r WHERE r.finished_at < :before
          AND EXISTS (SELECT FROM flow_run AS n WHERE n.system = r.system AND n.flow = r.flow AND n.id > r.id)
        ORDER BY r.id LIMIT :limit))
""")


def tidy_up(hub: Hub, home: Home, rules: Retention | None = None) -> dict[str, int]:
    """Remove what the rules no longer keep; how many of each. Raises RetentionFault before anything is removed."""
    from hub.reconcile.results import tidy as tidy_comparisons
    from hub.subscribers.messages import tidy as tidy_messages

    rules = rules or load_retention(home)
    now = datetime.now(UTC)
    engine = hub.engine

    def rows(statement: TextClause, keep: timedelta) -> int:
        values = {"before": now - keep, "limit": PORTION}
        return _in_portions(engine, lambda c: c.execute(statement, values).rowcount)

    def once(work: Callable[[Connection], int]) -> int:
        with engine.begin() as connection:
            return work(connection)

    received = now - rules.received
    return {
        "intakes_erased": _in_portions(
            engine, lambda c: intakes.erase_bodies(c, older_than=received, limit=PORTION)
        ),
        "quarantine_removed": rows(_CLOSED, rules.quarantine),
        "deliveries_removed": rows(_SENT, rules.deliveries),
        "runs_removed": rows(_RUNS, rules.runs),
        "changes_forgotten": _forget_replaced(engine, now - rules.history),
        "jobs_forgotten": once(lambda c: forget_jobs(c, before=now - rules.jobs)),
        "reservations_forgotten": once(lambda c: tidy_reservations(c, older_than=now - rules.reservations)),
        "messages_removed": once(lambda c: tidy_messages(c, older_than=now - rules.messages)),
        "comparisons_removed": tidy_comparisons(
            engine, home.root / "reports" / "reconcile", older_than=now - rules.reports
        ),
        "reports_removed": _old_files(home.root / "reports", rules.reports),
        "logs_removed": _old_files(home.logs, rules.logs) + _old_files(home.airflow / "logs", rules.logs),
    }  # fmt: skip


def _in_portions(engine: Engine, remove: Callable[[Connection], int]) -> int:
    whole = 0
    while True:
        with engine.begin() as connection:
            removed = remove(connection)
        whole += removed
        if removed < PORTION:
            return whole


def _forget_replaced(engine: Engine, before: datetime) -> int:
    whole = 0
    while True:
        with engine.begin() as connection:
            looked, removed = forget_replaced(connection, before=before, limit=PORTION)
        whole += removed
        if looked < PORTION:
            return whole


def _old_files(folder: Path, keep: timedelta) -> int:
    """Remove files last written before, and folders that are empty then; returns how many files."""
    oldest, removed = time.time() - keep.total_seconds(), 0
    for path in _files_deepest_first(folder):
        with suppress(OSError):  # somebody else was faster, or may write there again
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif path.lstat().st_mtime < oldest:
                path.unlink()
                removed += 1
    return removed


def _files_deepest_first(folder: Path) -> Iterator[Path]:
    for at, folders, files in os.walk(folder, topdown=False):
        yield from (Path(at, name) for name in (*files, *folders))
