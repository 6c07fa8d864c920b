"""W8: reservations through the API beside the bare function, on a durable PostgreSQL (fsync on).

    python bench/w8_reservations.py [--seconds 5] [--rounds 3] [--callers 16] [--skus 200] [--json FILE]

Reservations a second, taken in turns in one run, medians of the rounds:

- **function**: `hub.stock.reserve` in this many threads of one process, nothing around it.
- **API**: `POST /api/v1/reservations` at `tsunagi gateway`'s server in a process of its own, asked by this many
  connections of another process: HTTP, key, JSON, validation and the answer are what it adds.
- **one SKU** / **many SKUs**: all callers want the same row, or each another one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "hub" / "stock")]

from room import Room  # noqa: E402

from connectors.registry import Connectors  # noqa: E402
from hub.api.keys import create_key  # noqa: E402
from hub.engine import Hub  # noqa: E402
from hub.home import Home  # noqa: E402
from hub.postgres import EmbeddedPostgres  # noqa: E402
from hub.stock import reserve  # noqa: E402
from hub.store.database import migrate, open_engine  # noqa: E402
from hub.systems import load_systems  # noqa: E402

UNITS = 10**9


def serve(url: str, folder: Path) -> None:
    """The gateway as a program: tells its port on standard output."""
    from hub.gateway.server import bind, server
    from hub.home import Settings
    from hub.logs import configure_logging

    configure_logging(
        Settings.from_env({"TSUNAGI_HOME": str(folder / "home")})
    )  # a line for each call, as it is
    hub = Hub(open_engine(url, threads=4), load_systems([folder / "systems"]), Connectors())
    listener = bind("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    server(hub).run(sockets=[listener])


def by_function(url: str, callers: int, seconds: float, skus: list[str]) -> float:
    engine = open_engine(url, threads=(callers + 2) // 3)
    until = time.monotonic() + seconds

    def call(number: int) -> int:
        done = 0
        while time.monotonic() < until:
            reserve(
                engine,
                sku=skus[(number + done * callers) % len(skus)],
                quantity=1,
                channel="shop",
                key=uuid4().hex,
            )
            done += 1
        return done

    with ThreadPoolExecutor(callers) as pool:
        total = sum(pool.map(call, range(callers)))
    engine.dispose()
    return total / seconds


def caller(port: int, key: str, connections: int, seconds: float, skus: list[str], told: object) -> None:
    """Plain sockets: a client library would take more of the machine than the server."""
    until = time.monotonic() + seconds
    counts = [0] * connections

    def call(number: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as line, line.makefile("rb") as answers:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.monotonic() < until:
                sku = skus[(number + counts[number] * connections) % len(skus)]
                body = json.dumps({"sku": sku, "quantity": 1, "channel": "shop"}).encode()
                line.sendall(
                    b"POST /api/v1/reservations HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\n"
                    + f"authorization: Bearer {key}\r\nidempotency-key: {uuid4().hex}\r\n".encode()
                    + f"content-length: {len(body)}\r\n\r\n".encode() + body
                )  # fmt: skip
                assert b" 200 " in answers.readline()
                length = 0
                while (head := answers.readline()) != b"\r\n":
                    if head.lower().startswith(b"content-length:"):
                        length = int(head.split(b":")[1])
                answers.read(length)
                counts[number] += 1

    threads = [threading.Thread(target=call, args=(number,)) for number in range(connections)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    told.put(sum(counts))  # type: ignore[attr-defined]


def by_api(port: int, key: str, callers: int, seconds: float, skus: list[str]) -> float:
    told: multiprocessing.Queue[int] = multiprocessing.Queue()
    process = multiprocessing.Process(target=caller, args=(port, key, callers, seconds, skus, told))
    process.start()
    total = told.get(timeout=seconds + 60)
    process.join()
    return total / seconds


def measure(url: str, folder: Path, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    skus = [f"SKU-{number}" for number in range(arguments.skus)]
    with Room.open(url, folder) as room:
        for sku in skus:
            room.count(sku, UNITS)
        room.offer(*skus)
        room.turn()
        with room.engine.begin() as connection:
            key = create_key(connection, "bench", ["reserve"])[1].get_secret_value()
    command = [sys.executable, __file__, "serve", url, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=60)
        rows: dict[str, dict[str, list[float]]] = {}
        for _ in range(arguments.rounds):
            for name, some in (("one SKU", skus[:1]), ("many SKUs", skus)):
                row = rows.setdefault(name, {"function": [], "api": []})
                row["function"].append(by_function(url, arguments.callers, arguments.seconds, some))
                row["api"].append(by_api(port, key, arguments.callers, arguments.seconds, some))
        process.terminate()
    return {
        name: {way: statistics.median(figures) for way, figures in row.items()} for name, row in rows.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--skus", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tsunagi-bench-"))
    postgres = EmbeddedPostgres(Home(folder / "home"))
    try:
        url = postgres.admin_url()
        engine = open_engine(url)
        migrate(engine)
        engine.dispose()
        found = measure(url, folder, arguments)
    finally:
        postgres.remove()
    for name, row in found.items():
        share = row["api"] / row["function"]
        print(f"{name:<10} function {row['function']:7.0f}/s   API {row['api']:7.0f}/s   {share:.0%}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
