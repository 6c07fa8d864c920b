"""What an operator reads when a record cannot be mapped: all faults at once, with place, column, line and value."""

# ruff: noqa: E501, ISC004  (messages stand here as they are read)

from __future__ import annotations

from typing import Any

import pytest

from mappings import FieldFault, RecordFaults
from tests.mappings.support import MakeMapping, Row

MAPPING = """
version: 1
direction: in
entity: order
group: {by: 番号, same: [受注日]}
external_id: 番号
fields:
  key: {join: [$system.channel, 番号], with: "/"}
  number: 番号
  channel: $system.channel
  ordered_at: {from: 受注日, as: {datetime: {format: "%Y/%m/%d %H:%M:%S"}}}
  buyer:
    name: {full: 受注名}
    phone: {from: 電話, as: phone}
  recipients: [{id: {value: "1"}, party: {name: {full: {first: [発送先名, 受注名], required: true}}}}]
  lines:
    each: rows[]
    fields:
      id: {from: $index, as: {offset: 1}}
      sku: 商品コード
      name: {from: 商品名, required: true}
      quantity: {ordered: {from: 数量, as: integer}}
      unit_price: {from: 単価, as: {money: {tax_included: true}}}
  payment: {method: {from: 支払方法, table: payment_methods, required: true}}
  totals: {payable: {from: 合計, as: money, required: true}}
"""
TABLES = {"payment_methods": "from,to,note\nクレジットカード,card,\n代金引換,cod,\n"}
CONTEXT = {"system": {"id": "core", "channel": "mailorder"}}


def row(**changes: Any) -> dict[str, Any]:
    good = {
        "番号": "A1", "受注日": "2026/11/21 09:30:00", "受注名": "山田 太郎", "電話": "03-1234-5678", "発送先名": "",
        "商品コード": "S1", "商品名": "品", "数量": "1", "単価": "1,100", "支払方法": "代金引換", "合計": "1100",
    }  # fmt: skip
    return good | changes


def faults_of(make_mapping: MakeMapping, *rows: dict[str, Any], context: Any = CONTEXT) -> list[FieldFault]:
    mapping = make_mapping(MAPPING, tables=TABLES)
    found: list[FieldFault] = []
    for unit in mapping.units([Row(data, line) for line, data in enumerate(rows, 2)]):
        if isinstance(unit, RecordFaults):
            found += unit.faults
            continue
        try:
            mapping.to_entity(unit.data, context)
        except RecordFaults as error:
            found += error.faults
    return found


def test_all_faults_of_a_group_are_found_with_the_line_of_their_row(make_mapping: MakeMapping) -> None:
    faults = faults_of(
        make_mapping,
        row(受注日="2026/02/30 00:00:00", 支払方法="代引", 電話="1"),
        row(受注日="2026/02/30 00:00:00", 数量="二", 商品名=" "),
        row(受注日="2026/02/30 00:00:00", 単価="1100.5"),
    )
    told = [(f.code, f.field, f.column, f.position, f.value) for f in faults]
    assert told == [
        ("impossible_date", "ordered_at", "受注日", 2, "2026/02/30 00:00:00"),
        ("not_a_phone", "buyer.phone", "電話", 2, "1"),
        ("required", "lines[1].name", "商品名", 3, " "),
        ("not_an_integer", "lines[1].quantity.ordered", "数量", 3, "二"),
        ("money_not_whole", "lines[2].unit_price", "単価", 4, "1100.5"),
        ("unknown_code", "payment.method", "支払方法", 2, "代引"),
    ]


@pytest.mark.parametrize(
    ("changes", "ja", "en"),
    [
        (
            {"支払方法": "代金引換え"},
            "「支払方法」の値「代金引換え」は変換表 payment_methods にありません。test/tables/payment_methods.csv に行を足すか、"
            "値を直してください。近い値: 代金引換",
            "The value '代金引換え' of '支払方法' is not in the table payment_methods. Add a row to "
            "test/tables/payment_methods.csv or mend the value. Near: 代金引換",
        ),
        (
            {"合計": ""},
            "「合計」が空です。値を入れてください。",
            "'合計' is empty. Give it a value.",
        ),
        (
            {"数量": "二"},
            "「数量」の値「二」は整数ではありません。数字だけを入れてください。",
            "The value '二' of '数量' is not a whole number. Write digits only.",
        ),
        (
            {"受注日": "2026/02/30 00:00:00"},
            "「受注日」の日付「2026/02/30 00:00:00」は存在しない日時です。正しい日付にしてください。",
            "The date '2026/02/30 00:00:00' of '受注日' does not exist. Give a real date.",
        ),
        (
            {"受注日": "11/21"},
            "「受注日」の日付「11/21」は %Y/%m/%d %H:%M:%S の形ではありません。この形に直すか、マッピングの形を送信元に合わせてください。",
            "The date '11/21' of '受注日' is not written as %Y/%m/%d %H:%M:%S. Write it so, or fit the mapping to its sender.",
        ),
        (
            {"単価": "1100.5"},
            "「単価」の金額「1100.5」に JPY にない端数があります。端数のない金額にしてください。",
            "The amount '1100.5' of '単価' has decimals that JPY does not have. Give a whole amount.",
        ),
        (
            {"電話": "x"},
            "「電話」の値「x」は電話番号として読めません。3〜15桁の数字で入れてください。",
            "The value 'x' of '電話' is no telephone number. It has 3 to 15 digits.",
        ),
    ],
)
def test_reasons_word_for_word(make_mapping: MakeMapping, changes: dict[str, Any], ja: str, en: str) -> None:
    (fault,) = faults_of(make_mapping, row(**changes))
    assert (fault.reason_ja, fault.reason_en) == (ja, en)


