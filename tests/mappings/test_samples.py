"""The sample pairs of all shipped mappings, and the runner itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mappings.samples import Sample, differences, find_samples, main, without_samples
from tests.mappings.support import MakeMapping


@pytest.mark.parametrize("sample", find_samples(), ids=str)
def test_shipped_mapping_makes_what_its_sample_expects(sample: Sample) -> None:
    assert differences(sample) == []


def test_every_shipped_mapping_has_a_sample() -> None:
    assert without_samples() == []


MAPPING = """
version: 1
direction: in
entity: stock_position
external_id: sku
when: {not: {equals: [sku, {value: skip}]}}
fields:
  key: {join: [sku, {value: "@main"}]}
  sku: sku
  location: {value: main}
  on_hand: {from: count, as: integer, required: true}
"""


@pytest.fixture
def sample(make_mapping: MakeMapping, tmp_path: Path) -> Sample:
    make_mapping(MAPPING)
    folder = tmp_path / "test" / "samples" / "sample.in"
    folder.mkdir(parents=True)
    records = [{"sku": "A", "count": "5"}, {"sku": "B", "count": "x"}, {"sku": "skip"}]
    (folder / "case.input.json").write_text(json.dumps({"records": records}), encoding="utf-8")
    (found,) = find_samples(tmp_path)
    return found


def expect(sample: Sample, expected: object) -> list[str]:
    sample.expected.write_text(json.dumps(expected), encoding="utf-8")
    return differences(sample)


def test_a_right_sample_passes(sample: Sample) -> None:
    entity = {"key": "A@main", "sku": "A", "location": "main", "on_hand": 5}
    faults = [{"code": "not_an_integer", "column": "count", "position": 2}]
    assert expect(sample, {"entities": [entity], "faults": faults, "skipped": 1}) == []


def test_what_differs_is_told_with_its_place(sample: Sample) -> None:
    entity = {"key": "A@main", "sku": "A", "location": "x", "on_hand": "many", "more": 1}
    told = expect(sample, {"entities": [entity], "faults": [{"code": "required"}]})
    assert told[:3] == [
        "entities[0].location: expected 'x', found 'main'",
        "entities[0].on_hand: expected 'many', found 5",
        "entities[0].more: expected 1, is missing",
    ]
    assert told[3] == "no fault like {'code': 'required'}"
    assert told[4].startswith("fault was not expected: {'code': 'not_an_integer'")
    assert told[5] == "skipped: expected 0, found 1"
    assert told[6].startswith("entities[0] is no StockPosition")


def test_a_missing_half_is_told(sample: Sample) -> None:
    assert differences(sample) == ["case.expected.json is missing beside case.input.json"]


def test_a_mapping_without_sample_is_named(make_mapping: MakeMapping, tmp_path: Path) -> None:
    make_mapping(MAPPING)
    assert without_samples(tmp_path) == ["test/sample.in"]


def test_the_command_prints_what_a_mapping_makes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["none/such.in"]) == 1
    assert capsys.readouterr().out == ""
