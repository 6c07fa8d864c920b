"""Named background processes of one hub home: start, find again, stop, also from another terminal.

Every process leads a session of its own, so that all it ever started can be found and ended with it
(Airflow's task processes leave their parent's process group, but not its session). What is running is
remembered in `<run>/<name>.json` with the process's birth: a process id that was given to somebody else
in the meantime is never taken for ours.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from hub.home import Home, write_private
from hub.words import HubError

__all__ = ["NotReadyError", "Processes", "Running"]

LOG_LIMIT = 5_000_000
"""Bytes after which a log is set aside as `<name>.log.1` at the next start."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")

_children: list[subprocess.Popen[bytes]] = []
"""Processes this very process started; asked now and then, or they would stay as zombies when they end."""


class NotReadyError(HubError):
    """A process ended, or did not answer in time; the message says where its log is and how it ends."""


@dataclass(frozen=True, slots=True)
class Birth:
    """When a process began: clock ticks after the boot of this name.

    Not the time of day: the kernel works that out anew at each reading, and it moves with every correction of the
    clock. Where there is no /proc, `boot` is empty and `ticks` are milliseconds since 1970, which stay what they are.
    """

    boot: str
    ticks: int

    @classmethod
    def of(cls, pid: int) -> Birth:
        """Raises psutil.NoSuchProcess."""
        if not _BOOT.exists():
            return cls("", round(psutil.Process(pid).create_time() * 1000))
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError) as error:
            raise psutil.NoSuchProcess(pid) from error
        # field 22; the second one is the program's name in brackets, which may hold blanks and brackets
        return cls(_BOOT.read_text().strip(), int(stat[stat.rindex(")") + 2 :].split()[19]))


@dataclass(frozen=True, slots=True)
class Running:
    """A process as remembered."""

    name: str
    pid: int
    born: Birth
    command: tuple[str, ...]


class Processes:
    """The background processes of one home.

    run   folder of the memory files (one JSON per process)
    logs  folder of their output (`<name>.log`, standard output and error together)
    """

    def __init__(self, home: Home) -> None:
        self.run = home.root / "run"
        self.logs = home.logs

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Running:
        """Start `command` in a session of its own; one that runs already under this name is left as it is.

        `env` is the whole environment (default: this process's). Remains of an earlier process of the same
        name (children whose parent was killed) are ended first.
        """
        if running := self.find(name):
            return running
        self.stop(name, grace=0)
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.log(name).exists() and self.log(name).stat().st_size > LOG_LIMIT:
            self.log(name).replace(self.logs / f"{name}.log.1")
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(  # noqa: S603  the command is the hub's own
                list(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=dict(env) if env else None, cwd=cwd, start_new_session=True,
            )  # fmt: skip
        _children.append(child)
        running = Running(name, child.pid, Birth.of(child.pid), tuple(command))
        write_private(self._memory(name), json.dumps(asdict(running)))
        return running

    def find(self, name: str) -> Running | None:
        """The process of this name if it is alive and truly ours, else None."""
        remembered = self._remembered(name)
        return remembered if remembered and _alive(remembered) else None

    def names(self) -> list[str]:
        """Every name remembered, running or not."""
        return sorted(path.stem for path in self.run.glob("*.json"))

    def wait_ready(self, name: str, ready: Callable[[], bool], timeout: float = 60) -> None:
        """Wait until `ready()` is true. Raises NotReadyError when it ends first or `timeout` passes."""
        until = time.monotonic() + timeout
        while True:
            if self.find(name) is None:
                raise self._not_ready(name, "起動の途中で終了しました", "ended before it was ready")
            if ready():
                return
            if time.monotonic() > until:
                raise self._not_ready(
                    name, f"{timeout:.0f} 秒待っても応答しません", f"was not ready after {timeout:.0f} s"
                )
            time.sleep(0.1)

    def stop(self, name: str, grace: float = 10) -> bool:
        """TERM to the process, KILL after `grace` seconds to all that is left of its session.

        Returns whether anything was running. Safe to call again, and from another process than the starter.
        """
        remembered = self._remembered(name)
        if remembered is None:
            return False
        members = _session(remembered)
        if leader := next((member for member in members if member.pid == remembered.pid), None):
            _signal(leader, signal.SIGTERM)
            _gone([leader], grace)
        left = _session(remembered)
        for member in left:
            _signal(member, signal.SIGKILL)
        _gone(left, 5)
        self._memory(name).unlink(missing_ok=True)
        return bool(members)

    def stop_all(self, names: Sequence[str] | None = None, grace: float = 10) -> list[str]:
        """Stop these (default: all), asking each before waiting for any. Returns those that were running."""
        names = self.names() if names is None else names
        asked = set()
        for name in names:
            if running := self.find(name):
                asked.add(name)
                with suppress(psutil.NoSuchProcess):
                    _signal(psutil.Process(running.pid), signal.SIGTERM)
        return [name for name in names if self.stop(name, grace) or name in asked]

    def log(self, name: str) -> Path:
        """Where the output of this process goes."""
        return self.logs / f"{name}.log"

    def _memory(self, name: str) -> Path:
        return self.run / f"{name}.json"

    def _remembered(self, name: str) -> Running | None:
        try:
            data = json.loads(self._memory(name).read_text("utf-8"))
            born = Birth(data["born"]["boot"], int(data["born"]["ticks"]))
            return Running(data["name"], int(data["pid"]), born, tuple(data["command"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None  # never started here, or the disk was full while it was written

    def _not_ready(self, name: str, ja: str, en: str, lines: int = 15) -> NotReadyError:
        log = self.log(name)
        text = log.read_text("utf-8", errors="replace") if log.exists() else ""
        tail = "\n".join(text.splitlines()[-lines:])
        return NotReadyError(
            f"{name} は{ja}。ログ {log} の末尾:\n{tail}", f"{name} {en}. The end of its log {log}:\n{tail}"
        )


def _reap() -> None:
    _children[:] = [child for child in _children if child.poll() is None]


def _alive(running: Running) -> bool:
    _reap()
    try:
        process = psutil.Process(running.pid)
        return Birth.of(running.pid) == running.born and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _session(running: Running) -> list[psutil.Process]:
    """What lives of the session `running` leads or led.

    A session's number cannot be given away while it has members, so members are ours unless the number was
    free for a while and another leader took it: then that leader is there, with another birth.
    """
    members = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) != running.pid:
                continue
            process = psutil.Process(pid)
            born = Birth.of(pid)
            if born.boot != running.born.boot or (pid == running.pid and born != running.born):
                return []
            if born.ticks >= running.born.ticks and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return members


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)  # psutil compares the start time first


def _gone(processes: Sequence[psutil.Process], seconds: float) -> None:
    """Wait until all ended (zombies count as ended), at most `seconds`."""
    until = time.monotonic() + seconds
    while any(_lives(process) for process in processes) and time.monotonic() < until:
        time.sleep(0.05)
        _reap()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
