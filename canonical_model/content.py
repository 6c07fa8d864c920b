"""The stored form of entities: compact, stable JSON.

Defaults are left out, instants are UTC with a Z, decimals are text, the keys of free objects are sorted. Equal
entities give equal bytes (the hub hashes them), and the content read back gives an equal entity. Numbers in free
objects keep their spelling: 1 and 1.0 are different contents.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from canonical_model.entity import Entity, entity_model

__all__ = ["dump_json", "from_content", "from_json", "full_content", "to_content"]


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


def full_content(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The stored form with all defaults in it, as `model_dump(mode="json")` gives it; errors as `from_content`.

    Contents whose members hold no models are filled up without being validated again.
    """
    defaults, plain = _plain_members(kind)
    if plain.issuperset(content):
        return {**defaults, **content}
    return from_content(kind, content).model_dump(mode="json")


@cache
def _plain_members(kind: str) -> tuple[dict[str, Any], frozenset[str]]:
    """The defaults of a kind, and the members that are dumped as they are stored."""
    fields = entity_model(kind).model_fields
    defaults = {
        name: to_jsonable_python(field.get_default(call_default_factory=True))
        for name, field in fields.items()
        if not field.is_required()
    }
    # traits are free objects, whose keys a dump sorts
    return defaults, frozenset(
        name for name, field in fields.items() if name != "traits" and not _holds_model(field.annotation)
    )


def _holds_model(annotation: Any) -> bool:
    if isinstance(annotation, type) and not get_args(annotation):
        return issubclass(annotation, BaseModel)
    return any(_holds_model(part) for part in get_args(annotation))
