"""JSON Schemas of the stored forms, for people and tools outside: `canonical_model/schemas/<kind>.schema.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import canonical_model
from canonical_model.entity import ENTITIES, Entity
from canonical_model.labels import field_label

__all__ = ["SCHEMA_FOLDER", "current_schemas", "schema_of", "schema_text", "write_schemas"]

SCHEMA_FOLDER = Path(canonical_model.__file__).parent / "schemas"


def schema_of(model: type[Entity]) -> dict[str, Any]:
    """The schema of one entity's stored form.

    Titles of kinds, fields and code lists are English, with Japanese beside them in `x-title-ja`; every code list
    carries the labels of its codes in both languages in `x-labels`.
    """
    ja, en = model.titles
    schema = model.model_json_schema(mode="validation")
    schema.pop("title", None)
    _name_fields(model.__name__, schema)
    for name, part in schema.get("$defs", {}).items():
        _name_fields(name, part)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{model.kind}.schema.json",
        "title": en,
        "x-title-ja": ja,
        **schema,
    }


def _name_fields(model: str, schema: dict[str, Any]) -> None:
    for field, part in schema.get("properties", {}).items():
        part["title"] = field_label(model, field, "en")
        part["x-title-ja"] = field_label(model, field)


def current_schemas() -> dict[str, dict[str, Any]]:
    """Entity kind -> schema, of all kinds."""
    return {kind: schema_of(ENTITIES[kind]) for kind in sorted(ENTITIES)}


def schema_text(schema: dict[str, Any]) -> str:
    """A schema as it is written to a file: indented, with its Japanese as it is."""
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def write_schemas(folder: Path = SCHEMA_FOLDER) -> list[Path]:
    """Write all schemas into `folder`, remove those of kinds that are gone, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind, schema in current_schemas().items():
        path = folder / f"{kind}.schema.json"
        path.write_text(schema_text(schema), encoding="utf-8")
        written.append(path)
    for stale in set(folder.glob("*.schema.json")) - set(written):
        stale.unlink()
    return written
