"""The base of everything the hub keeps, and the register of entity kinds."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from canonical_model.values import Value, check_json_object, sorted_json

__all__ = ["ENTITIES", "Entity", "ExternalRef", "Traits", "entity_model"]

ENTITIES: dict[str, type[Entity]] = {}
"""Entity kind ("order") -> model. Filled by the class statements of `canonical_model`."""

Traits = Annotated[
    dict[str, dict[str, Any]],
    AfterValidator(check_json_object),
    PlainSerializer(sorted_json, return_type=dict[str, dict[str, Any]], when_used="json"),
]
"""Namespace -> JSON object."""


class ExternalRef(Value):
    """How another system names this thing."""

    system: str
    id: str
    type: str | None = None


class Entity(BaseModel):
    """One thing in the canonical shape.

    key      the hub's business key, unique within the kind; how it is built is said in each model
    refs     names of this thing in other systems that came with the record itself
    traits   what the canonical model has no room for, under a namespace: {"rakuten": {"basket_id": 12}};
             JSON values only
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True, defer_build=True)
    kind: ClassVar[str]
    titles: ClassVar[tuple[str, str]]
    """What people call this kind of thing: (Japanese, English)."""

    key: Annotated[str, Field(min_length=1, max_length=200)]
    refs: tuple[ExternalRef, ...] = ()
    traits: Traits = Field(default_factory=dict)

    def __init_subclass__(
        cls, *, kind: str | None = None, ja: str | None = None, en: str | None = None, **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        if kind is not None:
            cls.kind = kind
            cls.titles = (ja or kind, en or kind.replace("_", " ").capitalize())
            ENTITIES[kind] = cls


def entity_model(kind: str) -> type[Entity]:
    """The model of an entity kind. Raises KeyError with the known kinds in its message."""
    try:
        return ENTITIES[kind]
    except KeyError:
        raise KeyError(f"no entity kind {kind!r}; known: {', '.join(sorted(ENTITIES))}") from None