def test_a_constant_the_system_file_lacks_is_told_with_the_file(make_mapping: MakeMapping) -> None:
    faults = faults_of(make_mapping, row(), context={"system": {"id": "core"}})
    assert [(f.code, f.field) for f in faults] == [
        ("constant_missing", "key"),
        ("constant_missing", "channel"),
    ]
    assert (
        faults[0].reason_en
        == "The system has no constant 'channel'. Add it under constants: in systems/core.yaml."
    )
    assert faults[0].reason_ja == (
        "システムの設定に定数「channel」がありません。systems/core.yaml の constants: に足してください。"
    )


def test_rows_of_a_group_that_differ_refuse_the_group_and_name_both_values(make_mapping: MakeMapping) -> None:
    faults = faults_of(make_mapping, row(), row(受注日="2026/11/22 00:00:00"), row(番号="A2"))
    (fault,) = faults
    assert (fault.code, fault.column, fault.position, fault.value) == (
        "group_conflict", "受注日", 3, "2026/11/22 00:00:00",
    )  # fmt: skip
    assert fault.reason_ja == (
        "「A1」の行で「受注日」が違います: 2 行目は「2026/11/21 09:30:00」、3 行目は「2026/11/22 00:00:00」。"
        "同じ値にそろえてください。"
    )
    assert fault.reason_en == (
        "The rows of 'A1' differ in '受注日': line 2 has '2026/11/21 09:30:00', line 3 has '2026/11/22 00:00:00'. "
        "Make them equal."
    )


def test_a_group_that_comes_again_is_refused_and_both_lines_are_named(make_mapping: MakeMapping) -> None:
    (fault,) = faults_of(make_mapping, row(), row(番号="A2"), row())
    assert (fault.code, fault.position) == ("group_split", 4)
    assert fault.reason_ja == (
        "「A1」の行が離れています: 2 行目で終わった後、4 行目でまた現れました。同じ番号の行を続けて並べてください。"
    )
    assert fault.reason_en == (
        "The rows of 'A1' do not stand together: they ended in line 2 and come again in line 4. "
        "Sort the file so that they follow each other."
    )


def test_a_row_without_a_key_is_refused_alone(make_mapping: MakeMapping) -> None:
    (fault,) = faults_of(make_mapping, row(), row(番号=" "), row(番号="A2"))
    assert (fault.code, fault.field, fault.column, fault.position) == ("required", "group.by", "番号", 3)


def test_long_values_are_cut(make_mapping: MakeMapping) -> None:
    (fault,) = faults_of(make_mapping, row(数量="x" * 500))
    assert fault.value is not None
    assert len(fault.value) == 200
    assert fault.value.endswith("…")


def test_a_join_in_a_key_names_the_part_that_is_missing(make_mapping: MakeMapping) -> None:
    mapping = make_mapping(MAPPING, tables=TABLES)
    with pytest.raises(RecordFaults) as caught:
        mapping.to_entity({**row(番号=""), "rows": [row()]}, CONTEXT)
    key = caught.value.faults[0]
    assert (key.code, key.field, key.column) == ("required", "key", "番号")
    assert str(caught.value).startswith("key: '番号' is empty. Give it a value.")


def test_a_function_that_fails_is_a_fault_and_not_the_end_of_the_run(make_mapping: MakeMapping) -> None:
    mapping = make_mapping(
        """
        version: 1
        direction: in
        entity: stock_position
        external_id: sku
        fields:
          key: sku
          sku: sku
          location: {value: main}
          on_hand: {call: "mappings.transforms.text:compose_kana", args: [count], required: true}
        """
    )
    with pytest.raises(RecordFaults) as caught:
        mapping.to_entity({"sku": "S1", "count": 5}, CONTEXT)
    (fault,) = caught.value.faults
    assert (fault.code, fault.field, fault.value) == ("call_failed", "on_hand", "5")
    assert "compose_kana" in fault.reason_ja
    assert "TypeError" in fault.reason_en
