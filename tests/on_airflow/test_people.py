"""The DAG of customer matching: there where customers come in, woken by them, and waking nobody for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent, AssetModel
from airflow.utils.session import create_session
from sqlalchemy import select

from dags.factory import build
from dags.people import PEOPLE, matched_summary
from hub.home import Settings
from hub.people.turn import Matched
from hub.store.database import migrate, open_engine

ROOT = Path(__file__).resolve().parents[2]
CUSTOMERS_IN = """\
version: 1
direction: in
entity: customer
title: {ja: 顧客, en: Customers}
external_id: key
fields:
  key: {from: key, required: true}
  name: {fields: {full: name, full_kana: kana}}
  phones: [phone]
"""
PERSON = {"name": "山田太郎", "kana": "ヤマダタロウ", "phone": "09012345678"}


@pytest.fixture
def settings(shop: Settings) -> Settings:
    """The sample shop, which also brings customers."""
    file = shop.systems[0] / "shop.yaml"
    flow = '  people: {pull: items, mapping: sample/customers.in, schedule: "0 * * * *"}\n'
    file.write_text(file.read_text("utf-8") + flow, "utf-8")
    (shop.home.root / "mappings" / "sample" / "customers.in.yaml").write_text(CUSTOMERS_IN, "utf-8")
    return shop


def events(dag_run: Any) -> dict[str, Any]:
    with create_session() as session:
        query = (
            select(AssetModel.name, AssetEvent.extra)
            .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
            .where(AssetEvent.source_dag_id == dag_run.dag_id, AssetEvent.source_run_id == dag_run.run_id)
        )
        return {event.name: event.extra for event in session.execute(query)}


def test_it_is_there_where_customers_come_in(settings: Settings) -> None:
    built = build(settings)
    assert built.faults == []
    dag = built.dags[PEOPLE]
    assert dag.dag_display_name == "つなぎ:顧客の名寄せ"
    assert {asset.name for asset in dag.timetable.asset_condition.objects} == {"customer"}
    assert set(build(settings, only=PEOPLE).dags) == {PEOPLE}
    assert set(build(settings, only="shop__people").dags) == {"shop__people"}


def test_it_is_not_there_without_customers(shop: Settings) -> None:
    assert PEOPLE not in build(shop).dags


def test_a_run_links_and_tells_whoever_sends_customers_but_only_once(
    settings: Settings,
    sample: Any,
    database_url: str,
    airflow_database: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = open_engine(database_url)
    migrate(engine)
    engine.dispose()
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)
    sample.pages["items"] = [[{"key": "core/1", **PERSON}, {"key": "shop/5", **PERSON}]]
    bag = DagBag(dag_folder=ROOT / "dags" / "tsunagi_flows.py")
    assert bag.dags["shop__people"].test().state == "success"
    first = bag.dags[PEOPLE].test()
    assert first.state == "success"
    assert events(first) == {"customer": {"changed": 1, "from": "hub"}}
    second = DagBag(dag_folder=ROOT / "dags" / "tsunagi_flows.py").dags[PEOPLE].test()
    assert second.state == "success"
    assert events(second) == {}


def test_the_summary_says_what_waits_for_a_person() -> None:
    assert "tsunagi people queue" not in matched_summary(Matched(compared=3, linked=1)).en
    waiting = matched_summary(Matched(compared=3, opened=2, doubted=1))
    assert waiting.en.endswith("3 more wait for a person: see tsunagi people queue")
    assert "新しい判断待ち 3 件" in waiting.ja
