"""Layouts are data: checked when loaded, completed by editors."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from connectors.files.layout import CsvLayout, LayoutError, layout_schema, load_layout

HOUSE = Path(__file__).parents[3]
LAYOUTS = HOUSE / "connectors" / "file_exchange" / "layouts"


@pytest.mark.parametrize("path", sorted(LAYOUTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_layouts_are_sound_and_fit_the_schema(path: Path) -> None:
    layout = load_layout(path.stem, [LAYOUTS])
    assert layout.title.ja
    jsonschema.validate(yaml.safe_load(path.read_text("utf-8")), layout_schema())


def test_the_schema_for_editors_is_current() -> None:
    stored = json.loads((HOUSE / "connectors" / "files" / "schema" / "layout.schema.json").read_text("utf-8"))
    assert stored == layout_schema(), "run `python -m connectors.files.layout` to write it anew"


def test_the_general_order_layout_has_the_columns_of_its_versions() -> None:
    layout = load_layout("general_orders", [LAYOUTS])
    assert isinstance(layout, CsvLayout)
    names = [column.name for column in layout.columns]
    assert (len(names), names[34], names[36], names[37]) == (
        41,
        "出荷済フラグ",
        "顧客コード",
        "消費税率（%）",
    )
    assert len(load_layout("stock", [LAYOUTS]).columns) == 38  # type: ignore[union-attr]


def _write(folder: Path, text: str) -> None:
    (folder / "own.yaml").write_text(text, encoding="utf-8")


HEAD = "layout: own\ntitle: {ja: 自, en: Own}\n"


def test_an_own_folder_comes_before_the_shipped_one_and_changes_are_seen(tmp_path: Path) -> None:
    text = (LAYOUTS / "stock.yaml").read_text("utf-8")
    (tmp_path / "stock.yaml").write_text(text.replace("version: 1", "version: 7"), encoding="utf-8")
    assert load_layout("stock", [tmp_path, LAYOUTS]).version == 7
    _write(tmp_path, HEAD + "format: csv\ncolumns: [a]\n")
    first = load_layout("own", [tmp_path])
    _write(tmp_path, HEAD + "format: csv\ncolumns: [a, b, c]\n")
    assert load_layout("own", [tmp_path]) != first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "format: csv\ncolumns: [a, a]\n", "column names stand twice: a"),
        (HEAD + "format: csv\ncolumns: [a]\nolder: [2]\n", r"older: \[2\] is not shorter"),
        (HEAD + "format: csv\ncolumns: [a]\nqoute: all\n", "qoute: Extra inputs are not permitted"),
        (HEAD + "format: csv\ncolumns: [a]\nencoding: jef\n", "unknown encoding 'jef'"),
        (HEAD + "format: csv\ncolumns: [a]\ntrailer: {marker: T, sums: {3: b}}\n", "trailer.sums names a column"),
        (HEAD + "format: xml\n", "xml"),
        ("layout: [", "not YAML"),
        (HEAD.replace("own", "other") + "format: csv\ncolumns: [a]\n", "must be the file's name 'own'"),
        (HEAD + "format: fixed\nrecord_length: 9\nrecords: [{kind: D, role: data, fields: "
                "[{name: a, start: 2, length: 5}, {name: b, start: 6, length: 2}]}]\n", "field b overlaps"),
        (HEAD + "format: fixed\nrecord_length: 9\nrecords: [{kind: D, role: data, fields: "
                "[{name: a, start: 2, length: 9}]}]\n", "its fields end at 10, the record has 9"),
        (HEAD + "format: fixed\nrecord_length: 9\nrecords: [{kind: T, role: trailer, fields: []}]\n", "no data record"),
    ],
)  # fmt: skip
def test_a_wrong_layout_names_file_and_place(tmp_path: Path, text: str, message: str) -> None:
    _write(tmp_path, text)
    with pytest.raises(LayoutError, match=message) as caught:
        load_layout("own", [tmp_path])
    assert "own.yaml" in str(caught.value)


def test_an_unknown_layout_lists_the_known_ones() -> None:
    with pytest.raises(LayoutError, match=r"no layout 'orders'; known: .*general_orders"):
        load_layout("orders", [LAYOUTS])
    with pytest.raises(LayoutError, match="lower-case letters"):
        load_layout("../secret", [LAYOUTS])
