"""Keeps a tool's own words out of the table: they go to a file, and are told when the tool fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["quiet"]

TOLD = 8000
"""Characters of the file's end that are told."""


@contextmanager
def quiet(folder: Path) -> Iterator[None]:
    """What is printed in the block, by child processes too, goes to `folder/log`."""
    log = folder / "log"
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(2)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    except BaseException:
        sys.stderr.flush()
        os.dup2(kept, 2)
        sys.stderr.write(log.read_text("utf-8", "replace")[-TOLD:])
        raise
