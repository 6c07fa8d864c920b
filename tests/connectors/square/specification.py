"""Square's published OpenAPI, where it lies beside the checkout: are requests and answers what it says?"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

_HERE = Path(__file__).resolve()
_SHARED = Path(os.environ.get("TSUNAGI_SHARED", _HERE.parents[3].parent / "shared"))
SPECIFICATION = _SHARED / "specs" / "square" / "api.offline.json"
MISSING = f"Square's OpenAPI is not at {SPECIFICATION}; set TSUNAGI_SHARED to the folder that holds specs/"
_URI = "urn:square"


def problems_of_request(method: str, path: str, body: Any) -> list[str]:
    """How the JSON body of a request differs from the specification; [] when it does not."""
    operation = _operation(method, path)
    if operation is None:
        return [f"{method} {path} is not in the specification"]
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        return [] if body is None else [f"{method} {path} takes no body"]
    return _problems(schema, body)


def problems_of_query(method: str, path: str, query: Mapping[str, str]) -> list[str]:
    """Names in a query that the specification does not know."""
    known = {
        each["name"]
        for each in (_operation(method, path) or {}).get("parameters", ())
        if each["in"] == "query"
    }
    return [f"{name} is no parameter of {method} {path}" for name in query if name not in known]


def problems_of_answer(method: str, path: str, status: int, body: Any) -> list[str]:
    """How an answer differs from the specification. It tells only of 200; other answers are `errors`."""
    operation = _operation(method, path)
    if operation is None:
        return [f"{method} {path} is not in the specification"]
    if status == 200:
        return _problems(operation["responses"]["200"]["content"]["application/json"]["schema"], body)
    errors = {"type": "array", "minItems": 1, "items": {"$ref": f"{_URI}#/components/schemas/Error"}}
    wanted = {
        "type": "object",
        "required": ["errors"],
        "additionalProperties": False,
        "properties": {"errors": errors},
    }
    return _problems(wanted, body)


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    text = SPECIFICATION.read_text("utf-8")
    document: dict[str, Any] = json.loads(re.sub(r'("\$ref":\s*")#/', rf"\1{_URI}#/", text))
    for schema in document["components"]["schemas"].values():
        _to_json_schema(schema)
    return document


def _to_json_schema(schema: Any) -> None:
    """OpenAPI 3.0 to JSON Schema, in place: `nullable`, and no members the specification does not name."""
    if isinstance(schema, list):
        for each in schema:
            _to_json_schema(each)
        return
    if not isinstance(schema, dict):
        return
    for value in list(schema.values()):
        _to_json_schema(value)
    if schema.pop("nullable", False) is True:
        plain = {name: schema.pop(name) for name in list(schema)}
        schema["anyOf"] = [plain, {"type": "null"}]
    elif schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        schema.setdefault("additionalProperties", False)


@lru_cache(maxsize=1)
def _registry() -> Registry[Any]:
    resource = Resource(contents=_document(), specification=DRAFT202012)
    return Registry().with_resource(_URI, resource)


def _problems(schema: Any, body: Any) -> list[str]:
    validator = Draft202012Validator(schema, registry=_registry())
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(body)]


@lru_cache(maxsize=256)
def _operation(method: str, path: str) -> dict[str, Any] | None:
    paths = _document()["paths"]
    found: dict[str, Any] | None
    for known, operations in ((path, paths.get(path)), *paths.items()):
        pattern = re.sub(r"\\\{[^/]+\\\}", "[^/]+", re.escape(known))
        if (
            operations
            and re.fullmatch(pattern, path)
            and (found := operations.get(method.lower())) is not None
        ):
            return found
    return None
