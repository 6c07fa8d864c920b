"""The reference meaning of a mapping: walks the tree for one record.

It finds every fault of the record and the origin of every value, which the generated code (`compiler`) does not
care for. The generated code gives up at the first doubt and this walk decides; where it answers, it answers the
same (a property test compares the two).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from mappings.faults import FieldFault, TransformFault, make_fault
from mappings.nodes import (
    Call,
    Condition,
    Const,
    Each,
    Empty,
    Equals,
    First,
    In,
    Items,
    Join,
    Node,
    Obj,
    Source,
    Step,
    Tree,
    Value,
    equal,
    is_constant,
)
from mappings.paths import Path, follow, walk
from mappings.transforms.registry import as_text

__all__ = ["ABSENT", "Origin", "Walk", "label_of"]

ABSENT: Any = object()
"""A field that is left out."""


class Origin(NamedTuple):
    """Where one value came from.

    column  the source column(s), joined by " + " or "constant"; `how` the transforms it went through
    source  the value as it stood in the record
    line    the position of the row it stood in, where positions are known
    """

    field: str
    value: Any
    column: str
    source: Any
    how: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a bare path starts. Outside `each`, `item` is the whole record (or entity)."""

    item: Any
    index: int = 0
    parent: Any = None
    parent_index: int = 0
    position: int | None = None
    depth: int = 0


class Bad(Exception):
    """A fault on its way to the field it belongs to."""

    def __init__(self, code: str, column: str | None, value: Any, details: Mapping[str, object]) -> None:
        super().__init__(code)
        self.code, self.column, self.value, self.details = code, column, value, details


class Found(NamedTuple):
    value: Any
    column: str
    source: Any


