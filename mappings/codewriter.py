"""Writes lines of Python: names, indentation, loops' scopes, and the reads of paths that code shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mappings.paths import FLATTEN, Path, flat, follow, index, spread

__all__ = ["CodeWriter", "Doubt", "Lines", "Scope", "flatten", "reads"]

Lines = list[Any]
"""Lines of code and, where a scope may still put reads in front, nested lists of lines."""


class Doubt(Exception):
    """Raised by generated code that is not sure; the interpreter decides."""


_EMPTY: dict[str, Any] = {}


def _obj(value: Any) -> Any:
    """The value if it has members, else an object without any."""
    return value if isinstance(value, Mapping) else _EMPTY


def _items(value: Any) -> Any:
    if value.__class__ is list:
        for entry in value:
            if entry.__class__ is not dict:
                return flat(value)
        return value
    return flat(value)


def _inner(value: Any) -> Any:
    if value.__class__ is list and None not in value:
        return value
    return spread(value)


_HELPERS: dict[str, Any] = {
    "Doubt": Doubt,
    "follow": follow,
    "index_of": index,
    "inner": _inner,
    "items": _items,
    "obj": _obj,
}


@dataclass
class Scope:
    """A function body or a loop body: what paths start from here, and the reads already made."""

    item: str
    prologue: Lines
    indent: int
    is_dict: bool = False
    index: str | None = None
    parent: Scope | None = None
    parent_index: str | None = None
    before: Lines | None = None
    """In a loop: the lines in front of it, where what is the same for all items is worked out once."""
    before_indent: int = 0
    read: dict[tuple[Any, ...], str] = field(default_factory=dict)


class CodeWriter:
    """Lines of code in the making."""

    def __init__(self) -> None:
        self.space: dict[str, Any] = dict(_HELPERS)
        self.names: dict[str, str] = {}
        self.count = 0
        self.lines: Lines = []
        self.indent = 0
        self.scope: Scope = Scope("r", [], 0)
        self.root = self.scope

    # ------------------------------------------------------------ small tools

    def new(self, stem: str = "v") -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def bind(self, stem: str, value: Any) -> str:
        """A global name of the generated code for an object."""
        name = self.new(stem)
        self.space[name] = value
        return name

    def put(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)

    def block(self, head: str) -> Block:
        self.put(head)
        return Block(self)

    def function(self, head: str, body: Callable[[], None]) -> None:
        self.put(f"def {head}:")
        self.indent += 1
        prologue: Lines = []
        self.lines.append(prologue)
        self.scope = self.root = Scope("r", prologue, self.indent, is_dict=True)
        body()
        self.indent -= 1
        self.put("")

    # ------------------------------------------------------------ reading paths

    def start_of(self, path: Path) -> tuple[Scope, str, tuple[Any, ...]]:
        """The scope whose reads are shared, the variable a path starts from, and the steps."""
        steps = path.steps
        scope = self.scope
        if path.root in ("", "item"):
            return scope, scope.item, steps
        if path.root in ("record", "entity"):
            return self.root, "r", steps
        if path.root == "system":
            return self.root, "system", steps
        if path.root == "related":
            return self.root, "related", steps
        if path.root == "parent":
            parent = scope.parent or scope
            return parent, parent.item, steps
        name = scope.index if path.root == "index" else scope.parent_index
        return scope, name or "0", steps

    def _members_of(self, scope: Scope, base: str, steps: tuple[Any, ...]) -> str:
        """A variable that surely has members: the object at these steps."""
        if not steps and (base in ("system", "related") or (base == scope.item and scope.is_dict)):
            return base
        key = (base, *steps)
        if key not in scope.read:
            name = self.new("o")
            if steps:
                self._prologue(scope, f"{name} = {self.raw_at(scope, base, steps)}")
                self._prologue(scope, f"if {name}.__class__ is not dict: {name} = obj({name})")
            else:
                self._prologue(scope, f"{name} = {base} if {base}.__class__ is dict else obj({base})")
            scope.read[key] = name
        return scope.read[key]

    def _prologue(self, scope: Scope, line: str) -> None:
        scope.prologue.append("    " * scope.indent + line)

    def raw_at(self, scope: Scope, base: str, steps: tuple[Any, ...]) -> str:
        if not steps:
            return base
        if FLATTEN in steps:
            return f"follow({self.bind('P', steps)}, {base})"
        last = steps[-1]
        if isinstance(last, str):
            return f"{self._members_of(scope, base, steps[:-1])}.get({last!r})"
        return f"index_of({self.raw_at(scope, base, steps[:-1])}, {last})"

    def raw(self, path: Path) -> str:
        """An expression for what stands at a path, untouched."""
        scope, base, steps = self.start_of(path)
        return self.raw_at(scope, base, steps)


class Elsewhere:
    """Writes to other lines for a while."""

    def __init__(self, writer: CodeWriter, lines: Lines, indent: int) -> None:
        self.writer, self.lines, self.indent = writer, lines, indent

    def __enter__(self) -> None:
        self.held = self.writer.lines, self.writer.indent
        self.writer.lines, self.writer.indent = self.lines, self.indent

    def __exit__(self, *_: object) -> None:
        self.writer.lines, self.writer.indent = self.held


class Block:
    """Indented lines; `pass` when there are none."""

    def __init__(self, writer: CodeWriter, *, deeper: bool = True) -> None:
        self.writer, self.deeper = writer, deeper

    def __enter__(self) -> None:
        self.writer.indent += self.deeper
        self.before = size(self.writer.lines)

    def __exit__(self, *_: object) -> None:
        if size(self.writer.lines) == self.before:
            self.writer.put("pass")
        self.writer.indent -= self.deeper


def flatten(lines: Lines) -> list[str]:
    result: list[str] = []
    for line in lines:
        if isinstance(line, list):
            result.extend(flatten(line))
        else:
            result.append(line)
    return result


def size(lines: Lines) -> int:
    return len(flatten(lines))


def reads(line: str, name: str) -> bool:
    at = line.find(name)
    while at >= 0:
        after = line[at + len(name) : at + len(name) + 1]
        if not (after.isalnum() or after == "_") and (
            at == 0 or not (line[at - 1].isalnum() or line[at - 1] == "_")
        ):
            return True
        at = line.find(name, at + 1)
    return False
