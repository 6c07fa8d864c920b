"""A real OpenSSH server on a free port of this machine, with keys of its own, for one measurement."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.processes import ROOT

__all__ = ["Account", "NoServer", "slow_line", "sshd"]


class NoServer(Exception):
    """There is no OpenSSH here, or it does not start; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """How to log in: the files OpenSSH's own clients take."""

    port: int
    user: str
    key: Path
    host_key: str
    home: Path

    @property
    def options(self) -> list[str]:
        """For ssh and sftp: this key and this host key, nothing of the user's own."""
        known = self.home / f"known_hosts_{self.port}"
        known.write_text(f"[127.0.0.1]:{self.port} {self.host_key}\n")
        return [
            "-F", "none", "-i", str(self.key), "-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=none",
            "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", "LogLevel=ERROR",
        ]  # fmt: skip


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        raise NoServer(f"no {name} on this machine (Debian: apt-get install openssh-server openssh-client)")
    return found


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise NoServer(f"sshd does not start here: {log.read_text()[-300:]}") from None
            time.sleep(0.05)


@contextmanager
def sshd(home: Path) -> Iterator[Account]:
    """A server for the current user while the block runs; `home` is an empty folder. Raises NoServer."""
    program, keygen = _program("sshd"), _program("ssh-keygen")
    _program("sftp")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host_key", "client_key"):
        subprocess.run(
            [keygen, "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", home / name], check=True
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (home / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host_key\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {home}/client_key.pub\nStrictModes no\nPermitRootLogin yes\n"
        "PasswordAuthentication no\nSubsystem sftp internal-sftp\n"
    )
    log = home / "sshd.log"
    with log.open("wb") as errors:
        server = subprocess.Popen([program, "-D", "-e", "-f", home / "sshd_config"], stderr=errors)
        try:
            _wait(port, server, log)
            public = " ".join((home / "host_key.pub").read_text().split()[:2])
            yield Account(port, getpass.getuser(), home / "client_key", public, home)
        finally:
            server.terminate()
            server.wait(10)


@contextmanager
def slow_line(account: Account, milliseconds: float) -> Iterator[Account]:
    """The same account behind a line that takes `milliseconds` each way."""
    words = [sys.executable, "-m", "bench.w6.line", str(account.port), str(milliseconds)]
    line = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert line.stdout is not None
        yield replace(account, port=int(line.stdout.readline()))
    finally:
        line.terminate()
        line.wait(10)
