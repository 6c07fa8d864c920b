"""What the canonical models say about a field: used to check mappings when they are loaded."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

__all__ = ["Shape", "shape_of"]


@dataclass(frozen=True)
class Shape:
    """The type of one field. `label` names it for people: "order.lines[].quantity"."""

    annotation: Any
    label: str

    @cached_property
    def bare(self) -> Any:
        """The annotation without Annotated and without "or None"; Any for real unions."""
        found = self.annotation
        while True:
            origin = get_origin(found)
            if origin is Annotated:
                found = get_args(found)[0]
            elif origin in (Union, types.UnionType):
                rest = [a for a in get_args(found) if a is not type(None)]
                if len(rest) != 1:
                    return Any
                found = rest[0]
            else:
                return found

    @property
    def model(self) -> type[BaseModel] | None:
        bare = self.bare
        return bare if isinstance(bare, type) and issubclass(bare, BaseModel) else None

    @property
    def is_list(self) -> bool:
        return get_origin(self.bare) in (tuple, list, Sequence, set, frozenset)

    @property
    def is_open(self) -> bool:
        """Anything may stand here (Any, or a dict whose keys are free)."""
        return self.bare in (Any, dict) or get_origin(self.bare) is dict

    @property
    def is_text(self) -> bool:
        """A plain text field: numbers given for it are written out."""
        bare = self.bare
        return isinstance(bare, type) and issubclass(bare, str) and not issubclass(bare, Enum)

    @property
    def type_name(self) -> str:
        model = self.model
        return model.__name__ if model else getattr(self.bare, "__name__", str(self.bare))

    def names(self) -> list[str]:
        model = self.model
        return list(model.model_fields) if model else []

    def member(self, name: str) -> Shape | None:
        """The field of that name; None when the model has none."""
        if self.is_open:
            return Shape(Any, f"{self.label}.{name}")
        model = self.model
        field = model.model_fields.get(name) if model else None
        if field is None:
            return None
        return Shape(field.rebuild_annotation(), f"{self.label}.{name}")

    def item(self) -> Shape:
        """The type of a list's items."""
        arguments = [a for a in get_args(self.bare) if a is not Ellipsis]
        return Shape(arguments[0] if self.is_list and arguments else Any, f"{self.label}[]")

    def required(self) -> list[str]:
        """Names the model cannot do without. Models that rework their input are believed to find them."""
        model = self.model
        if model is None or any(
            d.info.mode == "before" for d in model.__pydantic_decorators__.model_validators.values()
        ):
            return []
        return [name for name, field in model.model_fields.items() if field.is_required()]

    def refuses(self, value: Any) -> str | None:
        """Why a constant does not fit, or None."""
        if self.is_open:
            return None
        try:
            _adapter(self.annotation).validate_python(value)
        except ValidationError as error:
            return error.errors(include_url=False)[0]["msg"]
        return None

    def codes(self) -> list[str]:
        """The members of a code list."""
        bare = self.bare
        return [str(m.value) for m in bare] if isinstance(bare, type) and issubclass(bare, Enum) else []


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def shape_of(model: type[BaseModel], label: str) -> Shape:
    return Shape(model, label)
