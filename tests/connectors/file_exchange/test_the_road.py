"""A day between a mail-order core, the mappings and a warehouse, without a hub: files in, entities, files out."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from canonical_model import entity_model
from connectors.contract import Fault, Record
from connectors.file_exchange import FileExchangeConfig, read_records
from connectors.file_exchange.formats import writer_for
from mappings import FieldFault, RecordFaults, load_mapping
from sandbox import mail_order_core as core
from sandbox.wms import STOCK, Wms

DAY = date(2026, 11, 21)
CONTEXT = {"system": {"id": "core", "channel": "mailorder"}}


@dataclass
class Taken:
    """What a file gave: entities by key, rows that could not be read, records that could not be mapped."""

    entities: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    refused: list[FieldFault] = field(default_factory=list)


def take_in(content: bytes, mapping_name: str, layout: str, context: Mapping[str, Any] = CONTEXT) -> Taken:
    mapping, taken = load_mapping(f"file_exchange/{mapping_name}"), Taken()

    def rows() -> Iterator[Record | Fault]:
        for row in read_records(io.BytesIO(content), layout):
            if isinstance(row, Fault):
                taken.faults.append(row)
            yield row

    for unit in mapping.units(rows(), context):
        if isinstance(unit, RecordFaults):
            taken.refused += unit.faults
            continue
        try:
            entity = mapping.to_entity(unit.data, context, positions=unit.positions)
        except RecordFaults as refused:
            taken.refused += refused.faults
            continue
        if entity is not None:
            model = entity_model(mapping.entity).model_validate(entity)
            taken.entities[model.key] = json.loads(model.model_dump_json())
    return taken


def written(layout: str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    interface = {"name": "x", "direction": "out", "folder": "x", "pattern": "x", "layout": layout}
    writer = writer_for(FileExchangeConfig.model_validate({"interfaces": [interface]}), layout)
    return writer.file([writer.row(row, number)[0] for number, row in enumerate(rows, 1)], rows)


def orders_of_the_day(folder: Path, **options: Any) -> Taken:
    taken = Taken()
    for path in core.write_day(folder, DAY, **options):
        one = take_in(path.read_bytes(), "general_orders.in", "general_orders")
        taken.entities |= one.entities
        taken.faults += one.faults
        taken.refused += one.refused
    return taken


def test_a_days_orders_come_in_whole_and_their_figures_agree(tmp_path: Path) -> None:
    taken = orders_of_the_day(tmp_path, orders=120, files=4)
    assert (len(taken.entities), taken.faults, taken.refused) == (120, [], [])
    model: Any = entity_model("order")
    assert [key for key, order in taken.entities.items() if model.model_validate(order).differences()] == []
    names = {order["buyer"]["name"]["full"] for order in taken.entities.values()}
    assert {"髙﨑 美咲", "德永 Ⅲ世", "㈱つなぎ商店 総務部①"} <= names
    kana = {order["buyer"]["name"]["full_kana"] for order in taken.entities.values()}
    assert "タカサキ ミサキ" in kana


def test_bad_rows_are_refused_with_words_and_all_others_come_in(tmp_path: Path) -> None:
    taken = orders_of_the_day(tmp_path, orders=30, bad=True)
    assert len(taken.entities) == 30
    assert [(f.code, f.hint and f.hint["店舗伝票番号"]) for f in taken.faults] == [
        ("column_count", "X261121-00001"),
        ("undecodable", "X261121-00004"),
        ("excel_damage", "X261121-00005"),
    ]
    assert b"\xfd" in taken.faults[1].raw
    said = {fault.code: (fault.reason_ja, fault.reason_en) for fault in taken.refused}
    assert said["impossible_date"] == (
        "「受注日」の日付「2026/02/30 10:00:00」は存在しない日時です。正しい日付にしてください。",
        "The date '2026/02/30 10:00:00' of '受注日' does not exist. Give a real date.",
    )
    assert said["unknown_code"] == (
        (
            "「支払方法」の値「ツケ払い」は変換表 payment_methods にありません。"
            "file_exchange/tables/payment_methods.csv に行を足すか、値を直してください。"
        ),
        (
            "The value 'ツケ払い' of '支払方法' is not in the table payment_methods. "
            "Add a row to file_exchange/tables/payment_methods.csv or mend the value."
        ),
    )
    assert (
        said["not_an_integer"][1]
        == "The value '二個' of '受注数量' is not a whole number. Write digits only."
    )


def test_a_file_cut_in_the_middle_of_an_order_does_not_bring_in_half_of_it(tmp_path: Path) -> None:
    orders = [order for order in core.orders_of(DAY, 30) if len(order) >= 2][:2]
    content = core.order_file([row for order in orders for row in order])
    cut = content[: content.rindex(b"\r\n", 0, -2) + 60]
    taken = take_in(cut, "general_orders.in", "general_orders")
    assert list(taken.entities) == [f"mailorder/{orders[0][0]['店舗伝票番号']}"]
    assert [fault.code for fault in taken.faults] == ["cut_file"]
    assert {fault.code for fault in taken.refused} == {"group_broken"}


@pytest.mark.parametrize("width", [35, 37, 38])
def test_older_cores_send_fewer_columns(width: int) -> None:
    rows = [row for order in core.orders_of(DAY, 5) for row in order]
    content = core.order_file(rows, columns=core.COLUMNS[:width])
    taken = take_in(content, "general_orders.in", "general_orders")
    assert (len(taken.entities), taken.faults, taken.refused) == (5, [], [])


def test_the_same_day_gives_the_same_bytes(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in core.write_day(tmp_path / "a", DAY, bad=True)]
    second = [path.read_bytes() for path in core.write_day(tmp_path / "b", DAY, bad=True)]
    assert first == second
    assert core.write_day(tmp_path / "a", DAY, bad=True) == []
    assert len(set(core.BAD_ROWS)) == 6


def test_customers_come_from_the_same_rows(tmp_path: Path) -> None:
    (path,) = core.write_day(tmp_path, DAY, orders=40, files=1)
    taken = take_in(path.read_bytes(), "general_customers.in", "general_orders")
    assert taken.refused == []
    assert all(key.startswith("mailorder/0000") for key in taken.entities)


def test_a_snapshot_of_lots_that_stand_apart_is_summed(tmp_path: Path) -> None:
    content = Wms(tmp_path).stock(DAY).read_bytes()
    taken = take_in(content, "stock.in", "stock", {"system": {"id": "wms", "stock_time": "08:40"}})
    assert (len(taken.entities), taken.faults, taken.refused) == (12, [], [])
    mug = taken.entities["MUG-1@TYO1"]
    assert (mug["on_hand"], mug["defective"], mug["as_of"]) == (120, 1, "2026-11-20T23:40:00Z")


def test_a_jan_with_a_wrong_check_digit_stops_only_its_sku(tmp_path: Path) -> None:
    content = Wms(tmp_path).stock(DAY).read_bytes().replace(b"4901234567955", b"4901234567950")
    taken = take_in(content, "stock.in", "stock")
    assert "HONEY-1@TYO1" not in taken.entities
    assert len(taken.entities) == 11
    fault = taken.refused[0]
    assert (fault.code, fault.column, fault.value) == ("jan_check_digit", "バーコード", "4901234567950")
    assert "5" in fault.reason_en
    assert "4901234567950" in fault.reason_ja


def test_a_tenant_with_other_columns_is_read_by_their_names(tmp_path: Path) -> None:
    lines = Wms(tmp_path).stock(DAY).read_bytes().decode("cp932").split("\r\n")
    moved = "\r\n".join(
        f'"L1",{line}' if number else f'"ロット",{line}' for number, line in enumerate(lines) if line
    )
    taken = take_in((moved + "\r\n").encode("cp932"), "stock.in", "stock")
    assert (len(taken.entities), taken.faults) == (12, [])
    assert STOCK[0] == "在庫日"


def test_orders_are_shipped_and_reported_back_to_the_core(tmp_path: Path) -> None:
    orders = orders_of_the_day(tmp_path / "in", orders=40).entities
    out = load_mapping("file_exchange/shipping_instructions.out")
    made = [out.from_entity(order, CONTEXT, {}) for order in orders.values()]
    rows = [row for one in made if one is not None for row in one.record["rows"]]
    wms = Wms(tmp_path / "wms")
    (tmp_path / "wms" / "in" / "SHIJI_001.csv").write_bytes(written("shipping_instructions", rows))
    worked = wms.work(DAY)
    assert (len(worked.accepted), worked.refused) == (40, {})
    assert worked.result is not None

    shipments = take_in(worked.result.read_bytes(), "shipping_results.in", "shipping_results")
    assert (len(shipments.entities), shipments.refused) == (40, [])
    assert sum(line["short"] for s in shipments.entities.values() for line in s["lines"]) == 40 // 7
    assert {len(s["parcels"]) for s in shipments.entities.values()} == {1, 2}
    for shipment in shipments.entities.values():
        ordered = {line["id"]: line["sku"] for line in orders[shipment["order_key"]]["lines"]}
        assert {line["line_id"]: line["sku"] for line in shipment["lines"]} == ordered

    report = load_mapping("file_exchange/shipping_report.out")
    told = [
        report.from_entity(s, CONTEXT, {"order": orders[s["order_key"]]}) for s in shipments.entities.values()
    ]
    lines = [row for one in told if one is not None for row in one.record["rows"]]
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "SHUKKA_001.csv").write_bytes(written("shipping_report", lines))
    (answer,) = core.read_reports(tmp_path / "report", tmp_path / "ack")
    assert (len(answer.taken), answer.refused) == (len(lines), {})
    assert [path.name for path in (tmp_path / "ack").iterdir()] == ["SHUKKA_001.csv.ok"]


# ---------------------------------------------------------------- the stand-ins are strict


def test_the_core_refuses_what_a_host_would(tmp_path: Path) -> None:
    head = ",".join(core.REPORT)
    good = "M1,mailorder/M1#1,2026/11/21,ヤマト運輸,444413758703,1"
    bad = [
        "M1,mailorder/M1#1,2026/11/31,ヤマト運輸,444413758703,1", "R1,x,2026/11/21,ヤマト運輸,444413758703,1",
        "M1,x,2026/11/21,ヤマト運輸,4444-1375-8703,1", 'M1,"x",2026/11/21,ヤマト運輸,,1', "M1,x,2026/11/21,ヤマト運輸",
    ]  # fmt: skip
    (tmp_path / "A.csv").write_bytes("\r\n".join([head, good, *bad, ""]).encode("cp932"))
    (tmp_path / "B.csv").write_bytes(f"{head}\n{good}\n".encode("cp932"))
    (tmp_path / "C.csv").write_bytes(f"{head}\r\n{good}\r\n".encode())
    first, second, third = core.read_reports(tmp_path, tmp_path / "ack")
    assert (len(first.taken), sorted(first.refused)) == (1, [2, 3, 4, 5, 6])
    assert second.refused == {1: "改行コードがCRLFではありません"}
    assert set(third.refused) == {1}
    assert sorted(path.name for path in (tmp_path / "ack").iterdir()) == ["A.csv.ng", "B.csv.ng", "C.csv.ng"]


def test_the_warehouse_refuses_single_instructions_and_goes_on(tmp_path: Path) -> None:
    orders = orders_of_the_day(tmp_path / "in", orders=3, files=1).entities
    out = load_mapping("file_exchange/shipping_instructions.out")
    rows = []
    for order in orders.values():
        made = out.from_entity(order, CONTEXT, {})
        assert made is not None
        rows += made.record["rows"]
    bad = {**rows[0], "出荷指示番号": "x#1", "商品コード": "UNKNOWN"}
    wms = Wms(tmp_path / "wms")
    (tmp_path / "wms" / "in" / "A.csv").write_bytes(written("shipping_instructions", [*rows, bad]))
    worked = wms.work(DAY)
    assert (len(worked.accepted), list(worked.refused)) == (3, ["x#1"])
    (tmp_path / "wms" / "in" / "B.csv").write_bytes(written("shipping_instructions", rows))
    again = Wms(tmp_path / "wms").work(DAY)
    assert set(again.refused.values()) >= {"2行目: 作業開始後の出荷指示は変更できません"}
    assert again.result is None