@dataclass
class Walk:
    """One walk over one record (or entity)."""

    tree: Tree
    data: Any
    context: Mapping[str, Any]
    related: Mapping[str, Any] = field(default_factory=dict)
    positions: Sequence[int] = ()
    faults: list[FieldFault] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)

    # ------------------------------------------------------------ whole mappings

    def root(self) -> Frame:
        return Frame(self.data, position=self.positions[0] if self.positions else None)

    def applies(self) -> bool:
        """Whether the mapping's own `when` holds. A fault in it counts as yes: the record must not vanish."""
        return self.tree.when is None or self._holds(self.tree.when, self.root(), "when")

    def fields(self) -> dict[str, Any]:
        """The object under `fields`, of the whole record."""
        found = self.fill(replace(self.tree.fields, keep=True), self.root(), "")
        assert isinstance(found, dict)
        return found

    def rows(self) -> list[dict[str, Any]]:
        """The rows of an outgoing mapping with `records`."""
        each = self.tree.records
        assert each is not None
        rows = self.fill(replace(each, body=replace(self.tree.fields, keep=True)), self.root(), "rows")
        return [] if rows is ABSENT else list(rows)

    def key(self, node: Node, name: str) -> str | None:
        """An external id or key; None when it has a fault."""
        found = self.fill(node, self.root(), name)
        return found if isinstance(found, str) else None

    # ------------------------------------------------------------ places that are filled

    def fill(self, node: Node, frame: Frame, place: str) -> Any:
        """The value of a field, or ABSENT. Faults are noted, never raised."""
        if isinstance(node, Value):
            return self._fill_value(node, frame, place)
        if node_when(node) is not None and not self._holds(node_when(node), frame, place):
            return None if getattr(node, "keep", False) else ABSENT
        if isinstance(node, Obj):
            return self._fill_object(node, frame, place)
        if isinstance(node, Each):
            return self._fill_each(node, frame, place)
        items = [self.fill(item, frame, f"{place}[{at}]") for at, item in enumerate(node.items)]
        there = [item for item in items if item is not ABSENT]
        return there or ABSENT

    def _fill_value(self, node: Value, frame: Frame, place: str) -> Any:
        try:
            found = self.value(node, frame)
        except Bad as bad:
            self._note(bad, place, frame)
            return ABSENT
        if found.value is None and not node.keep:
            return ABSENT
        how = " → ".join(f"table {s.parameters['name']}" if s.name == "table" else s.name for s in node.steps)
        self.origins.append(Origin(place, found.value, found.column, found.source, how, frame.position))
        return found.value

    def _fill_object(self, node: Obj, frame: Frame, place: str) -> Any:
        result: dict[str, Any] = {}
        only_constants = True
        of_constants: list[FieldFault] = []
        for name, member in node.members:
            before = len(self.faults)
            inner = self.fill(member, frame, f"{place}.{name}" if place else name)
            constant = is_constant(member)
            if constant:
                of_constants += self.faults[before:]
            if inner is not ABSENT:
                result[name] = inner
                only_constants = only_constants and constant
        if node.keep or not only_constants or (result and is_constant(node)):
            return result
        # an object that is left out has no constants either, nor anything wrong with them
        if not is_constant(node):
            self.faults = [fault for fault in self.faults if fault not in of_constants]
        self.origins = [origin for origin in self.origins if not origin.field.startswith(f"{place}.")]
        return ABSENT

    def _fill_each(self, node: Each, frame: Frame, place: str) -> Any:
        result: list[Any] = []
        index = 0
        for item in self._items(node.source.path, frame):
            inner = replace(item, index=index)
            there = f"{place}[{index}]"
            if node.where is not None and not self._holds(node.where, inner, there):
                continue
            index += 1
            found = self.fill(node.body, inner, there)
            if found is not ABSENT:
                result.append(found)
        return result if result or node.keep else ABSENT

    def _items(self, path: Path, frame: Frame) -> list[Frame]:
        start, steps = self._start(path, frame)
        of_group = self.tree.group_by is not None and start is self.data and steps[:1] == ("rows",)
        frames = []
        for item, parent, at in walk(steps, start):
            position = frame.position
            if of_group and at < len(self.positions):
                position = self.positions[at]
            frames.append(
                Frame(
                    item,
                    parent=frame.item if parent is None else parent,
                    parent_index=frame.index if parent is None else at,
                    position=position,
                    depth=frame.depth + 1,
                )
            )
        return frames

    def _note(self, bad: Bad, place: str, frame: Frame) -> None:
        self.faults.append(make_fault(bad.code, place, bad.column, frame.position, bad.value, bad.details))

    # ------------------------------------------------------------ values

    def value(self, node: Node, frame: Frame) -> Found:
        """The value of an expression, null when it is empty. Raises `Bad`."""
        if not isinstance(node, Value):
            before = len(self.faults)
            found = self.fill(node, frame, "")
            if len(self.faults) > before:
                fault = self.faults.pop()
                del self.faults[before:]
                raise Bad(
                    fault.code, fault.column, fault.value, {"ja": fault.reason_ja, "en": fault.reason_en}
                )
            return Found(None if found is ABSENT else _there(found), "", None)
        if node.when is not None and not self._is(node.when, frame):
            return Found(None, "", None)
        found = self._source(node, frame)
        value = found.value
        for step in node.steps:
            if value is None:
                break
            value = self._run(step, value, found, frame)
        if node.text and value is not None and value.__class__ is not str:
            value = self._guarded(as_text, value, found, {}) or None
        if value is None and node.has_default:
            value = node.default
        if value is None and node.required:
            raise Bad("required", found.column or label_of(node), found.source, {})
        return Found(value, found.column, found.source)

    def _run(self, step: Step, value: Any, found: Found, frame: Frame) -> Any:
        computed = {name: self.value(node, frame).value for name, node in step.computed}
        return self._guarded(step.run, value, found, computed, step.name)

    def _guarded(
        self, run: Any, value: Any, found: Found, computed: Mapping[str, Any], name: str = "text"
    ) -> Any:
        try:
            return _there(run(value, **computed))
        except TransformFault as fault:
            raise Bad(fault.code, found.column, value, fault.details) from None
        except Exception as error:  # noqa: BLE001  (whatever a transform trips over is a fault of the record)
            detail = f"{type(error).__name__}: {error}"
            raise Bad("call_failed", found.column, value, {"function": name, "detail": detail}) from None

    def _source(self, node: Value, frame: Frame) -> Found:
        source = node.source
        if isinstance(source, Const):
            return Found(deepcopy(source.value), "constant", source.value)
        if isinstance(source, Source):
            raw = self._read(source, frame)
            verbatim = bool(node.steps) and node.steps[0].name == "verbatim"
            value = raw.strip() if isinstance(raw, str) and not verbatim else raw
            return Found(_there(value), source.path.label, raw)
        if isinstance(source, First):
            for part in source.parts:
                found = self.value(part, frame)
                if found.value is not None:
                    return found
            return Found(None, label_of(node), None)
        if isinstance(source, Join):
            return self._join(source, node, frame)
        return self._call(source, node, frame)

    def _join(self, source: Join, node: Value, frame: Frame) -> Found:
        parts = [(self.value(part, frame), is_constant(part)) for part in source.parts]
        if source.whole:
            for found, _ in parts:
                if found.value is None:
                    return Found(None, found.column, found.source)
        elif all(constant or found.value is None for found, constant in parts) and not is_constant(node):
            return Found(None, label_of(node), None)
        texts = [found.value for found, _ in parts if found.value]
        sources = [found.source for found, constant in parts if not constant and found.value is not None]
        return Found(
            _there(source.sep.join(texts)), label_of(node), sources[0] if len(sources) == 1 else sources
        )

    def _call(self, source: Call, node: Value, frame: Frame) -> Found:
        args = [self.value(arg, frame).value for arg in source.args]
        label, first = label_of(node), args[0] if args else None
        try:
            return Found(_there(source.function(*args)), label, args)
        except TransformFault as fault:
            # a function that looks at several columns may name the one that is wrong
            column, value = fault.details.get("column", label), fault.details.get("value", first)
            raise Bad(fault.code, str(column), value, fault.details) from None
        except Exception as error:  # noqa: BLE001  (a function of the integrator's may fail in any way)
            details = {"function": source.target, "detail": f"{type(error).__name__}: {error}"}
            raise Bad("call_failed", label, first, details) from None

    def _read(self, source: Source, frame: Frame) -> Any:
        path = source.path
        start, steps = self._start(path, frame)
        found = follow(steps, start)
        if found is None and source.strict:
            system = self.context.get("system") or {}
            raise Bad(
                "constant_missing", path.text, None, {"name": path.steps[0], "system": system.get("id", "")}
            )
        return found

    def _start(self, path: Path, frame: Frame) -> tuple[Any, tuple[Any, ...]]:
        steps = path.steps
        if path.root in ("", "item"):
            return frame.item, steps
        if path.root in ("record", "entity"):
            return self.data, steps
        if path.root == "system":
            return self.context.get("system"), steps
        if path.root == "related":
            return self.related.get(str(steps[0])), steps[1:]
        return {"index": frame.index, "parent": frame.parent, "parent_index": frame.parent_index}[
            path.root
        ], steps

    # ------------------------------------------------------------ conditions

    def _holds(self, condition: Condition | None, frame: Frame, place: str) -> bool:
        """Whether a condition holds; a fault in it is noted and counts as yes."""
        if condition is None:
            return True
        try:
            return self._is(condition, frame)
        except Bad as bad:
            self._note(bad, place, frame)
            return True

    def _is(self, condition: Condition, frame: Frame) -> bool:
        if isinstance(condition, Empty):
            return (self.value(condition.value, frame).value is not None) == condition.wanted
        if isinstance(condition, Equals):
            return equal(self.value(condition.a, frame).value, self.value(condition.b, frame).value)
        if isinstance(condition, In):
            return self.value(condition.value, frame).value in condition.known
        if condition.kind == "not":
            return not self._is(condition.parts[0], frame)
        found = (self._is(part, frame) for part in condition.parts)
        return all(found) if condition.kind == "all" else any(found)


def node_when(node: Node) -> Condition | None:
    return None if isinstance(node, Items) else node.when


def _there(value: Any) -> Any:
    """Null for what counts as empty: "", [], {} (not 0, not false)."""
    return value if value or value == 0 else None


def label_of(node: Node) -> str:
    """What a value is made of, for people: "familyName + firstName", "発送先名 | 受注名"."""
    if isinstance(node, Value):
        source = node.source
        if isinstance(source, Source):
            return source.path.label
        if isinstance(source, Const):
            return "constant"
        if isinstance(source, Call):
            return f"{source.target}({', '.join(label_of(arg) for arg in source.args)})"
        labels = [
            label_of(part) for part in source.parts if not isinstance(getattr(part, "source", None), Const)
        ]
        return (" | " if isinstance(source, First) else " + ").join(labels) or "constant"
    if isinstance(node, Each):
        return node.source.path.label
    if isinstance(node, Obj):
        return ", ".join(dict.fromkeys(label_of(member) for _, member in node.members))
    return ", ".join(dict.fromkeys(label_of(item) for item in node.items))
