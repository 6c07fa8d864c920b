"""Push: only what changed, the same batch at each retry, never twice, never lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from house import build, put, store_of
from shop import accepted
from sqlalchemy import text

from connectors.contract import Misconfigured, Outcome, Retry
from hub import delivery
from hub.delivery import MAX_ATTEMPTS
from hub.engine import Hub
from hub.feed import enter_feed
from hub.reports import PushReport


@pytest.fixture
def hub(database_url: str, tmp_path: Path) -> Any:
    with build(database_url, tmp_path) as opened:
        yield opened


def give_stock(hub: Hub, base: Path, number: int, **on_hand: int) -> None:
    records = [{"sku": sku, "location": "W1", "on_hand": count} for sku, count in on_hand.items()]
    put(base, "north", "stock", number, records)
    hub.pull("north", "stock")


def sent(base: Path, sink: str = "sink_stock") -> list[tuple[str, int]]:
    return [(line["key"], line["record"]["quantity"]) for line in accepted(base / "south", sink)]


def misbehave(base: Path, *faults: dict[str, str], sink: str = "sink_stock") -> None:
    (base / "south" / f"{sink}.faults").write_text(json.dumps(faults))


def test_what_changed_is_sent_once_and_only_its_newest_value(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=5, B=7)
    give_stock(hub, tmp_path, 2, A=4)
    report = hub.push("south", "stock_out")
    assert (report.read, report.done, report.deliveries) == (2, 2, 1)
    assert sorted(sent(tmp_path)) == [("A", 4), ("B", 7)]
    again = hub.push("south", "stock_out")
    assert (again.read, again.sent) == (0, 0)


def test_a_value_that_comes_back_to_what_was_accepted_is_not_sent(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=5)
    hub.push("south", "stock_out")
    give_stock(hub, tmp_path, 2, A=4)
    give_stock(hub, tmp_path, 3, A=5)
    report = hub.push("south", "stock_out")
    assert (report.read, report.unchanged, report.sent) == (1, 1, 0)


def test_a_value_that_comes_back_follows_the_other_one_that_is_still_on_its_way(
    hub: Hub, tmp_path: Path
) -> None:
    """5 was accepted, 4 is stored and not settled yet; then 5 again equals what was accepted and must be sent."""
    give_stock(hub, tmp_path, 1, A=5)
    hub.push("south", "stock_out")
    give_stock(hub, tmp_path, 2, A=4)
    misbehave(tmp_path, {"when": "before", "do": "busy"}, {"when": "before", "do": "busy"})
    with pytest.raises(Retry):
        hub.push("south", "stock_out")
    give_stock(hub, tmp_path, 3, A=5)
    with pytest.raises(Retry):
        hub.push("south", "stock_out")
    hub.push("south", "stock_out")
    assert sent(tmp_path) == [("A", 5), ("A", 4), ("A", 5)]
    assert hub.push("south", "stock_out").sent == 0


def test_five_four_five_sent_in_between_is_sent_again(hub: Hub, tmp_path: Path) -> None:
    for number, count in enumerate((5, 4, 5)):
        give_stock(hub, tmp_path, number, A=count)
        hub.push("south", "stock_out")
    assert sent(tmp_path) == [("A", 5), ("A", 4), ("A", 5)]


def test_a_system_is_not_told_what_it_just_said(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=5)
    report = hub.push("north", "stock_out")
    assert (report.read, report.echoes, report.sent) == (1, 1, 0)
    put(tmp_path, "south", "stock", 1, [{"sku": "A", "location": "W1", "on_hand": 3}])
    hub.pull("south", "stock")
    assert hub.push("north", "stock_out").done == 1


def test_batches_keep_the_sinks_size(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, **{f"S{n:02d}": n for n in range(25)})
    report = hub.push("south", "stock_out")
    assert (report.done, report.deliveries) == (25, 3)
    assert len({line["batch"] for line in accepted(tmp_path / "south", "sink_stock")}) == 3


def test_a_retry_sends_the_same_batch_with_the_same_key(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=5)
    misbehave(tmp_path, {"when": "after", "do": "retry"})
    with pytest.raises(Retry, match="come back later"):
        hub.push("south", "stock_out")
    give_stock(hub, tmp_path, 2, A=1)
    report = hub.push("south", "stock_out")
    assert report.resumed == 1
    lines = accepted(tmp_path / "south", "sink_stock")
    assert [line["record"]["quantity"] for line in lines] == [5, 5, 1]
    assert lines[0]["batch"] == lines[1]["batch"] != lines[2]["batch"]


def test_what_was_accepted_of_a_half_taken_batch_is_not_sent_again(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=1, B=2, C=3)
    misbehave(tmp_path, {"when": "before", "do": "half"})
    with pytest.raises(Retry, match="busy"):
        hub.push("south", "stock_out")
    hub.push("south", "stock_out")
    assert sent(tmp_path) == [("A", 1), ("B", 2), ("C", 3)]


def test_a_sink_that_appends_is_asked_before_a_second_attempt(hub: Hub, tmp_path: Path) -> None:
    lines = [{"line": "1", "sku": "A", "quantity": 2}]
    one = {"number": "1", "at": "2026-11-21T10:00:00Z", "buyer": "山田", "payment": "カード", "total": 1,
           "recipients": [{"id": "1", "name": "山田"}],
           "lines": [{"id": "1", "sku": "A", "quantity": 2, "price": 1}]}  # fmt: skip
    put(tmp_path, "north", "orders", 1, [one])
    put(tmp_path, "north", "shipments", 1, [{"id": "S1", "order": "1", "lines": lines}])
    hub.pull("north", "orders")
    hub.pull("north", "shipments")
    misbehave(tmp_path, {"when": "after", "do": "retry"}, sink="sink_shipments")
    with pytest.raises(Retry):
        hub.push("south", "shipments_out")
    report = hub.push("south", "shipments_out")
    assert (report.done, sent(tmp_path, "sink_shipments")) == (1, [("S1", 2)])


def test_a_related_entity_that_comes_later_wakes_the_push(hub: Hub, tmp_path: Path) -> None:
    lines = [{"line": "1", "sku": "A", "quantity": 2}]
    put(tmp_path, "north", "shipments", 1, [{"id": "S1", "order": "1", "lines": lines}])
    hub.pull("north", "shipments")
    report = hub.push("south", "shipments_out")
    assert (report.not_for_us, report.sent) == (1, 0)
    one = {"number": "1", "at": "2026-11-21T10:00:00Z", "buyer": "山田", "payment": "カード", "total": 1,
           "recipients": [{"id": "1", "name": "山田"}],
           "lines": [{"id": "1", "sku": "A", "quantity": 2, "price": 1}]}  # fmt: skip
    put(tmp_path, "north", "orders", 1, [one])
    hub.pull("north", "orders")
    assert hub.push("south", "shipments_out").done == 1


def test_a_refused_change_goes_to_quarantine_and_the_others_through(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=1, BAD1=2, C=3)
    report = hub.push("south", "stock_out")
    assert (report.done, report.refused) == (2, 1)
    (row,) = hub.quarantine_list()
    assert (row.direction, row.subject, row.code) == ("out", "BAD1", "unknown_sku")
    assert "no such SKU" in row.reason_en
    assert hub.quarantine_replay([row.id]).still_refused == 1


def test_a_refused_batch_is_refused_change_by_change(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=1, B=2)
    misbehave(tmp_path, {"when": "before", "do": "refuse"})
    assert hub.push("south", "stock_out").refused == 2
    rows = hub.quarantine_list()
    assert [row.code for row in rows] == ["no", "no"]
    replayed = hub.quarantine_replay([row.id for row in rows])
    assert (replayed.through, sorted(sent(tmp_path))) == (2, [("A", 1), ("B", 2)])


def test_misconfigured_stops_the_flow_and_keeps_the_delivery(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=1)
    misbehave(tmp_path, {"when": "before", "do": "misconfigured"})
    with pytest.raises(Misconfigured):
        hub.push("south", "stock_out")
    status = next(row for row in hub.status() if (row.system, row.flow) == ("south", "stock_out"))
    assert (status.outcome, status.open_deliveries) == ("misconfigured", 1)
    hub.push("south", "stock_out")
    assert sent(tmp_path) == [("A", 1)]


def test_a_batch_that_never_goes_through_ends_in_quarantine(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=1)
    misbehave(tmp_path, *[{"when": "before", "do": "crash"}] * MAX_ATTEMPTS)
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(RuntimeError, match="a bug in the sink"):
            hub.push("south", "stock_out")
    (row,) = hub.quarantine_list()
    assert row.code == "attempts"
    assert hub.push("south", "stock_out").sent == 0


def test_a_transaction_that_commits_late_is_not_jumped_over(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_stock(hub, tmp_path, 1, A=1)
    hub.push("south", "stock_out")
    monkeypatch.setattr("hub.engine.PATIENCE", 1)
    late = hub.engine.connect()
    with late.begin():
        enter_feed(late)
        late.execute(
            text("UPDATE entity SET version = 2, content = content || '{\"on_hand\": 2}' WHERE key = 'A@W1'")
        )
        late.execute(
            text("INSERT INTO change_feed (entity_id, kind, version, system) "
                 "SELECT id, kind, 2, 'north' FROM entity WHERE key = 'A@W1'")
        )  # fmt: skip
        give_stock(hub, tmp_path, 2, B=7)
        with pytest.raises(Retry, match="long transaction"):
            hub.push("south", "stock_out")
        assert sent(tmp_path) == [("A", 1)]
    late.close()
    assert hub.push("south", "stock_out").done == 2
    assert sent(tmp_path) == [("A", 1), ("A", 2), ("B", 7)]


def test_all_compares_everything_and_sends_nothing_that_is_accepted(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=1, B=2)
    hub.push("south", "stock_out")
    report = hub.push("south", "stock_out", {"all": True})
    assert (report.read, report.unchanged, report.sent) == (2, 2, 0)
    with hub.engine.begin() as connection:
        connection.execute(text("DELETE FROM ledger WHERE key = 'A'"))
    assert hub.push("south", "stock_out", {"keys": ["A@W1"]}).done == 1


def test_outcomes_reach_ledger_and_references(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=1)
    hub.push("south", "stock_out")
    store = store_of(hub)
    assert store["ledger"] == [("south", "stock_out", "A", {"sku": "A", "quantity": 1})]
    assert ("south", "stock_position", "x-A", "A@W1") in store["reference"]


def test_an_unsettled_delivery_holds_back_only_newer_values_of_its_keys(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=1, B=2, D=4)
    misbehave(tmp_path, {"when": "before", "do": "half"}, {"when": "before", "do": "half"})
    with pytest.raises(Retry, match="busy"):
        hub.push("south", "stock_out")
    give_stock(hub, tmp_path, 2, **{f"C{n}": n for n in range(10)})
    give_stock(hub, tmp_path, 3, D=9)
    # D is unsettled again: the batch with its newer value waits, the one behind it goes on
    with pytest.raises(Retry, match="busy"):
        hub.push("south", "stock_out")
    assert ("C9", 9) in sent(tmp_path)
    assert "D" not in dict(sent(tmp_path))
    hub.push("south", "stock_out")
    assert [value for key, value in sent(tmp_path) if key == "D"] == [4, 9]


def test_a_sink_that_answers_is_told_of_the_systems_own_data(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=1)
    assert hub.push("north", "stock_out").echoes == 1
    give_stock(hub, tmp_path, 2, A=2)
    assert hub.push("north", "answers_out").done == 1


def test_other_transactions_do_not_hold_back_a_push(hub: Hub, tmp_path: Path) -> None:
    give_stock(hub, tmp_path, 1, A=1)
    with hub.engine.begin() as busy:
        busy.execute(text("CREATE TABLE something_else ()"))
        assert hub.push("south", "stock_out").done == 1


def test_a_writer_must_announce_itself_first(hub: Hub) -> None:
    with hub.engine.begin() as connection:
        connection.execute(text("CREATE TABLE written_before ()"))
        with pytest.raises(RuntimeError, match="before the first write"):
            enter_feed(connection)


def test_who_lost_the_flow_without_noticing_does_not_have_the_last_word(hub: Hub, tmp_path: Path) -> None:
    """The database crashes under a push whose call is under way: another one takes the delivery up, sends it and newer
    values; then the first call ends, behind all of them.
    """
    give_stock(hub, tmp_path, 1, A=5, B=1)
    hub.push("south", "stock_out")
    give_stock(hub, tmp_path, 2, A=4)
    misbehave(tmp_path, {"when": "before", "do": "retry"})
    with pytest.raises(Retry):
        hub.push("south", "stock_out")
    names = delivery._Names("south", "stock_out", "test_shop/stock.out", "stock_position", True)
    with hub.engine.begin() as connection:
        (waiting,) = connection.scalars(text("SELECT id FROM delivery WHERE finished_at IS NULL"))
        _, number, pending = delivery._begin(connection, waiting)
    hub.push("south", "stock_out")
    give_stock(hub, tmp_path, 3, A=7)
    hub.push("south", "stock_out")
    late = delivery._Attempt(waiting, number, pending, {"A": Outcome.done("A")}, None)
    with hub.engine.begin() as connection:
        assert delivery._record(connection, names, late, PushReport(system="south", flow="stock_out"))
        held = connection.scalar(text("SELECT record ->> 'quantity' FROM ledger WHERE key = 'A'"))
    assert held == "7"
    assert hub.push("south", "stock_out").resumed == 1
    assert sent(tmp_path)[-1] == ("A", 7)
    assert hub.push("south", "stock_out").sent == 0


def test_two_at_one_delivery_settle_it_once(hub: Hub, tmp_path: Path) -> None:
    """While the other one is still sending the same batch, nothing is to be sent once more: it is the same value."""
    give_stock(hub, tmp_path, 1, A=5)
    misbehave(tmp_path, {"when": "before", "do": "retry"})
    with pytest.raises(Retry):
        hub.push("south", "stock_out")
    names = delivery._Names("south", "stock_out", "test_shop/stock.out", "stock_position", True)
    report = PushReport(system="south", flow="stock_out")
    done = {"A": Outcome.done("A")}
    with hub.engine.begin() as connection:
        (waiting,) = connection.scalars(text("SELECT id FROM delivery WHERE finished_at IS NULL"))
        _, first, pending = delivery._begin(connection, waiting)
    with hub.engine.begin() as connection:
        _, second, _ = delivery._begin(connection, waiting)
    for number in (first, second):
        with hub.engine.begin() as connection:
            delivery._record(
                connection, names, delivery._Attempt(waiting, number, pending, done, None), report
            )
    assert hub.push("south", "stock_out").sent == 0
    with hub.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM delivery")) == 1
        assert connection.scalar(text("SELECT record ->> 'quantity' FROM ledger WHERE key = 'A'")) == "5"
