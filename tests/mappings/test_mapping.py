"""What the hub asks of a loaded mapping: entities, origins, model faults, outgoing records, previews."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from pydantic import ValidationError

from canonical_model import Order, StockPosition
from mappings import Mapping, Outgoing, RecordFaults, RelatedEntity
from mappings.preview import preview_entity, preview_records
from tests.mappings.support import MakeMapping, Row

ORDERS = """
version: 3
direction: in
entity: order
title: {ja: 受注, en: Orders}
group: {by: 番号}
external_id: 番号
when: {not: {equals: [状態, {value: 下書き}]}}
fields:
  key: {join: [$system.channel, 番号], with: "/"}
  number: 番号
  channel: $system.channel
  ordered_at: {from: 受注日, as: datetime}
  buyer: {name: {family: 姓, given: 名}}
  recipients: [{id: {value: "1"}, party: {name: {full: {first: [届け先, {join: [姓, 名], with: " "}]}}}}]
  lines:
    each: rows[]
    where: {present: 商品コード}
    fields:
      id: {from: $index, as: {offset: 1}}
      sku: 商品コード
      name: 商品名
      quantity: {ordered: {from: 数量, as: integer}}
      unit_price: {from: 単価, as: {money: {tax_included: true, tax_rate: {from: 税率}}}}
  payment: {method: {value: card}}
  totals: {payable: {from: 合計, as: money}}
  charges:
    - {kind: {value: shipping}, amount: {from: 送料, as: money}}
