"""Which columns of a record an incoming mapping reads; a column that no record has is most likely misspelt."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from mappings.nodes import Each, Source, Tree
from mappings.paths import Path

__all__ = ["columns_of"]


def columns_of(tree: Tree) -> frozenset[str]:
    """Top-level names the mapping reads from a record, and in groups from its rows."""
    starts = (tree.fields, tree.when, tree.external_id, tree.group_by)
    found = {name for start in starts for name in _visit(start, tree, True)}
    found |= {str(path.steps[0]) for path in tree.same}
    if tree.group_by is not None:
        found.discard("rows")
    return frozenset(found)


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
