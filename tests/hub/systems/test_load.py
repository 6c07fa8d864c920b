"""System files: what is read, what is told, and that one bad file hides nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hub.calendar import JST, next_run
from hub.systems import Systems, UnknownName, load_systems, system_schema

SCHEMA = Path(__file__).resolve().parents[3] / "systems" / "schema" / "system.schema.json"

GOOD = """\
system: rakuten-main
connector: rakuten_rms
title: {ja: 楽天市場 本店, en: Rakuten Ichiba main shop}
settings: {base_url: "http://127.0.0.1:8801"}
constants: {channel: rakuten}
owner: marketplace
flows:
  orders:
    pull: orders
    mappings: [rakuten_rms/orders.in, rakuten_rms/customers.in]
    schedule: "*/5 * * * *"
    params: {days: 3}
    retries: 2
    timeout: 1h30m
    tags: [ec]
  stock: {push: stock, mapping: rakuten_rms/stock.out, title: 在庫, owner: warehouse}
  closing:
    pull: orders
    mapping: rakuten_rms/orders.in
    schedule: {business_days: [1, -1], at: ["09:00"], calendar: jp-bank}
authority: {order: [rakuten-main]}
alerts: {late_after: 30m}
"""


def load(folder: Path, **files: str) -> Systems:
    for name, text in files.items():
        (folder / f"{name.replace('_', '-')}.yaml").write_text(text, "utf-8")
    return load_systems([folder])


def told(systems: Systems) -> list[str]:
    return [fault.words.en for fault in systems.faults]


def test_everything_a_file_may_say(tmp_path: Path) -> None:
    systems = load(tmp_path, rakuten_main=GOOD)
    assert told(systems) == []
    system = systems.get("rakuten-main")
    assert (system.title.ja, system.title.en) == ("楽天市場 本店", "Rakuten Ichiba main shop")
    assert system.path == tmp_path / "rakuten-main.yaml"
    assert system.alerts.late_after == timedelta(minutes=30)
    orders, stock = system.flow("orders"), system.flow("stock")
    assert orders.mapping_names == ("rakuten_rms/orders.in", "rakuten_rms/customers.in")
    assert (orders.schedule, orders.params, orders.retries, orders.tags) == (
        "*/5 * * * *",
        {"days": 3},
        2,
        ["ec"],
    )
    assert orders.timeout == timedelta(minutes=90)
    assert stock.mapping_names == ("rakuten_rms/stock.out",)
    assert (stock.title.ja, stock.title.en, stock.owner) == ("在庫", "在庫", "warehouse")
    assert systems.authority == {"order": {"*": "rakuten-main"}}


def test_a_business_day_schedule_says_when_it_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systems = load(tmp_path, rakuten_main=GOOD)
    schedule = systems.schedule("rakuten-main", "closing")
    assert schedule is not None
    due = next_run(schedule, datetime(2026, 12, 30, 3, tzinfo=UTC))
    assert due == datetime(2027, 1, 4, 9, tzinfo=JST)
    monkeypatch.setenv("TSUNAGI_LANG", "en")
    assert str(systems.get("rakuten-main").flow("closing").schedule) == "business days (jp-bank, 1, -1) 09:00"
    assert systems.schedule("rakuten-main", "orders") == "*/5 * * * *"
    assert systems.schedule("rakuten-main", "stock") is None


def test_an_own_calendar_stands_beside_the_files(tmp_path: Path) -> None:
    (tmp_path / "calendars").mkdir()
    (tmp_path / "calendars" / "acme.yaml").write_text("closed: ['2027-01-04']\n")
    systems = load(tmp_path, rakuten_main=GOOD.replace("jp-bank", "acme").replace("[1, -1]", "every"))
    assert told(systems) == []
    schedule = systems.schedule("rakuten-main", "closing")
    assert schedule is not None
    assert next_run(schedule, datetime(2027, 1, 1, tzinfo=UTC)) == datetime(2027, 1, 5, 9, tzinfo=JST)


def test_the_environment_is_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP", "leaked")
    text = GOOD.replace("http://127.0.0.1:8801", "http://${SHOP}/$SHOP/{{ env.SHOP }}")
    system = load(tmp_path, rakuten_main=text).get("rakuten-main")
    assert system.settings["base_url"] == "http://${SHOP}/$SHOP/{{ env.SHOP }}"


def test_a_bad_file_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "cp932.yaml").write_bytes("system: cp932\ntitle: 楽天\n".encode("cp932"))
    (tmp_path / "old.yml").write_text("system: old\n")
    systems = load(
        tmp_path,
        rakuten_main=GOOD,
        broken="system: broken\n  connector: [\n",
        empty="",
        listed="- system: listed\n",
        twice="system: twice\nsystem: twice\n",
    )
    assert list(systems.systems) == ["rakuten-main"]
    assert {fault.system: fault.line for fault in systems.faults} == {
        "broken": 2, "cp932": 2, "empty": 1, "listed": 1, "twice": 2, None: 0,
    }  # fmt: skip
    assert all(fault.words.ja != fault.words.en for fault in systems.faults)


def test_a_bad_flow_leaves_its_system_and_the_other_flows(tmp_path: Path) -> None:
    systems = load(tmp_path, rakuten_main=GOOD.replace('"*/5 * * * *"', '"*/5 * *"'))
    assert sorted(systems.get("rakuten-main").flows) == ["closing", "stock"]
    assert len(systems.faults) == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("connector: rakuten_rms", "conector: rakuten_rms", ":2: conector: There is no key 'conector'"),
        ("connector: rakuten_rms\n", "", ":1: 'connector' is missing"),
        ("owner: marketplace", "owner: [a]", ":6: owner: Write a text here (found ['a'])"),
        ("title: {ja: 楽天市場 本店, en: Rakuten", "title: {jp: 楽天市場 本店, en: Rakuten", ":3: title"),
        ("system: rakuten-main", "system: Rakuten_Main", ":1: system: 'Rakuten_Main' is not allowed"),
        ("system: rakuten-main", "system: rakuten-second", ":1: system: Differs from the file's name"),
        ("    retries: 2", "    retrie: 2", ":13: flows.orders.retrie: There is no key 'retrie' here. Did you"),
        ("retries: 2", "retries: many", ":13: flows.orders.retries: Write a whole number here (found 'many')"),
        ("retries: 2", "retries: 99", "flows.orders.retries: Must be 50 or less (found 99)"),
        ("1h30m", "90 minutes", ":14: flows.orders.timeout: A duration is written 30m, 2h, 1h30m or 1d"),
        ('"*/5 * * * *"', '"61 * * * *"', ":11: flows.orders.schedule: '61 * * * *' is no cron expression"),
        ("pull: orders\n    mappings", "pull: orders\n    push: x\n    mappings", ":8: flows.orders: Write either"),
        ("{push: stock, mapping: rakuten_rms/stock.out,", "{push: stock,", ":16: flows.stock: Write either mapping"),
        ("mapping: rakuten_rms/stock.out", "mappings: [a/b.out, a/c.out]", ":16: flows.stock: A push has one mapping"),
        ("  stock:", "  Stock Out:", "flows"),
        ('at: ["09:00"]', 'at: ["9 Uhr"]', ":20: flows.closing.schedule.at[0]: '9 Uhr' is not allowed here"),
        (', at: ["09:00"]', "", ":20: flows.closing.schedule: 'at' is missing"),
        ("[1, -1]", "[0.5]", "flows.closing.schedule.business_days"),
        ("jp-bank", "jpbank", ":20: flows.closing.schedule.calendar: There is no calendar 'jpbank'. Did"),
        ("order: [rakuten-main]", "orders: [rakuten-main]", ":21: authority.orders: There is no entity kind 'orders'"),
        ("order: [rakuten-main]", "order: {lins: rakuten-main}", ":21: authority.order.lins: order has no field"),
        ("order: [rakuten-main]", "order: rakuten", ":21: authority.order: There is no system 'rakuten'"),
        ("late_after: 30m", "late_after: soon", ":22: alerts.late_after: A duration is written"),
        ("late_after: 30m", "late_afer: 30m", ":22: alerts.late_afer: There is no key 'late_afer'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    systems = load(tmp_path, rakuten_main=GOOD.replace(old, new, 1))
    assert any(said in text for text in told(systems)), told(systems)
    assert all(fault.words.ja != fault.words.en for fault in systems.faults)


def test_of_two_files_with_one_name_the_first_folder_counts(tmp_path: Path) -> None:
    for folder, owner in (("a", "first"), ("b", "second")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rakuten-main.yaml").write_text(GOOD.replace("marketplace", owner), "utf-8")
    systems = load_systems([tmp_path / "a", tmp_path / "b", tmp_path / "missing"])
    assert systems.get("rakuten-main").owner == "first"
    assert any("has the same name" in text for text in told(systems))
    assert any("There is no such folder" in text for text in told(systems))


def test_two_files_that_claim_the_same_field_are_told(tmp_path: Path) -> None:
    core = "system: core\nconnector: files\ntitle: 基幹\nauthority: {order: core, product: {name: core}}\n"
    systems = load(tmp_path, core=core, rakuten_main=GOOD)
    assert systems.authority == {"order": {"*": "core"}, "product": {"name": "core"}}
    assert any("Another file says core owns order.*" in text for text in told(systems))


def test_an_unknown_name_brings_the_nearest(tmp_path: Path) -> None:
    systems = load(tmp_path, rakuten_main=GOOD, core="system: core\n")
    with pytest.raises(UnknownName, match="Did you mean 'rakuten-main'") as caught:
        systems.get("rakuten-mian")
    assert "もしかして" in caught.value.ja
    with pytest.raises(UnknownName, match="Did you mean 'orders'"):
        systems.get("rakuten-main").flow("order")
    with pytest.raises(UnknownName, match="'connector' is missing"):
        systems.get("core")


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSUNAGI_LANG", "en")


def test_the_schema_for_editors_is_current() -> None:
    assert json.loads(SCHEMA.read_text("utf-8")) == system_schema(), "run: make schemas"


def test_the_schema_accepts_what_we_accept_and_refuses_what_we_refuse() -> None:
    validator = jsonschema.Draft202012Validator(system_schema())
    good: Any = yaml.safe_load(GOOD)
    validator.validate(good)
    for wrong in ({"flows": {"Bad Name": {}}}, {"conector": "x"}, {"alerts": {"late_after": "soon"}}):
        assert not validator.is_valid({**good, **wrong})
