"""The page about the model says what is true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from canonical_model import ENTITIES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "canonical-model.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_its_example_runs_and_gives_what_it_says(page: str) -> None:
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], names)
    order = names["order"]
    assert order.differences() == ()
    assert {str(tax.rate): tax.tax.amount for tax in order.invoice_taxes()} == {"0.08": 480, "0.1": 80}
    assert names["from_json"]("order", names["dump_json"](order)) == order


def test_it_lists_every_kind_with_its_japanese_name(page: str) -> None:
    table = page[page.index("| kind |") : page.index("`entity_model(")]
    missing = [
        kind for kind, model in ENTITIES.items() if f"`{kind}`" not in table or model.titles[0] not in table
    ]
    assert not missing
