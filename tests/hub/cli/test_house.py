"""`tsunagi init`, `check`, `status`, `stop`, and what is said when the database is not there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from tests.conftest import create_database, drop_database, in_database
from tests.hub.cli.support import ROOT, Run

Spawn = Callable[..., "subprocess.CompletedProcess[bytes]"]


def put(base: Path, system: str, folder: str, records: list[dict[str, Any]]) -> None:
    (base / system / folder / "0001.json").write_text(json.dumps(records), "utf-8")


# ---------------------------------------------------------------- init and the database


def test_init_brings_an_empty_database_to_the_newest_schema(
    run: Run, base: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"test_init_{base.name[-12:]}".replace("-", "_").lower()
    create_database(postgres_url, name)
    try:
        monkeypatch.setenv("TSUNAGI_DATABASE_URL", in_database(postgres_url, name))
        behind = run("status")
        assert (behind.code, behind.out) == (78, "")
        assert "Run `tsunagi init`." in behind.err
        first = run("init", lang="ja")
        assert first.code == 0
        assert first.out.startswith("✓ 準備ができました。PostgreSQL ")
        assert run("init").code == 0
        assert run("status").code == 0
    finally:
        drop_database(postgres_url, name)


@pytest.mark.parametrize(
    ("lang", "told"), [("ja", "データベースに接続できません"), ("en", "The database cannot be reached")]
)
@pytest.mark.parametrize("command", [("status",), ("pull", "north", "stock"), ("init",)])
def test_a_database_that_is_not_there_is_one_sentence(
    run: Run, base: Path, monkeypatch: pytest.MonkeyPatch, lang: str, told: str, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", "postgresql://nobody:hunter2@127.0.0.1:1/none")
    seen = run(*command, lang=lang)
    assert (seen.code, seen.out, seen.error) == (75, "", None)
    assert told in seen.err
    assert "hunter2" not in seen.err
    assert seen.err.count("\n") == 1


def test_a_wrong_variable_is_a_setting_to_mend(run: Run, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", "mysql://x")
    seen = run("status", lang="ja")
    assert (seen.code, seen.out) == (78, "")
    assert "TSUNAGI_DATABASE_URL" in seen.err


def test_the_program_speaks_the_language_of_the_environment(spawn: Spawn, tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    for lang, told in (("ja", "接続できません"), ("en", "cannot be reached")):
        ended = spawn("status", TSUNAGI_LANG=lang, TSUNAGI_DATABASE_URL=url)
        assert ended.returncode == 75
        assert told in ended.stderr.decode()
        assert b"Traceback" not in ended.stderr


def test_stop_without_anything_running_says_so(run: Run) -> None:
    seen = run("stop", lang="ja")
    assert (seen.code, seen.out) == (0, "動いているものはありません。\n")


def test_demo_and_its_errors_are_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.words import HubError

    def broken(*, day: date | None) -> None:
        assert day == date(2026, 11, 21)
        raise HubError("Airflow が起動しません", "Airflow does not start")

    monkeypatch.setattr("hub.demo.run_demo", broken)
    seen = run("demo", "--day", "2026-11-21")
    assert (seen.code, seen.err) == (1, "✗ Airflow does not start\n")


# ---------------------------------------------------------------- check


def test_check_looks_at_everything_in_one_line_each(run: Run, base: Path) -> None:
    system = (base / "systems" / "north.yaml").read_text("utf-8")
    (base / "systems" / "north.yaml").write_text(
        system.replace("{pull: stock,", '{schedule: "0 9 * * *", pull: stock,'), "utf-8"
    )
    (base / "home" / "mappings" / "test_shop" / "unused.in.yaml").write_text("version: x\n", "utf-8")
    (base / "systems" / "west.yaml").write_text("system: west\nconnector: tset_shop\ntitle: West\n", "utf-8")
    (base / "south").rename(base / "elsewhere")
    seen = run("check", "--json")
    assert seen.code == 1
    assert all(set(row) == {"what", "name", "ok", "seen"} for row in seen.rows)
    found = {(row["what"], row["name"]): row for row in seen.rows}
    assert found["database", "PostgreSQL"]["ok"]
    assert found["system_file", "north"]["ok"]
    assert found["mapping", "test_shop/orders.in"]["seen"] == "Test orders (order, version 1)"
    assert found["schedule", "north/stock"]["seen"].endswith("09:00 (Japan time)")
    assert found["account", "north"] == {
        "what": "account",
        "name": "north",
        "ok": True,
        "seen": "folder found",
    }
    failed = {key for key, row in found.items() if not row["ok"]}
    assert failed == {("system_file", "west"), ("mapping", "test_shop/unused.in"), ("account", "south")}
    assert "test_shop" in found["system_file", "west"]["seen"]
    assert "no folder" in found["account", "south"]["seen"]


def test_check_of_one_system_for_people(run: Run, base: Path) -> None:
    seen = run("check", "north", lang="ja")
    assert seen.code == 0
    lines = seen.out.splitlines()
    assert "✓ システム定義 north: test_shop、フロー 9 個" in lines
    assert "✓ マッピング test_shop/stock.out: テスト在庫送信 (stock_position 版1)" in lines
    assert lines[-1] == "✓ 接続 north: folder found"
    assert "south" not in seen.out
    wrong = run("check", "nroth")
    assert (wrong.code, wrong.out) == (2, "")
    assert "north" in wrong.err


def test_check_needs_no_database_for_one_system(
    run: Run, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert run("check", "north").code == 0
    seen = run("check", "--json")
    assert seen.code == 1
    assert [row["name"] for row in seen.rows if not row["ok"]] == ["PostgreSQL"]


def test_check_tells_of_a_file_that_cannot_be_read_and_goes_on(run: Run, base: Path) -> None:
    (base / "systems" / "east.yaml").write_text("system: [\n", "utf-8")
    whole = run("check", "--json")
    assert [row["name"] for row in whole.rows if not row["ok"]] == ["east"]
    one = run("check", "east")
    assert one.code == 1
    assert "east.yaml:" in one.out


def test_a_bug_in_one_connector_does_not_hide_the_other_accounts(
    run: Run, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shop import shop

    def broken(call: Any) -> str:
        if call.system == "north":
            raise ZeroDivisionError("misaki@example.jp")
        return "fine"

    monkeypatch.setattr(shop, "check_function", broken)
    seen = run("check", "--json")
    accounts = {row["name"]: (row["ok"], row["seen"]) for row in seen.rows if row["what"] == "account"}
    assert accounts == {"north": (False, "ZeroDivisionError: ***"), "south": (True, "fine")}


def test_a_secret_that_everybody_can_read_is_told(run: Run, base: Path) -> None:
    path = base / "home" / "secrets" / "north.json"
    path.parent.mkdir()
    path.write_text('{"password": "hunter2"}')
    path.chmod(0o644)
    seen = run("check", "north")
    assert seen.code == 1
    assert "chmod 600" in seen.out
    assert "hunter2" not in seen.out + seen.err


# ---------------------------------------------------------------- status


def test_status_fits_eighty_columns_in_japanese(run: Run, base: Path) -> None:
    for path in (ROOT / "systems").glob("*.yaml"):
        (base / "systems" / path.name).write_text(path.read_text("utf-8"), "utf-8")
    put(base, "north", "stock", [{"sku": "A", "location": "W1", "on_hand": "many"}])
    run("pull", "north", "stock")
    seen = run("status", lang="ja")
    assert seen.code == 0
    lines = seen.out.splitlines()
    assert max(cell_len(line) for line in lines) <= 80
    assert any(line.startswith(" rakuten-main  楽天市場 本店") for line in lines)
    assert any(line.startswith("  → shipping_report  出荷完了報告の送信") for line in lines)
    row = next(line for line in lines if line.startswith("  ← stock ") and "成功" in line)
    assert row.split()[-2:] == ["成功", "1"]
    assert sum("未実行" in line for line in lines) > 10


def test_status_json_is_one_flow_a_line(run: Run, base: Path) -> None:
    put(base, "north", "stock", [{"sku": "A", "location": "W1", "on_hand": 5}])
    run("pull", "north", "stock")
    rows = run("status", "--json", "--system", "north").rows
    assert {row["system"] for row in rows} == {"north"}
    row = next(row for row in rows if row["flow"] == "stock")
    assert (row["outcome"], row["counts"]["created"], row["late"]) == ("ok", 1, False)
    assert row["last_run_at"].endswith("Z")
    assert run("status", "--system", "nroth").code == 2


def test_status_tells_why_a_flow_failed_and_which_files_cannot_be_read(run: Run, base: Path) -> None:
    (base / "systems" / "east.yaml").write_text("system: [\n", "utf-8")
    put(base, "north", "stock", [{"sku": "A", "location": "W1", "on_hand": 5}])
    run("pull", "north", "stock")
    (base / "south" / "sink_stock.faults").write_text('[{"when": "before", "do": "misconfigured"}]')
    run("push", "south", "stock_out")
    seen = run("status")
    assert seen.code == 0
    assert "✗ settings" in seen.out
    assert "✗ south/stock_out: the key expired" in seen.out
    assert "1" in next(line for line in seen.out.splitlines() if "→ stock_out" in line and "settings" in line)
    assert "east.yaml:" in seen.err
