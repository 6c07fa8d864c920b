"""W3 in small: what a count costs on its way to stored deliveries is counted: statements, rows, records
mapped, bytes of WAL.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from bench.w3.work import Shop
from mappings import Mapping
from tests.bench.wal import wal_of

SKUS, CHANNELS = 300, 3
CHANGED = SKUS // 100

_GONE = text(
    "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)


@dataclass
class Work:
    statements: int = 0
    mapped: int = 0
    rows: int = 0
    wal: int | None = None


class Counted:
    """A shop whose work is counted."""

    def __init__(self, url: str, folder: Path) -> None:
        self.shop = Shop(url, folder / "systems", SKUS, CHANNELS, SKUS // 5)
        self.work = Work()
        event.listen(self.shop.engine, "before_cursor_execute", self._statement)

    def _statement(self, *_: Any) -> None:
        self.work.statements += 1

    def count(self, part: int) -> Work:
        """One count, to stored deliveries, and accepted."""
        self.shop.count(part)
        self.shop.settle()
        rows = self._rows()
        wal = wal_of(self.shop.engine)
        self.work = Work()
        assert self.shop.turn() == CHANGED * CHANNELS
        assert self.shop.queue() == CHANNELS
        done, wal_after = self.work, wal_of(self.shop.engine)
        done.wal = None if wal is None or wal_after is None else wal_after - wal
        done.rows = self._rows() - rows
        self.shop.accept()
        return done

    def _rows(self) -> int:
        self.shop.engine.dispose()  # a session tells what it has written when it ends, at the latest
        with self.shop.engine.connect() as connection:
            while not connection.scalar(_GONE):
                connection.rollback()
                time.sleep(0.01)
            return int(connection.scalar(text(
                "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables WHERE relname <> 'rate_budget'"
            )) or 0)  # fmt: skip


@pytest.fixture
def counted(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    made = Counted(store_url, tmp_path)
    genuine = Mapping.from_entity

    def from_entity(*given: Any) -> Any:
        made.work.mapped += 1
        return genuine(*given)

    monkeypatch.setattr(Mapping, "from_entity", from_entity)
    yield made
    made.shop.close()


def test_a_count_costs_what_changed_in_it_and_not_what_lies_beside(counted: Counted) -> None:
    counted.count(1)  # every plan has been made once
    small = counted.count(2)
    messages = CHANGED * CHANNELS
    assert small.mapped == messages  # each record for the one channel it is meant for
    # of each message its number, its row in the feed and in a delivery; of each SKU what is left of it, and the turn's
    # own notes
    assert small.rows <= 8 * messages + 40 * CHANGED
    assert small.statements <= 60 + 30 * CHANNELS
    if small.wal is not None:
        # most of it are the temporary tables of a new session
        assert 0 < small.wal < 250_000
    counted.shop.multiply(8)
    counted.count(3)
    large = counted.count(4)
    assert large.mapped == small.mapped
    assert large.statements <= small.statements
    assert large.rows <= small.rows + messages
    if large.wal is not None and small.wal is not None:
        assert large.wal < small.wal + 5_000 * messages
