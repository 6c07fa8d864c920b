"""The road for now with a real shop: an order placed in Vendure moves a marketplace's stock, and the other way round.

Vendure with its plugin, PostgreSQL, `tsunagi gateway` and `tsunagi worker` are the real ones, each a process of its
own.
`TSUNAGI_TEST_NOW_RESULTS` names a file the measured times are written to as JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sandbox.vendure import Shop
from tests.conftest import create_database, drop_database, in_database
from tests.connectors.vendure.conftest import open_shop
from tests.connectors.vendure.trade import SKU, Trade, soon

pytestmark = [pytest.mark.vendure, pytest.mark.timeout(900), pytest.mark.slow]

ORDERS = 15
Bought = dict[str, Any]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop of its own: what is sold here is not there for other tests, nor theirs for these."""
    with open_shop(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module")
def trade(shop: Any, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trade]:
    name = f"trade_{uuid4().hex[:16]}"
    create_database(postgres_url, name)
    try:
        with Trade(shop, in_database(postgres_url, name), tmp_path_factory.mktemp("trade")) as opened:
            opened.open_for_business()
            opened.start_gateway()
            opened.start_worker()
            yield opened
    finally:
        drop_database(postgres_url, name)


@pytest.fixture
def saleable(stock_of: Any) -> Callable[[], int]:
    """Units Vendure itself still sells."""

    def read() -> int:
        level = stock_of(SKU)
        return int(level["stockOnHand"] - level["stockAllocated"])

    return read


@pytest.fixture
def cancel(admin: Any) -> Callable[[Bought], None]:
    def cancel_one(order: Bought) -> None:
        admin(
            "mutation($i: ID!) { cancelOrder(input: {orderId: $i, reason: \"x\"}) "
            "{ ... on Order { state } ... on ErrorResult { errorCode message } } }",
            i=order["id"],
        )  # fmt: skip

    return cancel_one


def settled(trade: Trade) -> None:
    """Nothing waits, and nothing new comes of what was done."""
    soon(lambda: trade.quiet, "rest")
    before = trade.deliveries
    time.sleep(1.0)
    soon(lambda: trade.quiet, "rest")
    assert trade.deliveries == before


def test_the_last_unit_sold_in_the_shop_is_offered_nowhere_and_comes_back_when_cancelled(
    trade: Trade, buy: Any, cancel: Any, saleable: Any
) -> None:
    trade.stock_up(1)
    assert saleable() == 1
    written, deliveries = len(trade.market.writes), trade.deliveries
    order = buy(SKU, 1)
    soon(lambda: trade.offered == 0 and trade.at_the_tills == 0, "no unit on offer")
    assert saleable() == 0
    with pytest.raises(AssertionError, match="INSUFFICIENT_STOCK"):
        buy(SKU, 1)
    settled(trade)
    assert [write.quantity for write in trade.market.writes[written:]] == [0]
    after = trade.deliveries
    # told once to each; Vendure found its own number right
    assert {system: after[system] - deliveries[system] for system in after} == dict.fromkeys(after, 1)
    cancel(order)
    soon(lambda: trade.offered == 1 and trade.at_the_tills == 1, "the unit on offer again")
    settled(trade)
    assert [write.quantity for write in trade.market.writes[written:]] == [0, 1]
    assert saleable() == 1


def test_an_order_of_the_marketplace_lowers_the_shops_own_stock_and_nothing_echoes(
    trade: Trade, saleable: Any, stock_of: Any
) -> None:
    trade.stock_up(20)
    allocated, deliveries = stock_of(SKU)["stockAllocated"], trade.deliveries
    units = trade.sell_at_the_market()
    trade.pull("rakuten-main", "orders")  # it has no webhooks: this is its scheduled flow
    soon(lambda: saleable() == 20 - units, "the shop's stock")
    soon(lambda: trade.offered == trade.at_the_tills == 20 - units, "the others' stock")
    settled(trade)
    after = trade.deliveries
    assert {system: after[system] - deliveries[system] for system in after} == dict.fromkeys(after, 1)
    assert stock_of(SKU)["stockAllocated"] == allocated
    # the shop told of its stock, which was our own doing; no flow takes that in
    assert trade.rows("SELECT FROM intake WHERE system = 'shop-main' AND source = 'stock'") == []
    assert not trade.hub.quarantine_list()


def test_orders_here_and_there_come_to_rest_with_all_channels_agreed(
    trade: Trade, buy: Any, saleable: Any
) -> None:
    trade.stock_up(20)
    deliveries, left = trade.deliveries, 20
    for _ in range(3):
        buy(SKU, 1)
        left -= 1 + trade.sell_at_the_market()
        trade.pull("rakuten-main", "orders")
    soon(lambda: trade.offered == trade.at_the_tills == saleable() == left, f"{left} everywhere")
    settled(trade)
    assert trade.offered == trade.at_the_tills == saleable() == left
    after = trade.deliveries
    # six changes: at most one delivery for each and channel, fewer where some went together
    assert all(1 <= after[system] - deliveries[system] <= 6 for system in after)


def test_events_that_found_no_gateway_come_when_it_is_there_again(trade: Trade, buy: Any) -> None:
    trade.stock_up(5)
    trade.gateway.stop()
    buy(SKU, 1)
    time.sleep(0.5)
    assert trade.offered == 5
    trade.start_gateway()
    soon(lambda: trade.offered == 4, "the order told again")
    settled(trade)


def test_an_order_the_shop_told_nobody_of_is_found_by_the_poll(trade: Trade, buy: Any) -> None:
    trade.stock_up(5)
    trade.send_events(False)
    try:
        buy(SKU, 2)
        settled(trade)
        assert trade.offered == 5
        trade.pull("shop-main", "orders")
        soon(lambda: trade.offered == 3, "the order the poll brought")
    finally:
        trade.send_events()


# ---------------------------------------------------------------- how long it takes

_TIMES = """
    SELECT min(extract(epoch FROM occurred_at)) AS occurred, min(extract(epoch FROM received_at)) AS stored
    FROM intake WHERE system = 'shop-main' AND flow = 'orders' AND :id = ANY(fetch_ids)
"""


def test_the_time_from_an_order_to_the_marketplaces_stock(
    trade: Trade, buy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {
        "one at a time": _measured(trade, buy, one_by_one=True),
        "one after the other": _measured(trade, buy, one_by_one=False),
    }
    with capsys.disabled():
        print(
            f"\norder in Vendure -> write accepted by the marketplace, seconds: {json.dumps(told, indent=1)}"
        )
    if target := os.environ.get("TSUNAGI_TEST_NOW_RESULTS"):
        Path(target).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    for way in told.values():
        assert way["order_to_write"]["least"] > 0
        assert way["order_to_write"]["p99"] < 10
    settled(trade)


def _measured(trade: Trade, buy: Any, *, one_by_one: bool) -> dict[str, Any]:
    """Times from the shop's event, and from when the gateway stored it, to the write that holds the order."""
    trade.stock_up(ORDERS + 1)
    written, orders = len(trade.market.writes), []
    for left in range(ORDERS, 0, -1):
        orders.append(buy(SKU, 1)["id"])
        if one_by_one:
            soon(lambda left=left: trade.offered == left, "the order at the marketplace")  # type: ignore[misc]
    soon(lambda: trade.offered == 1, "all orders at the marketplace", 60)
    writes = trade.market.writes[written:]
    whole, hub = [], []
    for number, order in enumerate(orders, 1):
        (times,) = trade.rows(_TIMES, id=order)
        accepted = next(write.at for write in writes if write.quantity <= ORDERS + 1 - number)
        whole.append(accepted - float(times.occurred))
        hub.append(accepted - float(times.stored))
    return {
        "orders": ORDERS,
        "writes": len(writes),
        "order_to_write": _spread(whole),
        "stored_to_write": _spread(hub),
    }


def _spread(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50": round(cuts[49], 3), "p99": round(cuts[98], 3), "least": round(min(seconds), 3)}
