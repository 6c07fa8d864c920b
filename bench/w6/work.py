"""W6: files over SFTP, against a real OpenSSH server that the measurement starts on this machine.

    python -m bench.w6.work [--rounds 3] [--peers]

- **200 MB**       one file down to the local disk, and one up (temporary name, size checked, renamed), on the loopback;
                   beside the `sftp` program
- **1,000 files**  list a folder and bring its files to the local disk, over a line of 20 ms (`bench.w6.line`); beside
                   `ssh` + `tar`. In the details: the whole pull through the hub over the same line, in which each file
                   is also claimed, stored, mapped, written and archived

With `--peers` also asyncssh in an event loop, written for these works alone. Each contestant is a process of its own,
start and imports included. What lies on the disk in the end is compared by digest; a difference is an error.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg
from rich.console import Console

from bench.processes import ROOT
from bench.result import Plan, Result, ratio, show
from bench.w1.rows import COLUMNS, bytes_of, orders
from bench.w6 import pull
from bench.w6.sshd import Account, NoServer, slow_line, sshd
from hub.home import Home
from hub.postgres import EmbeddedPostgres
from hub.store.database import migrate, open_engine

LARGE = 200_000_000
FILES = 1000
ONE_WAY = 10
"""Milliseconds: a round trip takes 20."""


@dataclass(frozen=True, slots=True)
class _Took:
    """Seconds by the clock, processor seconds of the process and its children, its most megabytes (its own)."""

    wall: float
    cpu: float
    memory: float


def _run(words: list[str], *, typed: str = "", env: Mapping[str, str] | None = None) -> _Took:
    """A process to its end. Raises SystemExit when it fails."""
    # compiled modules are kept, as where the hub is installed
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun = time.perf_counter()
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**own, **(env or {})},
    )
    assert process.stdin is not None
    process.stdin.write(typed)
    process.stdin.close()
    peak = 0
    over = threading.Event()

    def watch() -> None:
        # what `wait4` tells includes the megabytes of whoever forked
        nonlocal peak
        while not over.wait(0.05):
            with contextlib.suppress(OSError):
                told = Path(f"/proc/{process.pid}/status").read_text().partition("VmHWM:")[2]
                peak = int(told.split()[0]) if told else peak

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    over.set()
    watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{words[0]} ... {words[-1]} ended with {process.returncode}")
    return _Took(wall, used.ru_utime + used.ru_stime, peak / 1000)


def _digest(path: Path) -> str:
    """Of a file, or of all files of a folder with their names."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            whole.update(f"{file.relative_to(path)} {_digest(file)}\n".encode())
    return whole.hexdigest()


def _same(what: str, source: Path, *left: Path) -> None:
    wanted = _digest(source)
    for path in left:
        if _digest(path) != wanted:
            raise SystemExit(f"{what}: {path.name} holds other bytes than were sent")


