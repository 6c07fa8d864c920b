"""W1 and W2: 200,000 lines of a general order CSV (CP932, 41 columns) become 100,000 orders in the store; and again.

    python -m bench.w1.work [--orders 100000] [--rounds 3] [--peers] [--tenfold]

Three files, one behind the other into the same store: `load` into an empty one (W1), `again` (the same orders in
another order: nothing may be written but the file) and `changed` (1 % of the orders differ, W2). Contestants, each a
process of its own, interleaved:

- **ours**      the hub's pull: intake, decoding, compiled mapping, pydantic, record ledger, cross-reference, feed
- **limit**     polars expressions, COPY to a temporary table, set-based writing of what differs
- **row hash**  the same with a hash of each order's rows in PostgreSQL
- **by hand**   csv, dicts, COPY, set-based writing of what differs: what one writes for one job

They fill the same tables of the same schema, and after each file the contents are compared by digest; a contestant that
left another one is an error. General tools (bench/w1/peers) fill databases of their own in their own way and
are held to the same entities. Only ours says why an order was refused. What has no goal takes part in the first round
only. `--tenfold` loads one file of ten times the orders and tells the memory it took; the long run with peers too.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import psycopg
from rich.console import Console

from bench.processes import ROOT, Cost, installed, measured, server_of
from bench.result import Plan, Result, ratio, show
from bench.w1 import ours
from bench.w1.peers.tools import Tool, tools
from bench.w1.rows import base_of, files_of
from bench.w1.store import Written, content_digest, digests, entities
from hub.home import Home
from hub.postgres import EmbeddedPostgres
from hub.store.database import migrate, open_engine

__all__ = ["Contestant", "Start", "Stores", "Way", "run", "stores"]

ORDERS = 100_000
FILES = {"load": "base.csv", "again": "again.csv", "changed": "changed.csv"}


@dataclass(frozen=True, slots=True)
class Start:
    """What a contestant's process is told.

    url     a database of its own: with the hub's tables in it, or empty
    file    the CSV to take in
    name    what the file is called; another name each time
    folder  a folder of its own, the same for all files of a round
    """

    url: str
    file: Path
    name: str
    folder: Path


Row = tuple[str, str, Any]
"""Kind, key and content of an entity."""


@dataclass(frozen=True, slots=True)
class Way:
    """A contestant: how its process is started, and how its store is read.

    words    what stands behind `python -m`
    python   the interpreter, for one with an environment of its own
    read     the rows it left, for one that does not fill the hub's tables; they must be the hub's entities
    prepare  called once with its folder, before the first file
    works    the files it takes part in
    every    it takes part in every round, not only in the first
    """

    words: Callable[[Start], list[str]]
    python: str = sys.executable
    read: Callable[[str], Iterable[Row]] | None = None
    prepare: Callable[[Path], None] | None = None
    works: frozenset[str] = frozenset(FILES)
    every: bool = False


def _ours(start: Start) -> list[str]:
    shutil.copyfile(start.file, start.folder / "in" / start.name)
    return ["bench.w1.ours", start.url, str(start.folder)]


def _module(name: str, *more: str) -> Callable[[Start], list[str]]:
    return lambda start: [name, start.url, str(start.file), start.name, *more]


WAYS: Mapping[str, Way] = {
    "ours": Way(_ours, prepare=ours.prepare, every=True),
    "limit": Way(_module("bench.w1.limit"), works=frozenset(["load"]), every=True),
    "row hash": Way(_module("bench.w1.limit", "hash"), every=True),
    "by hand": Way(_module("bench.w1.by_hand")),
}


def _peers(plan: Plan) -> Mapping[str, Way]:
    """The general tools, where the plan wants them and they can be installed."""

    def words(tool: Tool) -> Callable[[Start], list[str]]:
        return lambda start: tool.words(start.url, start.file, start.folder)

    return {
        name: Way(words(tool), python=str(tool.python), read=tool.rows) for name, tool in tools(plan).items()
    }


class Stores:
    """Databases of one server, each a copy of a migrated one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._head = url.rsplit("/", 1)[0]
        engine = open_engine(self.create("bench_empty", "template0"))
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


@contextmanager
def stores() -> Iterator[tuple[Stores, Path]]:
    """A server of its own and a folder; both end with the block."""
    base = Path(tempfile.mkdtemp(prefix="tsunagi-bench-"))
    postgres = EmbeddedPostgres(Home(base / "home"))
    try:
        yield Stores(postgres.admin_url()), base
    finally:
        postgres.remove()
        shutil.rmtree(base, ignore_errors=True)


class Contestant:
    """One way, on a store of its own."""

    def __init__(self, name: str, way: Way, on: Stores, base: Path) -> None:
        self.name, self.way, self._stores = name, way, on
        template = "bench_empty" if way.read is None else "template0"
        self.url = on.create(f"bench_{uuid4().hex[:12]}", template)
        self.folder = base / uuid4().hex[:8]
        self._files = 0
        if way.prepare is None:
            self.folder.mkdir()
        else:
            way.prepare(self.folder)

    def take(self, file: Path) -> tuple[Cost, dict[str, Any] | None]:
        """Take a file in; what it cost, and what was written into the hub's tables."""
        self._files += 1
        words = self.way.words(Start(self.url, file, f"JUCHU_{self._files:03d}.csv", self.folder))
        self._stores.settle(self.url)
        before = Written.so_far(self.url) if self.way.read is None else None
        cost = measured(words, self._stores.server, self.way.python)
        return cost, None if before is None else Written.so_far(self.url).since(before)

    def close(self) -> None:
        self._stores.drop(self.url)
        shutil.rmtree(self.folder, ignore_errors=True)


