"""The general tools on the files of W1, beside the limit and the way by hand, and nothing else.

python -m bench.w1.peers [--orders 100000] [--rounds 1] [--only "dlt;Singer"]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import psycopg
from rich.console import Console
from rich.table import Table

from bench.processes import Cost, measured, server_of
from bench.result import Plan, ratio
from bench.w1.peers.tools import tools
from bench.w1.rows import files_of
from hub.home import Home
from hub.postgres import EmbeddedPostgres
from hub.store.database import migrate, open_engine

STEPS = {"load": "base.csv", "again": "again.csv", "changed": "changed.csv"}
BESIDE = {"limit": "bench.w1.limit", "by hand": "bench.w1.by_hand"}
Row = tuple[str, str, Any]


@dataclass(frozen=True, slots=True)
class Contestant:
    """How one is started (words behind `python -m` for a database, a file, a folder), and the rows it left."""

    words: Callable[[str, Path, Path], list[str]]
    rows: Callable[[str], Iterable[Row]]
    python: str = sys.executable
    migrated: bool = False


def _beside(module: str) -> Contestant:
    def words(url: str, file: Path, folder: Path) -> list[str]:
        return [module, url, str(file), f"{folder.name}-{file.name}"]

    return Contestant(words, _entities, migrated=True)


def _entities(url: str) -> Iterator[Row]:
    with psycopg.connect(url) as connection:
        yield from connection.execute("SELECT kind, key, jsonb_strip_nulls(content) FROM entity")


def _digest(rows: Iterable[Row]) -> str:
    """Of kinds, keys and contents; the way a store writes JSON does not matter. Also their number."""
    hashes = sorted(
        hashlib.sha256(f"{kind} {key} {json.dumps(content, sort_keys=True)}".encode()).digest()
        for kind, key, content in rows
    )
    return f"{hashlib.sha256(b''.join(hashes)).hexdigest()[:16]} of {len(hashes)}"


def _settle(url: str) -> None:
    """What was written before is on the disk, and not paid for by who comes next."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def _round(
    contestants: dict[str, Contestant], admin_url: str, files: Path, base: Path
) -> dict[str, dict[str, Cost]]:
    """All steps of all contestants, interleaved; by step and name. Raises SystemExit when they left other rows."""
    head, server = admin_url.rsplit("/", 1)[0], server_of(admin_url)
    places: dict[str, tuple[str, Path]] = {}
    for name, one in contestants.items():
        folder = base / uuid4().hex[:8]
        folder.mkdir()
        url = f"{head}/bench_{folder.name}"
        with psycopg.connect(admin_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE bench_{folder.name}")
        if one.migrated:
            engine = open_engine(url)
            migrate(engine)
            engine.dispose()
        places[name] = url, folder
    costs: dict[str, dict[str, Cost]] = {step: {} for step in STEPS}
    for step, file in STEPS.items():
        for name, one in contestants.items():
            url, folder = places[name]
            _settle(url)
            cost = measured(one.words(url, files / file, folder), server, one.python)
            costs[step][name] = cost
            print(
                f"  {step:8} {name:10} {cost.wall:6.1f} s  {cost.processor:6.1f} s  {cost.memory:5.0f} MB",
                flush=True,
            )
        left = {name: _digest(one.rows(places[name][0])) for name, one in contestants.items()}
        if len(set(left.values())) != 1:
            raise SystemExit(f"{step}: other rows were left: {left}")
    for url, folder in places.values():
        with psycopg.connect(admin_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {url.rsplit('/', 1)[1]} WITH (FORCE)")
        shutil.rmtree(folder)
    return costs


def _show(rounds: list[dict[str, dict[str, Cost]]], orders: int) -> None:
    heads = [f"{step}, s" for step in STEPS] + [f"{step} / limit" for step in STEPS] + ["processors, s", "MB"]
    table = Table("way", *heads, title=f"W1 beside general tools, {orders:,} orders")
    for name in rounds[0]["load"]:
        costs = {step: [one[step][name] for one in rounds] for step in STEPS}
        limits = {step: [one[step]["limit"].wall for one in rounds] for step in STEPS}
        table.add_row(
            name, *(f"{median(cost.wall for cost in costs[step]):.1f}" for step in STEPS),
            *(f"{ratio((cost.wall for cost in costs[step]), limits[step]):.1f}" for step in STEPS),
            " / ".join(f"{median(cost.processor for cost in costs[step]):.1f}" for step in STEPS),
            f"{max(cost.memory for step in STEPS for cost in costs[step]):.0f}",
        )  # fmt: skip
    Console(width=130).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", help="tools, separated by semicolons")
    asked = parser.parse_args()
    contestants = {name: _beside(module) for name, module in BESIDE.items()}
    wanted = [name for name in asked.only.split(";") if name]
    for name, tool in tools(Plan(peers=True)).items():
        if not wanted or name in wanted:
            contestants[name] = Contestant(tool.words, tool.rows, str(tool.python))
    files = files_of(asked.orders)
    base = Path(tempfile.mkdtemp(prefix="tsunagi-bench-"))
    postgres = EmbeddedPostgres(Home(base / "home"))
    try:
        url = postgres.admin_url()
        rounds = [_round(contestants, url, files, base) for _ in range(asked.rounds)]
    finally:
        postgres.remove()
        shutil.rmtree(base, ignore_errors=True)
    _show(rounds, asked.orders)


if __name__ == "__main__":
    main()