"""
CONTEXT = {"system": {"id": "core", "channel": "mailorder"}}
FIRST = {
    "番号": "A1", "受注日": "2026/11/21 09:30:00", "姓": "髙橋", "名": "花子", "届け先": " ", "商品コード": "S1",
    "商品名": "品", "数量": "2", "単価": "1,100", "税率": "10%", "合計": "2200", "送料": "", "状態": "済",
}  # fmt: skip


@pytest.fixture
def orders(make_mapping: MakeMapping) -> Mapping:
    return make_mapping(ORDERS)


def entity_of(mapping: Mapping, *rows: dict[str, Any]) -> dict[str, Any]:
    (unit,) = mapping.units([Row(row, line) for line, row in enumerate(rows, 2)])
    assert not isinstance(unit, RecordFaults)
    entity = mapping.to_entity(unit.data, CONTEXT)
    assert entity is not None
    return entity


def test_what_a_mapping_tells_of_itself(orders: Mapping) -> None:
    assert (orders.name, orders.version, orders.direction, orders.entity) == (
        "test/sample.in",
        3,
        "in",
        "order",
    )
    assert (orders.title.ja, orders.title.en) == ("受注", "Orders")
    assert orders.related == {}


def test_an_order_of_flat_rows(orders: Mapping) -> None:
    entity = entity_of(orders, FIRST, {**FIRST, "商品コード": "S2", "単価": "550", "税率": "8"})
    order = Order.model_validate(entity)
    assert order.key == "mailorder/A1"
    assert order.buyer.name.full == "髙橋 花子"
    assert order.recipients[0].party.name.full == "髙橋 花子"
    assert [
        (line.id, line.sku, line.unit_price.amount, str(line.unit_price.tax_rate)) for line in order.lines
    ] == [
        ("1", "S1", 1100, "0.1"),
        ("2", "S2", 550, "0.08"),
    ]
    assert order.ordered_at.isoformat() == "2026-11-21T00:30:00+00:00"
    assert "charges" not in entity, "constants alone do not make a charge"


def test_a_zero_is_a_value(orders: Mapping) -> None:
    assert entity_of(orders, {**FIRST, "送料": "0"})["charges"] == [
        {"kind": "shipping", "amount": {"amount": 0}}
    ]


def test_when_turns_records_away(orders: Mapping) -> None:
    assert orders.to_entity({**FIRST, "状態": "下書き", "rows": [FIRST]}, CONTEXT) is None


def test_explain_tells_the_origin_of_every_value(orders: Mapping) -> None:
    (unit,) = orders.units([Row(FIRST, 2)])
    assert not isinstance(unit, RecordFaults)
    told = {o.field: (o.value, o.column, o.source, o.how) for o in orders.explain(unit.data, CONTEXT)}
    assert told["key"] == ("mailorder/A1", "$system.channel + 番号", "A1", "")
    assert told["recipients[0].party.name.full"] == ("髙橋 花子", "姓 + 名", ["髙橋", "花子"], "")
    assert told["lines[0].quantity.ordered"] == (2, "数量", "2", "integer")
    assert told["lines[0].id"] == ("1", "$index", 0, "offset")
    assert told["payment.method"] == ("card", "constant", "card", "")
    assert not any(field.startswith("charges") for field in told)


def test_what_the_model_refuses_is_told_with_column_and_line(orders: Mapping) -> None:
    rows = [FIRST, {**FIRST, "商品コード": "S2", "数量": "-1"}, {**FIRST, "商品名": ""}]
    (unit,) = orders.units([Row(row, line) for line, row in enumerate(rows, 2)])
    assert not isinstance(unit, RecordFaults)
    plain = orders.to_entity(unit.data, CONTEXT)
    with pytest.raises(ValidationError) as caught:
        Order.model_validate(plain)
    faults = orders.model_faults(caught.value, unit.data, CONTEXT).faults
    told = [(f.code, f.field, f.column, f.value) for f in faults]
    assert told == [
        ("model", "lines[1].quantity.ordered", "数量", "-1"),
        ("model_missing", "lines[2].name", "商品名", None),
    ]
    assert faults[0].reason_ja == (
        "「数量」の値「-1」は項目 lines[1].quantity.ordered に入れられません: 0 以上の値が必要です。"
    )
    assert faults[1].reason_en == "The field lines[2].name has no value. Give '商品名' one."


def test_lines_of_rows_are_known_where_each_row_is_a_line(make_mapping: MakeMapping) -> None:
    mapping = make_mapping(ORDERS.replace("    where: {present: 商品コード}\n", ""))
    (unit,) = mapping.units([Row(FIRST, 2), Row({**FIRST, "数量": "-1"}, 3)])
    assert not isinstance(unit, RecordFaults)
    with pytest.raises(ValidationError) as caught:
        Order.model_validate(mapping.to_entity(unit.data, CONTEXT))
    (fault,) = mapping.model_faults(caught.value, unit.data, CONTEXT).faults
    assert fault.position == 3


def test_the_generated_code_shows_in_tracebacks(orders: Mapping) -> None:
    with pytest.raises(AttributeError) as caught:
        orders._make(FIRST, None, None)
    assert "system.get('channel')" in "".join(traceback.format_exception(caught.value))
    assert orders.source.startswith("# test/sample.in, version 3: written by the mapping compiler")


def test_a_mapping_knows_the_columns_it_reads(orders: Mapping) -> None:
    assert orders.columns == set(FIRST)


def test_a_fault_of_the_whole_entity_is_told_without_its_data(orders: Mapping) -> None:
    (unit,) = orders.units([Row(FIRST, 2)])
    assert not isinstance(unit, RecordFaults)
    entity = orders.to_entity(unit.data, CONTEXT)
    assert entity is not None
    entity["lines"][0]["recipient_id"] = "9"
    with pytest.raises(ValidationError) as caught:
        Order.model_validate(entity)
    (fault,) = orders.model_faults(caught.value, unit.data, CONTEXT).faults
    assert (fault.code, fault.field, fault.value) == ("model_whole", "order", None)
    assert (
        fault.reason_en
        == "order does not come out right: line 1 goes to recipient '9', who is not on the order"
    )


def test_preview_puts_values_beside_columns(orders: Mapping) -> None:
    records = [
        Row(FIRST, 2),
        Row({**FIRST, "番号": "A2", "数量": "x"}, 3),
        Row({**FIRST, "番号": "A3", "状態": "下書き"}, 4),
    ]
    good, refused, skipped = preview_records(orders, records, CONTEXT)
    assert good.result is not None
    assert ("totals.payable", {"amount": 2200}, "合計", "2200", "money", 2) in list(good.rows)
    assert [fault.column for fault in refused.faults] == ["数量"]
    assert good.absent == []
    assert (skipped.skipped, skipped.name, skipped.positions) == (True, "A3", (4,))


# ---------------------------------------------------------------- outgoing

SHIPMENTS = """
version: 1
direction: out
entity: shipment
related:
  order: {entity: order, key: order_key, back: [order_key, key]}
