"""Which columns of a record an incoming mapping reads; a column that no record has is most likely misspelt."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

from mappings.nodes import Each, Source, Tree, Value
from mappings.paths import Path

__all__ = ["PlainKeys", "columns_of", "plain_keys_of"]


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
