"""`tsunagi explain`: for each value the system, the page, the row, the column and the mapping."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from hub.engine import Hub
from hub.explain import Explanation, Origin, explain
from hub.intake import erase_bodies
from tests.hub.cli.support import Run, csv_of


def put(base: Path, system: str, folder: str, number: int, records: list[dict[str, Any]]) -> None:
    (base / system / folder / f"{number:04d}.json").write_text(
        json.dumps(records, ensure_ascii=False), "utf-8"
    )


def stock(sku: str, on_hand: object, **more: object) -> dict[str, Any]:
    return {"sku": sku, "location": "W1", "on_hand": on_hand, **more}


def order(number: str, **more: Any) -> dict[str, Any]:
    return {
        "number": number, "at": "2026-11-21T10:00:00+09:00", "buyer": "髙﨑 花子", "payment": "カード", "total": 1100,
        "recipients": [{"id": "1", "name": "髙﨑 花子"}],
        "lines": [{"id": "1", "sku": "A", "quantity": 2, "price": 550}], **more,
    }  # fmt: skip


def told(kind: str, key: str) -> Explanation:
    with Hub.open() as hub:
        return explain(hub, kind, key)


def by_field(found: Explanation) -> dict[str, Origin]:
    return {origin.field: origin for origin in found.origins}


def owns(base: Path, what: str) -> None:
    path = base / "systems" / "north.yaml"
    path.write_text(path.read_text("utf-8") + f"authority: {what}\n", "utf-8")


def test_every_value_has_page_row_column_and_transforms(run: Run, base: Path) -> None:
    put(base, "north", "stock", 1, [stock("Z", 1), stock("A", "5", allocated=2)])
    run("pull", "north", "stock")
    (found,) = run("explain", "stock_position", "A@W1", "--json").rows
    origins = {origin["field"]: origin for origin in found["origins"]}
    assert set(origins) == {"key", "sku", "location", "on_hand", "allocated"}
    assert origins["on_hand"] == {
        "field": "on_hand", "value": 5, "system": "north", "mapping": "test_shop/stock.in", "mapping_version": 1,
        "intake_id": origins["on_hand"]["intake_id"], "name": "0001.json", "line": 1, "source": "on_hand",
        "how": "integer", "derived": False,
    }  # fmt: skip
    assert found["references"] == [{"system": "north", "external_id": "A"}]
    assert [(row["version"], row["system"]) for row in found["history"]] == [(1, "north")]


def test_rows_of_a_group_are_told_apart(run: Run, base: Path) -> None:
    (base / "north" / "lines" / "a.csv").write_text("7,A,1\n8,B,2\n8,C,3\n")
    run("pull", "north", "lines")
    origins = by_field(told("order", "north/8"))
    assert (origins["lines[0].sku"].line, origins["lines[1].sku"].line) == (2, 3)
    assert origins["lines[1].quantity.ordered"].source == "quantity"
    assert origins["number"].line == 2
    assert origins["channel"].source == "$system.channel"
    assert origins["totals.payable.amount"].source == "constant"


def test_the_file_the_core_sent_is_named_with_its_column(run: Run, base: Path) -> None:
    inbox = base / "files" / "orders"
    inbox.mkdir(parents=True)
    (inbox / "JUCHU_001.csv").write_bytes(csv_of([{**ROW_A}, {**ROW_A, "店舗伝票番号": "A-1002"}]))
    (base / "systems" / "core.yaml").write_text(
        f"system: core\nconnector: file_exchange\ntitle: core\nconstants: {{channel: mailorder}}\n"
        f"settings: {{root: '{base / 'files'}', interfaces: [{{name: o, folder: orders, pattern: 'JUCHU_*.csv', "
        "layout: general_orders}]}\n"
        "flows: {orders: {pull: files, mapping: file_exchange/general_orders.in}}\n",
        "utf-8",
    )
    pulled = run("pull", "core", "files")
    assert "new 2" in pulled.out, pulled
    origin = by_field(told("order", "mailorder/A-1002"))["buyer.name.full_kana"]
    assert (origin.name, origin.line, origin.source, origin.how) == ("JUCHU_001.csv", 3, "受注名カナ", "kana")
    seen = run("explain", "order", "mailorder/A-1002", lang="ja")
    assert seen.code == 0
    assert max(cell_len(line) for line in seen.out.splitlines()) <= 80
    flat = "".join(seen.out.split())
    assert "[1]3行受注名カナ(kana)" in flat
    assert "[1]coreJUCHU_001.csv" in flat
    assert "file_exchange/general_orders.in版1" in flat
    assert "タカサキ" not in flat  # masked
    assert "タカサキ" in run("explain", "order", "mailorder/A-1002", "--reveal", columns=200).out


ROW_A = {
    "店舗伝票番号": "A-1001", "受注日": "2026/11/20 23:59:30", "受注郵便番号": "064-0804",
    "受注住所１": "北海道札幌市中央区南四条西1-2-3", "受注名": "髙﨑 美咲", "受注名カナ": "ﾀｶｻｷ ﾐｻｷ",
    "支払方法": "クレジットカード", "商品計": "2338", "合計金額": "2998", "商品名": "無添加せっけん",
    "商品コード": "SOAP-3", "商品価格": "2338", "受注数量": "1", "顧客コード": "00000123",
}  # fmt: skip


def test_what_the_hub_derived_from_facts_is_said_to_be_its_own(run: Run, base: Path) -> None:
    put(base, "north", "orders", 1, [order("1")])
    ship = {"id": "S1", "order": "1", "on": "2026-11-21", "lines": [{"line": "1", "sku": "A", "quantity": 2}]}
    put(base, "north", "shipments", 1, [ship])
    run("pull", "north", "orders")
    assert run("pull", "north", "shipments").code == 0
    found = told("order", "north/1")
    derived = {origin.field for origin in found.origins if origin.derived}
    assert derived >= {"status.fulfilment", "lines[0].quantity.shipped"}
    assert all(field.startswith(("status.", "lines[0].quantity.")) for field in derived)
    assert by_field(found)["lines[0].quantity.ordered"].source == "quantity"
    assert [(row["version"], row["system"]) for row in found.history] == [(1, "north"), (2, "hub")]
    assert "derived by the hub" in run("explain", "order", "north/1", columns=160).out


def test_of_two_systems_each_value_names_the_one_that_said_it(run: Run, base: Path) -> None:
    put(base, "north", "stock", 1, [stock("A", 5, allocated=1)])
    put(base, "south", "stock", 1, [stock("A", 9)])
    run("pull", "north", "stock")
    run("pull", "south", "stock")
    found = told("stock_position", "A@W1")
    origins = by_field(found)
    assert (origins["on_hand"].value, origins["on_hand"].system) == (9, "south")
    assert (origins["allocated"].value, origins["allocated"].system) == (1, "north")
    assert {record.system for record in found.records} == {"north", "south"}
    assert [(row["version"], row["system"]) for row in found.history] == [(1, "north"), (2, "south")]


def test_the_owner_of_a_field_is_named_for_it(run: Run, base: Path) -> None:
    owns(base, "{stock_position: {on_hand: north}}")
    put(base, "north", "stock", 1, [stock("A", 5)])
    put(base, "south", "stock", 1, [stock("A", 9, allocated=3)])
    run("pull", "north", "stock")
    run("pull", "south", "stock")
    origins = by_field(told("stock_position", "A@W1"))
    assert (origins["on_hand"].value, origins["on_hand"].system) == (5, "north")
    assert (origins["allocated"].value, origins["allocated"].system) == (3, "south")


def test_the_last_speaker_counts_also_when_it_said_the_same_as_before(run: Run, base: Path) -> None:
    put(base, "north", "stock", 1, [stock("A", 5)])
    put(base, "south", "stock", 1, [stock("A", 9)])
    run("pull", "north", "stock")
    run("pull", "south", "stock")
    put(base, "north", "stock", 2, [stock("A", "5")])  # another record of the same meaning
    run("pull", "north", "stock")
    found = told("stock_position", "A@W1")
    assert (found.content["on_hand"], by_field(found)["on_hand"].system) == (5, "north")


def test_bytes_that_are_no_longer_kept_leave_system_and_mapping(run: Run, base: Path) -> None:
    put(base, "north", "stock", 1, [stock("A", 5)])
    run("pull", "north", "stock")
    with Hub.open() as hub, hub.engine.begin() as connection:
        assert erase_bodies(connection, older_than=datetime.now(UTC) + timedelta(days=1)) == 1
    seen = run("explain", "stock_position", "A@W1", "--json", lang="ja")
    assert seen.code == 0
    (found,) = seen.rows
    origin = next(origin for origin in found["origins"] if origin["field"] == "on_hand")
    assert (origin["system"], origin["mapping"], origin.get("source")) == (
        "north",
        "test_shop/stock.in",
        None,
    )
    assert "保存期間" in found["notes"][0]


def test_a_mapping_that_changed_since_is_noted(run: Run, base: Path) -> None:
    put(base, "north", "stock", 1, [stock("A", 5)])
    run("pull", "north", "stock")
    mapping = base / "home" / "mappings" / "test_shop" / "stock.in.yaml"
    changed = (
        mapping.read_text("utf-8")
        .replace("version: 1", "version: 2")
        .replace("sku: sku", "sku: {from: location}")
    )
    mapping.write_text(changed, "utf-8")
    found = told("stock_position", "A@W1")
    origins = by_field(found)
    assert (origins["on_hand"].source, origins["on_hand"].mapping_version) == ("on_hand", 1)
    assert (origins["sku"].source, origins["sku"].value) == (None, "A")  # not what today's mapping gives
    assert "version 2" in found.notes[0].en


def test_a_system_that_is_gone_does_not_hide_the_rest(run: Run, base: Path) -> None:
    put(base, "north", "stock", 1, [stock("A", 5)])
    run("pull", "north", "stock")
    (base / "systems" / "north.yaml").unlink()
    seen = run("explain", "stock_position", "A@W1", "--json")
    assert seen.code == 0
    assert "north" in seen.rows[0]["notes"][0]


def test_what_is_not_there_is_wrong_usage(run: Run, base: Path) -> None:
    nothing = run("explain", "order", "north/404", lang="ja")
    assert (nothing.code, nothing.out) == (2, "")
    assert "north/404" in nothing.err
    kind = run("explain", "ordr", "north/404")
    assert (kind.code, kind.out) == (2, "")
    assert "'order'" in kind.err
