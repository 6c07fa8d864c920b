"""Small facts about server processes, ports and locks; see `hub/postgres.py`."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from hub.postgres_place import PostgresError

__all__ = [
    "Postmaster",
    "free_port",
    "is_free",
    "open_lock",
    "postmaster",
    "send_signal",
    "server_processes",
    "ticks",
]


def server_processes(data: Path) -> list[int]:
    """The live processes of the server whose data directory is `data` (they all work in it), oldest first.

    Reads `/proc`; where there is none, or a process is not ours to look at, it is not in the list.
    """
    here = os.path.realpath(data)
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str((entry / "cwd").readlink()) == here and (entry / "comm").read_text().strip() == "postgres":
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile, or is not ours
            continue
    return sorted(found)


@contextlib.contextmanager
def open_lock(path: Path) -> Iterator[IO[bytes]]:
    """A file to lock, made when missing; not inherited by child processes unless they are handed it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        yield file


def ticks(seconds: float) -> Iterator[None]:
    """Yield now and then again, 20 ms apart, until `seconds` are over."""
    end = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() > end:
            return
        time.sleep(0.02)


class Postmaster(NamedTuple):
    """What the server wrote about itself."""

    pid: int
    port: int
    ready: bool


def postmaster(data: Path) -> Postmaster | None:
    """Reads `postmaster.pid`: process, data, start time, port, socket folder, address, shared memory, state.

    Asking the port instead would believe a stranger who took it. None while the file is being written.
    """
    try:
        lines = (data / "postmaster.pid").read_text("utf-8").splitlines()
        return Postmaster(int(lines[0]), int(lines[3]), len(lines) > 7 and lines[7].strip() == "ready")
    except (FileNotFoundError, IndexError, ValueError):
        return None


def send_signal(processes: list[int], signum: signal.Signals) -> None:
    """To all of them; one that has ended meanwhile is no error."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signum)


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1 at this port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Below the range the kernel gives to outgoing connections: likely still free at the next start."""
    for port in random.sample(range(15_000, 32_000), 200):
        if is_free(port):
            return port
    raise PostgresError("空いているポートが見つかりません。", "No free port found.")
