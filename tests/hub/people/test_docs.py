"""docs/people.md says what is true: the mapping it shows, the rules it tells of, the commands it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from hub.cli import app
from hub.people.rules import Verdict, load_rules
from mappings import load_mapping

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = [DOCS / "people.md", DOCS / "ja" / "people.md"]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_mapping_gives_a_core_the_surviving_number(page: Path, tmp_path: Path) -> None:
    (fields,) = re.findall(r"```yaml\n(fields:.*?)```", page.read_text("utf-8"), re.DOTALL)
    head = "version: 1\ndirection: out\nentity: customer\ntitle: {ja: 顧客, en: Customers}\nkey: key\n"
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "customers.out.yaml").write_text(head + fields, "utf-8")
    mapping = load_mapping("core/customers.out", roots=[tmp_path])
    entity = {"key": "core/2", "number": "2", "name": {"full": "山田"}}
    context = {"system": {"id": "core", "channel": "core"}}
    for into, shown in (("core/00000001", "00000001"), ("shop/5", None), (None, None)):
        told = entity if into is None else {**entity, "merged_into": into}
        out = mapping.from_entity(told, context, {})
        assert out is not None
        assert out.record.get("統合先顧客番号") == shown


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_it_names_is_there(page: Path) -> None:
    people = typer.main.get_command(app).commands["people"]  # type: ignore[attr-defined]
    named = set(re.findall(r"\$ tsunagi people (\w+)", page.read_text("utf-8")))
    assert named == set(people.commands)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_it_tells_of_every_verdict_and_of_what_is_asked(page: Path) -> None:
    text = page.read_text("utf-8")
    assert all(f"| `{verdict}`" in text for verdict in Verdict)
    assert f"{load_rules().too_many}" in text
