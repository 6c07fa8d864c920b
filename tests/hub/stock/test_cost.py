"""What a turn costs is counted in index entries read, never timed: it grows with the SKUs of the turn, and with nothing
the planner may believe of the rest.
"""

from __future__ import annotations

import time

import pytest
from room import Room
from sqlalchemy import text

import hub.stock.turn as turns

SKUS, CHANNELS, ROUND = 400, ("mall", "shop"), 50

_READ = text("SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes WHERE relname = 'entity'")
_SCANNED = text("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'entity'")

_GONE = text(
    "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)


def _read(room: Room) -> int:
    """Entries of the entities' indexes, and entities without an index, read so far."""
    room.engine.dispose()  # a session tells what it has done when it ends, at the latest
    with room.engine.connect() as connection:
        while not connection.scalar(_GONE):
            connection.rollback()
            time.sleep(0.01)
        return int(connection.scalar(_READ) or 0) + int(connection.scalar(_SCANNED) or 0)


def _analyze(room: Room) -> None:
    with room.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def test_a_first_load_costs_by_its_skus_whatever_the_statistics_say(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics from before the first turn know of no `sellable`: a plan that trusts them reads all there are by now
    for each SKU.
    """
    monkeypatch.setattr(turns, "ROUND", ROUND)
    skus = [f"SKU-{n:04d}" for n in range(SKUS)]
    room.say("wms", "stock_position", *(
        {"key": f"{sku}@EAST", "sku": sku, "location": "EAST", "on_hand": 5} for sku in skus
    ))  # fmt: skip
    room.offer(*skus, channels=CHANNELS)
    _analyze(room)
    before = _read(room)
    turned = room.turn()
    assert turned.changed == SKUS * len(CHANNELS)
    # each SKU: its position, listings and offers, looked at a few times
    assert _read(room) - before < SKUS * len(CHANNELS) * 40


def test_a_change_costs_the_same_however_many_others_there_are(room: Room) -> None:
    def costs(first: int) -> int:
        skus = [f"SKU-{n:05d}" for n in range(first, 10 * first)]
        room.say("wms", "stock_position", *(
            {"key": f"{sku}@EAST", "sku": sku, "location": "EAST", "on_hand": 5} for sku in skus
        ))  # fmt: skip
        room.offer(*skus, channels=CHANNELS)
        room.turn()
        _analyze(room)
        for sku in skus[:5]:
            room.count(sku, 7)
        before = _read(room)
        assert room.turn().changed == 5 * len(CHANNELS)
        return _read(room) - before

    few = costs(10)
    many = costs(100)
    assert many <= 1.5 * few, (few, many)
