"""W1 in small: what taking a file in does is counted, never timed: statements, rows, bytes of WAL, records mapped.

The figures are bounds with some room; whoever passes one has changed what a large file costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from bench.w1 import ours, rows
from bench.w1.store import FLOW, SYSTEM, Written
from connectors.file_exchange.exchange import connector
from connectors.registry import Connectors
from hub import drafting, takein_chunk
from hub.engine import Hub
from hub.store.database import open_engine
from hub.systems import load_systems
from tests.bench.wal import wal_of

ORDERS = 600
BAD = ORDERS // rows.BAD
CHANGED = ORDERS // 100


@dataclass
class Work:
    statements: int = 0
    mapped: int = 0
    wal: int | None = None
    rows: int = 0
    by_table: dict[str, int] | None = None


class Counted:
    """A hub whose work is counted."""

    def __init__(self, url: str, folder: Path) -> None:
        ours.prepare(folder)
        self._url, self._folder, self._files = url, folder, 0
        self._hub = Hub(
            open_engine(url), load_systems([folder / "systems"]), Connectors(file_exchange=connector)
        )
        self.work = Work()
        event.listen(self._hub.engine, "before_cursor_execute", self._statement)

    def _statement(self, *_: Any) -> None:
        self.work.statements += 1

    def take(self, file: Path) -> Work:
        self._files += 1
        (self._folder / "in" / f"JUCHU_{self._files:03d}.csv").write_bytes(file.read_bytes())
        rows_before, wal_before = self._rows(), wal_of(self._hub.engine)
        self.work = Work()
        report = self._hub.pull(SYSTEM, FLOW)
        assert (report.records, report.quarantined) == (ORDERS, BAD)
        done, wal = self.work, wal_of(self._hub.engine)
        done.wal = None if wal is None or wal_before is None else wal - wal_before
        after = self._rows()
        done.by_table = {name: after[name] - rows_before.get(name, 0) for name in after}
        done.by_table = {name: count for name, count in done.by_table.items() if count}
        done.rows = sum(done.by_table.values())
        return done

    def _rows(self) -> dict[str, int]:
        self._hub.engine.dispose()  # a session tells what it has written when it ends, at the latest
        kept = {"intake", "intake_body", "flow_run", "flow_state", "rate_budget"}
        return {name: n for name, n in Written.so_far(self._url).rows.items() if name not in kept}

    def close(self) -> None:
        self._hub.close()


@pytest.fixture
def counted(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    hub = Counted(store_url, tmp_path / "hub")
    genuine = drafting.make

    def make(*given: Any) -> Any:
        hub.work.mapped += 1
        return genuine(*given)

    monkeypatch.setattr(drafting, "make", make)
    monkeypatch.setattr(takein_chunk, "make", make)
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("w1")
    rows.write(folder, ORDERS, 1)
    return folder


def test_what_a_file_costs_is_what_changed_in_it(counted: Counted, files: Path) -> None:
    size = (files / "base.csv").stat().st_size
    first = counted.take(files / "base.csv")
    good = ORDERS - BAD
    assert first.mapped == ORDERS
    assert first.by_table is not None
    # one row each in entity, change feed, cross-reference and ledger of records; of a refused order fewer
    assert 4 * good <= first.rows <= 4 * good + 3 * BAD
    assert first.statements <= 60
    if first.wal is not None:
        assert first.wal < 2 * size + 5000 * ORDERS

    again = counted.take(files / "again.csv")
    assert again.mapped <= BAD  # what is refused is tried each time
    assert again.rows <= 3 * BAD
    assert again.statements <= 60
    if again.wal is not None:
        assert again.wal < 1.2 * size + 50_000  # the file as received, and nothing else

    changed = counted.take(files / "changed.csv")
    assert changed.mapped <= CHANGED + BAD
    # a new version of the entity, its row in the feed, the record's new hash
    assert changed.rows <= 3 * (CHANGED + BAD)
    if changed.wal is not None:
        assert changed.wal < 1.2 * size + 10_000 * CHANGED + 50_000


def test_statements_do_not_grow_with_the_rows(counted: Counted, files: Path, tmp_path: Path) -> None:
    first = counted.take(files / "base.csv").statements
    again = counted.take(files / "again.csv").statements
    assert again <= first
    assert first <= 60
