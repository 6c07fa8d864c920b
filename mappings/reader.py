"""Reads a mapping file into a `Tree`, checking everything that can be checked before the first record.

Unknown keys, transforms, tables, fields of the model, paths into the model (outgoing), constants and table values
that do not fit the model's field: all are found at once and told with file, line and a near miss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Any

from canonical_model import ENTITIES
from mappings.expressions import Expressions, Scope
from mappings.marks import At, BadYaml, read_yaml
from mappings.nodes import Condition, Each, Node, Obj, Related, Tree
from mappings.paths import Path
from mappings.problems import MappingError, Problems
from mappings.schema.build import check_shape
from mappings.shapes import Shape, shape_of
from mappings.tables import Table

__all__ = ["TableFinder", "read_tree"]

TableFinder = Callable[[str], tuple[Table | None, FilePath | None, list[str]]]
"""Name -> (table, its file, the names there are). Raises `BadTable`."""

_TOP = ["version", "direction", "entity", "title", "when", "fields"]
_TOP_IN = [*_TOP, "external_id", "group"]
_TOP_OUT = [*_TOP, "related", "key", "records"]


def read_tree(text: str, name: str, file: str, tables: TableFinder, *, shipped: bool = False) -> Tree:
    """Read a mapping's text. Raises `MappingError` with all problems.

    `shipped`: it came with this package, whose tests have held it to the published schema already.
    """
    problems = Problems(file)
    try:
        data, problems.marks = read_yaml(text)
    except BadYaml as error:
        problems.note(error.code, error.words, file, error.line, "")
        raise MappingError(problems.found) from None
    if not isinstance(data, dict):
        problems.add(
            "wrong_type",
            want_ja="マッピング(キーと値)",
            want_en="a mapping of keys and values",
            got=repr(data),
        )
        raise MappingError(problems.found)
    tree = _Reader(data, problems, name, tables).read()
    if not problems.found and not shipped:
        check_shape(data, problems)
    problems.raise_if_any()
    assert tree is not None
    return tree


class _Reader:
    def __init__(self, data: Mapping[str, Any], problems: Problems, name: str, tables: TableFinder) -> None:
        self.data, self.problems, self.name = data, problems, name
        self.ending = name.rpartition(".")[2]
        self.tables = tables

    def read(self) -> Tree | None:
        data, problems = self.data, self.problems
        direction = data.get("direction")
        if direction not in ("in", "out"):
            problems.add(
                "wrong_type", ("direction",), want_ja="in か out", want_en="in or out", got=repr(direction)
            )
            return None
        if direction != self.ending:
            problems.add("direction", ("direction",), ending=self.ending, direction=direction)
        self._keys(
            _TOP_IN if direction == "in" else _TOP_OUT, _TOP_OUT if direction == "in" else _TOP_IN, direction
        )
        version, title = data.get("version"), data.get("title", {})
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            problems.add(
                "wrong_type",
                ("version",),
                want_ja="1以上の整数",
                want_en="a whole number from 1",
                got=repr(version),
            )
        if not isinstance(title, dict) or not all(isinstance(t, str) for t in title.values()):
            problems.add(
                "wrong_type", ("title",), want_ja="{ja: …, en: …}", want_en="{ja: …, en: …}", got=repr(title)
            )
            title = {}
        entity = data.get("entity")
        if not isinstance(entity, str) or entity not in ENTITIES:
            problems.add(
                "unknown_entity", ("entity",), name=str(entity), near=(str(entity), sorted(ENTITIES))
            )
            return None
        model = shape_of(ENTITIES[entity], entity)
        related = self._related(model) if direction == "out" else {}
        scope = Scope(
            incoming=direction == "in",
            here=None if direction == "in" else model,
            whole=None if direction == "in" else model,
            related={n: shape_of(ENTITIES[r.entity], r.entity) for n, r in related.items()},
        )
        expressions = Expressions(problems, self.tables)
        parts = (
            self._incoming(expressions, scope, model)
            if direction == "in"
            else self._outgoing(expressions, scope)
        )
        when = data.get("when")
        return Tree(
            name=self.name,
            file=problems.file,
            version=version if isinstance(version, int) else 0,
            direction=direction,
            entity=entity,
            title={str(k): str(v) for k, v in title.items()},
            when=None if when is None else expressions.condition(when, ("when",), scope),
            related=related,
            tables=tuple(expressions.used_tables),
            functions=tuple(expressions.used_functions.values()),
            **parts,
        )

    def _keys(self, known: list[str], elsewhere: list[str], direction: str) -> None:
        for key in self.data:
            if key in known:
                continue
            if key in elsewhere:
                self.problems.add("only_outgoing" if direction == "in" else "only_incoming", (key,), key=key)
            else:
                self.problems.add("unknown_key", (key,), key=key, near=(key, known))
        for key in ("version", "entity", "fields", "external_id" if direction == "in" else "key"):
            if key not in self.data:
                self.problems.add("missing_key", key=key)

    # ------------------------------------------------------------ incoming

    def _incoming(self, expressions: Expressions, scope: Scope, model: Shape) -> dict[str, Any]:
        group = self.data.get("group")
        group_by: Node | None = None
        same: tuple[Path, ...] = ()
        if group is not None:
            group_by, same = self._group(group, expressions, scope)
        external = self.data.get("external_id")
        return {
            "fields": self._fields(expressions, scope, model),
            "external_id": None if external is None else expressions.key(external, ("external_id",), scope),
            "group_by": group_by,
            "same": same,
        }

    def _group(
        self, group: Any, expressions: Expressions, scope: Scope
    ) -> tuple[Node | None, tuple[Path, ...]]:
        if not isinstance(group, dict):
            self.problems.add(
                "wrong_type",
                ("group",),
                want_ja="{by: …, same: […]}",
                want_en="{by: …, same: […]}",
                got=repr(group),
            )
            return None, ()
        for key in group:
            if key not in ("by", "same"):
                self.problems.add("unknown_key", ("group", key), key=key, near=(key, ["by", "same"]))
        if "by" not in group:
            self.problems.add("missing_key", ("group",), key="by")
            return None, ()
        same = group.get("same", [])
        paths: list[Path] = []
        if not isinstance(same, list):
            self.problems.add(
                "wrong_type", ("group", "same"), want_ja="一覧", want_en="a list", got=repr(same)
            )
            same = []
        for at, text in enumerate(same):
            source = expressions.source(text, ("group", "same", at), scope)
            if source is not None:
                paths.append(source.path)
        return expressions.key(group["by"], ("group", "by"), scope), tuple(paths)

    def _fields(self, expressions: Expressions, scope: Scope, model: Shape | None) -> Obj:
        fields = self.data.get("fields")
        if not isinstance(fields, dict) or not fields:
            if "fields" in self.data:
                self.problems.add(
                    "wrong_type", ("fields",), want_ja="項目の一覧", want_en="the fields", got=repr(fields)
                )
            return Obj(())
        return expressions.members(fields, ("fields",), scope, model)

    # ------------------------------------------------------------ outgoing

    def _outgoing(self, expressions: Expressions, scope: Scope) -> dict[str, Any]:
        key = self.data.get("key")
        parts: dict[str, Any] = {"key": None if key is None else expressions.key(key, ("key",), scope)}
        records = self.data.get("records")
        if records is None:
            return {**parts, "fields": self._fields(expressions, scope, None)}
        if not isinstance(records, dict) or "each" not in records:
            self.problems.add(
                "wrong_type", ("records",), want_ja="{each: …}", want_en="{each: …}", got=repr(records)
            )
            return {**parts, "fields": Obj(())}
        for name in records:
            if name not in ("each", "where"):
                self.problems.add("unknown_key", ("records", name), key=name, near=(name, ["each", "where"]))
        source, inner = expressions.each_source(records["each"], ("records", "each"), scope)
        where = records.get("where")
        condition: Condition | None = None
        if where is not None:
            condition = expressions.condition(where, ("records", "where"), inner)
        fields = self._fields(expressions, inner, None)
        return {**parts, "fields": fields, "records": Each(source, fields, condition) if source else None}

    def _related(self, model: Shape) -> dict[str, Related]:
        given = self.data.get("related", {})
        found: dict[str, Related] = {}
        if not isinstance(given, dict):
            self.problems.add(
                "wrong_type",
                ("related",),
                want_ja="名前: {entity, key}",
                want_en="name: {entity, key}",
                got=repr(given),
            )
            return found
        scope = Scope(incoming=False, here=model, whole=model, related={})
        expressions = Expressions(self.problems, self.tables)
        for name, entry in given.items():
            at: At = ("related", name)
            if not isinstance(entry, dict) or "entity" not in entry or "key" not in entry:
                self.problems.add(
                    "wrong_type",
                    at,
                    want_ja="{entity: …, key: …}",
                    want_en="{entity: …, key: …}",
                    got=repr(entry),
                )
                continue
            for word in entry:
                if word not in ("entity", "key", "back"):
                    self.problems.add(
                        "unknown_key", (*at, word), key=word, near=(word, ["entity", "key", "back"])
                    )
            entity = entry["entity"]
            if entity not in ENTITIES:
                self.problems.add(
                    "unknown_entity", (*at, "entity"), name=str(entity), near=(str(entity), sorted(ENTITIES))
                )
                continue
            key = expressions.expression(entry["key"], (*at, "key"), scope, None)
            back = self._back(
                entry.get("back"), (*at, "back"), expressions, scope, shape_of(ENTITIES[entity], entity)
            )
            if key is not None:
                found[name] = Related(entity, key, back)
        return found

    def _back(
        self, back: Any, at: At, expressions: Expressions, scope: Scope, other: Shape
    ) -> tuple[str, str] | None:
        if back is None:
            return None
        if not isinstance(back, list) or len(back) != 2 or not all(isinstance(b, str) for b in back):
            self.problems.add(
                "wrong_type",
                at,
                want_ja="[こちらの項目, 相手の項目]",
                want_en="[my field, its field]",
                got=repr(back),
            )
            return None
        expressions.source(back[0], (*at, 0), scope)
        expressions.source(back[1], (*at, 1), Scope(incoming=False, here=other, whole=other, related={}))
        return back[0], back[1]
