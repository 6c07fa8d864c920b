"""What people call the fields of the model. English is the field's own name; Japanese stands in `labels.csv`.

A row `number.Order` holds for that field of that model, a row `number` for all others.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel

from canonical_model.entity import entity_model

__all__ = ["field_label", "japanese_labels", "path_label"]


@lru_cache(maxsize=1)
def japanese_labels() -> dict[str, str]:
    """All rows of `labels.csv`."""
    text = files("canonical_model").joinpath("labels.csv").read_text(encoding="utf-8")
    return {row["field"]: row["ja"] for row in csv.DictReader(text.splitlines())}


def field_label(model: str, field: str, language: str = "ja") -> str:
    """The label of a field of a model (its class name), in "ja" or "en"; English where a name has no label."""
    english = field.replace("_", " ").capitalize()
    if language != "ja":
        return english
    labels = japanese_labels()
    return labels.get(f"{field}.{model}") or labels.get(field) or english


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    found = [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
    for part in getattr(annotation, "__args__", ()):
        found += _models_in(part)
    return found


def path_label(kind: str, path: str, language: str = "ja") -> str:
    """A field path of an entity in words: ("order", "lines.0.unit_price.amount") is "明細 1 › 単価 › 金額".

    Numbers in a path count from 0 and are shown from 1. Steps the model does not know (inside traits, say) are
    shown as they are. Raises KeyError for an unknown kind.
    """
    model: type[BaseModel] | None = entity_model(kind)
    words: list[str] = []
    for step in path.replace("[", ".").replace("]", "").split("."):
        if step.isdigit() and words:
            words[-1] += f" {int(step) + 1}"
        elif model is not None and step in model.model_fields:
            words.append(field_label(model.__name__, step, language))
            below = _models_in(model.model_fields[step].annotation)
            model = below[0] if below else None
        else:
            words.append(step)
            model = None
    return " › ".join(words)
