"""The nightly comparison: a DAG of its own for each system that asks for one, which fails when too much differs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import select, text

from dags import factory
from dags.factory import build
from hub.home import Settings
from hub.store.database import migrate, open_engine

ROOT = Path(__file__).resolve().parents[2]
DAG_ID = "shop__reconcile__nightly"
RED = [{"sku": "R", "name": "赤いりんご"}, {"sku": "G", "name": "青いりんご"}]


@pytest.fixture
def settings(shop: Settings) -> Settings:
    path = shop.systems[0] / "shop.yaml"
    path.write_text(
        path.read_text("utf-8") + 'reconcile: {at: "02:15", entities: {listing: {limit: 1}}}\n', "utf-8"
    )
    return shop


@pytest.fixture
def run(
    settings: Settings, database_url: str, airflow_database: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Any]:
    """Run a DAG once; returns the finished DAG run."""
    engine = open_engine(database_url)
    migrate(engine)
    engine.dispose()
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)
    monkeypatch.setitem(factory.TASK, "retry_delay", timedelta(milliseconds=100))

    def once(dag_id: str) -> Any:
        return DagBag(dag_folder=ROOT / "dags" / "tsunagi_flows.py").dags[dag_id].test()

    return once


def test_a_system_that_asks_for_it_has_a_nightly_dag_and_no_other(settings: Settings, shop: Settings) -> None:
    built = build(settings)
    assert built.faults == []
    dag = built.dags[DAG_ID]
    assert dag.timetable.expression == "15 2 * * *"
    assert (dag.dag_display_name, dag.max_active_tasks) == ("見本の店:夜間の照合", 1)
    assert [task.retries for task in dag.tasks] == [5]
    assert set(dag.task_dict) == {"listing"}
    assert "出品 `listing` | 30 | 1" in (dag.doc_md or "")
    assert set(build(settings, only=DAG_ID).dags) == {DAG_ID}


@pytest.mark.parametrize("kind", ["order", "sellable", "listings"])
def test_what_cannot_be_compared_is_a_fault_of_the_file(settings: Settings, kind: str) -> None:
    path = settings.systems[0] / "shop.yaml"
    path.write_text(path.read_text("utf-8").replace("{listing: {limit: 1}}", f"{{{kind}: {{}}}}"), "utf-8")
    built = build(settings)
    assert DAG_ID not in built.dags
    assert "shop__items" in built.dags
    assert [fault for fault in built.faults if f"reconcile.entities.{kind}" in fault.en]


def _result(dag_run: Any) -> dict[str, Any]:
    with create_session() as session:
        query = select(XComModel.value).where(
            XComModel.dag_id == dag_run.dag_id,
            XComModel.run_id == dag_run.run_id,
            XComModel.key == "return_value",
        )
        return session.scalars(query).one()


def test_below_the_limit_the_night_is_green_with_a_report_and_above_it_red(
    run: Any, sample: Any, database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    sample.pages["items"] = [RED]
    assert run("shop__items").state == "success"
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM entity WHERE key = 'shop/R'"))
    done = run(DAG_ID)
    assert done.state == "success"
    told = _result(done)
    assert (told["differences"], told["counts"]["only_system"]) == (1, 1)
    assert (Path(told["folder"]) / "index.html").is_file()
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM entity WHERE kind = 'listing'"))
    capfd.readouterr()
    red = run(DAG_ID)
    assert red.state == "failed"
    assert [task.try_number for task in red.get_task_instances()] == [1]
    said = "".join(capfd.readouterr())
    assert "差異が 2 件あります(上限 1)" in said
    assert "tsunagi reconcile fix 2" in said
    assert "対処: 報告書で差異を確認し" in said
    with engine.connect() as connection:
        assert (
            list(connection.scalars(text("SELECT outcome FROM reconcile_run ORDER BY id")))
            == ["different"] * 2
        )
    engine.dispose()
