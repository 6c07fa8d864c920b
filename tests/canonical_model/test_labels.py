"""Names of fields for people."""

from __future__ import annotations

import pytest

from canonical_model.labels import field_label, japanese_labels, path_label
from canonical_model.schema import current_schemas


def fields() -> set[tuple[str, str]]:
    """(model, field) of everything in the schemas."""
    found: set[tuple[str, str]] = set()
    for kind, schema in current_schemas().items():
        from canonical_model import entity_model

        found |= {(entity_model(kind).__name__, field) for field in schema["properties"]}
        for model, part in schema.get("$defs", {}).items():
            found |= {(model, field) for field in part.get("properties", {})}
    return found


def test_every_field_has_a_japanese_label_and_no_label_is_left_over() -> None:
    known = fields()
    labels = japanese_labels()
    assert not sorted({field for _, field in known} - set(labels))
    general = {field for _, field in known}
    own = {f"{field}.{model}" for model, field in known}
    assert not sorted(set(labels) - general - own)
    assert all(labels.values())


@pytest.mark.parametrize(
    ("kind", "path", "ja", "en"),
    [
        ("order", "lines.0.unit_price.amount", "明細 1 › 単価 › 金額", "Lines 1 › Unit price › Amount"),
        ("order", "lines[1].quantity.ordered", "明細 2 › 数量 › 注文数", "Lines 2 › Quantity › Ordered"),
        ("order", "number", "受注番号", "Number"),
        ("customer", "name.family_kana", "氏名 › 姓カナ", "Name › Family kana"),
        ("order", "traits.rakuten.basket", "固有項目 › rakuten › basket", "Traits › rakuten › basket"),
    ],
)
def test_a_path_is_told_in_words(kind: str, path: str, ja: str, en: str) -> None:
    assert path_label(kind, path) == ja
    assert path_label(kind, path, "en") == en


def test_a_field_without_a_label_is_shown_in_english() -> None:
    assert field_label("Order", "some_new_field") == "Some new field"
