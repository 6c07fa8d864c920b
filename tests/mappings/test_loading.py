"""What an integrator reads when a mapping cannot be loaded: file, line, field, and what to do."""

# ruff: noqa: E501, ISC004  (messages stand here as they are read)

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mappings import MappingError, load_mapping
from mappings.loading import HOME, find_mappings
from mappings.marks import read_yaml
from mappings.problems import Problems
from mappings.schema.build import SCHEMA_FILE, check_shape, schema_text
from mappings.tables import BadTable, read_table
from tests.mappings.support import MakeMapping

HEAD = """version: 1
direction: in
entity: stock_position
external_id: sku
fields:
  key: sku
  sku: sku
  location: place
"""


def problems_of(make_mapping: MakeMapping, text: str, **more: object) -> list[tuple[int, str, str, str]]:
    with pytest.raises(MappingError) as caught:
        make_mapping(text, **more)
    return [(p.line, p.field, p.reason_ja, p.reason_en) for p in caught.value.problems]


@pytest.mark.parametrize(
    ("line", "place", "ja", "en"),
    [
        (
            "  onhand: count",
            "fields.onhand",
            "stock_position に「onhand」という項目はありません。 もしかして: 「on_hand」",
            "stock_position has no field 'onhand'. Did you mean 'on_hand'?",
        ),
        (
            "  on_hand: {from: count, as: integr}",
            "fields.on_hand.as",
            "「integr」という変換はありません。 もしかして: 「integer」",
            "There is no transform 'integr'. Did you mean 'integer'?",
        ),
        (
            "  on_hand: {from: count, asx: integer}",
            "fields.on_hand.asx",
            "「from」があるので値の書き方として読まれ、「asx」はその中で使えません。「from」が項目名なら、全体を fields: の下に書いてください。 もしかして: 「as」",
            "Because of 'from' this is read as a way to give a value, and 'asx' is no option of it. If 'from' is a field's "
            "name, put the object under fields:. Did you mean 'as'?",
        ),
        (
            "  on_hand: 5",
            "fields.on_hand",
            "定数は {value: 5} と書いてください。",
            "A constant is written as {value: 5}.",
        ),
        (
            "  on_hand: {value: many}",
            "fields.on_hand.value",
            "「many」は「stock_position.on_hand」に入れられません: Input should be a valid integer, unable to parse string as an integer",
            "'many' does not fit 'stock_position.on_hand': Input should be a valid integer, unable to parse string as an "
            "integer",
        ),
        (
            "  on_hand: 在庫数（%）",
            "fields.on_hand",
            "パス「在庫数（%）」が読めません: 5 文字目の「%」で止まりました。空白や記号を含む列名は二重引用符で囲みます: '\"在庫数（%）\"'",
            "The path '在庫数（%）' cannot be read: stopped at '%' (character 5). A name with blanks or signs stands in double "
            "quotes: '\"在庫数（%）\"'",
        ),
        (
            "  on_hand: {from: count, table: kinds}",
            "fields.on_hand.table",
            "変換表 kinds がありません(test/tables/kinds.csv)。",
            "There is no table 'kinds' (test/tables/kinds.csv).",
        ),
        (
            "  on_hand: {from: count, as: money}",
            "fields.on_hand",
            "money は金額オブジェクトを作ります。「stock_position.on_hand」は数値の項目なので money_minor を使ってください。",
            "money makes an object, but 'stock_position.on_hand' is a plain value: use money_minor.",
        ),
        (
            "  on_hand: {from: count, as: {integer: {base: 2}}}",
            "fields.on_hand.as.integer.base",
            "変換 integer のパラメータ「base」: そのようなパラメータはありません。",
            "Transform integer, parameter 'base': there is no such parameter.",
        ),
        (
            "  on_hand: {from: $item.count}",
            "fields.on_hand.from",
            "パスの「$item」はここでは使えません。 使えるもの: $record, $system",
            "'$item' cannot be used here. Known: $record, $system",
        ),
        (
            "  on_hand: {call: 'os:getpid'}",
            "fields.on_hand.call",
            "call「os:getpid」: 標準ライブラリは直接呼べません。自分のパッケージの関数を書いてください。",
            "call 'os:getpid': the standard library is not called directly; name a function of your own package.",
        ),
        (
            "  on_hand: {from: count, when: {is: 1}}",
            "fields.on_hand.when.is",
            "「is」というキーはありません。 使えるもの: absent, all, any, equals, in, not, present",
            "There is no key 'is' here. Known: absent, all, any, equals, in, not, present",
        ),
        (
            "  on_hand: {each: rows, fields: {a: b}}",
            "fields.on_hand",
            "「stock_position.on_hand」は一覧ではありません。",
            "'stock_position.on_hand' is no list.",
        ),
        (
            "  on_hand: {from: count, value: 1}",
            "fields.on_hand.value",
            "「from」と「value」は一緒に使えません。",
            "'from' and 'value' exclude each other.",
        ),
    ],
)
def test_a_wrong_line_is_told_word_for_word(
    make_mapping: MakeMapping, line: str, place: str, ja: str, en: str
) -> None:
    assert problems_of(make_mapping, HEAD + line + "\n") == [(9, place, ja, en)]


