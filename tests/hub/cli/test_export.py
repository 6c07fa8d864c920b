"""`tsunagi export`: JSON lines for machines, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.engine import Hub
from hub.export import export_csv, export_jsonl
from hub.progress import Progress
from tests.hub.cli.support import Run


@pytest.fixture
def stocked(run: Run, base: Path) -> Path:
    records = [
        {"sku": "=SUM(A1)", "location": "W1", "on_hand": 5, "allocated": 2},
        {"sku": "＋１", "location": "W1", "on_hand": -3},
    ]
    (base / "north" / "stock" / "0001.json").write_text(json.dumps(records))
    assert run("pull", "north", "stock").code == 0
    return base


def test_jsonl_is_an_entity_a_line_in_key_order(run: Run, stocked: Path) -> None:
    seen = run("export", "stock_position")
    assert (seen.code, seen.err) == (0, "")
    assert seen.rows == [
        {
            "version": 1,
            "key": "=SUM(A1)@W1",
            "sku": "=SUM(A1)",
            "location": "W1",
            "on_hand": 5,
            "allocated": 2,
        },
        {"version": 1, "key": "＋１@W1", "sku": "＋１", "location": "W1", "on_hand": -3},
    ]


def test_csv_on_standard_output_holds_no_formulas(run: Run, stocked: Path) -> None:
    seen = run("export", "stock_position", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(seen.out)))
    assert [row["sku"] for row in rows] == ["'=SUM(A1)", "'＋１"]
    assert [row["on_hand"] for row in rows] == ["5", "-3"]  # numbers stay numbers
    assert [row["allocated"] for row in rows] == ["2", ""]


def test_a_file_is_written_whole_and_for_excel(run: Run, stocked: Path) -> None:
    target = stocked / "stock.csv"
    seen = run("export", "stock_position", "-f", "csv", "-o", target, lang="ja")
    assert (seen.code, seen.out) == (0, f"2 件を {target} に書き出しました。\n")
    body = target.read_bytes()
    assert body.startswith(b"\xef\xbb\xbfkey,version,")
    assert body.count(b"\r\n") == 3
    assert [path.name for path in stocked.iterdir() if "stock.csv" in path.name] == ["stock.csv"]


def test_nested_values_get_dotted_columns(run: Run, base: Path) -> None:
    order = {
        "number": "1", "at": "2026-11-21T10:00:00+09:00", "buyer": "花子", "payment": "カード", "total": 1100,
        "recipients": [{"id": "1", "name": "花子"}], "lines": [{"id": "1", "sku": "A", "quantity": 2, "price": 550}],
    }  # fmt: skip
    (base / "north" / "orders" / "0001.json").write_text(json.dumps([order], ensure_ascii=False), "utf-8")
    run("pull", "north", "orders")
    (row,) = csv.DictReader(io.StringIO(run("export", "order", "-f", "csv").out))
    assert (row["buyer.name.full"], row["totals.payable.amount"]) == ("花子", "1100")
    assert json.loads(row["lines"])[0]["sku"] == "A"


def test_an_unknown_kind_or_folder_is_told(run: Run, stocked: Path) -> None:
    kind = run("export", "stock_positon")
    assert (kind.code, kind.out) == (2, "")
    assert "'stock_position'" in kind.err
    place = run("export", "stock_position", "-o", stocked / "none" / "x.jsonl")
    assert (place.code, place.out) == (1, "")
    assert "cannot be written" in place.err
    form = run("export", "stock_position", "--format", "xml")
    assert form.code == 2
    assert "--format" in form.err


def test_exports_tell_a_watcher(run: Run, stocked: Path) -> None:
    seen: list[Progress] = []
    with Hub.open() as hub:
        assert export_jsonl(hub.engine, "stock_position", io.BytesIO(), watch=seen.append) == 2
        assert seen == [Progress(0, 2), Progress(2, 2)]
        seen.clear()
        assert export_csv(hub.engine, "stock_position", io.StringIO(), watch=seen.append) == 2
        assert seen[-1] == Progress(4, 4)


def test_a_reader_that_goes_away_is_no_bug(
    run: Run, stocked: Path, spawn: Callable[..., Any], database_url: str
) -> None:
    command = f'"{sys.executable}" -c "from hub.cli import main; main()" export stock_position | head -c 1'
    env = {
        "PATH": "/usr/bin:/bin", "TSUNAGI_HOME": str(stocked / "home"), "TSUNAGI_DATABASE_URL": database_url,
        "TSUNAGI_SYSTEMS": str(stocked / "systems"),
    }  # fmt: skip
    ended = subprocess.run(["bash", "-c", command], capture_output=True, env=env, timeout=60, check=False)
    assert ended.stdout == b"{"
    assert b"Traceback" not in ended.stderr