def _large(path: Path) -> None:
    dice = random.Random(6)
    with path.open("wb") as file:
        for _ in range(LARGE // 1_000_000):
            file.write(dice.randbytes(1_000_000))


def _small(folder: Path) -> None:
    """Order files as hosts write them, one order each."""
    folder.mkdir(parents=True)
    head = ",".join(COLUMNS).encode("cp932") + b"\r\n"
    for number, rows in enumerate(orders(FILES, first=1_000_001), 1):
        (folder / f"JUCHU_{number:04d}.csv").write_bytes(head + bytes_of(rows))


class _Contest:
    """The works, each by both ways in turn; who begins changes from round to round."""

    def __init__(self, base: Path, near: Account, far: Account, peers: bool) -> None:
        self._base, self._near, self._far = base, near, far
        self._ways = ["limit", "ours", *(["asyncssh"] if peers else [])]
        self.large, self.small = base / "large.bin", base / "small"
        _large(self.large)
        _small(self.small)
        self.took: dict[str, dict[str, list[_Took]]] = {}

    def round(self, turn: int) -> None:
        for work in ("down", "up", "files"):
            first = turn % len(self._ways)
            ways = self._ways[first:] + self._ways[:first]
            left = {way: self._base / f"{work}-{way}" for way in ways}
            for way, target in left.items():
                if work == "files":
                    target.mkdir()
                took = self._limit(work, target) if way == "limit" else self._python(way, work, target)
                self.took.setdefault(work, {}).setdefault(way, []).append(took)
            _same(work, self.small if work == "files" else self.large, *left.values())
            for target in left.values():
                shutil.rmtree(target) if target.is_dir() else target.unlink()

    def _limit(self, work: str, target: Path) -> _Took:
        if work == "files":
            far = self._far
            login = " ".join(["ssh", *far.options, "-p", str(far.port), f"{far.user}@127.0.0.1"])
            return _run(["sh", "-c", f"{login} tar cf - -C {self.small} . | tar xf - -C {target}"])
        near, temporary = self._near, f"{target}.tmp"
        typed = (
            f"get {self.large} {target}\n"
            if work == "down"
            else f"put {self.large} {temporary}\nrename {temporary} {target}\n"
        )
        return _run(
            ["sftp", *near.options, "-P", str(near.port), "-b", "-", f"{near.user}@127.0.0.1"], typed=typed
        )

    def _python(self, way: str, work: str, target: Path) -> _Took:
        account = self._far if work == "files" else self._near
        there, here = {
            "files": (self.small, target), "down": (self.large, target), "up": (target, self.large),
        }[work]  # fmt: skip
        words = [
            work,
            str(account.port),
            account.user,
            str(account.key),
            account.host_key,
            str(there),
            str(here),
        ]
        return _run([sys.executable, "-m", "bench.w6.ours" if way == "ours" else "bench.w6.peer", *words])

    def result(self, work: str, name: str, title: str, goal: float, **details: object) -> Result:
        ours, limit = self.took[work]["ours"], self.took[work]["limit"]
        return Result(
            name, title, "s", median(one.wall for one in ours), median(one.wall for one in limit),
            ratio((one.wall for one in ours), (one.wall for one in limit)), goal,
            peers={
                way: median(one.wall for one in took)
                for way, took in self.took[work].items() if way not in ("ours", "limit")
            },
            memory_mb=max(one.memory for one in ours),
            details={"ours_processor_s": round(median(one.cpu for one in ours), 2), **details},
        )  # fmt: skip

    def pull(self, url: str) -> _Took:
        """All small files through the hub; what it stored and where they lie then is checked."""
        root = self._base / "partner"
        shutil.copytree(self.small, root / "in")
        pull.prepare(self._base / "systems", self._far, root)
        took = _run(
            [sys.executable, "-m", "bench.w6.pull", url, str(self._base / "systems")],
            env=pull.login(self._far),
        )
        _same("pull", self.small, next((root / "in" / "done").iterdir()))
        with psycopg.connect(url) as connection:
            stored = connection.execute(
                "SELECT name, encode(sha256, 'hex') FROM intake WHERE state = 'processed' ORDER BY id"
            ).fetchall()
            taken = connection.execute("SELECT count(*) FROM entity WHERE kind = 'order'").fetchone()
        wanted = [(file.name, _digest(file)) for file in sorted(self.small.iterdir())]
        if stored != wanted or taken is None or not FILES * 0.99 < taken[0] <= FILES:
            raise SystemExit(f"pull: {len(stored)} files stored and {taken} orders taken in, of {FILES}")
        return took


@contextmanager
def _store(base: Path) -> Iterator[str]:
    postgres = EmbeddedPostgres(Home(base / "home"))
    try:
        url = postgres.admin_url()
        engine = open_engine(url)
        migrate(engine)
        engine.dispose()
        yield url
    finally:
        postgres.remove()


def run(plan: Plan) -> list[Result]:
    """Measure; nothing, with the reason printed, where there is no OpenSSH server."""
    base = Path(tempfile.mkdtemp(prefix="tsunagi-bench-"))
    try:
        (base / "sshd").mkdir()
        with sshd(base / "sshd") as near, slow_line(near, ONE_WAY) as far, _store(base) as store:
            contest = _Contest(base, near, far, plan.peers)
            contest.round(0)  # compiles modules, fills caches
            contest.took.clear()
            for turn in range(plan.rounds):
                contest.round(turn)
            whole = contest.pull(store)
    except NoServer as missing:
        print(f"W6 is left out: {missing}")
        return []
    finally:
        shutil.rmtree(base, ignore_errors=True)
    limit = median(one.wall for one in contest.took["files"]["limit"])
    return [
        contest.result("down", "W6 200 MB", "one file over SFTP, down", 1.7),
        contest.result("up", "W6 200 MB up", "one file over SFTP, up", 1.7),
        contest.result(
            "files", "W6 1,000 files", "over a line of 20 ms", 6.0,
            whole_pull_s=round(whole.wall, 2), whole_pull_processor_s=round(whole.cpu, 2),
            whole_pull_to_limit=round(whole.wall / limit, 1), whole_pull_mb=round(whole.memory),
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    asked = parser.parse_args()
    found = run(Plan(rounds=asked.rounds, peers=asked.peers))
    show(found, Console(width=150))
    for one in found:
        print(one.work, dict(one.details))
