"""One minute of everything at once, and a minute that must fail. Longer: `make chaos SECONDS=600 SEED=7`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.chaos.house import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(280),
    pytest.mark.xdist_group("road"),  # days of real processes run one after the other
]


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.chaos", *arguments], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "COLUMNS": "140"}, check=False,
    )  # fmt: skip


def test_all_channels_agree_after_a_minute_of_chaos(record_property: Callable[[str, object], None]) -> None:
    """TSUNAGI_TEST_CHAOS_SECONDS and _SEED make it longer, or another one; `make chaos` draws its seed."""
    seconds = os.environ.get("TSUNAGI_TEST_CHAOS_SECONDS", "60")
    seed = os.environ.get("TSUNAGI_TEST_CHAOS_SEED", "20261122")
    done = chaos("--seconds", seconds, "--seed", seed)
    print(done.stdout)
    record_property("chaos", done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    assert "The balance" in done.stdout


@pytest.mark.parametrize(
    ("bug", "patience", "told"),
    [("twice", "5", "is stored 2 times for orders"), ("unsent", "25", "ledger: CHA-")],
    ids=["dedupe off", "written down, never sent"],
)
def test_a_hub_that_does_not_keep_its_word_fails(bug: str, patience: str, told: str) -> None:
    done = chaos("--seconds", "12", "--patience", patience, "--seed", "7", "--bug", bug)
    assert done.returncode == 1, f"{done.stdout}\n{done.stderr[-3000:]}"
    assert told in done.stdout
    assert f"make chaos SECONDS=12 SEED=7 BUG={bug}" in done.stdout
