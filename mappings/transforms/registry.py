"""The register of transforms.

A transform is a function of keyword-only parameters that builds a step: a pure function of one value. Parameters
are validated once, when a mapping is compiled; everything that can be prepared (formats, tables, patterns) is
prepared then.

    @transform("prefix", gives="text", ja="前に文字を付けます。", en="Puts text in front.",
               examples=[({"text": "A-"}, "1", "A-1")])
    def prefix(*, text: str) -> Step: ...

A step is handed values that are not null; it answers null for blank text, never an empty text, and raises
`TransformFault` for what it cannot take.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from mappings.faults import TransformFault

__all__ = ["TRANSFORMS", "UNSET", "BadParameter", "Gives", "Step", "Transform", "as_text", "transform"]

Step = Callable[..., Any]
Gives = Literal["text", "integer", "number", "boolean", "money", "date", "datetime", "any"]
Example = tuple[Mapping[str, Any], Any, Any]


UNSET: Any = object()
"""Default of a parameter for which null is a meaning of its own."""


class BadParameter(ValueError):
    """A parameter of a transform is wrong."""

    def __init__(
        self, parameter: str, detail: str, known: Sequence[str] = (), *, ja: str | None = None
    ) -> None:
        super().__init__(f"{parameter}: {detail}")
        self.parameter, self.detail, self.known = parameter, detail, list(known)
        self.detail_ja = ja or f"値が正しくありません({detail})。"


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


@dataclass(frozen=True)
class Transform:
    """One transform.

    gives      what comes out, for checks against the model
    computed   parameters that may also be expressions, worked out per record
    first      the parameter a bare value stands for: `{offset: 1}` is `{offset: {by: 1}}`
    """

    name: str
    build: Callable[..., Step]
    gives: Gives
    ja: str
    en: str
    examples: Sequence[Example]
    parameters: type[BaseModel]
    computed: frozenset[str]

    @property
    def first(self) -> str | None:
        return next(iter(self.parameters.model_fields), None)

    def step(self, given: Mapping[str, Any]) -> Step:
        """Validate the parameters and build the step. Raises `BadParameter`."""
        try:
            valid = self.parameters.model_validate(dict(given))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            if first["type"] == "extra_forbidden":
                known = [*self.parameters.model_fields]
                ja = "そのようなパラメータはありません。"
                raise BadParameter(name, "there is no such parameter.", known, ja=ja) from None
            raise BadParameter(name, first["msg"]) from None
        return self.build(**{name: getattr(valid, name) for name in valid.model_fields_set})


TRANSFORMS: dict[str, Transform] = {}


def transform(
    name: str,
    *,
    gives: Gives,
    ja: str,
    en: str,
    examples: Sequence[Example],
    computed: Sequence[str] = (),
) -> Callable[[Callable[..., Step]], Callable[..., Step]]:
    """Register a transform. `examples` are (parameters, value, result); the tests run them, the docs show them."""

    def register(build: Callable[..., Step]) -> Callable[..., Step]:
        hints = get_type_hints(build, include_extras=True)
        fields: dict[str, Any] = {}
        for parameter in inspect.signature(build).parameters.values():
            default = parameter.default
            if default is inspect.Parameter.empty:
                default = ...
            elif default is UNSET:
                default = None
            fields[parameter.name] = (hints[parameter.name], default)
        parameters = create_model(f"{name}_parameters", __base__=_Parameters, **fields)
        TRANSFORMS[name] = Transform(name, build, gives, ja, en, examples, parameters, frozenset(computed))
        return build

    return register


def as_text(value: Any) -> str:
    """A text, trimmed; whole and decimal numbers are written out. Anything else is a fault."""
    if value.__class__ is str:
        return value.strip()
    if isinstance(value, bool):
        raise TransformFault("not_text", kind="boolean")
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, str):
        return str.strip(value)
    raise TransformFault("not_text", kind=_kind(value))


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "object"
    return "list" if isinstance(value, list | tuple) else type(value).__name__
