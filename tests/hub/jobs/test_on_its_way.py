"""What is on its way already is not sent twice, and what changed back in between is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from street import took

from connectors.contract import Retry
from hub.budget import AccountLane
from hub.engine import Hub
from hub.feed import horizon
from hub.outgoing import queue_round, queue_urgent
from hub.progress import Counter
from hub.reports import PushReport


def count(hub: Hub, base: Path, page: int, on_hand: int, *skus: str) -> None:
    records = [{"sku": sku, "location": "W1", "on_hand": on_hand, "version": page} for sku in skus or ("A",)]
    (base / "north" / "stock" / f"{page}.json").write_text(json.dumps(records))
    hub.pull("north", "stock")


def batches(base: Path) -> list[list[tuple[str, int]]]:
    """What each call carried, in the order of the calls."""
    found: dict[str, list[tuple[str, int]]] = {}
    for line in took(base):
        found.setdefault(line["batch"], []).append((line["key"], line["record"]["quantity"]))
    return list(found.values())


def queued(hub: Hub, *, urgent: bool = False) -> PushReport:
    report = PushReport(system="south", flow="stock_out")
    outgoing = hub.bind("south", "stock_out").outgoing
    with hub.engine.begin() as connection:
        below = horizon(connection)
    with hub.engine.begin() as connection:
        if urgent:
            queue_urgent(connection, outgoing, report)
        else:
            queue_round(connection, outgoing, below=below, report=report)
    return report


def test_a_push_leaves_what_an_urgent_delivery_carries_already(hub: Hub, tmp_path: Path) -> None:
    count(hub, tmp_path, 0, 5)
    hub.push("south", "stock_out")
    count(hub, tmp_path, 1, 4)
    assert queued(hub, urgent=True).deliveries == 1
    beside = queued(hub)
    assert (beside.deliveries, beside.unchanged) == (0, 1)
    hub.push("south", "stock_out")
    assert [line["record"]["quantity"] for line in took(tmp_path)] == [5, 4]


def test_a_value_that_came_back_follows_the_other_that_is_on_its_way(hub: Hub, tmp_path: Path) -> None:
    count(hub, tmp_path, 0, 5)
    hub.push("south", "stock_out")
    count(hub, tmp_path, 1, 4)
    assert queued(hub, urgent=True).deliveries == 1
    queued(hub)
    for page, on_hand in ((2, 6), (3, 4)):
        count(hub, tmp_path, page, on_hand)
        assert queued(hub).deliveries == 1
    hub.push("south", "stock_out")
    assert [line["record"]["quantity"] for line in took(tmp_path)] == [5, 4, 6, 4]


def test_urgent_changes_are_mapped_once_and_left_alone_by_the_push_behind(hub: Hub, tmp_path: Path) -> None:
    count(hub, tmp_path, 0, 5)
    hub.push("south", "stock_out")
    count(hub, tmp_path, 1, 4)
    assert queued(hub, urgent=True).read == 1
    assert queued(hub, urgent=True).read == 0
    count(hub, tmp_path, 2, 3)
    assert queued(hub, urgent=True).read == 1
    outgoing = hub.bind("south", "stock_out")
    report = PushReport(system="south", flow="stock_out")
    lane = AccountLane(hub.budgets, "south", urgent=True)
    with hub.call(outgoing, None, lane) as call:
        hub.sender(outgoing, call, report, Counter(None), lane).send_urgent()
    behind = hub.push("south", "stock_out")
    assert (behind.read, behind.unchanged, behind.sent) == (1, 1, 0)
    assert batches(tmp_path) == [[("A", 5)], [("A", 4)], [("A", 3)]]


def test_an_urgent_call_takes_along_what_waits_so_that_no_more_calls_are_needed(
    hub: Hub, tmp_path: Path
) -> None:
    count(hub, tmp_path, 0, 5)
    hub.push("south", "stock_out")
    many = [f"B{n:02d}" for n in range(25)]
    count(hub, tmp_path, 1, 7, *many)
    assert queued(hub).deliveries == 3
    count(hub, tmp_path, 2, 4)
    assert queued(hub, urgent=True).deliveries == 1
    hub.push("south", "stock_out")
    _, first, *others = batches(tmp_path)
    assert first[0] == ("A", 4)
    assert [len(each) for each in (first, *others)] == [10, 10, 6]
    assert sorted(key for each in (first, *others) for key, _ in each) == ["A", *many]


def test_places_that_urgent_changes_left_empty_are_filled_from_behind(hub: Hub, tmp_path: Path) -> None:
    many = [f"B{n:02d}" for n in range(35)]
    count(hub, tmp_path, 0, 7, *many)
    assert queued(hub).deliveries == 4
    count(hub, tmp_path, 1, 4, *many[10:15])
    assert queued(hub, urgent=True).deliveries == 1
    hub.push("south", "stock_out")
    sent = batches(tmp_path)
    assert [len(each) for each in sent] == [10, 10, 10, 5]
    assert dict(change for each in sent for change in each) == {
        sku: 4 if sku in many[10:15] else 7 for sku in many
    }
    assert len({key for each in sent for key, _ in each}) == len(many)


def test_what_is_taken_along_never_passes_an_older_value_of_its_key(hub: Hub, tmp_path: Path) -> None:
    count(hub, tmp_path, 0, 5)
    hub.push("south", "stock_out")
    count(hub, tmp_path, 1, 7, "B")
    (tmp_path / "south" / "send.faults").write_text(json.dumps(["retry"]))
    with pytest.raises(Retry):
        hub.push("south", "stock_out")
    count(hub, tmp_path, 2, 8, "B")
    assert queued(hub).deliveries == 1
    count(hub, tmp_path, 3, 4)
    assert queued(hub, urgent=True).deliveries == 1
    hub.push("south", "stock_out")
    assert batches(tmp_path)[1:] == [[("A", 4)], [("B", 7)], [("B", 8)]]


def test_a_batch_with_room_is_filled_by_the_next_stretch_of_the_feed(hub: Hub, tmp_path: Path) -> None:
    count(hub, tmp_path, 0, 7, *(f"A{n}" for n in range(4)))
    assert queued(hub).deliveries == 1
    count(hub, tmp_path, 1, 7, *(f"B{n}" for n in range(8)))
    assert queued(hub).deliveries == 1
    hub.push("south", "stock_out")
    assert [len(each) for each in batches(tmp_path)] == [10, 2]


def test_a_newer_value_never_joins_the_batch_that_has_the_older(hub: Hub, tmp_path: Path) -> None:
    count(hub, tmp_path, 0, 7, "A", "B")
    assert queued(hub).deliveries == 1
    count(hub, tmp_path, 1, 8, "A", "C")
    assert queued(hub).deliveries == 1
    hub.push("south", "stock_out")
    assert [sorted(each) for each in batches(tmp_path)] == [[("A", 7), ("B", 7), ("C", 8)], [("A", 8)]]


def test_a_batch_that_was_tried_is_not_filled(hub: Hub, tmp_path: Path) -> None:
    count(hub, tmp_path, 0, 7, "A")
    (tmp_path / "south" / "send.faults").write_text(json.dumps(["retry"]))
    with pytest.raises(Retry):
        hub.push("south", "stock_out")
    count(hub, tmp_path, 1, 7, "B")
    assert queued(hub).deliveries == 1
    hub.push("south", "stock_out")
    assert batches(tmp_path) == [[("A", 7)], [("B", 7)]]


def test_a_long_push_sends_full_batches_but_for_the_last(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.outgoing.ROUND", 12)
    count(hub, tmp_path, 0, 7, *(f"A{n:02d}" for n in range(34)))
    assert hub.push("south", "stock_out").deliveries == 4
    assert [len(each) for each in batches(tmp_path)] == [10, 10, 10, 4]


def test_one_call_carries_all_that_is_urgent(hub: Hub, tmp_path: Path) -> None:
    many = [f"B{n:02d}" for n in range(8)]
    count(hub, tmp_path, 0, 7, *many)
    hub.push("south", "stock_out")
    count(hub, tmp_path, 1, 9, "C")
    queued(hub)
    for page, sku in enumerate(many[:3], 2):
        count(hub, tmp_path, page, 6, sku)
        assert queued(hub, urgent=True).deliveries == 1
    hub.push("south", "stock_out")
    assert batches(tmp_path)[1:] == [[*((sku, 6) for sku in many[:3]), ("C", 9)]]


def test_the_newest_urgent_value_of_a_key_is_the_last_to_come(hub: Hub, tmp_path: Path) -> None:
    count(hub, tmp_path, 0, 7, "A", "B")
    hub.push("south", "stock_out")
    for page, sku, on_hand in ((1, "A", 6), (2, "B", 6), (3, "A", 5)):
        count(hub, tmp_path, page, on_hand, sku)
        assert queued(hub, urgent=True).deliveries == 1
    hub.push("south", "stock_out")
    assert batches(tmp_path)[1:] == [[("A", 6), ("B", 6)], [("A", 5)]]


def test_an_older_value_behind_what_was_taken_along_is_given_up(hub: Hub, tmp_path: Path) -> None:
    count(hub, tmp_path, 0, 7, "A")
    hub.push("south", "stock_out")
    count(hub, tmp_path, 1, 9, "B")  # waits
    queued(hub)
    for page, sku in ((2, "A"), (3, "B")):
        count(hub, tmp_path, page, 6, sku)
        assert queued(hub, urgent=True).deliveries == 1
    hub.push("south", "stock_out")
    assert batches(tmp_path)[1:] == [[("A", 6), ("B", 6)]]


class Lane(AccountLane):
    """A lane that has no turn at the first questions; `meanwhile` happens while one waits for it."""

    def __init__(self, hub: Hub, *meanwhile: Callable[[], None]) -> None:
        super().__init__(hub.budgets, "south")
        self._meanwhile = list(meanwhile)

    def wait(self) -> float:
        if not self._meanwhile:
            return 0.0
        self._meanwhile.pop(0)()
        return 0.001


def test_what_becomes_urgent_while_a_call_waits_for_its_turn_goes_with_it(hub: Hub, tmp_path: Path) -> None:
    count(hub, tmp_path, 0, 7, "A", "B")
    hub.push("south", "stock_out")
    count(hub, tmp_path, 1, 6, "A")
    queued(hub, urgent=True)
    outgoing = hub.bind("south", "stock_out")
    lane = Lane(hub, lambda: count(hub, tmp_path, 2, 6, "B"))
    with hub.call(outgoing, None, lane) as call:
        report = PushReport(system="south", flow="stock_out")
        assert hub.sender(outgoing, call, report, Counter(None), lane).send_urgent() == 1
    assert batches(tmp_path)[1:] == [[("A", 6), ("B", 6)]]


def test_a_push_that_waits_for_its_turn_lets_a_sale_go_first(hub: Hub, tmp_path: Path) -> None:
    count(hub, tmp_path, 0, 7, "A")
    hub.push("south", "stock_out")
    count(hub, tmp_path, 1, 7, *(f"B{n:02d}" for n in range(12)))
    assert queued(hub).deliveries == 2
    outgoing = hub.bind("south", "stock_out")
    lane = Lane(hub, lambda: None, lambda: count(hub, tmp_path, 2, 6, "A"))
    with hub.call(outgoing, None, lane) as call:
        report = PushReport(system="south", flow="stock_out")
        hub.sender(outgoing, call, report, Counter(None), lane).send_open()
    first, *others = batches(tmp_path)[1:]
    assert first[0] == ("A", 6)
    assert [len(each) for each in (first, *others)] == [10, 3]


def test_a_push_leaves_a_batch_with_room_while_more_follows(hub: Hub, tmp_path: Path) -> None:
    count(hub, tmp_path, 0, 7, *(f"A{n:02d}" for n in range(12)))
    queued(hub)
    outgoing = hub.bind("south", "stock_out")
    lane = AccountLane(hub.budgets, "south")
    with hub.call(outgoing, None, lane) as call:
        report = PushReport(system="south", flow="stock_out")
        sender = hub.sender(outgoing, call, report, Counter(None), lane)
        assert sender.send_open(more_follows=True) == 1
        assert [len(each) for each in batches(tmp_path)] == [10]
        assert sender.send_open() == 1
    assert [len(each) for each in batches(tmp_path)] == [10, 2]


def test_a_file_keeps_to_its_timetable(hub: Hub, tmp_path: Path) -> None:
    """Other than a call, no file is written because something became urgent while another one was."""
    count(hub, tmp_path, 0, 7, "A", "B")
    count(hub, tmp_path, 1, 6, "A")
    outgoing = hub.bind("south", "file_out")
    assert outgoing.sink.whole
    lane = AccountLane(hub.budgets, "south")
    with hub.call(outgoing, None, lane) as call:
        report = PushReport(system="south", flow="file_out")
        sender = hub.sender(outgoing, call, report, Counter(None), lane)
        sender._time_passed = True
        assert sender.send_open() == 0
    assert report.read == 0
