"""`kill -9` at random moments: after a rerun the store is the one of an undisturbed history, nothing sent twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from house import HERE, build, put, store_of
from shop import accepted

PAGES = 12
SKUS = 1500


def fill(base: Path) -> None:
    """Pages of stock: most SKUs come again and again with other counts, a few cannot be mapped."""
    dice = random.Random(20261121)
    for number in range(PAGES):
        records = [
            {"sku": f"S{dice.randrange(SKUS):05d}", "location": "W1", "on_hand": dice.randrange(50)}
            for _ in range(SKUS)
        ]
        records += [{"sku": f"X{number}", "location": "W1", "on_hand": "?"}]
        put(base, "north", "stock", number, records)


def run(url: str, base: Path, verb: str, flow: str, *, kill_after: float | None = None) -> float:
    """Run one flow in a process of its own; kill it after so many seconds. Returns how long it ran."""
    system = "north" if verb == "pull" else "south"
    command = [sys.executable, "-W", "ignore", str(HERE / "house.py"), url, str(base), verb, system, flow]
    started = time.monotonic()
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _, errors = process.communicate(timeout=kill_after or 120)
        assert process.returncode == 0, errors.decode()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return time.monotonic() - started


def newest(base: Path) -> dict[str, Any]:
    """What the other side shows in the end: the last write of each key."""
    return {line["key"]: line["record"] for line in accepted(base / "south", "sink_stock")}


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_nothing_is_lost_or_doubled(
    database_url: str, second_database_url: str, tmp_path: Path, chaos_rounds: Callable[[int], int]
) -> None:
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    for base in (calm, wild):
        base.mkdir()
    with build(database_url, calm) as undisturbed, build(second_database_url, wild) as disturbed:
        fill(calm)
        fill(wild)
        pulling = run(database_url, calm, "pull", "stock")
        pushing = run(database_url, calm, "push", "stock_out")
        dice = random.Random(7)
        for verb, flow, length in (("pull", "stock", pulling), ("push", "stock_out", pushing)):
            for _ in range(chaos_rounds(10)):
                # the first part of each run is the interpreter starting: strike behind it
                run(second_database_url, wild, verb, flow, kill_after=length * dice.uniform(0.45, 1.0))
            run(second_database_url, wild, verb, flow)
        ours, theirs = store_of(disturbed), store_of(undisturbed)
        for part in theirs:
            assert ours[part] == theirs[part], part
        assert newest(wild) == newest(calm)
        # an absolute write may arrive twice after a kill, but only as a repetition of the same stored batch
        batches: dict[str, dict[str, Any]] = {}
        for line in accepted(wild / "south", "sink_stock"):
            assert (
                batches.setdefault(line["batch"], {}).setdefault(line["key"], line["record"])
                == line["record"]
            )
        assert disturbed.push("south", "stock_out").sent == 0
        assert undisturbed.push("south", "stock_out").sent == 0
