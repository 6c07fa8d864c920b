"""Calls that are ready on the wire before a clock runs, and a caller that costs little: the machine is the server's."""

from __future__ import annotations

import gc
import hmac
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from bench.w4.shop import HEADER, SECRET

__all__ = ["Took", "bodies", "call_all", "signed"]

_LINES = [
    {"sku": f"TS-{n:04d}-BL", "name": f"オーガニックコットンTシャツ 半袖 モデル{n}", "bin": f"A-{n % 7}-{n % 13:02d}",
     "lot": f"L{20260000 + 37 * n}", "counted_by": f"hall-{n % 3}", "at": f"2026-11-{1 + n % 28:02d}T09:{n:02d}:00+09:00"}
    for n in range(17)
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Took:
    """Calls a second, and the 99th percentile of their times in milliseconds."""

    rate: float
    p99: float


def bodies(run: str, count: int) -> list[tuple[str, bytes]]:
    """So many events of about 3 kB: their ids, and what is sent."""
    note = orjson.dumps(_LINES).decode()
    return [
        (event_id, orjson.dumps({
            "id": event_id, "stock": {"sku": f"S{n % 500}", "location": "W1", "on_hand": n, "note": note}
        }))
        for n in range(count)
        for event_id in (f"{run}-{n}",)
    ]  # fmt: skip


def signed(body: bytes) -> bytes:
    """The call as bytes on the wire."""
    signature = hmac.digest(SECRET.encode(), body, "sha256").hex()
    head = (
        f"POST /webhooks/north HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\n{HEADER}: {signature}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def call_all(port: int, connections: int, calls: Sequence[bytes]) -> Took:
    """Make all calls over so many connections, each call once the connection's last one was answered.

    One thread over epoll, one system call to send and one to receive. Raises SystemExit for any answer but 200.
    """
    waiting, times = iter(calls), []
    poll = select.epoll()
    lines: dict[int, socket.socket] = {}
    sent: dict[int, float] = {}
    for _ in range(connections):
        line = socket.create_connection(("127.0.0.1", port), timeout=30)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines[line.fileno()] = line
        poll.register(line.fileno(), select.EPOLLIN)
    clock, open_lines = time.perf_counter, len(lines)
    gc.disable()
    try:
        begun = clock()
        for number, line in lines.items():
            sent[number] = clock()
            line.sendall(next(waiting))
        while open_lines:
            ready = poll.poll(30)
            if not ready:
                raise SystemExit("no answer within 30 seconds")
            for number, _ in ready:
                line = lines[number]
                answer = line.recv(4096)
                # answers are short and come in one piece; their end is their body's end
                while not answer.endswith((b"}", b"\r\n\r\nok")):
                    more = line.recv(4096)
                    if not more:
                        raise SystemExit(f"the line was cut after {answer!r}")
                    answer += more
                now = clock()
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise SystemExit(answer.decode("latin-1"))
                times.append(now - sent[number])
                following = next(waiting, None)
                if following is None:
                    open_lines -= 1
                    continue
                sent[number] = now
                line.sendall(following)
        seconds = clock() - begun
    finally:
        gc.enable()
        poll.close()
        for line in lines.values():
            line.close()
    assert len(times) == len(calls)
    times.sort()
    return Took(len(times) / seconds, times[int(len(times) * 0.99)] * 1000)