def test_what_the_model_needs_and_the_mapping_lacks_is_told(make_mapping: MakeMapping) -> None:
    assert problems_of(make_mapping, HEAD) == [
        (
            5,
            "fields",
            "stock_position には「on_hand」が必要ですが、マッピングにありません。",
            "stock_position needs 'on_hand', and the mapping does not give it.",
        )
    ]


def test_all_problems_are_told_at_once_in_the_order_of_the_file(make_mapping: MakeMapping) -> None:
    text = HEAD.replace("entity: stock_position", "entity: stock_positon").replace(
        "version: 1", "version: one"
    )
    assert [line for line, *_ in problems_of(make_mapping, text)] == [1, 3]


def test_the_error_is_one_readable_text(make_mapping: MakeMapping) -> None:
    with pytest.raises(MappingError) as caught:
        make_mapping(HEAD + "  onhand: count\n  on_hand: count\n")
    assert str(caught.value) == (
        "test/sample.in.yaml:9: fields.onhand: stock_position has no field 'onhand'. Did you mean 'on_hand'?\n"
        "  stock_position に「onhand」という項目はありません。 もしかして: 「on_hand」"
    )


@pytest.mark.parametrize(
    ("text", "line", "en"),
    [
        ("version: 1\nversion: 2\n", 2, "'version' stands here twice (first in line 1)."),
        ("version: [1\n", 2, "This is no YAML: expected ',' or ']', but got '<stream end>'"),
        ("- a\n", 1, "Write a mapping of keys and values here (found ['a'])."),
        ("version: 1\ndirection: both\nentity: order\n", 2, "Write in or out here (found 'both')."),
    ],
)
def test_broken_files(make_mapping: MakeMapping, text: str, line: int, en: str) -> None:
    (found,) = problems_of(make_mapping, text)
    assert (found[0], found[3]) == (line, en)


def test_the_file_name_and_the_direction_must_agree(make_mapping: MakeMapping) -> None:
    text = "version: 1\ndirection: out\nentity: order\nkey: key\nfields: {a: key}\n"
    (found,) = problems_of(make_mapping, text)
    assert found[3] == "The file is named .in.yaml but its direction is 'out'."


def test_paths_of_outgoing_mappings_are_held_against_the_model(make_mapping: MakeMapping) -> None:
    text = """
    version: 1
    direction: out
    entity: order
    related: {ship: {entity: shipment, key: keey, back: [key, order_kye]}}
    key: key
    records: {each: lines}
    fields:
      a: quantity.orderd
      b: $entity.buyer.name.ful
      c: $entity.lines.sku
      d: $related.ship.parcels[0].tracking_numbr
      e: $related.sihp.key
      f: $parent.numbr
    """
    told = [(line, en) for line, _, _, en in problems_of(make_mapping, text, name="test/sample.out")]
    assert told == [
        (5, "The path 'keey': order has no field 'keey'. Did you mean 'key'?"),
        (5, "The path 'order_kye': shipment has no field 'order_kye'. Did you mean 'order_key'?"),
        (
            9,
            "The path 'quantity.orderd': order.lines[].quantity has no field 'orderd'. Did you mean 'ordered'?",
        ),
        (10, "The path '$entity.buyer.name.ful': order.buyer.name has no field 'ful'. Did you mean 'full'?"),
        (11, "'order.lines' is a list: write it with each: or as [ ... ]."),
        (
            12,
            "The path '$related.ship.parcels[0].tracking_numbr': shipment.parcels[] has no field 'tracking_numbr'. Did you mean "
            "'tracking_number'?",
        ),
        (13, "'$related.sihp.key' cannot be used here. Did you mean '$related.ship'?"),
        (14, "The path '$parent.numbr': order has no field 'numbr'. Did you mean 'number'?"),
    ]


# ---------------------------------------------------------------- tables

ORDER = """
version: 1
direction: in
entity: order
external_id: n
fields:
  key: n
  number: n
  channel: n
  ordered_at: n
  buyer: {name: {full: n}}
  recipients: [{id: n, party: {name: {full: n}}}]
  lines: {each: "l", fields: {id: n, sku: n, name: n, quantity: {ordered: n}, unit_price: {from: p, as: money}}}
  payment: {method: {from: m, table: methods}}
  totals: {payable: {from: p, as: money}}
"""


def test_a_table_value_that_is_no_code_is_told_with_its_line(make_mapping: MakeMapping) -> None:
    with pytest.raises(MappingError) as caught:
        make_mapping(ORDER, tables={"methods": "\ufefffrom,to,note\r\n現金,cash,\r\nカード,crad,\r\n"})
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("test/tables/methods.csv", 3)
    assert problem.reason_en.startswith("'crad' does not fit 'order.payment.method'")
    assert problem.reason_en.endswith("Did you mean 'card'?")


