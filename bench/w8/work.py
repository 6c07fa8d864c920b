"""W8: reservations of one SKU that everybody wants, 32 clients, on a durable PostgreSQL (fsync on).

    python -m bench.w8.work [--rounds 3]

- **ours**: `POST /api/v1/reservations` at the gateway as a process of its own, asked over 32 connections: what a
  register or a shop calls.
- **function**: `hub.stock.reserve` in 32 threads of one process.
- **pgbench**: 32 clients that do nothing but `UPDATE ... WHERE available >= n RETURNING`, the limit.

After each of them the books must be right: what was accepted is what was taken. Each round also sells a SKU out, more
callers than units: every unit finds its taker, and none finds two.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from uuid import uuid4

import httpx
import psycopg
from rich.console import Console

from bench import pgbench
from bench.calls import Took, call_all
from bench.processes import ROOT
from bench.result import Plan, Result, ratio, show
from hub.api.keys import create_key
from hub.home import Home
from hub.postgres import EmbeddedPostgres
from hub.store.database import migrate, open_engine
from tests.hub.stock.room import Room

CLIENTS = 32
EACH = 200
"""Calls of one client."""
MANY = 10**9
FEW = 300
"""Units of a SKU that is sold out by `CLIENTS` clients that want `TRIES` each."""
TRIES = 15
_HELD = "SELECT coalesce(sum(quantity), 0) FROM stock_reservation WHERE sku = %s"
_LEFT = "SELECT min(free) FROM stock_free WHERE sku = %s"


class Books:
    """What was there, and what must be left."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._there: dict[str, int] = {}
        self._given: dict[str, int] = {}

    def stocked(self, room: Room, units: dict[str, int]) -> None:
        for sku, number in units.items():
            room.count(sku, number)
        room.offer(*units)
        room.turn()
        self._there |= units

    def given(self, sku: str, units: int) -> None:
        """So many more were accepted. Raises SystemExit when the store says something else."""
        self._given[sku] = wanted = self._given.get(sku, 0) + units
        with psycopg.connect(self._url) as connection:
            held = connection.execute(_HELD, [sku]).fetchone()
            left = connection.execute(_LEFT, [sku]).fetchone()
        assert held is not None
        assert left is not None
        if int(held[0]) != wanted or int(left[0]) != self._there[sku] - wanted or left[0] < 0:
            raise SystemExit(
                f"{sku}: {wanted} accepted, {held[0]} held, {left[0]} left of {self._there[sku]}"
            )


@contextmanager
def serving(url: str, folder: Path) -> Iterator[int]:
    """The port of the gateway."""
    started = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "bench.w8.shop", "serve", url, str(folder)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert started.stdout is not None
        port = int(started.stdout.readline() or "0")
        httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=60)
        yield port
    finally:
        started.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            started.wait(15)
        started.kill()


def by_api(port: int, key: str, sku: str, each: int) -> Took:
    body = json.dumps({"sku": sku, "quantity": 1, "channel": "shop"}).encode()
    calls = [
        b"POST /api/v1/reservations HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\n"
        + f"authorization: Bearer {key}\r\nidempotency-key: {uuid4().hex}\r\n".encode()
        + f"content-length: {len(body)}\r\n\r\n".encode() + body
        for _ in range(CLIENTS * each)
    ]  # fmt: skip
    return call_all(port, CLIENTS, calls, may=frozenset({200, 409}))


def by_function(url: str, sku: str, each: int) -> tuple[float, int]:
    """Reservations a second, and how many were given."""
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bench.w8.shop", "reserve", url, sku, str(CLIENTS), str(each)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds, given = told.stdout.split()
    return CLIENTS * each / float(seconds), int(given)


def by_pgbench(url: str) -> float:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS hot")
        connection.execute("CREATE TABLE hot (sku text PRIMARY KEY, available bigint NOT NULL)")
        connection.execute("INSERT INTO hot VALUES ('HOT', %s)", [MANY])
        rate, done = pgbench.run(url, Path(__file__).parent / "hot.sql", clients=CLIENTS, transactions=EACH)
        left = connection.execute("SELECT available FROM hot").fetchone()
    assert left is not None
    assert left[0] == MANY - done == MANY - CLIENTS * EACH
    return rate


def run(plan: Plan) -> list[Result]:
    folder = Path(tempfile.mkdtemp(prefix="tsunagi-bench-"))
    postgres = EmbeddedPostgres(Home(folder / "home"))
    api: list[Took] = []
    functions: list[float] = []
    bare: list[float] = []
    sold_out: list[float] = []
    try:
        url = postgres.admin_url()
        engine = open_engine(url)
        migrate(engine)
        books = Books(url)
        with Room.open(url, folder) as room:
            books.stocked(room, {"API": MANY, "FUNCTION": MANY})
            books.stocked(
                room, {f"LAST-{n}-{way}": FEW for n in range(plan.rounds) for way in ("api", "function")}
            )
        with engine.begin() as connection:
            key = create_key(connection, "bench", ["reserve"])[1].get_secret_value()
        engine.dispose()
        with serving(url, folder) as port:
            by_api(port, key, "API", 10)
            books.given("API", CLIENTS * 10)
            for number in range(plan.rounds):
                api.append(by_api(port, key, "API", EACH))
                books.given("API", api[-1].statuses[200])
                bare.append(by_pgbench(url))
                rate, given = by_function(url, "FUNCTION", EACH)
                functions.append(rate)
                books.given("FUNCTION", given)
                last = by_api(port, key, f"LAST-{number}-api", TRIES)
                books.given(f"LAST-{number}-api", last.statuses[200])
                sold_out.append(last.rate)
                _, given = by_function(url, f"LAST-{number}-function", TRIES)
                books.given(f"LAST-{number}-function", given)
                if last.statuses[200] != FEW or given != FEW:
                    raise SystemExit(f"{FEW} units, {last.statuses[200]} and {given} found a taker")
    finally:
        postgres.remove()
        shutil.rmtree(folder, ignore_errors=True)
    rates = [one.rate for one in api]
    return [
        Result(
            "W8", "reservations of one SKU, by the API", "/s", median(rates), median(bare), ratio(rates, bare),
            goal=0.5, floor=True,
            details={"p99_ms": median(one.p99 for one in api), "sold_out_per_s": median(sold_out), "oversold": 0},
        ),
        Result(
            "W8 function", "the same, by the function", "/s", median(functions), median(bare), ratio(functions, bare),
            goal=0.5, floor=True,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    show(run(Plan(rounds=parser.parse_args().rounds)), Console(width=150))
