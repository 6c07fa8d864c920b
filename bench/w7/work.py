"""W7: from an event at one channel to the accepted write at four others, 200 events a second for a minute, beside a
push of 100,000 SKUs under a rate budget.

    python -m bench.w7.work [--rate 200] [--seconds 60] [--skus 100000] [--workers 2] [--json FILE]

A till counts stock and tells of each sale by a signed webhook. What the four channels may sell is worked out from it
and sent to all of them. `tsunagi gateway`, `tsunagi worker` and `tsunagi push` run as the programs they are; the
channels are one process that takes stock and remembers when; the sales come at random moments from this process, and
time counts from when a sale was due. A channel has it when it has taken this number, or a later one.

One channel, the mall, sells 100,000 SKUs and is being told of all of them (scheduled lane) before the first sale, and
during all of them. Its pace then is compared with its pace before.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
import psycopg

from bench.processes import ROOT, processor_seconds, server_of
from bench.result import Plan, Result
from bench.w7.load import Sale, prepare, send
from bench.w7.shop import BATCH, CHANNELS, MALL, OTHERS, PACE, START, TILL, install, listed
from hub.home import Home
from hub.postgres import EmbeddedPostgres

__all__ = ["run"]

SMALL = 10_000
"""SKUs that all four channels sell; the sales are of these."""
ALONE = 15.0
"""Seconds in which the push has the mall for itself."""
WARM = 5.0
"""Seconds of sales before the measured ones: programs load mappings and open connections."""
BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Terms:
    """What is to be measured."""

    rate: float = 200.0
    seconds: float = 60.0
    skus: int = 100_000
    workers: int = 2
    bulk: bool = True


class House:
    """The programs, each with a log below `home`; `cpu` is what they used so far."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self.home = home
        self._environment = {**os.environ, **environment}
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                words, cwd=self.home, env=self._environment, stdout=log, stderr=log
            )
        return self.running[name]

    def hub(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """`tsunagi WORDS`."""
        return self.start(name, str(BIN / "tsunagi"), *words)

    def finish(self, *names: str) -> None:
        """Wait for programs that end by themselves."""
        for name in names:
            if code := self.running.pop(name).wait(300):
                raise SystemExit(f"{name} ended with {code}:\n{self.log(name)}")

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text()[-2000:]

    def close(self) -> None:
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()


def _port(path: Path) -> int:
    until = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        if time.monotonic() > until:
            raise SystemExit(f"{path.name}: nobody came")
        time.sleep(0.05)
    return int(path.read_text())


def _free_port() -> int:
    from hub.gateway.server import bind

    with bind("127.0.0.1", 0) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def _opened(terms: Terms) -> Iterator[tuple[House, str, httpx.Client]]:
    """A house with its database and channels, the day not begun."""
    root = Path(tempfile.mkdtemp(prefix="tsunagi-w7-"))
    home = Home(root / "home")
    postgres = EmbeddedPostgres(home)
    houses: list[House] = []
    try:
        url = postgres.database_url("tsunagi")
        channels = House(home.root, {"PYTHONPATH": str(ROOT)})
        houses.append(channels)
        channels.start("channels", sys.executable, "-m", "bench.w7.channels", str(root / "port"))
        port = _port(root / "port")
        house = House(home.root, install(home.root, port, terms.skus, SMALL))
        houses.append(house)
        house.running.update(channels.running)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield house, url, client
    finally:
        for one in houses:
            one.close()
        postgres.remove()
        shutil.rmtree(root, ignore_errors=True)


def _fill(house: House, url: str) -> None:
    """Every SKU is counted, every listing known, and what the small channels may sell has been told them."""
    for name, words in (
        ("init", ("init",)),
        ("listings", ("pull", TILL, "listings")),
        ("count", ("pull", TILL, "stock")),
    ):
        house.hub(name, *words)
        house.finish(name)
    for channel in OTHERS:
        house.hub(f"first-{channel}", "push", channel, "stock")
    house.finish(*(f"first-{channel}" for channel in OTHERS))
    with psycopg.connect(
        url, autocommit=True
    ) as connection:  # as autovacuum does a minute after a first load
        connection.execute("ANALYZE")


def _progress(client: httpx.Client) -> dict[str, int]:
    found: dict[str, int] = client.get("/progress").json()
    return found


Book = dict[str, dict[str, tuple[list[float], list[int]]]]
"""Channel -> SKU -> when it was told, and how many."""


def _book(client: httpx.Client) -> Book:
    book: Book = {channel: defaultdict(lambda: ([], [])) for channel in CHANNELS}
    for at, channel, rows in client.get("/book").json():
        for sku, quantity in rows:
            times, quantities = book[channel][sku]
            times.append(at)
            quantities.append(quantity)
    return book


def _waits(book: Book, sales: Sequence[Sale], started: float) -> dict[str, list[float]]:
    """Seconds from each sale to this or a later number at each channel, in the order of the sales; SystemExit if one
    never came.
    """
    found: dict[str, list[float]] = {channel: [] for channel in CHANNELS}
    for channel, waits in found.items():
        for sale in sales:
            times, quantities = book[channel][sale.sku]
            due = started + sale.due
            when = next(
                (at for at, quantity in zip(times, quantities, strict=True) if quantity <= sale.left), None
            )
            if when is None:
                raise SystemExit(f"{channel} was never told that {sale.sku} is down to {sale.left}")
            waits.append(when - due)
    return found


def _settled(url: str, push: subprocess.Popen[bytes] | None, seconds: float) -> None:
    """Wait until nothing waits any more."""
    until = time.monotonic() + seconds
    quiet = 0
    with psycopg.connect(url, autocommit=True) as connection:
        while quiet < 3:
            if time.monotonic() > until:
                raise SystemExit("the hub did not come to rest")
            time.sleep(0.5)
            (busy,) = connection.execute(_BUSY).fetchone()  # type: ignore[misc]
            quiet = 0 if busy or (push is not None and push.poll() is None) else quiet + 1


_BUSY = """
    SELECT EXISTS (SELECT FROM intake WHERE state = 'stored') OR EXISTS (SELECT FROM delivery WHERE finished_at IS NULL)
        OR EXISTS (SELECT FROM tsunagi_jobs.procrastinate_jobs WHERE status IN ('todo', 'doing'))
"""


def _check(book: Book, url: str, sales: Sequence[Sale], terms: Terms) -> None:
    """Nothing was lost, and every channel holds the hub's newest number of everything it sells."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT content ->> 'channel', content ->> 'sku', (content ->> 'quantity')::int FROM entity"
            " WHERE kind = 'sellable' AND deleted_at IS NULL"
        ).fetchall()
        states = connection.execute(
            "SELECT state, count(*) FROM intake WHERE event_id IS NOT NULL GROUP BY 1"
        ).fetchall()
    if states != [("processed", len(sales))]:
        raise SystemExit(f"{len(sales)} events were sent, the store says {states}")
    left = {sale.sku: sale.left for sale in sales}
    sold = {(channel, sku): units for channel, sku, units in rows}
    wanted = terms.skus + len(OTHERS) * SMALL
    if len(sold) != wanted or any(sold[channel, sku] != n for channel in CHANNELS for sku, n in left.items()):
        raise SystemExit(f"the hub's own numbers are wrong: {len(sold)} of {wanted}")
    for (channel, sku), units in sold.items():
        if channel == MALL and not terms.bulk and sku not in left:
            continue
        told = book[channel][sku][1]
        if not told or told[-1] != units:
            raise SystemExit(f"{channel} holds {told[-3:]} of {sku}, the hub says {units}")


def _pace(book: Book, begin: float, end: float) -> float:
    """SKUs a second that the push told the mall of: numbers no sale had changed yet."""
    told = [
        at
        for times, quantities in book[MALL].values()
        for at, quantity in zip(times, quantities, strict=True)
        if quantity == START
    ]
    told.sort()
    return (bisect_left(told, end) - bisect_left(told, begin)) / (end - begin)


@dataclass(slots=True)
class Found:
    """What one run came to. Times in ms, rates a second."""

    waits: dict[str, list[float]]
    answers: list[float]
    alone: float
    beside: float
    cpu: dict[str, float]
    events: int
    writes: int
    calls: int
    urgent_calls: int
    halves: tuple[float, float]


def measure(terms: Terms) -> Found:
    """One run."""
    with _opened(terms) as (house, url, client):
        began = time.monotonic()
        _fill(house, url)
        print(f"filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
        server = server_of(url)
        gateway_port = _free_port()
        house.hub("gateway", "gateway", "--port", str(gateway_port))
        for n in range(terms.workers):
            house.hub(f"worker-{n}", "worker")
        while True:
            with suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{gateway_port}/health/ready", timeout=60)
                break
            time.sleep(0.1)
        push, alone_from = None, time.monotonic()
        if terms.bulk:
            push = house.hub("push", "push", MALL, "stock", "--json")
            while _progress(client).get(MALL, 0) < 20 * BATCH:  # the burst that was saved up is no pace
                time.sleep(0.1)
            alone_from = time.monotonic()
            time.sleep(ALONE)
        alone_to = time.monotonic()
        sku_list = [listed(n, terms.skus, SMALL) for n in range(SMALL)]
        sales = prepare(sku_list, terms.rate, WARM + terms.seconds, seed=20261121)
        before = _used(house, server)
        started, answers = send(gateway_port, sales)
        ended = time.monotonic()
        cpu = {name: used - before.get(name, 0.0) for name, used in _used(house, server).items()}
        _settled(url, push, 120)
        print(f"at rest {time.monotonic() - ended:.1f} s after the last sale", file=sys.stderr)
        book = _book(client)
        waits = _waits(book, sales, started)
        _check(book, url, sales, terms)
        begin = started + WARM
        skip = sum(sale.due < WARM for sale in sales)
        told = [
            (at, channel, rows) for at, channel, rows in client.get("/book").json() if begin <= at < ended
        ]
        half = skip + (len(sales) - skip) // 2
        ordered = [value * 1000 for n in range(len(sales)) for value in (waits[c][n] for c in CHANNELS)]
        return Found(
            waits={channel: [value * 1000 for value in found[skip:]] for channel, found in waits.items()},
            answers=[value * 1000 for value in answers],
            alone=_pace(book, alone_from, alone_to),
            beside=_pace(book, begin, ended),
            cpu=cpu,
            events=len(sales),
            writes=sum(quantity != START for _, _, rows in told for _, quantity in rows),
            calls=len(told),
            urgent_calls=sum(any(quantity != START for _, quantity in rows) for _, _, rows in told),
            halves=(
                _cut(ordered[4 * skip : 4 * half])[49],
                _cut(ordered[4 * half :])[49],
            ),
        )


def _used(house: House, server: int) -> dict[str, float]:
    """Processor seconds of each program so far, and of this one."""
    used = {
        name: processor_seconds(process.pid)
        for name, process in house.running.items()
        if process.poll() is None
    }
    return {**used, "postgres": processor_seconds(server), "sales": time.process_time()}


def _cut(values: Sequence[float]) -> list[float]:
    return quantiles(values, n=100)


def results(found: Found, terms: Terms) -> list[Result]:
    everything = [value for waits in found.waits.values() for value in waits]
    cut = _cut(everything)
    seconds = terms.seconds + WARM
    details: dict[str, Any] = {
        "events_per_s": terms.rate,
        "events": found.events,
        "channels": {
            channel: {"p50": round(_cut(waits)[49]), "p99": round(_cut(waits)[98]), "max": round(max(waits))}
            for channel, waits in found.waits.items()
        },
        "p50_first_half": round(found.halves[0]),
        "p50_second_half": round(found.halves[1]),
        "gateway_answer": {
            "p50": round(_cut(found.answers)[49], 1),
            "p99": round(_cut(found.answers)[98], 1),
        },
        "coalesced": round(1 - found.writes / (len(everything)), 3),
        "calls_per_s": round(found.calls / terms.seconds, 1),
        "calls_with_sales_per_s": round(found.urgent_calls / terms.seconds, 1),
        "cpu_seconds": {name: round(used, 1) for name, used in sorted(found.cpu.items())},
        "cpu_seconds_per_1000_events": round(
            1000
            / found.events
            * sum(u for n, u in found.cpu.items() if n not in ("channels", "sales", "push")),
            2,
        ),
        "cores_busy": round(sum(found.cpu.values()) / seconds, 2),
    }
    title = f"event to accepted write on four channels, {terms.rate:g}/s"
    rows = [
        Result("W7", f"{title}, p50", "ms", cut[49], None, cut[49], 150.0, details=details),
        Result("W7 p99", f"{title}, p99", "ms", cut[98], None, cut[98], 1000.0),
    ]
    if terms.bulk:
        share = found.beside / found.alone
        pace = {"budget": f"{PACE} calls/s of {BATCH} SKUs", "share": round(share, 3)}
        rows.append(
            Result("W7 bulk pace", "push of 100,000 SKUs beside it", "/s", found.beside, found.alone, share, 0.7,
                   floor=True, details=pace)
        )  # fmt: skip
    return rows


def run(plan: Plan) -> list[Result]:
    """One run: its minute holds 12,000 events, so rounds would only cost time."""
    del plan
    terms = Terms()
    return results(measure(terms), terms)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--skus", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--no-bulk", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    terms = Terms(given.rate, given.seconds, given.skus, given.workers, not given.no_bulk)
    rows = results(measure(terms), terms)
    told = {one.work: one.as_dict() for one in rows}
    print(json.dumps(told, indent=1, ensure_ascii=False))
    if given.json:
        given.json.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