def test_a_broken_table_names_its_file_and_line(make_mapping: MakeMapping) -> None:
    with pytest.raises(MappingError) as caught:
        make_mapping(ORDER, tables={"methods": "from,to\nA,cash\nB,card\nA,cod\n"})
    assert str(caught.value) == (
        "test/tables/methods.csv:4: 'A' stands here and in line 2. Remove one of them.\n"
        "  「A」が 2 行目と重複しています。どちらかを消してください。"
    )


@pytest.mark.parametrize(
    ("content", "line", "en"),
    [
        ("値,変換\nA,b\n".encode(), 1, "the first line must be from,to or from,to,note."),
        (
            "from,to\nあ,b\n".encode("cp932"),
            2,
            'this is not UTF-8. In Excel save it as "CSV UTF-8 (Comma delimited)".',
        ),
        (b"from,to\n,b\n", 2, "`from` is empty."),
        (b"from,to\nA\n", 2, "a row has the columns from,to[,note]."),
        (b"from,to,note\nA,b,n,x\n", 2, "a row has the columns from,to[,note]."),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, content: bytes, line: int, en: str) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(content)
    with pytest.raises(BadTable) as caught:
        read_table(file, "t", "t.csv")
    assert (caught.value.line, str(caught.value)) == (line, en)


def test_a_table_as_excel_saves_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(
        '\ufefffrom,to,note,\r\n 代金引換 ,cod,"a, b",\r\n"改\n行",x,,\r\n,,,\r\n0,,なし\r\n'.encode()
    )
    table = read_table(file, "t", "t.csv")
    assert table.values == {"代金引換": "cod", "改\n行": "x", "0": ""}
    assert table.lines == {"代金引換": 2, "改\n行": 3, "0": 6}


# ---------------------------------------------------------------- finding, caching, the schema


def test_a_name_that_is_not_there_is_told_with_the_nearest(make_mapping: MakeMapping, tmp_path: Path) -> None:
    make_mapping(HEAD + "  on_hand: count\n")
    with pytest.raises(MappingError) as caught:
        load_mapping("test/sampel.in", roots=[tmp_path])
    assert "There is no mapping 'test/sampel.in'. Did you mean 'test/sample.in'?" in str(caught.value)


@pytest.mark.parametrize("name", ["../secrets.in", "a/../../b.in", "a/b", "/etc/passwd.in", "a/b.inn"])
def test_names_cannot_leave_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="is named <connector>/<name>"):
        load_mapping(name, roots=[tmp_path])


def test_a_mapping_is_kept_until_its_file_or_a_table_changes(
    make_mapping: MakeMapping, tmp_path: Path
) -> None:
    first = make_mapping(ORDER, tables={"methods": "from,to\nA,cash\n"})
    assert load_mapping("test/sample.in", roots=[tmp_path]) is first
    changed = make_mapping(ORDER, tables={"methods": "from,to\nA,card\n"})
    assert changed is not first
    assert changed.digest != first.digest
    again = make_mapping(ORDER, tables={"methods": "from,to\nA,cash\n"})
    assert again.digest == first.digest
    assert make_mapping(ORDER.replace("version: 1", "version: 2")).digest != first.digest


def test_an_operators_table_goes_before_the_shipped_one(make_mapping: MakeMapping, tmp_path: Path) -> None:
    make_mapping(ORDER, tables={"methods": "from,to\nA,cash\n"})
    own = tmp_path / "own"
    (own / "test" / "tables").mkdir(parents=True)
    (own / "test" / "tables" / "methods.csv").write_text("from,to\nA,card\n", encoding="utf-8")
    mapping = load_mapping("test/sample.in", roots=[own, tmp_path])
    record = {"n": "1", "p": 1, "m": "A", "l": [{"n": "1", "p": 1}]}
    entity = mapping.to_entity(record, {"system": {}})
    assert entity is not None
    assert entity["payment"] == {"method": "card"}


def test_the_published_schema_is_current() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run python -m mappings.reference"


@pytest.mark.parametrize("name", find_mappings())
def test_the_shipped_mappings_fit_the_published_schema(name: str) -> None:
    problems = Problems(name)
    data, problems.marks = read_yaml((HOME / f"{name}.yaml").read_text(encoding="utf-8-sig"))
    check_shape(data, problems)  # loading them does without: see `read_tree`
    assert problems.found == []


def test_the_schema_names_every_transform_for_the_editor() -> None:
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    transforms = schema["$defs"]["transform"]["anyOf"][1]["properties"]
    assert {"kana", "datetime", "table"} <= transforms.keys()
    assert "全角カタカナ" in transforms["kana"]["description"]


def test_columns_named_like_yaml_words_stay_names(make_mapping: MakeMapping) -> None:
    mapping = make_mapping(HEAD + '  on_hand: No\n  traits: {x: {on: yes, "No": "off"}}\n')
    entity = mapping.to_entity({"sku": "S", "place": "p", "No": 5, "yes": 1, "off": 2}, {"system": {}})
    assert entity is not None
    assert (entity["on_hand"], entity["traits"]) == (5, {"x": {"on": 1, "No": 2}})