when: {equals: [$related.order.channel, $system.channel]}
key: {join: [$system.id, key], with: ":"}
records: {each: "lines[]", where: {not: {equals: [quantity, {value: 0}]}}}
fields:
  受注番号: {from: $related.order.number, required: true}
  出荷日: {from: $entity.shipped_on, as: {format_date: {format: "%Y%m%d"}}}
  行: {from: $index, as: {offset: 1}}
  商品コード: sku
  数量: quantity
  伝票: {from: "$entity.parcels[0].tracking_number", keep: true}
"""
SHIPMENT = {
    "key": "S1", "order_key": "mailorder/A1", "shipped_on": "2026-11-21",
    "lines": [{"sku": "a", "quantity": 0}, {"sku": "b", "quantity": 2}],
}  # fmt: skip
RELATED = {"order": {"channel": "mailorder", "number": "A1"}}


@pytest.fixture
def shipments(make_mapping: MakeMapping) -> Mapping:
    return make_mapping(SHIPMENTS, name="test/sample.out")


def test_an_entity_becomes_rows(shipments: Mapping) -> None:
    assert shipments.related == {"order": RelatedEntity("order", ("order_key", "key"))}
    assert shipments.related_keys(SHIPMENT, CONTEXT) == {"order": "mailorder/A1"}
    row = {"受注番号": "A1", "出荷日": "20261121", "行": 1, "商品コード": "b", "数量": 2, "伝票": None}
    assert shipments.from_entity(SHIPMENT, CONTEXT, RELATED) == Outgoing("core:S1", {"rows": [row]})


def test_an_entity_for_another_channel_or_without_rows_is_not_sent(shipments: Mapping) -> None:
    assert shipments.from_entity(SHIPMENT, CONTEXT, {"order": {"channel": "rakuten", "number": "A1"}}) is None
    assert shipments.from_entity(SHIPMENT, CONTEXT, {"order": None}) is None
    assert shipments.from_entity({**SHIPMENT, "lines": []}, CONTEXT, RELATED) is None


def test_faults_on_the_way_out_name_the_field_and_its_source(shipments: Mapping) -> None:
    with pytest.raises(RecordFaults) as caught:
        shipments.from_entity(
            {**SHIPMENT, "shipped_on": "soon"}, CONTEXT, {"order": {"channel": "mailorder"}}
        )
    assert [(f.code, f.field, f.column) for f in caught.value.faults] == [
        ("required", "rows[0].受注番号", "$related.order.number"),
        ("not_a_date", "rows[0].出荷日", "$entity.shipped_on"),
    ]


def test_outgoing_values_are_explained_and_previewed(shipments: Mapping) -> None:
    shown = preview_entity(shipments, SHIPMENT, CONTEXT, RELATED)
    assert shown.name == "core:S1"
    shipped = ("rows[0].出荷日", "20261121", "$entity.shipped_on", "2026-11-21", "format_date", None)
    assert shipped in list(shown.rows)
    assert preview_entity(shipments, SHIPMENT, CONTEXT, {}).skipped


def test_one_record_without_rows(make_mapping: MakeMapping) -> None:
    mapping = make_mapping(
        """
        version: 1
        direction: out
        entity: stock_position
        key: sku
        fields:
          sku: sku
          stock: {fields: {quantity: on_hand, mode: {value: ABSOLUTE}}}
          note: {from: traits.a.note, default: ""}
        """,
        name="test/sample.out",
    )
    entity = StockPosition(key="S@main", sku="S", location="main", on_hand=0).model_dump(mode="json")
    out = mapping.from_entity(entity, CONTEXT)
    assert out == Outgoing("S", {"sku": "S", "stock": {"quantity": 0, "mode": "ABSOLUTE"}, "note": ""})
    assert mapping.related_keys(entity, CONTEXT) == {}


# ---------------------------------------------------------------- the smaller words of the language

SMALL = """
version: 1
direction: in
entity: customer
external_id: id
fields:
  key: id
  name: {full: id}
  attributes:
