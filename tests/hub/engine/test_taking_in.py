"""Pull: what is taken in, what is refused, and that a second run changes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from house import HERE, build, put, store_of

from connectors.contract import Retry
from hub import engine as engine_module
from hub.engine import Hub
from hub.explain import explain
from hub.store.database import try_lock


@pytest.fixture
def hub(database_url: str, tmp_path: Path) -> Any:
    with build(database_url, tmp_path) as opened:
        yield opened


def stock(sku: str, on_hand: object, **more: object) -> dict[str, Any]:
    return {"sku": sku, "location": "W1", "on_hand": on_hand, **more}


def order(number: str, *, payment: str = "カード", **more: Any) -> dict[str, Any]:
    return {
        "number": number, "at": "2026-11-21T10:00:00+09:00", "buyer": "髙﨑 花子", "payment": payment, "total": 1100,
        "recipients": [{"id": "1", "name": "髙﨑 花子"}],
        "lines": [{"id": "1", "sku": "A", "quantity": 2, "price": 550}], **more,
    }  # fmt: skip


def test_records_become_entities_with_feed_and_references(hub: Hub, tmp_path: Path) -> None:
    put(tmp_path, "north", "stock", 1, [stock("A", 5), stock("B", "7", allocated=2)])
    report = hub.pull("north", "stock")
    assert (report.pages, report.records, report.created, report.kinds) == (1, 2, 2, {"stock_position": 2})
    store = store_of(hub)
    assert [(row[1], row[2], row[3]["on_hand"]) for row in store["entity"]] == [
        ("A@W1", 1, 5),
        ("B@W1", 1, 7),
    ]
    assert store["feed"] == [("stock_position", "A@W1", 1, "north"), ("stock_position", "B@W1", 1, "north")]
    assert store["reference"] == [
        ("north", "stock_position", "A", "A@W1"),
        ("north", "stock_position", "B", "B@W1"),
    ]


def test_the_same_page_again_writes_nothing(hub: Hub, tmp_path: Path) -> None:
    page = [stock("A", 5), stock("B", 7)]
    put(tmp_path, "north", "stock", 1, page)
    hub.pull("north", "stock")
    before = store_of(hub)
    put(tmp_path, "north", "stock", 2, page)
    report = hub.pull("north", "stock")
    assert (report.records, report.unchanged, report.changed) == (2, 2, 0)
    assert store_of(hub) == before
    assert hub.pull("north", "stock").pages == 0


def test_a_changed_record_makes_a_version(hub: Hub, tmp_path: Path) -> None:
    put(tmp_path, "north", "stock", 1, [stock("A", 5), stock("B", 7)])
    put(tmp_path, "north", "stock", 2, [stock("A", 4), stock("B", 7)])
    report = hub.pull("north", "stock")
    assert (report.created, report.updated, report.unchanged) == (2, 1, 1)
    assert store_of(hub)["feed"][-2:] == [
        ("stock_position", "A@W1", 2, "north"),
        ("stock_position", "B@W1", 1, "north"),
    ]


def test_a_changed_record_that_means_the_same_writes_no_version(hub: Hub, tmp_path: Path) -> None:
    put(tmp_path, "north", "stock", 1, [stock("A", 5)])
    put(tmp_path, "north", "stock", 2, [stock("A", "5")])
    report = hub.pull("north", "stock")
    assert (report.created, report.updated, report.unchanged) == (1, 0, 1)


def test_one_bad_record_never_stops_the_others(hub: Hub, tmp_path: Path) -> None:
    put(tmp_path, "north", "stock", 1, [stock("A", 5), stock("B", "many"), stock("C", 1)])
    report = hub.pull("north", "stock")
    assert (report.created, report.quarantined) == (2, 1)
    (row,) = hub.quarantine_list()
    assert (row.subject, row.column, row.position, row.value_masked) == ("B", "on_hand", 1, "many")
    assert row.reason_ja
    assert row.reason_en
    assert hub.quarantine_show(row.id)["record"] == {"sku": "B", "location": "W1", "on_hand": "many"}


def test_a_refused_record_read_again_is_not_refused_twice(hub: Hub, tmp_path: Path) -> None:
    for number in (1, 2):
        put(tmp_path, "north", "stock", number, [stock("B", "many")])
    hub.pull("north", "stock")
    assert len(hub.quarantine_list()) == 1


def test_a_mended_record_that_comes_again_closes_its_quarantine(hub: Hub, tmp_path: Path) -> None:
    put(tmp_path, "north", "stock", 1, [stock("B", "many")])
    hub.pull("north", "stock")
    put(tmp_path, "north", "stock", 2, [stock("B", 3)])
    hub.pull("north", "stock")
    assert hub.quarantine_list() == []
    assert [row.state for row in hub.quarantine_list(state=None)] == ["resolved"]


def test_replay_after_mending_a_table(database_url: str, tmp_path: Path) -> None:
    mappings = tmp_path / "mappings"
    shutil.copytree(HERE / "mappings", mappings)
    with build(database_url, tmp_path, mappings=mappings) as hub:
        put(tmp_path, "north", "orders", 1, [order("1"), order("2", payment="後払い")])
        report = hub.pull("north", "orders")
        assert (report.created, report.quarantined) == (1, 1)
        (row,) = hub.quarantine_list()
        assert row.column == "payment"
        assert hub.quarantine_replay([row.id]).still_refused == 1
        with (mappings / "test_shop" / "tables" / "payments.csv").open("a") as table:
            table.write("後払い,deferred\n")
        replayed = hub.quarantine_replay([row.id])
        assert (replayed.tried, replayed.through, replayed.still_refused) == (1, 1, 0)
        assert [r[1] for r in store_of(hub)["entity"]] == ["north/1", "north/2"]
        assert [r.state for r in hub.quarantine_list(state=None)] == ["replayed"]


def test_what_the_model_refuses_names_field_and_column(hub: Hub, tmp_path: Path) -> None:
    put(
        tmp_path,
        "north",
        "orders",
        1,
        [order("1", lines=[{"id": "1", "sku": "", "quantity": 1, "price": 1}])],
    )
    report = hub.pull("north", "orders")
    assert report.quarantined == 1
    (row,) = hub.quarantine_list()
    assert row.field is not None
    assert row.field.startswith("lines")


def test_an_order_with_an_unreadable_line_is_held_back_whole(hub: Hub, tmp_path: Path) -> None:
    lines = "1,A,1\n2,A,1\n2,B\n2,C,3\n3,A,1\n"
    (tmp_path / "north" / "lines" / "a.csv").write_text(lines)
    report = hub.pull("north", "lines")
    assert report.created == 2
    assert [row[1] for row in store_of(hub)["entity"]] == ["north/1", "north/3"]
    rows = {row.code: row for row in hub.quarantine_list()}
    assert set(rows) == {"column_count", "group_broken"}
    assert hub.quarantine_show(rows["column_count"].id)["raw"] == b"2,B\n"
    answer = json.loads((tmp_path / "north" / "lines" / "a.csv.answer").read_text())
    assert [(row["line"], row["key"], row["code"]) for row in answer] == [(3, "2", "column_count")]
    # still broken: replaying only the order must not take it in without its line
    assert hub.quarantine_replay([rows["group_broken"].id]).still_refused == 1
    assert [row[1] for row in store_of(hub)["entity"]] == ["north/1", "north/3"]


def test_a_page_stored_by_a_killed_run_is_taken_in_by_the_next(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "north", "stock", 1, [stock("A", 5)])

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(engine_module, "take_in", die)
        with pytest.raises(KeyboardInterrupt):
            hub.pull("north", "stock")
    assert store_of(hub)["entity"] == []
    report = hub.pull("north", "stock")
    assert (report.recovered, report.pages, report.created) == (1, 0, 1)


def test_two_runs_of_a_flow_never_overlap(hub: Hub) -> None:
    with try_lock(hub.engine, "flow:north:stock") as mine:
        assert mine
        with pytest.raises(Retry, match="running elsewhere"):
            hub.pull("north", "stock")
    hub.pull("north", "stock")


def test_a_system_that_owns_a_field_has_the_last_word(database_url: str, tmp_path: Path) -> None:
    more = {"north": "authority: {stock_position: {on_hand: north}}"}
    with build(database_url, tmp_path, more=more) as hub:
        put(tmp_path, "north", "stock", 1, [stock("A", 5, allocated=1)])
        put(tmp_path, "south", "stock", 1, [stock("A", 9, allocated=3)])
        hub.pull("north", "stock")
        hub.pull("south", "stock")
        (row,) = store_of(hub)["entity"]
        assert (row[2], row[3]["on_hand"], row[3]["allocated"], row[4]) == (2, 5, 3, None)
        before = store_of(hub)
        put(tmp_path, "south", "stock", 2, [stock("A", 9, allocated=3)])
        hub.pull("south", "stock")
        assert store_of(hub) == before


def test_shipments_decide_the_state_of_orders_in_either_sequence(hub: Hub, tmp_path: Path) -> None:
    ship = {"id": "S1", "order": "1", "on": "2026-11-21", "lines": [{"line": "1", "sku": "A", "quantity": 2}]}
    put(tmp_path, "north", "orders", 1, [order("1"), order("2")])
    hub.pull("north", "orders")
    put(tmp_path, "north", "shipments", 1, [ship, {**ship, "id": "S2", "order": "9"}])
    report = hub.pull("north", "shipments")
    assert report.kinds == {"shipment": 2, "order": 1}
    put(tmp_path, "north", "orders", 2, [order("9")])
    hub.pull("north", "orders")
    state = {row[1]: (row[2], row[3].get("status", {}).get("fulfilment")) for row in store_of(hub)["entity"]}
    assert state["north/1"] == (2, "shipped")
    assert state["north/2"] == (1, None)
    assert state["north/9"] == (1, "shipped")
    feed = [row for row in store_of(hub)["feed"] if row[1] == "north/1"]
    assert [row[3] for row in feed] == ["north", "hub"]


def test_explain_names_page_line_and_column(hub: Hub, tmp_path: Path) -> None:
    put(tmp_path, "north", "stock", 1, [stock("Z", 1), stock("A", 5)])
    hub.pull("north", "stock")
    found = explain(hub, "stock_position", "A@W1")
    origin = next(o for o in found.origins if o.field == "on_hand")
    assert (origin.value, origin.system, origin.name, origin.line) == (5, "north", "0001.json", 1)
    assert origin.mapping == "test_shop/stock.in"
    assert origin.source is not None
    assert "on_hand" in origin.source
    with pytest.raises(LookupError):
        explain(hub, "stock_position", "nope")


def test_status_tells_of_runs_and_refusals(hub: Hub, tmp_path: Path) -> None:
    put(tmp_path, "north", "stock", 1, [stock("A", 5), stock("B", "many")])
    hub.pull("north", "stock")
    row = next(row for row in hub.status() if (row.system, row.flow) == ("north", "stock"))
    assert (row.outcome, row.open_quarantine, row.counts["created"]) == ("ok", 1, 1)
    assert hub.check("north") == "folder found"


def test_an_order_whose_rows_stand_apart_is_not_taken_in_by_halves(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "north" / "lines" / "a.csv").write_text("1,A,1\n2,A,1\n3,A,1\n2,B,1\n")
    report = hub.pull("north", "lines")
    assert (report.created, [row[1] for row in store_of(hub)["entity"]]) == (2, ["north/1", "north/3"])
    (row,) = hub.quarantine_list()
    assert (row.subject, row.code) == ("2", "group_split")
    assert "line 2" in row.reason_en
    assert "line 4" in row.reason_en
