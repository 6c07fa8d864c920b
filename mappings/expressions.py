"""Reads the expressions of a mapping: what stands under `fields`, in keys and in conditions."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mappings.marks import At
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
    Logic,
    Node,
    Obj,
    Source,
    Value,
    alike,
)
from mappings.paths import FLATTEN, BadPath, Path, parse_path
from mappings.problems import Problems
from mappings.shapes import Shape
from mappings.steps import StepReader, find_function

if TYPE_CHECKING:
    from mappings.reader import TableFinder

__all__ = ["Expressions", "Scope"]

FORMS = ("from", "value", "first", "join", "each", "call", "fields")
_COMMON = ("as", "table", "unknown", "default", "required", "when", "keep")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "from": _COMMON,
    "value": ("when",),
    "first": _COMMON,
    "join": ("with", "all", *_COMMON),
    "call": ("args", *_COMMON),
    "each": ("where", "fields", "item", "when", "keep"),
    "fields": ("keep", "when"),
}
CONDITIONS = ("present", "absent", "equals", "in", "not", "all", "any")
_CALL = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Scope:
    """What paths may start from at a place of the mapping.

    here, whole   types of what a bare path and `$entity` start from; None for records, whose shape is not known
    parents       types of `$parent`; `depth` counts the `each` around
    lenient       a missing `$system` constant is null here, not a fault
    """

    incoming: bool
    here: Shape | None
    whole: Shape | None
    related: Mapping[str, Shape]
    parent: Shape | None = None
    depth: int = 0
    lenient: bool = False

    def roots(self) -> list[str]:
        names = ["$record"] if self.incoming else ["$entity", *(f"$related.{name}" for name in self.related)]
        if self.depth:
            names += ["$item", "$index", "$parent", "$parent_index"]
        return [*names, "$system"]

    def easy(self) -> Scope:
        return replace(self, lenient=True)


@dataclass
class Expressions:
    """Reads expressions, noting what is wrong; an expression that cannot be read gives None."""

    problems: Problems
    tables: TableFinder
    used_tables: dict[str, None] = field(default_factory=dict)
    used_functions: dict[str, Callable[..., Any]] = field(default_factory=dict)

    # ------------------------------------------------------------ any expression

    def expression(self, data: Any, at: At, scope: Scope, shape: Shape | None) -> Node | None:
        """Read one expression; `shape` is the model's field it is for, if there is a model."""
        if isinstance(data, str):
            source = self.source(data, at, scope)
            return None if source is None else self._leaf(Value(source), at, shape)
        if isinstance(data, list):
            return self._items(data, at, scope, shape)
        if not isinstance(data, dict):
            self.problems.add("bare_constant", at, got="null" if data is None else data)
            return None
        forms = [form for form in FORMS if form in data and not (form == "fields" and "each" in data)]
        if not forms:
            return self.members(data, at, scope, shape)
        if len(forms) > 1:
            self.problems.add("two_forms", (*at, forms[1]), a=forms[0], b=forms[1])
            return None
        form = forms[0]
        if not self._options(data, form, at):
            return None
        if form == "fields":
            inner = data["fields"]
            if not isinstance(inner, dict):
                self.wrong((*at, "fields"), "項目の一覧", "the fields", inner)
                return None
            found = self.members(inner, (*at, "fields"), scope, shape)
            return replace(found, keep=self._flag(data, "keep", at), when=self._when(data, at, scope))
        if form == "each":
            return self._each(data, at, scope, shape)
        return self._value(data, form, at, scope, shape)

    def members(self, data: Mapping[str, Any], at: At, scope: Scope, shape: Shape | None) -> Obj:
        """A nested object, or the whole `fields`."""
        if shape is not None and shape.is_list:
            self.problems.add("wants_list", at, name=shape.label)
            shape = None
        elif shape is not None and not shape.is_open and shape.model is None:
            self.problems.add("no_object", at, name=shape.label)
            shape = None
        members: list[tuple[str, Node]] = []
        strange: list[str] = []
        for name, inner in data.items():
            place = (*at, name)
            field_shape: Shape | None = None
            if shape is not None:
                field_shape = shape.member(name)
                if field_shape is None:
                    strange.append(name)
                    self.problems.add(
                        "unknown_field", place, owner=shape.label, name=name, near=(name, shape.names())
                    )
                    continue
            is_key = shape is not None and (name == "key" or name.endswith("_key"))
            read = self.key if is_key and name == "key" and len(at) == 1 else self.expression
            node = read(inner, place, scope, field_shape)
            if node is not None:
                members.append((name, _whole(node) if is_key else node))
        if shape is not None:
            for name in shape.required():
                # a misspelt field has been told already
                if name not in data and not difflib.get_close_matches(name, strange, cutoff=0.7):
                    self.problems.add("missing_field", at, owner=shape.label, name=name)
        return Obj(tuple(members))

    def key(self, data: Any, at: At, scope: Scope, shape: Shape | None = None) -> Node | None:
        """An expression that must give text: an external id, a key, what groups rows. All parts of a join count."""
        node = self.expression(data, at, scope, shape)
        if isinstance(node, Value):
            whole = _whole(node)
            assert isinstance(whole, Value)
            return replace(whole, required=True, text=True)
        if node is not None:
            self.wrong(at, "値の式", "an expression that gives one value", data)
        return None

    def _options(self, data: Mapping[str, Any], form: str, at: At) -> bool:
        known = OPTIONS[form]
        good = True
        for key in data:
            if key == form or key in known:
                continue
            good = False
            code = "value_is_form" if form in ("value", "from", "first", "join", "call") else "unknown_key"
            self.problems.add(code, (*at, key), key=key, form=form, near=(key, known))
        return good

    def wrong(self, at: At, want_ja: str, want_en: str, got: object) -> None:
        self.problems.add("wrong_type", at, want_ja=want_ja, want_en=want_en, got=repr(got))

    def _flag(self, data: Mapping[str, Any], name: str, at: At) -> bool:
        found = data.get(name, False)
        if not isinstance(found, bool):
            self.wrong((*at, name), "true か false", "true or false", found)
            return False
        return found

    def _when(self, data: Mapping[str, Any], at: At, scope: Scope) -> Condition | None:
        return self.condition(data["when"], (*at, "when"), scope) if "when" in data else None

    # ------------------------------------------------------------ paths

    def source(self, data: Any, at: At, scope: Scope) -> Source | None:
        """A path, checked against what is known of its start."""
        if not isinstance(data, str):
            self.wrong(at, "パス", "a path", data)
            return None
        try:
            path = parse_path(data)
        except BadPath as error:
            self.problems.add("bad_path", at, path=data, detail_ja=error.ja, detail_en=error.en)
            return None
        if (path.root or data.startswith("$")) and not self._root(path, at, scope):
            return None
        self._shape_of(path, at, scope)
        return Source(path, strict=path.root == "system" and not scope.lenient)

    def _root(self, path: Path, at: At, scope: Scope) -> bool:
        roots = scope.roots()
        name = f"${path.root}"
        known = name in roots or (path.root == "related" and bool(scope.related))
        if not known:
            self.problems.add("unknown_root", at, root=name, near=(name, roots))
            return False
        if path.root in ("system", "related") and not (path.steps and isinstance(path.steps[0], str)):
            self.problems.add(
                "bad_path",
                at,
                path=path.text,
                detail_ja=f"{name} の後に名前がありません。",
                detail_en=f"a name must follow {name}.",
            )
            return False
        if path.root == "related" and path.steps[0] not in scope.related:
            self.problems.add("unknown_root", at, root=path.text, near=(path.text, roots))
            return False
        return True

    def _shape_of(self, path: Path, at: At, scope: Scope) -> Shape | None:
        """The type a path leads to, as far as models tell; notes a step that leads nowhere."""
        steps = path.steps
        if path.root == "related":
            shape: Shape | None = scope.related.get(str(steps[0]))
            steps = steps[1:]
        else:
            shape = {"": scope.here, "item": scope.here, "entity": scope.whole, "parent": scope.parent}.get(
                path.root
            )
        for step in steps:
            if shape is None or shape.is_open:
                return None
            if isinstance(step, str):
                if shape.is_list:
                    self.problems.add("wants_list", at, name=shape.label)
                    return None
                below = shape.member(step)
                if below is None:
                    self.problems.add(
                        "no_such_source",
                        at,
                        path=path.text,
                        owner=shape.label,
                        name=step,
                        near=(step, shape.names()),
                    )
                    return None
                shape = below
            else:
                if not shape.is_list and not (
                    step is FLATTEN and FLATTEN in path.steps[: path.steps.index(step)]
                ):
                    self.problems.add("no_list", at, name=shape.label)
                    return None
                shape = shape.item()
        return shape

    # ------------------------------------------------------------ lists

    def _items(self, data: list[Any], at: At, scope: Scope, shape: Shape | None) -> Node | None:
        inner = self._item_shape(shape, at)
        items = [self.expression(entry, (*at, i), scope, inner) for i, entry in enumerate(data)]
        return Items(tuple(item for item in items if item is not None))

    def _item_shape(self, shape: Shape | None, at: At) -> Shape | None:
        if shape is None or shape.is_open:
            return None
        if not shape.is_list:
            self.problems.add("no_list", at, name=shape.label)
            return None
        return shape.item()

    def each_source(self, data: Any, at: At, scope: Scope) -> tuple[Source | None, Scope]:
        """The list an `each` runs over, and the scope inside it."""
        source = self.source(data, at, scope)
        inside = replace(scope, depth=scope.depth + 1, here=None, parent=None)
        if source is None or scope.incoming:
            return source, inside
        before = len(self.problems.found)
        steps = source.path.steps if FLATTEN in source.path.steps else (*source.path.steps, FLATTEN)
        last = len(steps) - 1 - steps[::-1].index(FLATTEN)
        here = self._shape_of(replace(source.path, steps=steps), at, scope)
        parent = scope.here
        if FLATTEN in steps[:last]:
            cut = last - steps[:last][::-1].index(FLATTEN)
            parent = self._shape_of(replace(source.path, steps=steps[:cut]), at, scope)
        del self.problems.found[before + 1 :]
        return source, replace(inside, here=here, parent=parent)

    def _each(self, data: Mapping[str, Any], at: At, scope: Scope, shape: Shape | None) -> Node | None:
        inner_shape = self._item_shape(shape, at)
        source, inside = self.each_source(data["each"], (*at, "each"), scope)
        if ("fields" in data) == ("item" in data):
            self.problems.add(
                "two_forms" if "fields" in data else "missing_key", at, a="fields", b="item", key="fields"
            )
            return None
        body: Node | None
        if "fields" in data:
            fields = data["fields"]
            if not isinstance(fields, dict):
                self.wrong((*at, "fields"), "項目の一覧", "the fields", fields)
                return None
            body = self.members(fields, (*at, "fields"), inside, inner_shape)
        else:
            body = self.expression(data["item"], (*at, "item"), inside, inner_shape)
        where = self.condition(data["where"], (*at, "where"), inside) if "where" in data else None
        if source is None or body is None:
            return None
        return Each(source, body, where, self._when(data, at, scope), self._flag(data, "keep", at))

    # ------------------------------------------------------------ values

    def _value(
        self, data: Mapping[str, Any], form: str, at: At, scope: Scope, shape: Shape | None
    ) -> Node | None:
        lenient = scope.easy() if "default" in data or form == "first" else scope
        source = self._value_source(data, form, at, lenient)
        steps = StepReader(self, scope).read(data, at, shape)
        if source is None:
            return None
        if "default" in data:
            self.fits(data["default"], (*at, "default"), shape)
        if form == "value":
            self.fits(data["value"], (*at, "value"), shape)
        value = Value(
            source,
            steps=tuple(steps),
            has_default="default" in data,
            default=data.get("default"),
            required=self._flag(data, "required", at),
            when=self._when(data, at, scope),
            keep=self._flag(data, "keep", at),
        )
        return self._leaf(value, at, shape)

    def _value_source(
        self, data: Mapping[str, Any], form: str, at: At, scope: Scope
    ) -> Source | First | Join | Call | Const | None:
        if form == "value":
            return Const(data["value"])
        if form == "from":
            return self.source(data["from"], (*at, "from"), scope)
        if form == "call":
            return self._call(data, at, scope)
        parts = data[form]
        if not isinstance(parts, list) or not parts:
            self.wrong((*at, form), "一覧", "a list", parts)
            return None
        nodes = [self.expression(part, (*at, form, i), scope, None) for i, part in enumerate(parts)]
        if any(node is None for node in nodes):
            return None
        good = tuple(node for node in nodes if node is not None)
        if form == "first":
            return First(good)
        sep = data.get("with", "")
        if not isinstance(sep, str):
            self.wrong((*at, "with"), "文字", "text", sep)
            return None
        if not all(isinstance(node, Value) for node in good):
            self.wrong((*at, "join"), "値の一覧", "a list of values", parts)
            return None
        texts = tuple(replace(node, text=True) for node in good if isinstance(node, Value))
        return Join(texts, sep, self._flag(data, "all", at))

    def _leaf(self, value: Value, at: At, shape: Shape | None) -> Value:
        """Check a value against the model's field, and let numbers become text where the field is text."""
        if shape is None or shape.is_open:
            return value
        gives = value.steps[-1].gives if value.steps else "any"
        if gives == "money" and shape.model is None:
            self.problems.add("money_as_scalar", at, name=shape.label)
        if value.steps and gives not in ("money", "any") and (shape.model is not None or shape.is_list):
            code = "wants_list" if shape.is_list else "wants_object"
            self.problems.add(code, at, name=shape.label, owner=shape.type_name)
        return replace(value, text=True) if shape.is_text and gives != "text" else value

    def fits(self, constant: Any, at: At, shape: Shape | None) -> None:
        if shape is None or constant is None:
            return
        detail = shape.refuses(str(constant) if shape.is_text and isinstance(constant, int) else constant)
        if detail:
            near = (str(constant), shape.codes()) if shape.codes() else None
            self.problems.add("bad_constant", at, value=constant, name=shape.label, detail=detail, near=near)

    def _call(self, data: Mapping[str, Any], at: At, scope: Scope) -> Call | None:
        target, args = data["call"], data.get("args", [])
        if not isinstance(target, str) or _CALL.fullmatch(target) is None:
            self.wrong((*at, "call"), "「パッケージ.モジュール:関数」", '"package.module:function"', target)
            return None
        if not isinstance(args, list):
            self.wrong((*at, "args"), "一覧", "a list", args)
            return None
        nodes = [self.expression(arg, (*at, "args", i), scope, None) for i, arg in enumerate(args)]
        function = find_function(target, self.problems, (*at, "call"))
        if function is None:
            return None
        self.used_functions[target] = function
        if any(node is None for node in nodes):
            return None
        return Call(target, function, tuple(node for node in nodes if node is not None))

    # ------------------------------------------------------------ conditions

    def condition(self, data: Any, at: At, scope: Scope) -> Condition | None:
        """Read a condition; None (with a problem noted) when it cannot be read."""
        if not isinstance(data, dict) or len(data) != 1:
            known = ", ".join(CONDITIONS)
            self.wrong(at, f"条件({known})を1つ", f"one condition ({known})", data)
            return None
        kind, given = next(iter(data.items()))
        place = (*at, kind)
        scope = scope.easy()
        if kind in ("present", "absent"):
            node = self.expression(given, place, scope, None)
            return None if node is None else Empty(node, kind == "present")
        if kind == "not":
            inner = self.condition(given, place, scope)
            return None if inner is None else Logic("not", (inner,))
        if kind in ("all", "any"):
            return self._logic(kind, given, place, scope)
        if kind in ("equals", "in"):
            return self._compare(kind, given, place, scope)
        self.problems.add("unknown_key", place, key=kind, near=(kind, CONDITIONS))
        return None

    def _logic(self, kind: str, given: Any, at: At, scope: Scope) -> Condition | None:
        if not isinstance(given, list) or not given:
            self.wrong(at, "条件の一覧", "a list of conditions", given)
            return None
        parts = [self.condition(part, (*at, i), scope) for i, part in enumerate(given)]
        return Logic(kind, tuple(part for part in parts if part is not None))

    def _compare(self, kind: str, given: Any, at: At, scope: Scope) -> Condition | None:
        if not isinstance(given, list) or len(given) != 2:
            self.wrong(at, "2つの値の一覧", "a list of two", given)
            return None
        a = self.expression(given[0], (*at, 0), scope, None)
        if kind == "in":
            if not isinstance(given[1], list):
                self.wrong((*at, 1), "値の一覧", "a list of values", given[1])
                return None
            return None if a is None else In(a, alike(tuple(given[1])))
        b = self.expression(given[1], (*at, 1), scope, None)
        return None if a is None or b is None else Equals(a, b)


def _whole(node: Node) -> Node:
    """In keys a join needs all its parts: half a key would name another thing."""
    if isinstance(node, Value) and isinstance(node.source, Join):
        return replace(node, source=replace(node.source, whole=True))
    return node
