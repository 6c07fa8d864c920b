"""Environments of the general tools: each of its own below .venv, holding exactly what its lock names.

Made where they are missing, and again when the lock or the Python changed; `make distclean` deletes them. Packages come
as they do in bin/setup: by the project's uv, with what pip is set to use. `make lock` writes the locks from the `.in`
files beside them.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

__all__ = ["NotInstalled", "environment"]

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PLACE = ROOT / ".venv" / ".bench"


class NotInstalled(Exception):
    """An environment cannot be made; says why."""


def environment(name: str) -> Path:
    """The Python of a tool's environment. Raises NotInstalled."""
    folder, lock = PLACE / name, HERE / f"{name}.lock"
    python, stamp = folder / "bin" / "python", folder / ".stamp"
    wanted = f"{sys.version} {hashlib.sha256(lock.read_bytes()).hexdigest()}"
    if not (python.exists() and stamp.exists() and stamp.read_text() == wanted):
        _uv("venv", "--clear", "--python", sys.executable, str(folder))
        _uv("pip", "sync", "--compile-bytecode", "--python", str(python), str(lock))
        stamp.write_text(wanted)
    return python


def _uv(*words: str) -> None:
    done = subprocess.run(
        [ROOT / "bin" / "uv", *words, "-q"], cwd=ROOT, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        raise NotInstalled(done.stdout.strip() or f"uv ended with {done.returncode}")
