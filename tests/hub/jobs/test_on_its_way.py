"""What is on its way already is not sent twice, and what changed back in between is."""

from __future__ import annotations

import json
from pathlib import Path

from street import took

from hub.engine import Hub
from hub.feed import horizon
from hub.outgoing import queue_round, queue_urgent
from hub.reports import PushReport


def count(hub: Hub, base: Path, page: int, on_hand: int) -> None:
    record = {"sku": "A", "location": "W1", "on_hand": on_hand, "version": page}
    (base / "north" / "stock" / f"{page}.json").write_text(json.dumps([record]))
    hub.pull("north", "stock")


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
