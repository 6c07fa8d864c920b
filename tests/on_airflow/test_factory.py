"""From system files to DAGs, as Airflow reads them: ids, titles, schedules, assets, forms, faults."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from dags import factory
from dags.factory import build
from hub.home import Home, Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(shop: Settings) -> Settings:
    return shop


def dags(settings: Settings) -> dict[str, DAG]:
    built = build(settings)
    assert built.faults == []
    return built.dags


def in_english(settings: Settings) -> Settings:
    return Settings(settings.home, settings.database_url, settings.systems, "en")


def test_every_flow_is_one_dag_and_the_house_keeps_itself(settings: Settings) -> None:
    assert set(dags(settings)) == {"shop__items", "shop__levels", "shop__stock", "tsunagi__housekeeping"}


def test_titles_and_pages_are_in_the_operators_language(settings: Settings) -> None:
    japanese, english = dags(settings)["shop__stock"], dags(in_english(settings))["shop__stock"]
    assert japanese.dag_display_name == "見本の店:在庫更新の送信"
    assert english.dag_display_name == "Sample shop: Stock out"
    assert japanese.description == english.dag_display_name
    assert "うまくいかないとき" in (japanese.doc_md or "")
    assert "When something is wrong" in (english.doc_md or "")
    assert "出品 `listing`" in (japanese.doc_md or "")


def test_a_pull_writes_the_assets_that_a_push_waits_for(settings: Settings) -> None:
    found = dags(settings)
    outlets = {outlet.name for outlet in found["shop__items"].task_dict["pull"].outlets}
    assert outlets == {"listing", "sellable"}
    waits = {asset.name for asset in found["shop__stock"].timetable.asset_condition.objects}
    assert waits == {"stock_position", "listing"}


def test_a_push_without_a_schedule_is_swept_twice_an_hour(settings: Settings) -> None:
    sweep = dags(settings)["shop__stock"].timetable.timetable.expression
    first, second = map(int, sweep.split()[0].split(","))
    assert second - first == 30
    assert sweep.endswith(" * * * *")


def test_owner_tags_retries_and_timeout_come_from_the_file(settings: Settings) -> None:
    found = dags(settings)
    task = found["shop__items"].task_dict["pull"]
    assert task.owner == "sales"
    assert task.retries == 3
    assert task.execution_timeout == timedelta(minutes=20)
    assert found["shop__items"].max_active_runs == 1
    assert found["shop__stock"].tags >= {"shop", "sample", "push", "stock_position", "urgent"}


def test_the_form_is_japanese_and_refuses_what_it_cannot_use(settings: Settings) -> None:
    form = dags(settings)["shop__items"].params
    assert form.get_param("since").schema["title"] == "この日時から"
    form["since"] = "2026-11-21T09:00:00+09:00"
    form.validate()
    with pytest.raises(ParamValidationError, match="SKU1"):
        dags(settings)["shop__stock"].params.get_param("keys").resolve("SKU1")
    with pytest.raises(ParamValidationError, match="soon"):
        dags(settings)["shop__stock"].params.get_param("all").resolve("soon")


def test_every_dag_passes_through_airflows_serialisation(settings: Settings) -> None:
    for dag in dags(settings).values():
        again = DagSerialization.from_dict(DagSerialization.to_dict(dag))
        assert again.dag_id == dag.dag_id
        assert again.timetable.summary


def test_a_tasks_process_builds_its_own_dag_only(settings: Settings) -> None:
    assert set(build(settings, only="shop__items").dags) == {"shop__items"}
    assert set(build(settings, only="tsunagi__housekeeping").dags) == {"tsunagi__housekeeping"}


@pytest.mark.parametrize(
    ("name", "text", "ja", "en"),
    [
        ("torn", "system: torn\nflows: {a: [", "torn.yaml:2", "torn.yaml:2"),
        ("no-connector", "system: no-connector\nconnector: nowhere\ntitle: x\n", "nowhere", "nowhere"),
    ],
)
def test_a_broken_file_hides_no_other_and_is_named(
    settings: Settings, name: str, text: str, ja: str, en: str
) -> None:
    (settings.systems[0] / f"{name}.yaml").write_text(text)
    built = build(settings)
    assert {"shop__items", "shop__stock"} <= set(built.dags)
    assert [fault for fault in built.faults if ja in fault.ja and en in fault.en]


def test_a_broken_flow_leaves_the_other_flows_of_its_system(settings: Settings) -> None:
    path = settings.systems[0] / "shop.yaml"
    path.write_text(path.read_text() + "  lost: {push: stock, mapping: sample/nothing.out}\n"
                    "  wrong: {push: prices, mapping: sample/stock.out}\n")  # fmt: skip
    built = build(settings)
    assert {"shop__items", "shop__levels", "shop__stock"} <= set(built.dags)
    assert not {"shop__lost", "shop__wrong"} & set(built.dags)
    told = "\n".join(fault.en for fault in built.faults)
    assert "shop.yaml:10: flows.lost.mapping" in told
    assert "shop.yaml:11: flows.wrong.push" in told


def test_a_mapping_that_breaks_its_loader_leaves_the_other_flows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = factory.load_mapping

    def torn(name: str, **options):
        if name == "sample/stock.in":
            raise ZeroDivisionError("a bug")
        return load(name, **options)

    monkeypatch.setattr(factory, "load_mapping", torn)
    built = build(settings)
    assert {"shop__items", "shop__stock"} <= set(built.dags)
    assert "shop__levels" not in built.dags
    assert any("flows.levels: ZeroDivisionError: a bug" in fault.en for fault in built.faults)


def test_airflow_lists_the_faults_under_import_errors_and_keeps_the_dags(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (settings.systems[0] / "torn.yaml").write_text("system: torn\nflows: {a: [")
    bag = DagBag(dag_folder=ROOT / "dags")
    assert {"shop__items", "shop__stock"} <= set(bag.dags)
    assert [Path(name).name for name in bag.import_errors] == ["system_faults.py"]
    assert "torn.yaml:2" in next(iter(bag.import_errors.values()))


def test_without_faults_airflow_shows_none(settings: Settings) -> None:
    bag = DagBag(dag_folder=ROOT / "dags")
    assert bag.import_errors == {}
    assert set(bag.dags) == {"shop__items", "shop__levels", "shop__stock", "tsunagi__housekeeping"}


def test_no_system_files_at_all_is_a_fault_that_says_where_they_are_looked_for(tmp_path: Path) -> None:
    built = build(Settings(Home(tmp_path), None, (tmp_path / "nowhere",), "ja"))
    assert "TSUNAGI_SYSTEMS" in built.faults[0].ja
    assert set(built.dags) == {"tsunagi__housekeeping"}
