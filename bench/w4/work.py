"""W4: webhooks, HMAC verified, deduplicated by event id, durable in PostgreSQL (fsync on) before the 200.

    python -m bench.w4.work [--rounds 3]

- **ours**: the gateway as a process of its own. One statement a group: intake, body, and the job that carries on.
- **plain ASGI**: a page of code on uvicorn that does nothing but HMAC and one INSERT into one table in groups,
  with asyncpg and with psycopg; the faster one of a round is the limit at 64 connections.
- **pgbench**: one client, one row of the same size, one commit; the limit at one connection.

Each contestant gets the same calls, some of them twice, and must hold each event exactly once, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median

import psycopg
from rich.console import Console

from bench import pgbench
from bench.calls import Took, call_all
from bench.processes import ROOT
from bench.result import Plan, Result, ratio, show
from bench.w4.events import bodies, signed
from bench.w4.shop import build
from hub.home import Home
from hub.postgres import EmbeddedPostgres

VARIANTS = ("gateway", "bare-asyncpg", "bare-psycopg")
CALLS = {64: 12_000, 1: 1_500}
"""Connections -> calls of one contestant in one round."""
TWICE = 100
"""One call in so many is sent a second time at the end."""
_HELD = {
    "gateway": "SELECT i.event_id, b.body FROM intake AS i JOIN intake_body AS b ON b.intake_id = i.id "
    'WHERE starts_with(i.event_id, %s) ORDER BY i.event_id COLLATE "C"',
    "bare": 'SELECT id, body FROM bare_{} WHERE starts_with(id, %s) ORDER BY id COLLATE "C"',
}


@contextmanager
def serving(url: str, base: Path, variant: str) -> Iterator[int]:
    """The port of a running variant."""
    port_file = base / f"port-{variant}"
    started = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "bench.w4.shop", url, str(base), variant, str(port_file)],
        cwd=ROOT,
    )
    try:
        until = time.monotonic() + 60
        while not port_file.exists() or not port_file.read_text():
            if time.monotonic() > until or started.poll() is not None:
                raise SystemExit(f"{variant} did not start")
            time.sleep(0.05)
        yield int(port_file.read_text())
    finally:
        started.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            started.wait(15)
        started.kill()


def digest(pairs: Sequence[tuple[str, bytes]]) -> str:
    """Of events in the order of their ids."""
    found = hashlib.sha256()
    for event_id, body in pairs:
        found.update(f"{event_id} {len(body)} ".encode() + body)
    return found.hexdigest()


def held(url: str, variant: str, run: str) -> str:
    """The digest of what a contestant holds of a run."""
    kind, _, driver = variant.partition("-")
    with psycopg.connect(url) as connection, connection.cursor(binary=True) as cursor:
        return digest(cursor.execute(_HELD[kind].format(driver).encode(), [run]).fetchall())


def one(url: str, port: int, variant: str, connections: int) -> Took:
    """One contestant at so many connections. Raises SystemExit when it does not hold what it was sent."""
    run = f"{uuid.uuid4().hex[:10]}-"
    sent = bodies(run, CALLS[connections])
    calls = [signed(body) for _, body in sent]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    took = call_all(port, connections, [*calls, *calls[::TWICE]])
    if held(url, variant, run) != digest(sorted(sent)):
        raise SystemExit(f"{variant} does not hold what it was sent")
    return took


def by_pgbench(url: str) -> float:
    """Rows a second of one client, one commit each."""
    body = bodies("pgbench", 1)[0][1].decode()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS one_row (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), body text NOT NULL)"
        )
        connection.execute("CHECKPOINT")
    script = Path(__file__).parent / "insert.sql"
    return pgbench.run(url, script, clients=1, transactions=CALLS[1], variables={"body": body})[0]


def run(plan: Plan) -> list[Result]:
    home = Home(Path(tempfile.mkdtemp(prefix="tsunagi-bench-")))
    postgres = EmbeddedPostgres(home)
    base = home.root / "bench"
    base.mkdir()
    found: dict[int, dict[str, list[Took]]] = {c: {v: [] for v in VARIANTS} for c in CALLS}
    rows: list[float] = []
    try:
        url = postgres.admin_url()
        build(url, base).close()
        with ExitStack() as stack:
            ports = {variant: stack.enter_context(serving(url, base, variant)) for variant in VARIANTS}
            for variant, port in ports.items():
                call_all(port, 8, [signed(body) for _, body in bodies(f"warm-{variant}-", 800)])
            for turn in range(plan.rounds):
                order = VARIANTS[turn % 3 :] + VARIANTS[: turn % 3]
                for connections, took in found.items():
                    for variant in order:
                        took[variant].append(one(url, ports[variant], variant, connections))
                rows.append(by_pgbench(url))
    finally:
        postgres.remove()
        shutil.rmtree(home.root, ignore_errors=True)
    return _results(found, rows)


def _results(found: dict[int, dict[str, list[Took]]], rows: list[float]) -> list[Result]:
    ours = {connections: took["gateway"] for connections, took in found.items()}
    bare = [
        max(pair, key=lambda one: one.rate)
        for pair in zip(found[64]["bare-asyncpg"], found[64]["bare-psycopg"], strict=True)
    ]
    p99 = median(one.p99 for one in ours[64])

    def peers(connections: int) -> dict[str, float]:
        return {
            f"plain ASGI, {name}": median(one.rate for one in found[connections][f"bare-{name}"])
            for name in ("asyncpg", "psycopg")
        }

    return [
        Result(
            "W4 at 64", "webhooks, 64 connections", "/s", median(one.rate for one in ours[64]),
            median(one.rate for one in bare), ratio((one.rate for one in ours[64]), (one.rate for one in bare)),
            goal=0.8, floor=True, peers=peers(64),
        ),
        Result(
            "W4 p99", "the slowest hundredth of these", "ms", p99, median(one.p99 for one in bare), p99, goal=15,
        ),
        Result(
            "W4 at 1", "webhooks, one connection", "/s", median(one.rate for one in ours[1]), median(rows),
            ratio((one.rate for one in ours[1]), rows), goal=0.7, floor=True, peers=peers(1),
            details={"p99_ms": median(one.p99 for one in ours[1])},
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    show(run(Plan(rounds=parser.parse_args().rounds)), Console(width=150))
