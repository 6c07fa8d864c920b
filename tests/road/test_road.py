"""The whole road of the demo day, driven through the engine: files, marketplace and warehouse, there and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from canonical_model import Order
from connectors.contract import Retry
from hub.demo.counterparts import Counterparts
from hub.demo.road import ROAD
from hub.engine import Hub
from hub.home import Settings
from hub.reports import PullReport, PushReport

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280), pytest.mark.xdist_group("road")]

STORE = {
    "entity": "SELECT kind, key, version, content, encode(hash, 'hex') FROM entity ORDER BY kind, key",
    "record": "SELECT system, mapping, record_id, encode(hash, 'hex') FROM record ORDER BY 1, 2, 3",
    "feed": "SELECT xid, seq, entity_id, version, system FROM change_feed ORDER BY xid, seq",
    "ledger": "SELECT system, flow, key, record, entity_version FROM ledger ORDER BY 1, 2, 3",
    "deliveries": "SELECT id, idempotency_key, state, attempts FROM delivery ORDER BY id",
    "changes": "SELECT delivery_id, n, key, record, verdict FROM delivery_change ORDER BY 1, 2",
    "references": "SELECT system, kind, external_id, entity_id FROM cross_reference ORDER BY 1, 2, 3",
    "quarantine": "SELECT id, system, flow, subject, code, state, faults FROM quarantine ORDER BY id",
}


class Day:
    """A hub, its counterparts, and the reports of the last walk along the road."""

    def __init__(self, hub: Hub, counterparts: Counterparts) -> None:
        self.hub = hub
        self.counterparts = counterparts
        self.reports: list[PullReport | PushReport] = []

    def walk(self) -> None:
        self.reports = []
        for step in ROAD:
            if step.before is not None:
                step.before(self.counterparts)
            flow = self.hub.systems.get(step.system).flow(step.flow)
            run = self.hub.pull if flow.pull else self.hub.push
            if step.during is None:
                self.reports.append(run(step.system, step.flow))
                continue
            with suppress(Retry):  # it waits for the other side's answer
                self.reports.append(run(step.system, step.flow))
            step.during(self.counterparts)
            self.reports.append(run(step.system, step.flow))

    def report(self, system: str, flow: str) -> Any:
        """The last run of a flow."""
        return [r for r in self.reports if (r.system, r.flow) == (system, flow)][-1]

    def store(self) -> bytes:
        """Everything that counts in the store, as bytes."""
        with self.hub.engine.connect() as connection:
            rows = {name: [list(row) for row in connection.execute(text(sql))] for name, sql in STORE.items()}
        return orjson.dumps(rows, option=orjson.OPT_SORT_KEYS)

    def contents(self, kind: str) -> dict[str, dict[str, Any]]:
        with self.hub.engine.connect() as connection:
            rows = connection.execute(
                text("SELECT key, content FROM entity WHERE kind = :kind"), {"kind": kind}
            )
            return {row.key: row.content for row in rows}


@pytest.fixture(scope="module")
def day(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TSUNAGI_HOME", str(home))
        patched.setenv("TSUNAGI_DATABASE_URL", module_database_url)
        patched.setenv("TSUNAGI_SYSTEMS", str(Path(__file__).parents[2] / "systems"))
        settings = Settings.from_env()
        settings.home.create()
        counterparts = Counterparts(settings)
        counterparts.start()
        try:
            with Hub.open(settings) as hub:
                walked = Day(hub, counterparts)
                walked.walk()
                yield walked
        finally:
            counterparts.stop()


def test_orders_of_both_systems_arrive_and_add_up_to_the_yen(day: Day) -> None:
    orders = day.contents("order")
    channels = {key.split("/")[0] for key in orders}
    assert channels == {"mailorder", "rakuten"}
    for content in orders.values():
        assert Order.model_validate(content).differences() == ()


def test_names_and_addresses_keep_their_characters(day: Day) -> None:
    names = {
        content["buyer"]["name"]["full"] for key, content in day.contents("order").items() if key[0] == "m"
    }
    assert any("髙﨑" in name for name in names)
    assert any("①" in name for name in names)
    kana = {
        content["buyer"]["name"].get("full_kana", "")
        for key, content in day.contents("order").items()
        if key[0] == "m"
    }
    assert "タカサキ ミサキ" in kana


def test_every_bad_row_is_told_and_no_other_is_lost(day: Day) -> None:
    rows = day.hub.quarantine_list("core", "orders")
    assert rows
    assert all(row.reason_ja and row.reason_en and row.position for row in rows)
    taken = day.contents("order")
    assert not [key for key in taken if key.startswith("mailorder/X")]


def test_stock_reaches_the_marketplace_for_every_listing_the_warehouse_counts(day: Day) -> None:
    stock = {content["sku"]: content for content in day.contents("stock_position").values()}
    listed = {content["sku"] for content in day.contents("listing").values()}
    offers = {content["sku"]: content for content in day.contents("sellable").values()}
    assert offers.keys() == listed & stock.keys() != set()
    with day.hub.engine.connect() as connection:
        query = "SELECT record FROM ledger WHERE system = 'rakuten-main' AND flow = 'stock'"
        told = [record["quantity"] for record in connection.scalars(text(query))]
    assert sorted(told) == sorted(offer["quantity"] for offer in offers.values())
    report = day.report("rakuten-main", "stock")
    assert (report.refused, report.quarantined) == (0, 0)


def test_orders_count_against_stock_before_the_warehouse_has_counted_them_and_not_twice_afterwards(
    day: Day,
) -> None:
    morning, evening = (r for r in day.reports if (r.system, r.flow) == ("rakuten-main", "stock"))
    assert isinstance(morning, PushReport)
    assert isinstance(evening, PushReport)
    # what was ordered in the morning was off before it was shipped, so the evening's count tells nothing new of it
    with day.hub.engine.connect() as connection:
        first, *_, last = connection.scalars(
            text("SELECT id FROM delivery WHERE (system, flow) = ('rakuten-main', 'stock') ORDER BY id")
        )
        query = "SELECT key, record FROM delivery_change WHERE delivery_id = :id"
        before, after = (
            {row.key: row.record for row in connection.execute(text(query), {"id": one})}
            for one in (first, last)
        )
    assert evening.unchanged > 0 or any(before.get(key) == record for key, record in after.items())
    stock = {content["sku"]: content for content in day.contents("stock_position").values()}
    for offer in day.contents("sellable").values():
        position = stock[offer["sku"]]
        assert offer.get("allocated", 0) == position.get("allocated", 0)
        assert offer["quantity"] == max(
            position["on_hand"] - position.get("allocated", 0) - offer.get("unbooked", 0), 0
        )
    # what still counts is what the warehouse was not told of, or had too little of
    with day.hub.engine.connect() as connection:
        query = "SELECT order_key FROM stock_demand JOIN entity ON entity.id = order_id AND kind = 'order'"
        waiting = set(connection.scalars(text(query)))
    orders = day.contents("order")
    assert {orders[key].get("status", {}).get("fulfilment", "none") for key in waiting} == {"none", "partial"}


def test_what_the_warehouse_shipped_is_told_to_marketplace_and_core(day: Day) -> None:
    shipments = day.contents("shipment")
    assert shipments
    orders = day.contents("order")
    for content in shipments.values():
        if not any(line["quantity"] for line in content["lines"]):
            continue  # a result that only says that everything was missing
        state = orders[content["order_key"]]["status"]["fulfilment"]
        assert state in ("shipped", "partial")
    told = {"core": 0, "rakuten-main": 0}
    for report in day.reports:
        if isinstance(report, PushReport) and report.flow in ("shipping_report", "shipments"):
            told[report.system] += report.done
    by_channel = [content["order_key"].split("/")[0] for content in shipments.values()]
    assert told == {"core": by_channel.count("mailorder"), "rakuten-main": by_channel.count("rakuten")}
    assert not [row for row in day.hub.quarantine_list() if row.direction == "out"]


def test_the_day_again_leaves_the_same_store_and_sends_nothing(day: Day) -> None:
    # the first walk may leave answers of the other sides to be seen: let the day come to rest
    day.walk()
    before = day.store()
    day.walk()
    assert day.store() == before
    for report in day.reports:
        if isinstance(report, PushReport):
            assert (report.sent, report.deliveries) == (0, 0), report
        else:
            assert report.changed == 0, report
