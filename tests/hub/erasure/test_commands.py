"""`tsunagi erase` as an operator has it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from hub.cli import app, output
from hub.engine import Hub
from tests.hub.cli.support import Ran
from tests.hub.erasure.town import HANAKO, MARKERS, drop, dump, first_day, order, traces

Run = Callable[..., Ran]
VALUES = "hanako.k@example.jp\n03-0123-4567\n東京都渋谷区渋谷9丁目8番7号\n"


@pytest.fixture
def run(hub: Hub, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    first_day(hub, tmp_path)
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)
    monkeypatch.setenv("TSUNAGI_SYSTEMS", str(tmp_path / "systems"))

    def call(*args: object, lang: str = "en", stdin: str | None = None) -> Ran:
        output.out.cache_clear()
        output.err.cache_clear()
        env = {"TSUNAGI_LANG": lang, "COLUMNS": "160"}
        result = CliRunner().invoke(app, [str(arg) for arg in args], env=env, input=stdin)
        known = None if isinstance(result.exception, SystemExit) else result.exception
        return Ran(result.exit_code, result.stdout, result.stderr, known)

    yield call
    output.out.cache_clear()
    output.err.cache_clear()


def test_the_whole_way(run: Run, database_url: str) -> None:
    before = dump(database_url)
    dry = run("erase", "customer", "mailorder/C-77", "--dry-run", "--open-orders")
    assert dry.code == 0, dry.err
    assert "core" in dry.out
    assert "What the hub holds" in dry.out
    assert not any(marker in dry.out + dry.err for marker in MARKERS)
    assert dump(database_url) == before
    held = run("erase", "customer", "mailorder/C-77", "--yes")
    assert (held.code, "still to be shipped" in held.err) == (1, True)
    assert run("erase", "customer", "mailorder/C-77", "--open-orders", stdin="n\n").code != 0
    assert dump(database_url) == before
    done = run(
        "erase",
        "customer",
        "mailorder/C-77",
        "--yes",
        "--open-orders",
        "--with-alike",
        "--reason",
        "letter 12",
    )
    assert done.code == 0, done.err
    again = run("erase", "customer", "mailorder/C-77", "--yes")
    assert (again.code, "already" in again.out) == (0, True)
    assert run("erase", "verify", "1", stdin=VALUES).code == 0
    assert run("erase", "verify", "mailorder/C-77", stdin=VALUES).code == 0


def test_verify_tells_where_something_is_left(run: Run, home: Path) -> None:
    run("erase", "customer", "mailorder/C-77", "--yes", "--open-orders", "--with-alike")
    (home / "reports/list.csv").write_bytes("x,ﾊﾅｺ,０３－０１２３－４５６７\r\n".encode("utf-16"))
    left = run("erase", "verify", 1, "--json", stdin="03-0123-4567\n")
    assert left.code == 1
    assert [row["file"].endswith("reports/list.csv") for row in left.rows] == [True]
    namesake = run("erase", "verify", 1, "--json", stdin="川嶋花子\n")
    assert namesake.code == 1
    tables = {row["where"].split(".")[1] for row in namesake.rows if "where" in row}
    assert {"entity", "intake_body"} <= tables <= {"delivery_change", "entity", "intake_body", "ledger"}
    assert run("erase", "verify", 1, stdin="").code == 2
    assert run("erase", "verify", 99, stdin="x y z\n").code == 1


def test_the_register_holds_no_personal_data(run: Run) -> None:
    run("erase", "customer", "mailorder/C-77", "--yes", "--open-orders", "--reason", "letter 12")
    row = run("erase", "list", "--json").rows[0]
    assert (row["id"], row["reason"], row["lifted_at"]) == (1, "letter 12", None)
    assert row["places"]["entity:customer"] == 1
    shown = run("erase", "show", "mailorder/C-77", lang="ja")
    assert shown.code == 0
    assert "letter 12" in shown.out
    told = json.dumps(row, ensure_ascii=False) + shown.out
    assert not any(marker in told for marker in MARKERS)
    assert "C-77" not in json.dumps(row)


def test_lifted_the_person_comes_again(run: Run, hub: Hub, tmp_path: Path, database_url: str) -> None:
    run("erase", "customer", "mailorder/C-77", "--yes", "--open-orders", "--with-alike")
    assert run("erase", "lift", 1, "--yes").code == 0
    assert "before" in run("erase", "lift", 1, "--yes").out
    drop(tmp_path, 2, [order("A-1", HANAKO, "C-77")])
    hub.pull("core", "orders")
    with hub.engine.connect() as connection:
        name = "SELECT content -> 'name' ->> 'full' FROM entity WHERE key = 'mailorder/C-77'"
        assert connection.scalar(text(name)) == "川嶋 花子"
    assert traces(dump(database_url), ["hanako.k@example.jp"])


def test_an_unknown_customer_is_told_without_the_key(run: Run) -> None:
    told = run("erase", "customer", "mailorder/nobody@example.jp", "--yes")
    assert told.code == 1
    assert "nobody@example.jp" not in told.err + told.out


def test_a_wrong_key_of_the_hashes_stops_taking_in(
    run: Run, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("erase", "customer", "mailorder/C-77", "--yes", "--open-orders")
    monkeypatch.setenv("TSUNAGI_ERASURE_KEY", "another machine's")
    drop(tmp_path, 2, [order("A-1", HANAKO, "C-77")])
    from connectors.contract import Misconfigured

    with pytest.raises(Misconfigured, match="erasure-key"):
        hub.pull("core", "orders")
    monkeypatch.delenv("TSUNAGI_ERASURE_KEY")
    assert hub.pull("core", "orders").recovered == 1
