"""Deletions: told or seen in a complete listing, braked, passed on, and taken back when the thing returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from house import build, put, store_of
from shop import accepted
from sqlalchemy import text

from hub.engine import Hub


@pytest.fixture
def hub(database_url: str, tmp_path: Path) -> Any:
    with build(database_url, tmp_path) as opened:
        yield opened


def stock(*skus: str, on_hand: object = 1) -> list[dict[str, Any]]:
    return [{"sku": sku, "location": "W1", "on_hand": on_hand} for sku in skus]


def living(hub: Hub) -> list[str]:
    with hub.engine.connect() as connection:
        return list(connection.scalars(text("SELECT key FROM entity WHERE deleted_at IS NULL ORDER BY key")))


def test_what_a_complete_listing_no_longer_shows_is_deleted(hub: Hub, tmp_path: Path) -> None:
    put(tmp_path, "north", "listing", 1, stock("A", "B"))
    put(tmp_path, "north", "listing", 2, stock("C"))
    hub.pull("north", "listing")
    put(tmp_path, "north", "listing", 1, stock("A"))
    report = hub.pull("north", "listing")
    assert (report.deleted, report.kinds) == (1, {"stock_position": 1})
    assert living(hub) == ["A@W1", "C@W1"]
    assert store_of(hub)["feed"][1] == ("stock_position", "B@W1", 1, "north")
    assert hub.pull("north", "listing").deleted == 0


def test_a_refused_row_is_there_all_the_same(hub: Hub, tmp_path: Path) -> None:
    put(tmp_path, "north", "listing", 1, stock("A", "B"))
    hub.pull("north", "listing")
    put(tmp_path, "north", "listing", 1, stock("A") + stock("B", on_hand="?"))
    report = hub.pull("north", "listing")
    assert (report.quarantined, report.deleted) == (1, 0)
    assert living(hub) == ["A@W1", "B@W1"]


def test_the_brake_holds_mass_deletes_until_a_person_accepts_them(hub: Hub, tmp_path: Path) -> None:
    put(tmp_path, "north", "listing", 1, stock(*[f"S{n:03d}" for n in range(60)]))
    hub.pull("north", "listing")
    put(tmp_path, "north", "listing", 1, stock(*[f"S{n:03d}" for n in range(40)]))
    report = hub.pull("north", "listing")
    assert (report.deleted, len(living(hub))) == (0, 60)
    assert "20" in report.notes[0]
    assert "accept_deletes=true" in report.notes[0]
    assert hub.pull("north", "listing", {"accept_deletes": "true"}).deleted == 20
    assert len(living(hub)) == 40


def test_absence_in_another_flow_deletes_nothing(hub: Hub, tmp_path: Path) -> None:
    put(tmp_path, "north", "stock", 1, stock("X"))
    hub.pull("north", "stock")
    put(tmp_path, "north", "listing", 1, stock("A"))
    hub.pull("north", "listing")
    assert living(hub) == ["A@W1", "X@W1"]


def test_a_told_deletion_reaches_the_sinks_that_hold_it_and_a_return_revives_it(
    hub: Hub, tmp_path: Path
) -> None:
    put(tmp_path, "north", "stock", 1, stock("A", "B"))
    hub.pull("north", "stock")
    hub.push("south", "stock_out")
    put(tmp_path, "north", "told", 1, [{"gone": ["A", "never heard of"]}])
    report = hub.pull("north", "told")
    assert report.deleted == 1
    sent = hub.push("south", "stock_out")
    assert (sent.done, sent.not_for_us) == (1, 0)
    assert [row[2] for row in store_of(hub)["ledger"]] == ["B"]
    assert accepted(tmp_path / "south", "sink_stock")[-1]["deleted"] is True
    put(tmp_path, "north", "stock", 2, stock("A"))
    assert hub.pull("north", "stock").updated == 1
    assert hub.push("south", "stock_out").done == 1
    assert living(hub) == ["A@W1", "B@W1"]


def test_one_of_two_speakers_falling_silent_leaves_the_others_word(hub: Hub, tmp_path: Path) -> None:
    put(tmp_path, "north", "stock", 1, stock("A", on_hand=5))
    put(tmp_path, "south", "stock", 1, stock("A", on_hand=7))
    hub.pull("north", "stock")
    hub.pull("south", "stock")
    put(tmp_path, "south", "told", 1, [{"gone": ["A"]}])
    hub.pull("south", "told")
    (row,) = store_of(hub)["entity"]
    assert row[3]["on_hand"] == 5
    assert living(hub) == ["A@W1"]
