"""The stored form of entities: compact, stable JSON.

Defaults are left out, instants are UTC with a Z, decimals are text, the keys of free objects are sorted. Equal
entities give equal bytes (the hub hashes them), and the content read back gives an equal entity. Numbers in free
objects keep their spelling: 1 and 1.0 are different contents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canonical_model.entity import Entity, entity_model

__all__ = ["dump_json", "from_content", "from_json", "to_content"]


def to_content(entity: Entity) -> dict[str, Any]:
    """The stored form as a dict of JSON values."""
    content: dict[str, Any] = entity.__pydantic_serializer__.to_python(
        entity, mode="json", exclude_defaults=True
    )
    return content


def dump_json(entity: Entity) -> bytes:
    """The stored form as compact UTF-8 JSON."""
    return entity.__pydantic_serializer__.to_json(entity, exclude_defaults=True)


def from_content(kind: str, content: Mapping[str, Any]) -> Entity:
    """The entity of a stored form. Raises KeyError for an unknown kind, pydantic's ValidationError for the rest."""
    return entity_model(kind).model_validate(content)


def from_json(kind: str, data: bytes | str) -> Entity:
    """The entity of a stored form in JSON text; errors as `from_content`."""
    return entity_model(kind).model_validate_json(data)
