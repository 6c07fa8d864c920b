"""A loaded mapping.

m = load_mapping("file_exchange/general_orders.in")
for unit in m.units(records):
    entity = m.to_entity(unit.data, {"system": {"id": "core", "channel": "mailorder"}})
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping as MappingABC, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from pydantic import ValidationError

from mappings.columns import PlainKeys, columns_of, plain_keys_of, plain_wants_of
from mappings.compiler import compile_tree
from mappings.faults import MODEL_REASONS_JA, RecordFaults, make_fault
from mappings.grouping import Apart, RecordLike, Same, Unit, UnreadableLike, group_rows, rows_apart
from mappings.interpreter import Origin, Walk, label_of
from mappings.nodes import Const, Each, Items, Node, Obj, Tree, Value

__all__ = ["Mapping", "Outgoing", "RelatedEntity"]

_NO_CONTEXT: MappingABC[str, Any] = {}


class Outgoing(NamedTuple):
    """What an outgoing mapping makes: the key in the other system and the record, `{"rows": [...]}` for several."""

    key: str
    record: dict[str, Any]


class RelatedEntity(NamedTuple):
    """An entity that must be fetched beside the mapped one.

    back  (my field, its field): when the related one changes, the entities whose `my field` equals its `its field`
          are looked at again
    """

    entity: str
    back: tuple[str, str] | None


@dataclass(frozen=True)
class Title:
    ja: str
    en: str


class Mapping:
    """A mapping, compiled. `name`, `version`, `direction`, `entity`, `title` as in the file.

    digest   changes whenever the file, one of its tables or functions, or the mapping language changes
    source   the generated Python
    roots    the folders it was looked for in, before the shipped ones
    """

    def __init__(self, tree: Tree, digest: str, *, roots: Sequence[FilePath] = ()) -> None:
        self.tree = tree
        self.roots = tuple(roots)
        self.name, self.version, self.direction = tree.name, tree.version, tree.direction
        self.entity = tree.entity
        title = tree.title
        self.title = Title(
            title.get("ja", title.get("en", tree.name)), title.get("en", title.get("ja", tree.name))
        )
        self.related = {name: RelatedEntity(r.entity, r.back) for name, r in tree.related.items()}
        self.digest = digest
        self.source, space = compile_tree(tree)
        self._make = space["make"]
        self._key = space.get("key")
        self._group = space.get("group")
        self._same = space["same"]
        self._keys = space.get("keys")

    @property
    def columns(self) -> frozenset[str]:
        """Names an incoming mapping reads from a record (and from the rows of a group)."""
        return columns_of(self.tree) if self.direction == "in" else frozenset()

    @cached_property
    def plain_keys(self) -> PlainKeys | None:
        """The columns that name a unit of an incoming mapping, where columns alone do."""
        return plain_keys_of(self.tree) if self.direction == "in" else None

    def __repr__(self) -> str:
        return f"Mapping({self.name!r}, version={self.version})"

    # ------------------------------------------------------------ incoming

    def units(
        self,
        records: Iterable[RecordLike | UnreadableLike],
        context: MappingABC[str, Any] | None = None,
        *,
        apart: MappingABC[str, Apart] | None = None,
    ) -> Iterator[Unit | RecordFaults]:
        """What makes one entity each: the records, or the groups of rows.

        Lazy, memory as large as the largest group. Records the mapping's `when` turns away and that have no id come
        as units with the id "". Things without `data` but with a `hint` (rows that could not be read) spoil the
        group they belong to; without `group` in the mapping they are passed over. Give `context` if keys use
        `$system`. RecordFaults are yielded, not raised. Give `apart` (see `rows_apart`) to have every part of a torn
        group refused; without it only the parts after the first one are.
        """
        system = self._system(context)
        if self.tree.group_by is None:
            for record in records:
                data = getattr(record, "data", None)
                if data is not None:
                    yield self._unit(data, (record.position,), system, context)
            return

        def refuse(data: MappingABC[str, Any], positions: Sequence[int]) -> RecordFaults:
            return self._no_key(self.tree.group_by, "group.by", data, context, positions)

        def skips(data: MappingABC[str, Any]) -> bool:
            return not Walk(self.tree, data, context or _NO_CONTEXT).applies()

        for found in group_rows(
            records, self._key_of(system), Same(self.tree.same, self._same), refuse, skips, apart or {}
        ):
            if isinstance(found, RecordFaults):
                yield found
            elif isinstance(found, tuple):
                yield self._unit(found[1], found[1].positions, system, context, found[0])
            else:
                yield Unit("", found.data, (found.position,))

    def rows_apart(
        self, records: Iterable[RecordLike | UnreadableLike], context: MappingABC[str, Any] | None = None
    ) -> dict[str, Apart]:
        """The groups whose rows do not stand together; reads all records once. Empty without `group`."""
        if self.tree.group_by is None:
            return {}
        return rows_apart(records, self._key_of(self._system(context)))

    def _key_of(self, system: Any) -> Callable[[MappingABC[str, Any]], str | None]:
        group = self._group

        def key_of(data: MappingABC[str, Any]) -> str | None:
            try:
                return group(data, system, None)  # type: ignore[no-any-return, misc]
            except Exception:  # noqa: BLE001  (generated code gives up in any way; `refuse` says why)
                return None

        return key_of

    def _unit(
        self,
        data: MappingABC[str, Any],
        positions: tuple[int, ...],
        system: Any,
        context: Any,
        group: str | None = None,
    ) -> Unit | RecordFaults:
        try:
            return Unit(self._key(data, system, None), data, positions, group)  # type: ignore[misc]
        except Exception:  # noqa: BLE001  (the walk says what is wrong)
            walk = Walk(self.tree, data, context or _NO_CONTEXT, positions=positions)
            if not walk.applies():
                return Unit("", data, positions, group)
            assert self.tree.external_id is not None
            key = Walk(self.tree, data, context or _NO_CONTEXT).key(self.tree.external_id, "external_id")
            if key is not None:
                return Unit(key, data, positions, group)
            return self._no_key(self.tree.external_id, "external_id", data, context, positions)

    def _no_key(
        self, node: Node | None, name: str, data: Any, context: Any, positions: Sequence[int]
    ) -> RecordFaults:
        assert node is not None
        walk = Walk(self.tree, data, context or _NO_CONTEXT, positions=positions)
        walk.key(node, name)
        return RecordFaults(walk.faults, positions=positions, data=data)

    def id_of(self, data: MappingABC[str, Any], context: MappingABC[str, Any] | None = None) -> str | None:
        """The external id of a unit whose first row has these values; None where it must be looked at closely."""
        try:
            return self._key(data, self._system(context), None)  # type: ignore[no-any-return, misc]
        except Exception:  # noqa: BLE001  (generated code gives up in any way)
            return None

    def to_entity(
        self, data: MappingABC[str, Any], context: MappingABC[str, Any], *, positions: Sequence[int] = ()
    ) -> dict[str, Any] | None:
        """The entity as a dict for its model (dates as objects), or None when `when` says skip.

        `positions` are the lines of the rows (those of `Unit`); groups from `units` know theirs. Raises
        RecordFaults with all faults.
        """
        try:
            return self._make(data, context.get("system"), None)  # type: ignore[no-any-return]
        except Exception:  # noqa: BLE001  (generated code gives up in any way; the walk decides)
            walk = self._walk(data, context, positions)
            if not walk.applies():
                return None
            entity = walk.fields()
            if walk.faults:
                raise RecordFaults(walk.faults, positions=walk.positions) from None
            return entity

    def _walk(
        self, data: Any, context: MappingABC[str, Any], positions: Sequence[int] = (), related: Any = None
    ) -> Walk:
        return Walk(self.tree, data, context, related or {}, positions or getattr(data, "positions", ()))

    def explain(
        self,
        data: MappingABC[str, Any],
        context: MappingABC[str, Any],
        related: MappingABC[str, Any] | None = None,
        *,
        positions: Sequence[int] = (),
    ) -> list[Origin]:
        """Where each value of the entity (or outgoing record) came from, in the order of the file.

        Empty when `when` says skip. Raises RecordFaults like `to_entity`.
        """
        walk = self._walk(data, context, positions, related)
        if not walk.applies():
            return []
        if self.tree.records is None:
            walk.fields()
        else:
            walk.rows()
        if walk.faults:
            raise RecordFaults(walk.faults, positions=walk.positions)
        return walk.origins

    def model_faults(
        self,
        error: ValidationError,
        data: MappingABC[str, Any],
        context: MappingABC[str, Any],
        *,
        positions: Sequence[int] = (),
    ) -> RecordFaults:
        """What the model refused, told with the columns and lines the values came from."""
        walk = self._walk(data, context, positions)
        walk.fields()
        origins = {origin.field: origin for origin in walk.origins}
        faults = []
        for found in error.errors(include_url=False):
            place = _place(found["loc"])
            missing = found["type"] in ("missing", "too_short") and place not in origins
            origin = origins.get(place) or next(
                (o for o in walk.origins if o.field.startswith(place or " ")), None
            )
            column = self._columns(found["loc"]) if origin is None else origin.column
            value = None if missing else (origin.source if origin else found["input"])
            if isinstance(value, MappingABC | list | tuple):
                value = None
            code = "model_missing" if missing else "model" if column else "model_whole"
            at = _row_of(found["loc"], walk.positions, self.tree)
            detail_ja = MODEL_REASONS_JA.get(found["type"], "{msg}").format_map(
                {"msg": found["msg"].removeprefix("Value error, "), **found.get("ctx", {})}
            )
            details = {"detail": found["msg"].removeprefix("Value error, "), "detail_ja": detail_ja}
            faults.append(make_fault(code, place or self.entity, column, at, value, details))
        return RecordFaults(faults, positions=walk.positions)

    def _columns(self, loc: Sequence[str | int]) -> str | None:
        node: Node | None = self.tree.fields
        for step in loc:
            if isinstance(node, Obj) and isinstance(step, str):
                node = dict(node.members).get(step)
            elif isinstance(node, Each) and isinstance(step, int):
                node = node.body
            elif isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
        return label_of(node) if isinstance(node, Value) else None

    # ------------------------------------------------------------ outgoing

    def related_keys(
        self, entity: MappingABC[str, Any], context: MappingABC[str, Any]
    ) -> dict[str, str | None]:
        """The keys of the related entities an outgoing mapping needs: {"order": "mailorder/A1"}."""
        if self._keys is None:
            return {}
        try:
            return self._keys(entity, context.get("system"), None)  # type: ignore[no-any-return]
        except Exception:  # noqa: BLE001  (the walk decides)
            walk = self._walk(entity, context)
            found = {
                name: walk.key(related.key, f"related.{name}") for name, related in self.tree.related.items()
            }
            if walk.faults:
                raise RecordFaults(walk.faults) from None
            return found

    @cached_property
    def _wants(self) -> dict[str, Const | str]:
        return plain_wants_of(self.tree) if self.direction == "out" else {}

    def wanted_texts(self, context: MappingABC[str, Any]) -> dict[str, str]:
        """Field of the entity -> a text its value must hold, or `when` turns it away. For a first look at many."""
        system = self._system(context) or {}
        found = {}
        for name, wanted in self._wants.items():
            value = wanted.value if isinstance(wanted, Const) else system.get(wanted)
            if isinstance(value, str) and value.strip():
                found[name] = value.strip()
        return found

    def from_entity(
        self,
        entity: MappingABC[str, Any],
        context: MappingABC[str, Any],
        related: MappingABC[str, MappingABC[str, Any] | None] | None = None,
    ) -> Outgoing | None:
        """The record(s) for the other system, or None when `when` says that the entity is not for it.

        `entity` and `related` are entities as JSON has them (dates as ISO text). Nothing to send (no rows) is None
        too. Raises RecordFaults with all faults.
        """
        related = related or {}
        system = context.get("system")
        try:
            made = self._make(entity, system, related)
            if made is None:
                return None
            if made.__class__ is list:
                return Outgoing(self._key(entity, system, related), {"rows": made}) if made else None  # type: ignore[misc]
            return Outgoing(self._key(entity, system, related), made)  # type: ignore[misc]
        except Exception:  # noqa: BLE001  (generated code gives up in any way; the walk decides)
            walk = self._walk(entity, context, (), related)
            if not walk.applies():
                return None
            rows = None if self.tree.records is None else walk.rows()
            record = walk.fields() if rows is None else {"rows": rows}
            if rows == [] and not walk.faults:
                return None
            assert self.tree.key is not None
            key = walk.key(self.tree.key, "key")
            if walk.faults or key is None:
                raise RecordFaults(walk.faults) from None
            return Outgoing(key, record)

    def _system(self, context: MappingABC[str, Any] | None) -> Any:
        return (context or _NO_CONTEXT).get("system")


def _place(loc: Sequence[str | int]) -> str:
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else (f".{step}" if text else str(step))
    return text


def _row_of(loc: Sequence[str | int], positions: Sequence[int], tree: Tree) -> int | None:
    """The line of the row an entry of a list came from, where the list has one entry for each row."""
    if not positions:
        return None
    if tree.group_by is not None and len(loc) > 1 and isinstance(loc[1], int) and loc[1] < len(positions):
        node = dict(tree.fields.members).get(str(loc[0]))
        if isinstance(node, Each) and node.where is None and node.source.path.steps[:1] == ("rows",):
            return positions[loc[1]]
    return positions[0]
