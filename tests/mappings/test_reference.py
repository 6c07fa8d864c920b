"""What is written about the language is true: generated files are current, the documented examples load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mappings import MappingError, load_mapping
from mappings.marks import read_yaml
from mappings.reference import DOCS_FILE, docs_text
from mappings.transforms import TRANSFORMS

EXAMPLES = re.findall(r"```yaml\n(version:.*?)```", DOCS_FILE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_table_of_transforms_in_the_docs_is_current() -> None:
    assert DOCS_FILE.read_text(encoding="utf-8") == docs_text(), "run python -m mappings.reference"


def test_the_docs_show_every_transform() -> None:
    text = DOCS_FILE.read_text(encoding="utf-8")
    assert [name for name in TRANSFORMS if f"| `{name}`" not in text] == []


@pytest.mark.parametrize("text", EXAMPLES, ids=["in", "out"])
def test_documented_mappings_load(text: str, tmp_path: Path) -> None:
    data, _ = read_yaml(text)
    folder = tmp_path / "docs" / "tables"
    folder.mkdir(parents=True)
    (folder / "payment_methods.csv").write_text("from,to\n代金引換,cod\n", encoding="utf-8")
    (tmp_path / "docs" / f"example.{data['direction']}.yaml").write_text(text, encoding="utf-8")
    mapping = load_mapping(f"docs/example.{data['direction']}", roots=[tmp_path])
    assert mapping.entity == data["entity"]


def test_a_documented_mapping_with_a_slip_of_the_pen_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    broken = EXAMPLES[1].replace("order_key, key]", "order_kee, key]")
    (tmp_path / "docs" / "example.out.yaml").write_text(broken, encoding="utf-8")
    with pytest.raises(MappingError, match="order_kee"):
        load_mapping("docs/example.out", roots=[tmp_path])


def test_the_benchmarks_contestants_agree() -> None:
    from bench.w5.work import Desk

    desk = Desk()  # raises when they do not
    assert len(desk.record["items"]) == 5
    assert 2_500 < len(desk.raw) < 3_500
