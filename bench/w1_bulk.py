"""W1: 200,000 lines of a general order CSV (CP932, 41 columns) become 100,000 orders in the store; and again.

    python bench/w1_bulk.py [--orders 100000] [--rounds 3] [--growth 10] [--json FILE]

Four works, one behind the other on the same store: `load` into an empty one, `again` (the same orders in a file of
another order: nothing may be written but the file), `changed` (1 % of the orders differ, W2), and `growth` (W9: the
changed file against a store that holds so many times the orders). Contestants, each a process of its own, interleaved:

- **ours**      the hub's pull: intake, decoding, compiled mapping, pydantic, record ledger,
                cross-reference, change feed
- **limit**     polars expressions, COPY to a temporary table, set-based writing of what differs
- **row hash**  the same with a hash of each order's rows in PostgreSQL
- **by hand**   csv, dicts, COPY, set-based writing of what differs: what one writes for one job

All fill the same tables of the same schema. After each work the content of the store is compared by digest; a
contestant that left another one is an error. Only ours says why an order was refused.

Compared are seconds of wall clock, and of processors (own processes and PostgreSQL): the latter are what a machine
with other work feels.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.processes import Cost, measured, server_of  # noqa: E402
from bench.w1 import ours  # noqa: E402
from bench.w1.rows import files_of  # noqa: E402
from bench.w1.store import Written, digests, multiply  # noqa: E402
from hub.home import Home  # noqa: E402
from hub.postgres import EmbeddedPostgres  # noqa: E402
from hub.store.database import migrate, open_engine  # noqa: E402

WAYS = {
    "ours": ("bench.w1.ours",), "limit": ("bench.w1.limit",), "row hash": ("bench.w1.limit", "hash"),
    "by hand": ("bench.w1.by_hand",),
}  # fmt: skip
WORKS = {"load": "base.csv", "again": "again.csv", "changed": "changed.csv"}
GOALS = {
    ("load", "limit"): 2.0, ("again", "row hash"): 1.5, ("changed", "row hash"): 2.0,
}  # fmt: skip


class Stores:
    """Databases of one server, each a copy of a migrated one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._head = url.rsplit("/", 1)[0]
        self.create("bench_empty", "template0")
        engine = open_engine(f"{self._head}/bench_empty")
        migrate(engine)
        engine.dispose()
        self.server = server_of(url)

    def create(self, name: str, template: str = "bench_empty") -> str:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"{self._head}/{name}"

    def drop(self, url: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {url.rsplit('/', 1)[1]} WITH (FORCE)")

    def settle(self, url: str) -> None:
        """What was written before is on the disk, hint bits too, and not paid for by who comes next."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")


class Contestant:
    """One way, on a store of its own."""

    def __init__(self, name: str, stores: Stores, base: Path) -> None:
        self.name, self._stores = name, stores
        self.url = stores.create(f"bench_{uuid4().hex[:12]}")
        self.folder = base / uuid4().hex[:8]
        self._files = 0
        if name == "ours":
            ours.prepare(self.folder)

    def take(self, file: Path) -> tuple[Cost, dict[str, Any]]:
        """Take a file in; what it cost, and what was written."""
        self._files += 1
        name = f"JUCHU_{self._files:03d}.csv"
        if self.name == "ours":
            shutil.copyfile(file, self.folder / "in" / name)
            words = [self.url, str(self.folder)]
        else:
            words = [self.url, str(file), name]
        module, *more = WAYS[self.name]
        self._stores.settle(self.url)
        before = Written.so_far(self.url)
        cost = measured([module, *words, *more], self._stores.server)
        return cost, Written.so_far(self.url).since(before)

    def close(self) -> None:
        self._stores.drop(self.url)
        shutil.rmtree(self.folder, ignore_errors=True)


class Bench:
    def __init__(self, stores: Stores, base: Path, ways: list[str]) -> None:
        self._stores, self._base, self._ways = stores, base, ways
        self.costs: dict[str, dict[str, list[Cost]]] = {}
        self.written: dict[str, dict[str, Any]] = {}

    def round(self, files: Path, turn: int) -> None:
        """All works once; who begins changes from round to round."""
        names = self._ways[turn % len(self._ways) :] + self._ways[: turn % len(self._ways)]
        runners = [Contestant(name, self._stores, self._base) for name in names]
        for work, file in WORKS.items():
            for runner in runners:
                self._run(runner, work, files / file)
            self._agree(work, runners)
        for runner in runners:
            runner.close()

    def growth(self, files: Path, times: int, rounds: int) -> None:
        """Ours: a changed file against the store as it is, and against one with so many times the orders."""
        for turn in range(rounds):
            sizes = [1, times] if turn % 2 == 0 else [times, 1]
            for size in sizes:
                runner = Contestant("ours", self._stores, self._base)
                runner.take(files / "base.csv")
                if size > 1:
                    multiply(runner.url, size)
                self._run(runner, f"store x{size}", files / "changed.csv")
                runner.close()

    def _run(self, runner: Contestant, work: str, file: Path) -> None:
        cost, written = runner.take(file)
        self.costs.setdefault(work, {}).setdefault(runner.name, []).append(cost)
        self.written.setdefault(work, {})[runner.name] = written
        print(
            f"  {work:8} {runner.name:9} {cost.wall:6.1f} s  processors {cost.cpu:6.1f} + {cost.postgres:5.1f} s  "
            f"{cost.memory:5.0f} MB  rows {sum(written['rows'].values())}  WAL {written['wal'] / 1e6:.1f} MB "
            f"(file {written['bodies'] / 1e6:.1f} MB)", flush=True,
        )  # fmt: skip

    def _agree(self, work: str, runners: list[Contestant]) -> None:
        found = {runner.name: digests(runner.url) for runner in runners}
        first = found[runners[0].name]
        for name, told in found.items():
            different = [part for part in first if told[part] != first[part]]
            if different:
                raise SystemExit(
                    f"{work}: {name} and {runners[0].name} left other contents in {', '.join(different)}: "
                    f"{ {part: (first[part], told[part]) for part in different} }"
                )

    def results(self) -> dict[str, Any]:
        """Medians, and the ratios of each round's figures."""
        medians = {
            work: {
                name: {
                    part: statistics.median(c.as_dict()[part] for c in costs) for part in costs[0].as_dict()
                }
                for name, costs in ways.items()
            }
            for work, ways in self.costs.items()
        }
        ratios = {}
        for (work, to), goal in GOALS.items():
            ways = self.costs.get(work, {})
            if "ours" in ways and to in ways:
                pairs = list(zip(ways["ours"], ways[to], strict=True))
                ratios[work] = {
                    "to": to, "goal": goal, "wall": statistics.median(a.wall / b.wall for a, b in pairs),
                    "processor": statistics.median(a.processor / b.processor for a, b in pairs),
                }  # fmt: skip
        return {"medians": medians, "ratios": ratios, "written": self.written}


def _told(found: dict[str, Any], orders: int) -> None:
    print(f"{orders} orders; medians")
    for work, ways in found["medians"].items():
        for name, cost in ways.items():
            print(
                f"  {work:10} {name:9} {cost['wall']:6.1f} s  processors {cost['processor']:6.1f} s "
                f"({cost['postgres']:.1f} of them PostgreSQL)  {cost['memory']:.0f} MB"
            )
    for work, ratio in found["ratios"].items():
        print(
            f"  {work}: ours / {ratio['to']} {ratio['wall']:.2f} by the clock, {ratio['processor']:.2f} by processors "
            f"(goal {ratio['goal']})"
        )
    if "growth" in found:
        print(
            f"  growth: {found['growth']['wall']:.2f} by the clock, {found['growth']['processor']:.2f} by processors"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--growth", type=int, default=0, help="so many times the orders in the store; 0: leave out"
    )
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    files = files_of(asked.orders)
    base = Path(tempfile.mkdtemp(prefix="tsunagi-bench-"))
    postgres = EmbeddedPostgres(Home(base / "home"))
    try:
        stores = Stores(postgres.admin_url())
        bench = Bench(stores, base, asked.ways.split(","))
        for turn in range(asked.rounds):
            bench.round(files, turn)
        if asked.growth:
            bench.growth(files, asked.growth, asked.rounds)
    finally:
        postgres.remove()
        shutil.rmtree(base, ignore_errors=True)
    found = bench.results()
    if asked.growth:
        one, many = (found["medians"][f"store x{size}"]["ours"] for size in (1, asked.growth))
        found["growth"] = {part: many[part] / one[part] for part in ("wall", "processor")}
    _told(found, asked.orders)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
