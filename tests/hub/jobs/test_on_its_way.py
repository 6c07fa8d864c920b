"""What is on its way already is not sent twice, and what changed back in between is."""

from __future__ import annotations

import json
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
