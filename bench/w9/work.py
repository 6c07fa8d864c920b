"""W9: what the same change costs when the store holds ten and thirty times as much.

    python -m bench.w9.work [--orders 20000] [--skus 3500] [--rounds 3]

- **orders**  W1's file with 1 % of the orders changed, against a store that holds those orders once, and against ones
              that hold ten and thirty times as many, under other numbers
- **stock**   W3's count with 1 % of the SKUs changed, up to the stored deliveries of five channels, in the same way
              (30 x 3,500 SKUs are 1.1 million entities)

The stores are multiplied by SQL and settled on the disk. Only ours takes part: the figure is the cost in the large
store beside the cost in the small one, from rounds that take them in turn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import psycopg
from rich.console import Console

from bench.result import Plan, Result, ratio, show
from bench.w1.rows import files_of
from bench.w1.store import multiply
from bench.w1.work import WAYS, Contestant, Stores, stores
from bench.w3.work import Shop

__all__ = ["TIMES", "run"]

GOAL = 1.2
TIMES = (1, 10, 30)
ORDERS, SKUS, CHANNELS = 20_000, 3_500, 5
_HUNDREDTHS = 100


def _orders(on: Stores, base: Path, orders: int, rounds: int) -> dict[int, list[float]]:
    """Seconds of the changed file and of the one that changes it back, by how often the store holds the orders."""
    files = files_of(orders)
    runners: dict[int, Contestant] = {}
    for times in TIMES:
        runner = runners[times] = Contestant("ours", WAYS["ours"], on, base)
        runner.take(files / "base.csv")
        if times > 1:
            multiply(runner.url, times)
    found: dict[int, list[float]] = {times: [] for times in TIMES}
    for turn in range(rounds + 1):
        file = files / ("base.csv" if turn % 2 else "changed.csv")
        for times in _turned(turn):
            _forget_files(runners[times].url)
            cost, written = runners[times].take(file)
            assert written is not None
            assert written["rows"].get("entity", 0) == orders // _HUNDREDTHS, written
            if turn:  # the first time the caches are cold in each
                found[times].append(cost.wall)
    for runner in runners.values():
        runner.close()
    return found


def _forget_files(url: str) -> None:
    """A file that came before, byte for byte, would not be looked at: here it is to come again."""
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE intake SET sha256 = sha256(convert_to(id::text, 'UTF8'))")


def _stock(on: Stores, base: Path, skus: int, rounds: int) -> dict[int, list[float]]:
    """Seconds from the feed to stored deliveries, by how often the store holds the SKUs."""
    shops: dict[int, Shop] = {}
    for times in TIMES:
        shop = shops[times] = Shop(
            on.create(f"stock_x{times}"), base / f"stock_x{times}", skus, CHANNELS, skus // 5
        )
        if times > 1:
            shop.multiply(times)
        shop.settle()
    found: dict[int, list[float]] = {times: [] for times in TIMES}
    for turn in range(3 * rounds + 1):  # short, so more often
        for times in _turned(turn):
            shop = shops[times]
            shop.count(turn % _HUNDREDTHS)
            shop.checkpoint()
            begun = time.perf_counter()
            changed, deliveries = shop.turn(), shop.queue()
            took = time.perf_counter() - begun
            assert (changed, deliveries) == (CHANNELS * skus // _HUNDREDTHS, CHANNELS)
            shop.accept()
            if turn:
                found[times].append(took)
    for shop in shops.values():
        shop.close()
    return found


def _turned(turn: int) -> Sequence[int]:
    """Who begins changes from round to round."""
    shift = turn % len(TIMES)
    return TIMES[shift:] + TIMES[:shift]


def _results(work: str, title: str, found: dict[int, list[float]]) -> list[Result]:
    one = found[1]
    return [
        Result(
            f"W9 {work} x{times}", f"{title}, {times} times as much in the store", "s", median(found[times]),
            median(one), ratio(found[times], one), GOAL,
        )
        for times in TIMES[1:]
    ]  # fmt: skip


def run(plan: Plan, orders: int = ORDERS, skus: int = SKUS) -> list[Result]:
    """W9 of the issue: `limit` is ours in the small store."""
    with stores() as (on, base):
        by_orders = _orders(on, base, orders, plan.rounds)
        by_stock = _stock(on, base, skus, plan.rounds)
    return [
        *_results("orders", f"1 % of {orders:,} orders changed", by_orders),
        *_results("stock", f"1 % of {skus:,} SKUs counted differently, to stored batches", by_stock),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--skus", type=int, default=SKUS)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    found = run(Plan(rounds=asked.rounds), asked.orders, asked.skus)
    show(found, Console(width=150))
    for one in found:
        print(one.as_dict())


if __name__ == "__main__":
    main()
