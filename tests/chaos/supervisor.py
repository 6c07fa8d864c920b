"""Keeps the processes of a run going as systemd would, and does them harm: kill -9 of any, trouble with PostgreSQL."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg

from hub.home import Home
from hub.postgres import EmbeddedPostgres
from hub.words import HubError

__all__ = ["Postgres", "Supervisor", "Trouble"]

RESTART_AFTER = 0.4
"""Seconds a process stays away after it ended (systemd: RestartSec)."""


@dataclass
class _Kept:
    command: Sequence[str]
    process: subprocess.Popen[bytes]
    ended_at: float | None = None
    killed: bool = False


@dataclass
class Supervisor:
    """Starts processes in sessions of their own and starts them again whenever they end."""

    env: Mapping[str, str]
    logs: Path
    cwd: Path
    ended: Counter[str] = field(default_factory=Counter)
    """Processes that ended by themselves: "worker-1 exit 1"."""

    def __post_init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def start(self, name: str, command: Sequence[str]) -> None:
        with self._lock:
            self._kept[name] = _Kept(command, self._spawn(name, command))

    def _spawn(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.logs / f"{name}.log").open("ab") as log:
            log.write(f"--- started {time.strftime('%H:%M:%S')}\n".encode())
            log.flush()
            return subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(self.env), cwd=self.cwd,
                start_new_session=True,
            )  # fmt: skip

    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._kept)

    def kill(self, name: str) -> None:
        """kill -9 of the whole process group; it comes back by itself."""
        with self._lock:
            kept = self._kept[name]
            kept.killed = True
            with suppress(ProcessLookupError):
                os.killpg(kept.process.pid, signal.SIGKILL)

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            with self._lock:
                for name, kept in self._kept.items():
                    code = kept.process.poll()
                    if code is None:
                        continue
                    if kept.ended_at is None:
                        kept.ended_at = time.monotonic()
                        if not kept.killed:
                            self.ended[f"{name} exit {code}"] += 1
                    elif time.monotonic() - kept.ended_at >= RESTART_AFTER:
                        self._kept[name] = _Kept(kept.command, self._spawn(name, kept.command))

    def stop(self, seconds: float = 15.0) -> None:
        """SIGTERM to all, SIGKILL to those that are still there after a while."""
        self._stop.set()
        self._thread.join(5)
        with self._lock:
            for kept in self._kept.values():
                with suppress(ProcessLookupError):
                    os.killpg(kept.process.pid, signal.SIGTERM)
            until = time.monotonic() + seconds
            for kept in self._kept.values():
                try:
                    kept.process.wait(max(until - time.monotonic(), 0.1))
                except subprocess.TimeoutExpired:
                    with suppress(ProcessLookupError):
                        os.killpg(kept.process.pid, signal.SIGKILL)
                    kept.process.wait(5)


class Postgres:
    """The embedded server of the run, and the harm that is done to it."""

    def __init__(self, home: Home) -> None:
        self._server = EmbeddedPostgres(home)
        self._data: Path | None = None

    def start(self) -> None:
        self._server.start()

    def url(self) -> str:
        return self._server.database_url("tsunagi")

    def restart_fast(self, away: float) -> None:
        """Open transactions are rolled back, then it is away for a while."""
        self._server.stop()
        time.sleep(away)
        self.start()

    def restart_immediately(self, away: float) -> None:
        """As after a power failure: nothing is tidied up, the next start recovers."""
        pid = int((self._data_folder() / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)
        until = time.monotonic() + 20
        while self._server.running() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(away)
        self.start()

    def kill_a_backend(self, dice: random.Random) -> None:
        """kill -9 of one server process: the server throws everybody out and recovers."""
        with psycopg.connect(self._server.admin_url(), autocommit=True) as connection:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchall()
        if found:
            with suppress(ProcessLookupError):
                os.kill(dice.choice(found)[0], signal.SIGKILL)
            time.sleep(0.5)
            self.start()  # waits until it has recovered

    def remove(self) -> None:
        self._server.remove()

    def _data_folder(self) -> Path:
        if self._data is None:
            with psycopg.connect(self._server.admin_url()) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
            assert row is not None
            self._data = Path(row[0])
        return self._data


class Trouble:
    """Harm at random moments, in a thread, until `end`."""

    def __init__(self, supervisor: Supervisor, postgres: Postgres, seed: str) -> None:
        self.made: Counter[str] = Counter()
        self.more: dict[str, Callable[[], None]] = {}
        """What else may be killed, and how."""
        self._dice = random.Random(f"{seed}/trouble")
        self._supervisor = supervisor
        self._postgres = postgres
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trouble", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """No more harm; PostgreSQL is there when this returns."""
        self._stop.set()
        self._thread.join(60)
        self._postgres.start()

    def _run(self) -> None:
        database = self._dice.uniform(8, 14)
        passed = 0.0
        while not self._stop.wait(pause := self._dice.uniform(1.5, 4.5)):
            passed += pause
            if passed >= database:
                passed, database = 0.0, self._dice.uniform(10, 18)
                self._do(*self._database_harm())
            else:
                name = self._dice.choice([*self._supervisor.names(), *self.more])
                kill = self.more.get(name) or partial(self._supervisor.kill, name)
                self._do(f"kill -9 {name}", kill)

    def _database_harm(self) -> tuple[str, Callable[[], None]]:
        away = self._dice.uniform(0.0, 1.5)
        return self._dice.choice((
            ("PostgreSQL: fast restart", lambda: self._postgres.restart_fast(away)),
            ("PostgreSQL: immediate stop", lambda: self._postgres.restart_immediately(away)),
            ("PostgreSQL: kill -9 of a backend", lambda: self._postgres.kill_a_backend(self._dice)),
        ))  # fmt: skip

    def _do(self, what: str, harm: Callable[[], None]) -> None:
        self.made[what] += 1
        try:
            harm()
        except (psycopg.Error, HubError, OSError):
            self.made[f"{what} (failed)"] += 1
