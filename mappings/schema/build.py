"""Builds `mapping.schema.json`, which editors use to complete and check mapping files.

`python -m mappings.reference` writes the file again after a transform was added; a test holds it current.
The schema is the shape only; what a mapping means (fields, paths, tables) is checked by `reader`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from canonical_model import ENTITIES
from mappings.expressions import CONDITIONS, FORMS, OPTIONS
from mappings.problems import Problems
from mappings.transforms import TRANSFORMS, Transform

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

__all__ = ["SCHEMA_FILE", "build_schema", "check_shape", "schema_text"]

SCHEMA_FILE = Path(__file__).with_name("mapping.schema.json")
_EXPRESSION = {"$ref": "#/$defs/expression"}
_CONDITION = {"$ref": "#/$defs/condition"}
_FIELDS = {"type": "object", "minProperties": 1, "additionalProperties": _EXPRESSION}
_TEXT = {"type": "string", "minLength": 1}


def _option_schemas() -> dict[str, Any]:
    return {
        "from": {**_TEXT, "description": "パス / a path"},
        "value": {"description": "定数 / a constant"},
        "first": {
            "type": "array",
            "minItems": 1,
            "items": _EXPRESSION,
            "description": "空でない最初の値 / the first value there is",
        },
        "join": {
            "type": "array",
            "minItems": 1,
            "items": _EXPRESSION,
            "description": "つないだ文字 / parts put together",
        },
        "each": {**_TEXT, "description": "一覧の各項目 / each item of a list"},
        "call": {
            "type": "string",
            "pattern": "^[A-Za-z_][\\w.]*:[A-Za-z_]\\w*$",
            "description": "package.module:function",
        },
        "fields": {**_FIELDS, "description": "中の項目 / the fields of the object"},
        "as": {
            "description": "変換 / transforms, one or a list",
            "anyOf": [
                {"$ref": "#/$defs/transform"},
                {"type": "array", "items": {"$ref": "#/$defs/transform"}},
            ],
        },
        "table": {**_TEXT, "description": "変換表 / a code table: tables/<name>.csv"},
        "unknown": {"description": "表にない値の代わり / instead of a value the table lacks"},
        "default": {"description": "空のときの値 / the value when there is none"},
        "required": {"type": "boolean", "description": "空なら不備 / null or empty is a fault"},
        "when": {**_CONDITION, "description": "条件 / a condition; else null"},
        "keep": {"type": "boolean", "description": "nullでも書く / write it even when it is null"},
        "with": {"type": "string", "description": "間に入れる文字 / what stands between the parts"},
        "all": {
            "type": "boolean",
            "description": "全部そろったときだけ / nothing unless all parts are there",
        },
        "args": {"type": "array", "items": _EXPRESSION},
        "where": {**_CONDITION, "description": "使う項目の条件 / which items"},
        "item": {**_EXPRESSION, "description": "値の一覧にする / the value of each item"},
    }


def _transform(transform: Transform) -> dict[str, Any]:
    schema = transform.parameters.model_json_schema()
    properties: dict[str, Any] = {}
    for name, field in schema.get("properties", {}).items():
        bare = {k: v for k, v in field.items() if k not in ("title", "default")}
        properties[name] = {"anyOf": [bare, {"type": "object"}]} if name in transform.computed else bare
    parameters: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    if required := schema.get("required"):
        parameters["required"] = required
    described = {"description": f"{transform.ja} / {transform.en}"}
    first = transform.first
    if first is None or transform.parameters.model_fields[first].annotation is dict:
        return {**parameters, **described}
    bare_first = properties[first]
    return {**described, "anyOf": [parameters, {"allOf": [bare_first, {"not": {"type": "object"}}]}]}


def build_schema() -> dict[str, Any]:
    """The JSON Schema as data."""
    options = _option_schemas()
    forms = []
    for form in FORMS:
        known = {name: options[name] for name in (form, *OPTIONS[form])}
        forms.append(
            {"type": "object", "required": [form], "properties": known, "additionalProperties": False}
        )
    transforms: dict[str, Any] = {name: _transform(t) for name, t in sorted(TRANSFORMS.items())}
    transforms["table"] = {
        "description": "変換表 / a code table",
        "anyOf": [
            _TEXT,
            {
                "type": "object",
                "required": ["name"],
                "properties": {"name": _TEXT, "unknown": {}},
                "additionalProperties": False,
            },
        ],
    }
    plain = sorted(
        n
        for n, t in TRANSFORMS.items()
        if not any(f.is_required() for f in t.parameters.model_fields.values())
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tsunagi mapping",
        "description": "Records into entities (*.in.yaml), entities into records (*.out.yaml); see docs/mappings.md.",
        "type": "object",
        "required": ["version", "direction", "entity", "fields"],
        "properties": _top(),
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"properties": {"direction": {"const": "in"}}},
                "then": {
                    "required": ["external_id"],
                    "properties": dict.fromkeys(("related", "key", "records"), False),
                },
                "else": {"required": ["key"], "properties": dict.fromkeys(("group", "external_id"), False)},
            }
        ],
        "$defs": {
            "expression": {
                "anyOf": [
                    {**_TEXT, "description": "パス / a path"},
                    {"type": "array", "items": _EXPRESSION},
                    *forms,
                    {**_FIELDS, "not": {"anyOf": [{"required": [form]} for form in FORMS]}},
                ]
            },
            "condition": _conditions(),
            "transform": {
                "anyOf": [
                    {"enum": plain},
                    {
                        "type": "object",
                        "minProperties": 1,
                        "maxProperties": 1,
                        "properties": transforms,
                        "additionalProperties": False,
                    },
                ]
            },
        },
    }


def _top() -> dict[str, Any]:
    return {
        "version": {"type": "integer", "minimum": 1},
        "direction": {"enum": ["in", "out"]},
        "entity": {"enum": sorted(ENTITIES)},
        "title": {"type": "object", "properties": {"ja": {"type": "string"}, "en": {"type": "string"}}},
        "group": {
            "type": "object",
            "required": ["by"],
            "additionalProperties": False,
            "properties": {"by": _EXPRESSION, "same": {"type": "array", "items": _TEXT}},
        },
        "external_id": _EXPRESSION,
        "key": _EXPRESSION,
        "when": _CONDITION,
        "related": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["entity", "key"],
                "additionalProperties": False,
                "properties": {
                    "entity": {"enum": sorted(ENTITIES)},
                    "key": _EXPRESSION,
                    "back": {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2},
                },
            },
        },
        "records": {
            "type": "object",
            "required": ["each"],
            "additionalProperties": False,
            "properties": {"each": _TEXT, "where": _CONDITION},
        },
        "fields": _FIELDS,
    }


def _conditions() -> dict[str, Any]:
    pair = {"type": "array", "minItems": 2, "maxItems": 2}
    many = {"type": "array", "minItems": 1, "items": _CONDITION}
    meaning = {
        "present": _EXPRESSION,
        "absent": _EXPRESSION,
        "equals": {**pair, "items": _EXPRESSION},
        "in": {**pair, "prefixItems": [_EXPRESSION, {"type": "array"}]},
        "not": _CONDITION,
        "all": many,
        "any": many,
    }
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": {name: meaning[name] for name in CONDITIONS},
    }


def schema_text() -> str:
    """The file as it must stand in the repository."""
    return json.dumps(build_schema(), ensure_ascii=False, indent=2) + "\n"


@lru_cache(maxsize=1)
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


def check_shape(data: Any, problems: Problems) -> None:
    """Hold a mapping against the published schema; the reader has said everything it could say better."""
    from jsonschema.exceptions import best_match

    error = best_match(_validator().iter_errors(data))
    if error is not None:
        problems.add("schema", tuple(error.absolute_path), detail=error.message[:300])
