"""W4: webhooks, HMAC verified, deduplicated by event id, durable in PostgreSQL (fsync on) before the 200.

    python bench/w4_webhook.py [--seconds 3] [--rounds 3] [--json FILE]

Requests a second (and the 99th percentile in ms) at 1, 16 and 64 connections, beside each other in one run:

- **gateway**: ours. One statement a group: intake, both bodies, the job.
- **one commit each**: ours with groups of one.
- **verify only**: ours without storing: what HTTP, the signature and reading the event cost.
- **bare, asyncpg / psycopg**: a page of code that does nothing but HMAC and one INSERT into one table in groups.

Then the road: from the call to the accepted write on the other channel, gateway and worker as processes of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import importlib.util
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from bench.w4.shop import HEADER, SECRET, build  # noqa: E402
from hub.home import Home  # noqa: E402
from hub.postgres import EmbeddedPostgres  # noqa: E402

VARIANTS = {
    "gateway": "gateway", "single": "one commit each", "verify": "verify only", "bare-asyncpg": "bare, asyncpg",
    "bare-psycopg": "bare, psycopg",
}  # fmt: skip
CONNECTIONS = (1, 16, 64)


def request(event_id: str, sku: str, on_hand: int) -> bytes:
    """A signed call of about 3 kB, as bytes on the wire."""
    body = json.dumps(
        {"id": event_id, "stock": {"sku": sku, "location": "W1", "on_hand": on_hand, "note": "x" * 2800}}
    ).encode()
    signature = hmac.digest(SECRET.encode(), body, "sha256").hex()
    head = (
        f"POST /webhooks/north HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\n{HEADER}: {signature}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _line(port: int, calls: Iterator[bytes], until: float, seconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        started = time.perf_counter()
        writer.write(next(calls))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        seconds.append(time.perf_counter() - started)
    writer.close()


def load(port: int, connections: int, seconds: float) -> tuple[float, float]:
    """Requests a second, and the 99th percentile in milliseconds."""
    run = uuid.uuid4().hex[:8]
    ready = [request(f"{run}-{n}", f"S{n % 500}", n) for n in range(int(seconds * 9000) + 1000)]
    calls = iter(ready)
    times: list[float] = []

    async def go() -> None:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(_line(port, calls, until, times) for _ in range(connections)))

    with suppress(ImportError):
        import uvloop

        uvloop.run(go())
        return len(times) / seconds, statistics.quantiles(times, n=100)[98] * 1000
    asyncio.run(go())
    return len(times) / seconds, statistics.quantiles(times, n=100)[98] * 1000


@contextmanager
def process(url: str, base: Path, *words: str) -> Iterator[None]:
    """Our programs as processes of their own, ended afterwards."""
    started = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "bench.w4.shop", url, str(base), *words], cwd=ROOT
    )
    try:
        yield
    finally:
        started.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            started.wait(15)
        started.kill()


@contextmanager
def serving(url: str, base: Path, variant: str) -> Iterator[int]:
    """The port of a running variant."""
    port_file = base / f"port-{variant}-{uuid.uuid4().hex[:6]}"
    with process(url, base, variant, str(port_file)):
        until = time.monotonic() + 60
        while not port_file.exists() or not port_file.read_text():
            if time.monotonic() > until:
                raise SystemExit(f"{variant} did not start")
            time.sleep(0.05)
        port = int(port_file.read_text())
        load(port, 4, 0.5)  # warm
        yield port


def throughput(
    url: str, base: Path, seconds: float, rounds: int
) -> dict[str, dict[int, list[tuple[float, float]]]]:
    """Interleaved rounds, so that what else the machine does hits all alike."""
    variants = [v for v in VARIANTS if v != "bare-asyncpg" or importlib.util.find_spec("asyncpg")]
    found: dict[str, dict[int, list[tuple[float, float]]]] = {
        v: {c: [] for c in CONNECTIONS} for v in variants
    }
    for _ in range(rounds):
        for variant in variants:
            with serving(url, base, variant) as port:
                for connections in CONNECTIONS:
                    found[variant][connections].append(load(port, connections, seconds))
    return found


def road(url: str, base: Path, events: int) -> dict[str, list[float]]:
    """Milliseconds from the call to its answer, and to the accepted write on the other channel."""
    took = base / "south" / "took"
    took.write_text("")
    answers, writes = [], []
    with serving(url, base, "gateway") as port, process(url, base, "worker"):

        async def go() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for number in range(events + 5):
                await asyncio.sleep(0.25)
                call = request(f"road-{uuid.uuid4().hex}", "ROAD", 100_000 - number)
                started = time.time()
                writer.write(call)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(
                    int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                )
                answered = time.time()
                mark = f"ROAD {100_000 - number} "
                while not (
                    lines := [line for line in took.read_text().splitlines() if line.startswith(mark)]
                ):
                    if time.time() - started > 60:
                        raise SystemExit("the event did not come through")
                    await asyncio.sleep(0.002)
                if number >= 5:  # the first ones load mappings and open connections
                    answers.append((answered - started) * 1000)
                    writes.append((float(lines[0].split()[2]) - started) * 1000)
            writer.close()

        asyncio.run(go())
    return {"answer": answers, "accepted write": writes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=60)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    home = Home(Path(tempfile.mkdtemp(prefix="tsunagi-bench-")))
    postgres = EmbeddedPostgres(home)
    base = home.root / "bench"
    base.mkdir()
    try:
        url = postgres.admin_url()
        build(url, base).close()
        result = {"road": road(url, base, given.events)}
        for name, values in result["road"].items():
            cut = statistics.quantiles(values, n=100)
            print(f"call to {name:15} p50 {cut[49]:6.1f} ms   p99 {cut[98]:6.1f} ms")
        found = throughput(url, base, given.seconds, given.rounds)
        print(f"\n{'':18}" + "".join(f"{c:>18}" for c in CONNECTIONS) + "   connections")
        for variant, cells in found.items():
            medians = [
                (statistics.median(r for r, _ in cell), statistics.median(p for _, p in cell))
                for cell in cells.values()
            ]
            print(f"{VARIANTS[variant]:18}" + "".join(f"{rate:9,.0f} ({p99:5.1f})" for rate, p99 in medians))
        if given.json:
            given.json.write_text(json.dumps({**result, "throughput": found}, indent=1))
    finally:
        postgres.remove()
        shutil.rmtree(home.root, ignore_errors=True)


if __name__ == "__main__":
    main()
