"""The outside systems of the demo, each as a process or a folder of its own, and the secrets to reach them.

They know nothing of the hub (`sandbox/`), are started as anyone would start them, and stay until `make stop`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from hub.home import Settings, write_private
from hub.processes import Processes
from hub.words import HubError

__all__ = ["Counterparts"]

RAKUTEN = "sandbox-rakuten"
SFTP = "sandbox-sftp"
PORTS = {RAKUTEN: 8801, SFTP: 2222}
RAKUTEN_KEYS = {"service_secret": "SP000000_demo0000000000", "license_key": "SL000000_demo0000000000"}
"""Of a shop that exists on this machine only."""


class Counterparts:
    """The mail-order core (SFTP), the warehouse (a folder) and the marketplace (HTTP) of the demo."""

    def __init__(self, settings: Settings, day: date | None = None) -> None:
        """`day`: the business day the core and the warehouse write on their files, today when left out."""
        self._home = settings.home
        self._processes = Processes(settings.home)
        self._folder = settings.home.root / "demo"
        self._core = self._folder / "core"
        self._wms = self._folder / "wms"
        self._day = ("--day", day.isoformat()) if day else ()
        self.refusals: list[str] = []

    def start(self) -> None:
        """Start what is not running, and write down how the hub reaches it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._start_rakuten()
        self._start_core()
        for folder in ("in", "out"):
            (self._wms / folder).mkdir(parents=True, exist_ok=True)
        self._connection("wms", extra={"root": str(self._wms)})

    def stop(self) -> list[str]:
        """Stop the processes. Returns the names of those that were running."""
        names = [name for name in self._processes.names() if name.startswith("sandbox-")]
        return self._processes.stop_all(names, grace=5)

    # ------------------------------------------------------------------ what happens at the other side

    def core_exports_orders(self) -> None:
        """The core's nightly job drops the day's order files, some rows of them bad; a day is dropped once."""
        self._run("sandbox.mail_order_core", "write", self._core / "orders", "--bad", *self._day)

    def core_reads_reports(self) -> None:
        """The core takes the shipping reports in and answers each with an ack file."""
        self._run("sandbox.mail_order_core", "read", self._core / "reports")

    def warehouse_counts(self) -> None:
        """The warehouse writes a snapshot of its stock."""
        self._run("sandbox.wms", "stock", self._wms, *self._day)

    def warehouse_ships(self) -> None:
        """The warehouse works through the instructions it got and writes its results."""
        self._run("sandbox.wms", "work", self._wms, *self._day)

    def _run(self, module: str, *arguments: str | Path) -> None:
        """Run a stand-in's command; 1 means that it refused something, as it may.

        What it refused is kept in `refusals`: files have no other way to say so than the partner's own screen.
        Raises HubError with what a command said that failed.
        """
        command = [sys.executable, "-m", module, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_python_env())  # noqa: S603
        if done.returncode > 1 or (done.returncode and done.stderr):
            said = done.stderr.strip()[-2000:]
            raise HubError(
                f"デモの相手役 {module} が失敗しました:\n{said}", f"the demo's {module} failed:\n{said}"
            )
        self.refusals += [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]

    # ------------------------------------------------------------------ starting

    def _start_rakuten(self) -> None:
        port = self._port(RAKUTEN)
        keys = RAKUTEN_KEYS
        self._serve(RAKUTEN, port, [
            "sandbox.rakuten", "--port", str(port), "--state", str(self._folder / "rakuten.sqlite"), "--pace", "50",
            "--service-secret", keys["service_secret"], "--license-key", keys["license_key"],
        ])  # fmt: skip
        self._connection(
            "rakuten-main",
            password=keys["license_key"],
            extra={
                "service_secret": keys["service_secret"],
                "base_url": f"http://127.0.0.1:{port}",
                "requests_per_second": 50,
            },
        )

    def _start_core(self) -> None:
        port, password = self._port(SFTP), self._home.secret("demo-sftp")
        for folder in ("orders", "reports/ack"):
            (self._core / folder).mkdir(parents=True, exist_ok=True)
        self._serve(
            SFTP, port,
            ["sandbox.sftp_server", "--root", str(self._core), "--port", str(port), "--user", "core",
             "--host-key", str(self._folder / "sftp_host_key"), "--print-port"],
            {"TSUNAGI_SANDBOX_SFTP_PASSWORD": password},
        )  # fmt: skip
        # it answers a moment before it has said its key
        self._processes.wait_ready(SFTP, lambda: self._host_key() is not None, timeout=10)
        self._connection(
            "core", host="127.0.0.1", port=port, login="core", password=password,
            extra={"host_keys": [self._host_key()]},
        )  # fmt: skip

    def _serve(
        self, name: str, port: int, module: Sequence[str], env: Mapping[str, str] | None = None
    ) -> None:
        self._processes.start(name, [sys.executable, "-m", *module], env={**_python_env(), **(env or {})})
        self._processes.wait_ready(name, lambda: _answers(port), timeout=30)

    def _host_key(self) -> str | None:
        """The public key the server printed when it started: what an operator gets from the partner on paper."""
        lines = self._processes.log(SFTP).read_text("utf-8").splitlines()
        said = next((line for line in reversed(lines) if '"host_key"' in line), None)
        return None if said is None else str(json.loads(said)["host_key"])

    def _connection(self, system: str, *, extra: Mapping[str, Any], **parts: Any) -> None:
        path = self._home.secrets / f"{system}.json"
        write_private(path, json.dumps({**parts, "extra": dict(extra)}, ensure_ascii=False, indent=1))

    def _port(self, name: str) -> int:
        """The remembered port while it is free or ours, else the next free one."""
        path = self._folder / "ports.json"
        ports: dict[str, int] = {}
        with suppress(FileNotFoundError, ValueError):
            ports = json.loads(path.read_text("utf-8"))
        port = ports.get(name, PORTS[name])
        if self._processes.find(name) is None:
            port = next(number for number in range(port, 65536) if not _answers(number) and _free(number))
        write_private(path, json.dumps({**ports, name: port}))
        return port


def _python_env() -> dict[str, str]:
    return {**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False
