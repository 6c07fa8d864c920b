"""The published JSON Schemas."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from canonical_model import ENTITIES, Order
from canonical_model.content import to_content
from canonical_model.schema import SCHEMA_FOLDER, current_schemas, schema_text, write_schemas


@pytest.fixture(scope="module")
def schemas() -> dict[str, dict[str, Any]]:
    return current_schemas()


def test_the_files_are_current(schemas: dict[str, dict[str, Any]]) -> None:
    assert set(schemas) == set(ENTITIES)
    stored = {path.name: path.read_text(encoding="utf-8") for path in SCHEMA_FOLDER.glob("*.json")}
    assert set(stored) == {f"{kind}.schema.json" for kind in schemas}
    stale = [kind for kind, schema in schemas.items() if stored[f"{kind}.schema.json"] != schema_text(schema)]
    assert not stale, "run: python -c 'from canonical_model.schema import write_schemas; write_schemas()'"


def test_every_schema_is_one(schemas: dict[str, dict[str, Any]]) -> None:
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_a_stored_order_is_valid_and_a_wrong_one_is_not(
    schemas: dict[str, dict[str, Any]], order: Callable[..., Order]
) -> None:
    validator = jsonschema.Draft202012Validator(schemas["order"])
    content = to_content(order())
    assert not list(validator.iter_errors(content))
    wrong = {**content, "payment": {"method": "cheque"}, "totals": {"payable": {"amount": 1.5}}}
    assert {error.json_path for error in validator.iter_errors(wrong)} == {
        "$.payment.method",
        "$.totals.payable.amount",
    }


def test_code_lists_carry_labels_in_both_languages(schemas: dict[str, dict[str, Any]]) -> None:
    methods = schemas["order"]["$defs"]["PaymentMethod"]
    assert (methods["title"], methods["x-title-ja"]) == ("Payment method", "支払方法")
    assert methods["x-labels"]["cod"] == {"ja": "代金引換", "en": "Cash on delivery"}
    assert set(methods["x-labels"]) == set(methods["enum"])


def test_writing_removes_schemas_of_kinds_that_are_gone(tmp_path: Path) -> None:
    (tmp_path / "gone.schema.json").write_text("{}")
    written = write_schemas(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(written)
    assert json.loads((tmp_path / "return.schema.json").read_text("utf-8"))["x-title-ja"] == "返品"
