"""A read mapping: the tree the interpreter walks and the compiler writes code for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mappings.paths import Path

__all__ = [
    "Call",
    "Condition",
    "Const",
    "Each",
    "Empty",
    "Equals",
    "First",
    "In",
    "Items",
    "Join",
    "Logic",
    "Node",
    "Obj",
    "Related",
    "Source",
    "Step",
    "Tree",
    "Value",
]


@dataclass(frozen=True, slots=True)
class Const:
    value: Any


@dataclass(frozen=True, slots=True)
class Source:
    """A path. `strict`: a `$system` constant that is not there is a fault."""

    path: Path
    strict: bool = False


@dataclass(frozen=True, slots=True)
class First:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """Text of the parts that are there; with `whole`, nothing unless all are."""

    parts: tuple[Node, ...]
    sep: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Call:
    target: str
    function: Callable[..., Any]
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One transform or table, built. `computed` are parameters worked out per record."""

    name: str
    run: Callable[..., Any]
    gives: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    computed: tuple[tuple[str, Node], ...] = ()
    table: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A value with its options. The value is made, then handed through `steps`, then default and required apply."""

    source: Source | First | Join | Call | Const
    steps: tuple[Step, ...] = ()
    has_default: bool = False
    default: Any = None
    required: bool = False
    when: Condition | None = None
    keep: bool = False
    text: bool = False
    """The model's field is text: a number is written out."""


@dataclass(frozen=True, slots=True)
class Obj:
    """A nested object; left out when all members that are no constants are null, unless `keep`."""

    members: tuple[tuple[str, Node], ...]
    keep: bool = False
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Each:
    source: Source
    body: Node
    where: Condition | None = None
    when: Condition | None = None
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list written out item by item; null items are left out."""

    items: tuple[Node, ...]


Node = Value | Obj | Each | Items


# ---------------------------------------------------------------- conditions


@dataclass(frozen=True, slots=True)
class Empty:
    """Whether a value is there (`present`) or not (`absent`)."""

    value: Node
    wanted: bool


@dataclass(frozen=True, slots=True)
class Equals:
    a: Node
    b: Node


@dataclass(frozen=True, slots=True)
class In:
    value: Node
    known: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Logic:
    """`all`, `any` or `not` (one part) of other conditions."""

    kind: str
    parts: tuple[Condition, ...]


Condition = Empty | Equals | In | Logic


@dataclass(frozen=True, slots=True)
class Related:
    """An entity an outgoing mapping needs beside its own. `back` is (my field, its field)."""

    entity: str
    key: Node
    back: tuple[str, str] | None


@dataclass(frozen=True)
class Tree:
    """A whole mapping, read and checked."""

    name: str
    file: str
    version: int
    direction: str
    entity: str
    title: Mapping[str, str]
    fields: Obj
    when: Condition | None = None
    external_id: Node | None = None
    group_by: Node | None = None
    same: tuple[Path, ...] = ()
    key: Node | None = None
    records: Each | None = None
    related: Mapping[str, Related] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    functions: tuple[Callable[..., Any], ...] = ()


def is_constant(node: Node) -> bool:
    """Whether a value says nothing about the record: a constant, or a constant of the system."""
    if isinstance(node, Value):
        return _is_constant_source(node.source)
    return isinstance(node, Obj) and all(is_constant(member) for _, member in node.members)


def _is_constant_source(source: object) -> bool:
    if isinstance(source, Const):
        return True
    if isinstance(source, Source):
        return source.path.root == "system"
    if isinstance(source, First | Join):
        return all(is_constant(part) for part in source.parts)
    return False


def equal(a: Any, b: Any) -> bool:
    """Whether two values are the same for conditions: numbers and texts are compared as text."""
    if a == b:
        return True
    if isinstance(a, str) and isinstance(b, int) and not isinstance(b, bool):
        return a == str(b)
    if isinstance(b, str) and isinstance(a, int) and not isinstance(a, bool):
        return b == str(a)
    return False


def alike(known: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values and what `equal` takes for them, so that `in` on the tuple means the same as `equal`."""
    result: list[Any] = []
    for value in known:
        result.append(value)
        if isinstance(value, int) and not isinstance(value, bool):
            result.append(str(value))
        elif isinstance(value, str) and str_is_int(value):
            result.append(int(value))
    return tuple(result)


def str_is_int(value: str) -> bool:
    digits = value.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and str(int(value)) == value
