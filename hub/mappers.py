"""Mapping on all cores: processes that read pieces of a file, map and validate, while this one writes.

Each is a fresh interpreter that knows the mapping and nothing of the database. Results come back in the order of the
jobs, so what is stored does not depend on how many there are. A process that dies or disagrees costs time, never
records: its jobs are done here.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import queue
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from connectors.contract import Pieces
from hub.drafting import Drafted, Drafter, Job
from mappings import load_mapping

__all__ = ["PROCESSES", "Mappers", "mappers", "processes", "serve"]

PROCESSES = "TSUNAGI_PROCESSES"
"""Environment variable: how many processes map a large file; 1 keeps all in the process that takes it in."""

_AHEAD = 1
"""Jobs a process has before it beside the one it works on."""

log = structlog.get_logger("tsunagi.hub")


class _Terms(NamedTuple):
    """How a process makes the same drafter."""

    name: str
    digest: str
    roots: Sequence[Path]
    context: Mapping[str, Any]
    record_key: str
    pieces: Pieces


def processes() -> int:
    """How many processes may map: what TSUNAGI_PROCESSES says, else one for each core this process may use."""
    said = os.environ.get(PROCESSES, "")
    if said.isascii() and said.isdigit():
        return max(int(said), 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Mappers:
    """Runs jobs; made by `mappers`."""

    def __init__(self, drafter: Drafter, lines: Sequence[Connection]) -> None:
        self._drafter = drafter
        self._count = len(lines)
        self._idle: queue.SimpleQueue[Connection | None] = queue.SimpleQueue()
        for line in lines:
            self._idle.put(line)

    def run(self, jobs: Iterable[Job]) -> Iterator[Drafted]:
        """What became of the jobs, in their order. `jobs` is asked a few ahead."""
        if not self._count:
            yield from map(self._drafter.run, jobs)
            return
        waiting: deque[Future[Drafted | bytes]] = deque()
        with ThreadPoolExecutor(self._count, thread_name_prefix="mapper") as pool:
            for job in jobs:
                waiting.append(pool.submit(self._elsewhere, job))
                if len(waiting) > self._count * (1 + _AHEAD):
                    yield _unpacked(waiting.popleft().result())
            while waiting:
                yield _unpacked(waiting.popleft().result())

    def _elsewhere(self, job: Job) -> Drafted | bytes:
        """What became of the job; as it was sent, when another process did it."""
        line = self._idle.get()
        if line is None:
            self._idle.put(None)
            return self._drafter.run(job)
        try:
            line.send_bytes(pickle.dumps(job, protocol=5))
            done = line.recv_bytes()
        except (OSError, EOFError) as error:
            log.warning("mapper_lost", error=str(error))
            self._idle.put(None)
            return self._drafter.run(job)
        self._idle.put(line)
        return done


def _unpacked(done: Drafted | bytes) -> Drafted:
    """What waits for its turn waits in one piece: thousands of small ones would leave their places torn behind them."""
    if isinstance(done, Drafted):
        return done
    drafted: Drafted = pickle.loads(done)  # noqa: S301  (from a process of ours)
    return drafted


@contextmanager
def mappers(drafter: Drafter, count: int) -> Iterator[Mappers]:
    """Mappers over so many processes; over none, in this process, when `count` is below 2."""
    if count < 2 or not sys.executable:
        yield Mappers(drafter, [])
        return
    mapping = drafter.mapping
    terms = _Terms(
        mapping.name, mapping.digest, mapping.roots, drafter.context, drafter.record_key, drafter.pieces
    )
    pairs = [socket.socketpair() for _ in range(count)]
    theirs = [pair[1].fileno() for pair in pairs]
    process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
        [sys.executable, "-c", "from hub.mappers import serve; serve()", *map(str, theirs)],
        pass_fds=theirs, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
    )  # fmt: skip
    lines = []
    for ours, other in pairs:
        other.close()
        lines.append(Connection(ours.detach()))
    try:
        for line in lines:
            with contextlib.suppress(OSError):
                line.send_bytes(pickle.dumps(terms, protocol=5))
        yield Mappers(drafter, lines)
    finally:
        for line in lines:
            line.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# ---------------------------------------------------------------- in the other processes


def serve() -> None:
    """Work off jobs from the sockets whose numbers are the arguments, one process each, until they are closed."""
    numbers = [int(word) for word in sys.argv[1:]]
    gc.freeze()
    mine = numbers[0]
    children: list[int] = []
    for number in numbers[
        1:
    ]:  # a copy of this process is there at once; another start would import all again
        child = os.fork()
        if child == 0:
            mine, children = number, []
            break
        children.append(child)
    for number in numbers:
        if number != mine:
            os.close(number)
    with contextlib.suppress(EOFError, OSError):
        _serve(Connection(mine))
    for child in children:
        os.waitpid(child, 0)


def _serve(line: Connection) -> None:
    terms: _Terms = pickle.loads(line.recv_bytes())  # noqa: S301  (from the process that started this one)
    mapping = load_mapping(terms.name, roots=terms.roots)
    if mapping.digest != terms.digest:  # a file was changed just now: who asked goes on with what it has read
        return
    drafter = Drafter(mapping, terms.context, terms.record_key, terms.pieces)
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)  # records come and go by the thousand, and hold no circles
    while True:
        job: Job = pickle.loads(line.recv_bytes())  # noqa: S301
        line.send_bytes(pickle.dumps(drafter.run(job), protocol=5))
