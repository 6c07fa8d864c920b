"""`tsunagi reconcile` as an operator types it: exit codes, what is said, what is masked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner
from yard import Yard

from hub.cli import app, output


@pytest.fixture
def run(yard: Yard, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TSUNAGI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TSUNAGI_SYSTEMS", str(tmp_path / "systems"))
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)

    def call(*args: object, lang: str = "en") -> Any:
        output.out.cache_clear()
        output.err.cache_clear()
        return CliRunner().invoke(
            app, ["reconcile", *map(str, args)], env={"TSUNAGI_LANG": lang, "COLUMNS": "160"}
        )

    return call


def test_from_the_first_look_to_the_clean_one(yard: Yard, run: Any, tmp_path: Path) -> None:
    yard.everything()
    lost = min(yard.shop.orders)
    yard.sql("DELETE FROM entity WHERE key = :key", key=f"rakuten/{lost}")
    found = run("rakuten", "order")
    assert found.exit_code == 1, found.output
    assert "Only at the system 1" in found.stderr + found.stdout
    assert "tsunagi reconcile fix 1" in found.stdout
    assert len(list((tmp_path / "home" / "reports" / "reconcile").glob("rakuten-order-*/index.html"))) == 1

    plan = run("fix", 1)
    assert plan.exit_code == 0
    assert f"rakuten/{lost}" in plan.stdout
    assert "To be taken in again: 1" in plan.stdout
    assert yard.sql("SELECT count(*) FROM entity WHERE key = :key", key=f"rakuten/{lost}")[0][0] == 0
    assert run("fix", 1, "--apply").exit_code == 2

    done = run("fix", 1, "--apply", "--reason", "lost event", "--json")
    assert done.exit_code == 0, done.output
    assert orjson.loads(done.stdout)["fixed"] == 1
    assert run("run", "rakuten", "order", "--grace", 0, "--json").exit_code == 0
    listed = run("list", "--json")
    assert [(row["run"], row["outcome"]) for row in map(orjson.loads, listed.stdout.splitlines())] == [
        (2, "equal")
    ]


def test_customers_keys_are_masked_until_asked_for(yard: Yard, run: Any) -> None:
    yard.everything()
    order = yard.shop.orders[min(yard.shop.orders)]
    email = order["OrdererModel"]["emailAddress"]
    order["OrdererModel"]["city"] = "港区"
    yard.sql("UPDATE entity SET updated_at = now() - interval '2 hours'")
    assert run("rakuten", "customer").exit_code == 1
    assert email not in run("fix", 1).stdout
    assert email not in run("fix", 1, "--json").stdout
    assert email in run("fix", 1, "--json", "--reveal").stdout


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("nowhere", "order"), 2, "nowhere"),
        (("rakuten", "shipment"), 1, "customer, listing, order, sellable"),
        (("wms", "stock"), 1, "--file"),
        (("wms", "stock", "--file", "nothing.csv"), 1, "nothing.csv"),
        (("fix", 99), 2, "99"),
        (("rakuten", "order", "--since", "yesterday"), 2, "yesterday"),
        (("fix", 1, "--only", "both"), 2, "--only"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_can(run: Any, args: tuple, code: int, said: str) -> None:
    done = run(*args)
    assert done.exit_code == code, done.output
    assert said in done.stderr


def test_status_tells_of_differences(yard: Yard, run: Any) -> None:
    yard.everything()
    yard.sql("DELETE FROM entity WHERE key = :key", key=f"rakuten/{min(yard.shop.orders)}")
    run("rakuten", "order", lang="ja")
    output.err.cache_clear()
    status = CliRunner().invoke(app, ["status"], env={"TSUNAGI_LANG": "ja", "COLUMNS": "160"})
    assert "照合 rakuten order" in status.stderr
    assert "差異 1 件" in status.stderr
