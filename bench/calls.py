"""A caller that costs little, the same for all contestants: the machine is the server's."""

from __future__ import annotations

import gc
import select
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Took", "call_all"]


@dataclass(frozen=True, slots=True)
class Took:
    """Calls a second, the 99th percentile of their times in milliseconds, and how often which status was answered."""

    rate: float
    p99: float
    statuses: Counter[int]


def call_all(
    port: int, connections: int, calls: Sequence[bytes], *, may: frozenset[int] = frozenset({200})
) -> Took:
    """Make all calls over so many connections, each call once the connection's last one was answered.

    One thread over epoll, one system call to send and one to receive. Raises SystemExit for a status that may not be.
    """
    waiting, times, statuses = iter(calls), [], Counter[int]()
    poll = select.epoll()
    lines: dict[int, socket.socket] = {}
    sent: dict[int, float] = {}
    for _ in range(connections):
        line = socket.create_connection(("127.0.0.1", port), timeout=30)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines[line.fileno()] = line
        poll.register(line.fileno(), select.EPOLLIN)
    clock, at_work = time.perf_counter, 0
    gc.disable()
    try:
        begun = clock()
        for number, line in lines.items():
            if (call := next(waiting, None)) is not None:
                sent[number] = clock()
                line.sendall(call)
                at_work += 1
        while at_work:
            ready = poll.poll(30)
            if not ready:
                raise SystemExit("no answer within 30 seconds")
            for number, _ in ready:
                line = lines[number]
                answer = line.recv(8192)
                # answers are short and mostly come in one piece; their end is their body's end
                while not answer.endswith((b"}", b"\r\n\r\nok")):
                    more = line.recv(8192)
                    if not more:
                        raise SystemExit(f"the line was cut after {answer!r}")
                    answer += more
                now = clock()
                times.append(now - sent[number])
                status = int(answer[9:12])
                statuses[status] += 1
                if status not in may:
                    raise SystemExit(answer.decode("utf-8", "replace"))
                following = next(waiting, None)
                if following is None:
                    at_work -= 1
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
    return Took(len(times) / seconds, times[int(len(times) * 0.99)] * 1000, statuses)
