"""Writes the loops of `each`, and finds what need not be worked out again for every item."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from mappings.codewriter import Block, CodeWriter, Lines, Scope, flatten, reads
from mappings.nodes import (
    Call,
    Condition,
    Const,
    Each,
    Empty,
    Equals,
    First,
    In,
    Join,
    Logic,
    Node,
    Source,
    Value,
)
from mappings.paths import FLATTEN

__all__ = ["LoopWriter", "is_shared", "write_loop"]


class LoopWriter(CodeWriter):
    """What a loop needs of the compiler: code for its body and for its condition."""

    @abstractmethod
    def slot(self, node: Node, store: Callable[[str], str]) -> None: ...

    @abstractmethod
    def condition(self, condition: Condition) -> str: ...


def write_loop(w: LoopWriter, node: Each, store: Callable[[str], str]) -> None:
    """The loops of an `each`: one per `[]` of its path."""
    scope, base, steps = w.start_of(node.source.path)
    if FLATTEN not in steps:
        steps = (*steps, FLATTEN)
    outer, depth = w.scope, w.indent
    counter = w.new("i")
    start: Lines = []
    w.lines.append(start)
    parent, parent_index, first_index = outer, outer.index, w.new("n")
    level, is_first = scope, True
    heads: list[tuple[Lines, int, str, str]] = []
    while FLATTEN in steps:
        cut = steps.index(FLATTEN)
        source = w.raw_at(level, base, steps[:cut])
        item = w.new("x")
        head: Lines = []
        w.lines.append(head)
        heads.append((head, w.indent, item, f"{'items' if is_first else 'inner'}({source})"))
        w.indent += 1
        if not is_first:
            parent, parent_index = w.scope, first_index
        level = _enter(w, item, parent, parent_index)
        base, steps, is_first = item, steps[cut + 1 :], False
    if steps:
        tail = w.new("x")
        w.put(f"{tail} = {w.raw_at(level, base, steps)}")
        w.put(f"if {tail} is None: continue")
        _enter(w, tail, level, first_index)
    w.scope.index = counter
    w.scope.before, w.scope.before_indent = start, depth
    body_start = len(w.lines)
    if node.where is not None:
        w.put(f"if not ({w.condition(node.where)}): continue")
    with Block(w, deeper=False):
        w.slot(node.body, store)
    used = any(reads(line, counter) for line in flatten(w.lines[body_start:]))
    plain = node.where is None and len(heads) == 1 and not steps
    if used and not plain:
        w.put(f"{counter} += 1")
        start.append("    " * depth + f"{counter} = 0")
    w.scope, w.indent = outer, depth
    needs_first = any(reads(line, first_index) for line in flatten(w.lines[body_start:]))
    index_name = first_index if needs_first else counter if used and plain else None
    _write_heads(heads, index_name)


def _write_heads(heads: list[tuple[Lines, int, str, str]], index_name: str | None) -> None:
    for number, (head, indent, item, source) in enumerate(heads):
        if number == 0 and index_name is not None:
            head.append("    " * indent + f"for {index_name}, {item} in enumerate({source}):")
        else:
            head.append("    " * indent + f"for {item} in {source}:")


def _enter(w: LoopWriter, item: str, parent: Scope, parent_index: str | None) -> Scope:
    prologue: Lines = []
    w.lines.append(prologue)
    w.scope = Scope(item, prologue, w.indent, parent=parent, parent_index=parent_index)
    return w.scope


def is_shared(node: Node | Source | First | Join | Call | Const | Condition | None) -> bool:
    """Whether all of a value comes from outside the loop, and no object is made for it."""
    if node is None or isinstance(node, Const):
        return True
    if isinstance(node, Source):
        return node.path.root in ("record", "entity", "system", "related")
    if isinstance(node, Value):
        plain = all(s.gives not in ("money", "any") or s.table is not None for s in node.steps)
        computed = all(is_shared(inner) for step in node.steps for _, inner in step.computed)
        return plain and computed and is_shared(node.source) and is_shared(node.when)
    if isinstance(node, First | Join | Logic):
        return all(is_shared(part) for part in node.parts)
    if isinstance(node, Equals):
        return is_shared(node.a) and is_shared(node.b)
    return isinstance(node, Empty | In) and is_shared(node.value)
