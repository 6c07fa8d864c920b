"""The vendor's published schema, where it is at hand: requests and answers are then held against it.

It is looked for in the folder that TSUNAGI_SHARED names, else in `../shared` beside the checkout; nothing of it is
part of this repository.
"""

from __future__ import annotations

import gzip
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLSchema,
    OperationDefinitionNode,
    build_client_schema,
    parse,
    validate,
)
from graphql.execution import execute_sync
from graphql.execution.values import get_variable_values

__all__ = ["answer_faults", "input_faults", "request_faults", "schema_of"]

_FILES = "specs/shopify/admin_{version}.json.gz"


@cache
def schema_of(version: str) -> GraphQLSchema | None:
    """The schema of a version ("2026-10"), or None where it is not at hand."""
    here = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("TSUNAGI_SHARED") or here.parent / "shared")
    file = folder / _FILES.format(version=version)
    if not file.is_file():
        return None
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        return build_client_schema(json.load(stream)["data"], assume_valid=True)


@cache
def request_faults(version: str, query: str) -> tuple[str, ...]:
    """What the schema has against a query."""
    schema = schema_of(version)
    return tuple(error.message for error in validate(schema, parse(query))) if schema is not None else ()


def input_faults(
    version: str, document: DocumentNode, name: str | None, variables: dict[str, Any]
) -> list[str]:
    """What the schema has against the variables of an operation."""
    schema = schema_of(version)
    if schema is None:
        return []
    faults: list[str] = []
    for one in document.definitions:
        if isinstance(one, OperationDefinitionNode) and (
            name is None or (one.name and one.name.value == name)
        ):
            found = get_variable_values(schema, one.variable_definitions or [], variables)
            faults += [error.message for error in found] if isinstance(found, list) else []
    return faults


def answer_faults(
    version: str, document: DocumentNode, data: dict[str, Any], variables: dict[str, Any], name: str | None
) -> list[str]:
    """What the schema has against an answer: it is played through the schema's own types."""
    schema = schema_of(version)
    if schema is None:
        return []

    def resolve(source: Any, info: Any, **_arguments: Any) -> Any:
        return source.get(info.path.key) if isinstance(source, dict) else None

    def kind_of(value: Any, _info: Any, abstract: Any) -> str:
        # Where the query did not ask what it got, any of the possible types has the fields it may ask for.
        told = value.get("__typename") if isinstance(value, dict) else None
        return str(told or schema.get_possible_types(abstract)[0].name)

    result = execute_sync(
        schema, document, root_value=data, variable_values=variables, operation_name=name,
        field_resolver=resolve, type_resolver=kind_of,
    )  # fmt: skip
    return [f"{'.'.join(map(str, error.path or ()))}: {error.message}" for error in result.errors or ()]