"""


@pytest.mark.parametrize(
    ("expression", "record", "expected"),
    [
        ("{first: [a, b, {value: z}]}", {"a": " ", "b": 0}, 0),
        ("{first: [a, b, {value: z}]}", {}, "z"),
        ("{join: [a, b], with: '-'}", {"a": "x", "b": None}, "x"),
        ("{join: [a, b], with: '-', all: true}", {"a": "x"}, None),
        ("{join: [a, {value: 様}]}", {"a": ""}, None),
        ("{join: [a, {value: 様}]}", {"a": 5}, "5様"),
        ("{from: a, as: text, default: none}", {"a": "　"}, "none"),
        ("{from: a, when: {present: b}}", {"a": 1}, None),
        ("{from: a, when: {absent: b}, default: 2}", {"b": ""}, 2),
        ("{from: a, when: {equals: [b, {value: 1}]}}", {"a": "y", "b": "1"}, "y"),
        ("{from: a, when: {in: [b, [1, 2]]}}", {"a": "y", "b": "2"}, "y"),
        ("{from: a, when: {any: [{present: b}, {present: c}]}}", {"a": "y", "c": False}, "y"),
        ("{from: a, when: {all: [{present: b}, {present: c}]}}", {"a": "y", "c": 1}, None),
        ("{from: a, as: verbatim}", {"a": " x "}, " x "),
        ("a", {"a": " x "}, "x"),
        ("{each: a, item: b}", {"a": [{"b": 1}, {}, {"b": 2}]}, [1, 2]),
        ("{each: 'a[].b[]', item: {join: [$index, $parent.n, $item], with: ':'}}",
         {"a": [{"n": "p", "b": [1, 2]}, {"n": "q", "b": [3]}]}, ["0:p:1", "1:p:2", "2:q:3"]),
        ("{each: a, where: {equals: [k, {value: y}]}, item: $index}", {"a": [{"k": "n"}, {"k": "y"}]}, [0]),
        ("{each: a, fields: {inner: {each: b, item: {join: [$parent_index, $index], with: '.'}}}}",
         {"a": [{"b": [1]}, {"b": [2, 3]}]}, [{"inner": ["0.0"]}, {"inner": ["1.0", "1.1"]}]),
        ("[a, {value: 1}, b]", {"b": "x"}, [1, "x"]),
        ("{x: a, y: {value: 1}}", {}, None),
        ("{fields: {x: a, y: {value: 1}}, keep: true}", {}, {"y": 1}),
        ("{fields: {value: a, from: b}}", {"a": 1, "b": 2}, {"value": 1, "from": 2}),
        ("{from: a, as: [{lookup: {values: {'1': morning}, keep_unknown: true}}, slot]}", {"a": "1416"}, "1400-1600"),
        ("{call: 'mappings.transforms.text:compose_kana', args: [a]}", {"a": "か\u3099"}, "が"),
        ("$record.a[-1]", {"a": [1, 2]}, 2),
        ("a[].b", {"a": [{"b": 1}, {"b": 2}]}, [1, 2]),
    ],
)  # fmt: skip
def test_expressions(
    make_mapping: MakeMapping, expression: str, record: dict[str, Any], expected: Any
) -> None:
    mapping = make_mapping(f"{SMALL}    x: {expression}\n")
    entity = mapping.to_entity({"id": "1", **record}, CONTEXT)
    assert entity is not None
    assert entity.get("attributes", {}).get("x") == expected
