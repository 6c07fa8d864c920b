"""Flows run by Airflow itself, against a real PostgreSQL: what is done, what wakes whom, how failures end."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models import Connection
from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import delete, select

from connectors.contract import Misconfigured, Retry
from dags import factory
from dags.operators import given
from hub.engine import Hub
from hub.home import Settings
from hub.store.database import migrate, open_engine
from hub.words import HubError

ROOT = Path(__file__).resolve().parents[2]
RED = [{"sku": "R", "name": "赤いりんご"}, {"sku": "G", "name": "青いりんご"}]


@pytest.fixture
def run(
    shop: Settings, database_url: str, airflow_database: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Run a flow's DAG once; returns the finished DAG run."""
    engine = open_engine(database_url)
    migrate(engine)
    engine.dispose()
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)
    # what fails unexpectedly here fails soon; the waits that are meant are longer
    monkeypatch.setitem(factory.TASK, "retry_delay", timedelta(milliseconds=100))

    def once(dag_id: str, **params: Any) -> Any:
        bag = DagBag(dag_folder=ROOT / "dags" / "tsunagi_flows.py")
        return bag.dags[dag_id].test(run_conf=params)

    return once


def result(dag_run: Any, task: str) -> dict[str, Any]:
    with create_session() as session:
        query = select(XComModel.value).where(
            XComModel.dag_id == dag_run.dag_id, XComModel.run_id == dag_run.run_id,
            XComModel.task_id == task, XComModel.key == "return_value",
        )  # fmt: skip
        return session.scalars(query).one()


def events(dag_run: Any) -> dict[str, Any]:
    """Asset -> what the event of this run says."""
    with create_session() as session:
        query = (
            select(AssetModel.name, AssetEvent.extra)
            .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
            .where(AssetEvent.source_dag_id == dag_run.dag_id, AssetEvent.source_run_id == dag_run.run_id)
        )
        return {event.name: event.extra for event in session.execute(query)}


def test_a_pull_takes_in_and_its_summary_is_small(run: Any, sample: Any) -> None:
    sample.pages["items"] = [RED]
    done = run("shop__items")
    assert done.state == "success"
    report = result(done, "pull")
    assert (report["records"], report["created"], report["kinds"]) == (2, 2, {"listing": 2})
    with Hub.open() as hub:
        assert [flow.outcome for flow in hub.status() if flow.flow == "items"] == ["ok"]


def test_only_a_pull_that_changed_something_wakes_who_waits(run: Any, sample: Any) -> None:
    sample.pages["items"] = [RED]
    assert events(run("shop__items")) == {"listing": {"changed": 2, "from": "shop"}}
    assert events(run("shop__items")) == {}
    sample.pages["items"].append(RED)
    assert events(run("shop__items")) == {}
    sample.pages["items"].append([{"sku": "R", "name": "赤いりんご(大)"}])
    assert events(run("shop__items")) == {"listing": {"changed": 1, "from": "shop"}}


def test_a_push_sends_what_changed_once(run: Any, sample: Any) -> None:
    sample.pages["items"] = [RED]
    sample.pages["levels"] = [[{"sku": "R", "quantity": "7"}, {"sku": "unlisted", "quantity": "1"}]]
    for flow in ("shop__items", "shop__levels"):
        run(flow)
    done = run("shop__stock")
    assert done.state == "success"
    assert [(change.key, change.record["quantity"]) for change in sample.sent] == [("R", 7)]
    assert result(done, "push")["done"] == 1
    run("shop__stock")
    assert len(sample.sent) == 1


def test_what_the_operator_typed_reaches_the_connector(run: Any, sample: Any) -> None:
    run("shop__items", since="2026-11-20T00:00:00Z")
    assert sample.params == [{"since": "2026-11-20T00:00:00+00:00"}]


def test_a_time_without_a_zone_is_japans_and_empty_fields_say_nothing() -> None:
    assert given({"since": "2026-11-20T09:00:00", "until": None, "keys": [], "all": False}) == {
        "since": "2026-11-20T09:00:00+09:00"
    }
    with pytest.raises(HubError) as caught:
        given({"until": "yesterday"})
    assert "yesterday" in caught.value.ja


def test_a_secret_typed_into_airflows_form_reaches_the_connector(
    run: Any, sample: Any, shop: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("shop__items")
    with create_session() as session:
        session.add(Connection(conn_id="shop", conn_type="sample", password="from the form"))
    try:
        run("shop__items")
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", '{"password": "from the environment"}')
        run("shop__items")
    finally:
        with create_session() as session:
            session.execute(delete(Connection).where(Connection.conn_id == "shop"))
    assert sample.tokens == [None, "from the form", "from the environment"]


def test_a_bad_row_leaves_the_run_green_and_is_told(
    run: Any, sample: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    sample.pages["items"] = [[*RED, {"sku": "N"}]]
    done = run("shop__items")
    assert done.state == "success"
    assert result(done, "pull")["quarantined"] == 1
    assert "隔離した 1 件の理由は" in "".join(capfd.readouterr())


def test_a_retry_waits_as_long_as_the_other_side_asked(
    run: Any, sample: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    sample.pages["items"], sample.errors = [RED], [Retry("混雑しています", after=timedelta(seconds=2))]
    began = time.monotonic()
    done = run("shop__items")
    assert done.state == "success"
    assert [task.try_number for task in done.get_task_instances()] == [2]
    assert time.monotonic() - began >= 2
    told = "".join(capfd.readouterr())
    assert "見本の店:商品の取込 は完了しませんでした。" in told
    assert "操作は不要です" in told


def test_what_a_person_must_mend_fails_at_once_and_what_was_read_stays(
    run: Any, sample: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    sample.pages["items"], sample.errors = [RED], [Misconfigured("鍵の期限が切れました")]
    done = run("shop__items")
    assert done.state == "failed"
    assert [(task.state, task.try_number) for task in done.get_task_instances()] == [("failed", 1)]
    told = "".join(capfd.readouterr())
    assert "鍵の期限が切れました" in told
    assert "tsunagi check shop" in told
    assert events(done) == {}
    with Hub.open() as hub:
        status = next(flow for flow in hub.status() if flow.flow == "items")
        assert (status.outcome, status.counts["created"]) == ("misconfigured", 2)


def test_housekeeping_runs(run: Any) -> None:
    assert run("tsunagi__housekeeping").state == "success"
