"""However many rows are compared, the process holds a page of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = 20_000
ROOT = Path(__file__).resolve().parents[3]


def bulk(url: str, base: Path, verb: str, rows: int = ROWS) -> str:
    command = [sys.executable, str(Path(__file__).parent / "bulk.py"), url, str(base), verb, str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=280,
                          env={"PATH": "", "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"})  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.timeout(580)
def test_twenty_thousand_rows_both_ways_take_little_more_memory_than_two_thousand(
    database_url: str, tmp_path: Path
) -> None:
    bulk(database_url, tmp_path, "pull")
    few, many = json.loads(bulk(database_url, tmp_path, "compare"))
    print(few, many)
    assert few["counts"]["differ"] == 2 * 4
    assert many["counts"]["differ"] == 2 * ROWS // 500
    assert many["counts"]["equal"] == 2 * (ROWS - ROWS // 500)
    assert many["peak"] - few["peak"] < 40, (
        f"{few['peak']:.0f} MB for 2,000 rows, {many['peak']:.0f} MB for {ROWS:,}"
    )
