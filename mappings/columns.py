"""What can be told of a mapping without running it: the columns an incoming one reads (one that no record has is most
likely misspelt), and the plain values without which an outgoing one turns an entity away.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

from mappings.nodes import Condition, Const, Each, Equals, Logic, Node, Source, Tree, Value
from mappings.paths import Path

__all__ = ["PlainKeys", "columns_of", "plain_keys_of", "plain_wants_of"]


def columns_of(tree: Tree) -> frozenset[str]:
    """Top-level names the mapping reads from a record, and in groups from its rows."""
    starts = (tree.fields, tree.when, tree.external_id, tree.group_by)
    found = {name for start in starts for name in _visit(start, tree, True)}
    found |= {str(path.steps[0]) for path in tree.same}
    if tree.group_by is not None:
        found.discard("rows")
    return frozenset(found)


class PlainKeys(NamedTuple):
    """What names the units of a flat file: the column whose value rows of one unit share, and the columns of the first
    row that the external id is made of; none where the shared value is the id.
    """

    group: str | None
    columns: frozenset[str]


def plain_keys_of(tree: Tree) -> PlainKeys | None:
    """The columns that name a unit; None where it takes more than the values of columns to tell."""
    group = None
    if tree.group_by is not None:
        node = tree.group_by
        if not isinstance(node, Value) or not isinstance(node.source, Source):
            return None
        path = node.source.path
        bare = path.root in ("", "record", "item") and len(path.steps) == 1 and isinstance(path.steps[0], str)
        if not bare or node.steps or node.has_default or node.when is not None:
            return None
        group = str(path.steps[0])
        if tree.external_id == node:
            return PlainKeys(group, frozenset())
    columns = frozenset(_visit(tree.external_id, tree, True))
    return None if tree.group_by is not None and "rows" in columns else PlainKeys(group, columns)


def plain_wants_of(tree: Tree) -> dict[str, Const | str]:
    """Fields of the entity that `when` wants equal to a constant of the file, or to the `$system` constant named here.

    An entity with another value in one of them is turned away, whatever else `when` says.
    """
    parts: tuple[Condition, ...] = () if tree.when is None else (tree.when,)
    if isinstance(tree.when, Logic) and tree.when.kind == "all":
        parts = tree.when.parts
    found: dict[str, Const | str] = {}
    for part in parts:
        if not isinstance(part, Equals):
            continue
        for one, other in ((part.a, part.b), (part.b, part.a)):
            field, wanted = _plain(one, ("", "entity")), _plain(other, ("system",))
            if isinstance(field, str) and wanted is not None:
                found.setdefault(field, wanted)
    return found


def _plain(node: Node, roots: tuple[str, ...]) -> Const | str | None:
    """A constant, or the name of a member of one of these roots, where that is all the node is."""
    if not isinstance(node, Value) or node.steps or node.has_default or node.when is not None:
        return None
    if isinstance(node.source, Const):
        return node.source
    if not isinstance(node.source, Source):
        return None
    path = node.source.path
    step = path.steps[0] if path.root in roots and len(path.steps) == 1 else None
    return step if isinstance(step, str) else None


def _visit(node: Any, tree: Tree, at_record: bool) -> Iterator[str]:
    """`at_record`: bare paths start at the record or at one of its rows."""
    if isinstance(node, Source):
        yield from _first(node.path, at_record)
    elif isinstance(node, Each):
        path = node.source.path
        yield from _first(path, at_record)
        of_rows = tree.group_by is not None and path.root in ("", "record") and path.steps[:1] == ("rows",)
        inside = of_rows and len([step for step in path.steps if isinstance(step, str)]) == 1
        for part in (node.body, node.where):
            yield from _visit(part, tree, inside)
        yield from _visit(node.when, tree, at_record)
    elif isinstance(node, tuple):
        for part in node:
            yield from _visit(part, tree, at_record)
    elif dataclasses.is_dataclass(node):
        for field in dataclasses.fields(node):
            yield from _visit(getattr(node, field.name), tree, at_record)


def _first(path: Path, at_record: bool) -> Iterator[str]:
    here = path.root == "record" or (path.root in ("", "item") and at_record)
    if here and path.steps and isinstance(path.steps[0], str):
        yield path.steps[0]
