"""A contestant as a process of its own: its time, its processor time and PostgreSQL's, and the memory of its tree."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["ROOT", "Cost", "installed", "measured", "processor_seconds", "server_of"]

ROOT = Path(__file__).resolve().parent.parent
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took: seconds of wall clock, of processor (own tree, PostgreSQL), most megabytes of the own tree."""

    wall: float
    cpu: float
    postgres: float
    memory: float

    @property
    def processor(self) -> float:
        """Processor seconds in all."""
        return self.cpu + self.postgres

    def as_dict(self) -> dict[str, float]:
        return {**asdict(self), "processor": self.processor}


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2 :].split()


def _tree(pid: int) -> list[int]:
    """A process and everything below it."""
    found, todo = [], [pid]
    while todo:
        at = todo.pop()
        try:
            children = [
                int(word)
                for task in Path(f"/proc/{at}/task").iterdir()
                for word in (task / "children").read_text().split()
            ]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.append(at)
        todo += children
    return found


def _resident(pid: int) -> int:
    """Bytes a tree holds in memory; what several of its processes share is counted once."""
    total = 0
    for at in _tree(pid):
        try:
            rollup = Path(f"/proc/{at}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def server_of(url: str) -> int:
    """The process id of the PostgreSQL a URL leads to; it must run on this machine."""
    import psycopg

    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        return int(_stat(row[0])[1])


def processor_seconds(head: int) -> float:
    """Processor seconds of a program so far (PostgreSQL: of its first process), of its children that have ended too."""
    total = 0
    for at in _tree(head):
        try:
            fields = _stat(at)
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += int(fields[11]) + int(fields[12]) + (int(fields[13]) + int(fields[14]) if at == head else 0)
    return total / _TICK


def installed() -> dict[str, str]:
    """The environment of a program as people run it: Python keeps the bytecode of what it imports."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measured(words: list[str], server: int, python: str = sys.executable) -> Cost:
    """Run `python -m WORDS` to its end. Raises SystemExit when it fails."""
    before, children = processor_seconds(server), resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    process = subprocess.Popen([python, "-W", "ignore", "-m", *words], cwd=ROOT, env=installed())
    peak, over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.1):
            peak = max(peak, _resident(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    wall = time.perf_counter() - begun
    over.set()
    watcher.join()
    if code:
        raise SystemExit(f"{' '.join(words)} ended with {code}")
    time.sleep(0.2)  # backends end, and tell their head what they used
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = ended.ru_utime + ended.ru_stime - children.ru_utime - children.ru_stime
    return Cost(wall, cpu, processor_seconds(server) - before, peak / 1e6)