class Bench:
    """The rounds, and what they came to."""

    def __init__(self, on: Stores, base: Path, ways: Mapping[str, Way]) -> None:
        self._stores, self._base, self._ways = on, base, ways
        self.costs: dict[str, dict[str, list[Cost]]] = {work: {} for work in FILES}
        self.written: dict[str, dict[str, Any]] = {}

    def round(self, files: Path, turn: int) -> None:
        """All files once; who begins changes from round to round."""
        names = [name for name, way in self._ways.items() if way.every or turn == 0]
        shift = turn % len(names)
        runners = [
            Contestant(name, self._ways[name], self._stores, self._base)
            for name in names[shift:] + names[:shift]
        ]
        for work, file in FILES.items():
            taking_part = [runner for runner in runners if work in runner.way.works]
            for runner in taking_part:
                cost, written = runner.take(files / file)
                self.costs[work].setdefault(runner.name, []).append(cost)
                if runner.name == "ours" and written is not None:
                    self.written[work] = written
                print(
                    f"  {work:8} {runner.name:9} {cost.wall:6.1f} s  processors {cost.cpu:6.1f} + "
                    f"{cost.postgres:5.1f} s  {cost.memory:5.0f} MB", flush=True,
                )  # fmt: skip
            _agree(work, taking_part)
        for runner in runners:
            runner.close()

    def result(self, work: str, name: str, title: str, beside: str, goal: float) -> Result:
        """One line: ours beside the contestant called `beside`."""
        costs = self.costs[work]
        mine, limit = costs["ours"], costs[beside]
        written = self.written[work]
        return Result(
            name, title, "s", median(c.wall for c in mine), median(c.wall for c in limit),
            ratio((c.wall for c in mine), (c.wall for c in limit)), goal,
            peers={
                other: median(c.wall for c in found) for other, found in costs.items() if other not in ("ours", beside)
            },
            memory_mb=max(c.memory for c in mine),
            details={
                "processor_ratio": round(ratio((c.processor for c in mine), (c.processor for c in limit)), 2),
                "peer_memory_mb": {other: round(max(c.memory for c in found)) for other, found in costs.items()
                                   if other != "ours"},
                "rows_written": sum(written["rows"].values()), "wal_mb": round(written["wal"] / 1e6, 1),
                "file_mb": round(written["bodies"] / 1e6, 1),
            },
        )  # fmt: skip


def _agree(work: str, runners: Iterable[Contestant]) -> None:
    """Raises SystemExit when a contestant left another content than ours."""
    by_name = {runner.name: runner for runner in runners}
    mine = digests(by_name["ours"].url)
    for name, runner in by_name.items():
        if runner.way.read is None:
            told = digests(runner.url)
            different = {part: (mine[part], told[part]) for part in mine if told[part] != mine[part]}
        else:
            there, here = (
                content_digest(runner.way.read(runner.url)),
                content_digest(entities(by_name["ours"].url)),
            )
            different = {} if there == here else {"content": (here, there)}
        if different:
            raise SystemExit(f"{work}: {name} and ours left other contents: {different}")


def run(plan: Plan, orders: int = ORDERS, *, tenfold: bool = False) -> list[Result]:
    """W1 (load, and again) and W2 of the issue; with `tenfold` also the memory of a file ten times as large."""
    files = files_of(orders)
    for module in ("ours", "limit", "by_hand"):  # their bytecode is there, as after any first run
        subprocess.run(
            [sys.executable, "-c", f"import bench.w1.{module}"], check=True, cwd=ROOT, env=installed()
        )
    with stores() as (on, base):
        bench = Bench(on, base, {**WAYS, **_peers(plan)})
        for turn in range(plan.rounds):
            bench.round(files, turn)
        thousand = f"{orders // 1000},000"
        found = [
            bench.result("load", "W1", f"{thousand} orders from CP932 CSV into an empty store", "limit", 2.0),
            bench.result("again", "W1 again", "the same orders again, nothing written", "row hash", 1.5),
            bench.result("changed", "W2", "1 % of the orders changed", "row hash", 2.0),
        ]
        if tenfold or plan.peers:
            found.append(_tenfold(on, base, orders, found[0].memory_mb or 0.0))
    return found


def _tenfold(on: Stores, base: Path, orders: int, before: float) -> Result:
    """One load of ten times the orders: its memory beside that of one times."""
    runner = Contestant("ours", WAYS["ours"], on, base)
    cost, _ = runner.take(base_of(10 * orders))
    runner.close()
    return Result(
        "W1 memory", "most megabytes, ten times the orders beside one", "MB", cost.memory, before, cost.memory / before,
        1.2, memory_mb=cost.memory, details={"memory_10x_mb": round(cost.memory), "seconds_10x": round(cost.wall, 1)},
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--tenfold", action="store_true")
    asked = parser.parse_args()
    found = run(Plan(rounds=asked.rounds, peers=asked.peers), asked.orders, tenfold=asked.tenfold)
    show(found, Console(width=150))
    for one in found:
        print(one.as_dict())


if __name__ == "__main__":
    main()
