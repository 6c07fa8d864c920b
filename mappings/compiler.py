"""Writes plain Python for a mapping: straight-line code with direct dict access and the simple transforms inlined.

The code answers only when it is sure. At the first doubt (an empty required value, a value of an unexpected type,
anything a transform refuses) it raises, and `interpreter.Walk`, the reference, decides what is wrong or what the
value is. So the code needs no words about faults and stays as lean as what a person would write for one job.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

from mappings.codewriter import Doubt, Elsewhere, flatten
from mappings.faults import TransformFault
from mappings.inline import inlined
from mappings.loops import LoopWriter, is_shared, write_loop
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
    alike,
    equal,
    is_constant,
)
from mappings.transforms.registry import as_text

__all__ = ["Doubt", "compile_tree"]


class _Compiler(LoopWriter):
    """Writes the functions of one mapping."""

    def __init__(self, tree: Tree) -> None:
        super().__init__()
        self.tree = tree
        self.space |= {"as_text": as_text, "equal": equal}

    # ------------------------------------------------------------ values

    def value(self, node: Node) -> tuple[str, bool]:
        """Write code for a value; the expression that holds it (null when empty), and whether it is never null."""
        if not isinstance(node, Value):
            name = self.new()
            self.put(f"{name} = None")
            self.slot(node, lambda e: f"{name} = {e}")
            self.put(f"if not {name}: {name} = None")
            return name, False
        if isinstance(node.source, Const):
            return self._constant(node)
        if node.when is None:
            return self._made(node)
        name = self.new()
        self.put(f"{name} = None")
        with self.block(f"if {self.condition(node.when)}:"):
            made, _ = self._made(node)
            self.put(f"{name} = {made}")
        return name, False

    def _constant(self, node: Value) -> tuple[str, bool]:
        assert isinstance(node.source, Const)
        constant = node.source.value
        if node.text and constant is not None and not isinstance(constant, str):
            try:
                constant = as_text(constant)
            except TransformFault:
                self.put("raise Doubt")
        if node.when is None:
            return repr(constant), constant is not None
        return f"({constant!r} if {self.condition(node.when)} else None)", False

    def _made(self, node: Value) -> tuple[str, bool]:
        """Source, steps, text, default, required."""
        name, sure = self._source(node)
        steps = node.steps
        if sure and isinstance(node.source, Source) and steps and steps[0].name == "offset":
            # only $index is sure to be a whole number
            self.put(f"{name} += {int(steps[0].parameters['by'])}")
            steps = steps[1:]
        if isinstance(node.source, Source) and steps and not sure:
            # a step takes blanks and untrimmed text itself, so the value need not be trimmed first
            with self.block(f"if {name} or {name} == 0:"):
                self._step(steps[0], name)
            with self.block("else:"):
                self.put(f"{name} = None")
            steps = steps[1:]
            sure = False
        if steps:
            sure = self._chain(steps, name, sure)
        if node.text and node.steps:
            if node.steps[-1].gives == "integer":
                self.put(f"{name} = str({name})" if sure else f"if {name} is not None: {name} = str({name})")
            elif node.steps[-1].gives != "text":
                self.put(
                    f"if {name} is not None and {name}.__class__ is not str: {name} = as_text({name}) or None"
                )
        elif node.text and isinstance(node.source, First | Call):
            self.put(
                f"if {name} is not None and {name}.__class__ is not str: {name} = as_text({name}) or None"
            )
        if node.has_default and node.default is not None:
            self.put(f"if {name} is None: {name} = {node.default!r}")
            sure = True
        if node.required and not sure:
            self.put(f"if {name} is None: raise Doubt")
            sure = True
        return name, sure

    def _chain(self, steps: tuple[Step, ...], name: str, sure: bool) -> bool:
        """The steps one after the other, each only while there is a value; whether there surely is one at the end."""
        depth = 0
        for step in steps:
            if not sure:
                self.put(f"if {name} is not None:")
                self.indent += 1
                depth += 1
            self._step(step, name)
            sure = sure and step.name == "offset"
        self.indent -= depth
        return sure

    def _step(self, step: Step, name: str) -> None:
        function = self.names.get(step.name) if not step.parameters and step.table is None else None
        if function is None:
            stem = step.parameters["name"] if step.table is not None else step.name
            function = self.bind(f"{stem}_" if str(stem).isidentifier() else "f_", step.run)
            if not step.parameters and step.table is None:
                self.names[step.name] = function
        if step.table is not None:
            table = self.bind("table_", step.table)
            self.put(f"{name} = {table}.get({name}) or {function}({name})")
            return
        computed = {parameter: self.value(node)[0] for parameter, node in step.computed}
        for line in inlined(step, name, function, self.bind, computed):
            self.put(line)

    def _source(self, node: Value) -> tuple[str, bool]:
        source = node.source
        if isinstance(source, Source):
            return self._read(source, node)
        if isinstance(source, First):
            return self._first(source)
        if isinstance(source, Join):
            return self._join(source, is_constant(node))
        assert isinstance(source, Call)
        name = self.new()
        args = ", ".join(self.value(arg)[0] for arg in source.args)
        self.put(f"{name} = {self.bind('call_', source.function)}({args})")
        self.put(f"if not {name} and {name} != 0: {name} = None")
        return name, False

    def _read(self, source: Source, node: Value) -> tuple[str, bool]:
        path = source.path
        if path.root == "system" and len(path.steps) == 1 and not node.steps:
            return self._system_constant(source, node)
        name = self.new()
        self.put(f"{name} = {self.raw(path)}")
        if source.strict:
            self.put(f"if {name} is None: raise Doubt")
        if path.root in ("index", "parent_index"):
            if node.text and not node.steps:
                self.put(f"{name} = str({name})")
            return name, True
        if node.steps:
            return name, False
        self._trim(name, node.text)
        return name, False

    def _trim(self, name: str, text: bool) -> None:
        self.put(f"if {name}.__class__ is str: {name} = {name}.strip() or None")
        if text:
            self.put(f"elif {name} is not None: {name} = as_text({name}) or None")
        else:
            self.put(f"elif not {name} and {name} != 0: {name} = None")

    def _system_constant(self, source: Source, node: Value) -> tuple[str, bool]:
        """A constant of the system is read once per record, in front of everything."""
        key = ("$system", source.path.steps[0], source.strict, node.text)
        if key not in self.root.read:
            name = self.new("c")
            with Elsewhere(self, self.root.prologue, self.root.indent):
                self.put(f"{name} = system.get({source.path.steps[0]!r})")
                self._trim(name, node.text)
            self.root.read[key] = name
        if source.strict:  # here and not in front: a field whose `when` leaves it out does not miss it
            self.put(f"if {self.root.read[key]} is None: raise Doubt")
        if node.has_default:
            copy = self.new()
            self.put(f"{copy} = {self.root.read[key]}")
            return copy, source.strict
        return self.root.read[key], source.strict

    def _first(self, source: First) -> tuple[str, bool]:
        name = self.new()
        depth = 0
        sure = False
        for at, part in enumerate(source.parts):
            if at:
                self.put(f"if {name} is None:")
                self.indent += 1
                depth += 1
            found, sure = self.value(part)
            self.put(f"{name} = {found}")
            if sure:
                break
        self.indent -= depth
        return name, sure

    def _join(self, source: Join, constant: bool) -> tuple[str, bool]:
        parts = [(*self.value(part), is_constant(part)) for part in source.parts]
        name = self.new()
        if source.whole:
            doubtful = [expression for expression, sure, _ in parts if not sure]
            condition = " and ".join(f"{expression} is not None" for expression in doubtful)
            joined = self._format([expression for expression, _, _ in parts], source.sep)
            self.put(f"{name} = {joined} if {condition} else None" if condition else f"{name} = {joined}")
            return name, not condition
        all_parts = ", ".join(expression for expression, _, _ in parts)
        sep = f"{source.sep!r}.join(filter(None, ({all_parts},))) or None"
        told = [expression for expression, _, fixed in parts if not fixed]
        if constant or len(told) == len(parts):
            if len(parts) == 2 and not constant:
                (a, _, _), (b, _, _) = parts
                both = self._format([a, b], source.sep)
                self.put(f"{name} = ({both} if {b} is not None else {a}) if {a} is not None else {b}")
            else:
                self.put(f"{name} = {sep}")
        else:
            nothing = " and ".join(f"{expression} is None" for expression in told)
            self.put(f"{name} = None if {nothing} else {sep}")
        return name, False

    @staticmethod
    def _format(expressions: list[str], sep: str) -> str:
        """An f-string of variables and constants with a text between them."""
        escaped = sep.replace("{", "{{").replace("}", "}}")
        if all(expression.isidentifier() for expression in expressions):
            return "f" + repr(escaped.join(f"{{{expression}}}" for expression in expressions))
        return f" + {sep!r} + ".join(expressions)

    # ------------------------------------------------------------ places that are filled

    def slot(self, node: Node, store: Callable[[str], str]) -> None:
        """Write code that stores a value where `store` says, or leaves the place out."""
        if isinstance(node, Value):
            expression, sure = self._in_front(node) if self._is_fixed(node) else self.value(node)
            if sure or node.keep:
                self.put(store(expression))
            elif expression != "None":
                if not expression.isidentifier():
                    name = self.new()
                    self.put(f"{name} = {expression}")
                    expression = name
                self.put(f"if {expression} is not None: {store(expression)}")
            return
        when = None if isinstance(node, Items) else node.when
        if when is None:
            self._filled(node, store)
            return
        with self.block(f"if {self.condition(when)}:"):
            self._filled(node, store)
        if getattr(node, "keep", False):
            with self.block("else:"):
                self.put(store("None"))

    def _filled(self, node: Obj | Each | Items, store: Callable[[str], str]) -> None:
        if isinstance(node, Obj):
            self._object(node, store)
            return
        name = self.new("list")
        self.put(f"{name} = []")
        if isinstance(node, Items):
            for item in node.items:
                self.slot(item, lambda e: f"{name}.append({e})")
            self.put(f"if {name}: {store(name)}")
            return
        write_loop(self, node, lambda e: f"{name}.append({e})")
        self.put(store(name) if node.keep else f"if {name}: {store(name)}")

    def _object(self, node: Obj, store: Callable[[str], str]) -> None:
        name = self.new("d")
        known, told, late = [], [], []
        for member_name, member in node.members:
            if not is_constant(member):
                told.append((member_name, member))
            elif isinstance(member, Value) and member.when is None and self._is_sure(member):
                known.append(f"{member_name!r}: {self.value(member)[0]}")
            else:
                late.append((member_name, member))
        start = f"{{{', '.join(known)}}}"
        fixed = [member for member in told if self._is_fixed(member[1])] if node.keep else []
        if fixed:
            common = self.new("d")
            with self._before_loop():
                self.put(f"{common} = {start}")
                self._members(fixed, common)
            start = f"{common}.copy()"
            told = [member for member in told if member not in fixed]
        self.put(f"{name} = {start}")
        self._members(told, name)
        if node.keep or is_constant(node):
            self._members(late, name)
            self.put(store(name) if node.keep else f"if {name}: {store(name)}")
            return
        with self.block(f"if len({name}) > {len(known)}:" if known else f"if {name}:"):
            self._members(late, name)
            self.put(store(name))

    # ------------------------------------------------------------ what is the same for all items of a loop

    def _is_fixed(self, node: Node) -> bool:
        """Whether a value in a loop may be worked out once in front of it (and shared: it is no object)."""
        return self.scope.before is not None and isinstance(node, Value) and is_shared(node)

    def _before_loop(self) -> Elsewhere:
        assert self.scope.before is not None
        return Elsewhere(self, self.scope.before, self.scope.before_indent)

    def _in_front(self, node: Value) -> tuple[str, bool]:
        with self._before_loop():
            return self.value(node)

    def _is_sure(self, member: Value) -> bool:
        source = member.source
        if isinstance(source, Const):
            return source.value is not None or member.keep
        return (
            isinstance(source, Source) and source.strict and len(source.path.steps) == 1 and not member.steps
        )

    def _members(self, members: list[tuple[str, Node]], name: str) -> None:
        for member_name, member in members:
            target = f"{name}[{member_name!r}]"
            self.slot(member, lambda e, target=target: f"{target} = {e}")  # type: ignore[misc]

    # ------------------------------------------------------------ conditions

    def condition(self, condition: Condition) -> str:
        """Write what a condition needs and give it as an expression."""
        if isinstance(condition, Empty):
            found, _ = self.value(condition.value)
            return f"{found} is {'not ' if condition.wanted else ''}None"
        if isinstance(condition, Equals):
            return self._equals(condition)
        if isinstance(condition, In):
            return f"{self.value(condition.value)[0]} in {condition.known!r}"
        parts = [f"({self.condition(part)})" for part in condition.parts]
        return (
            f"not {parts[0]}"
            if condition.kind == "not"
            else f" {'and' if condition.kind == 'all' else 'or'} ".join(parts)
        )

    def _equals(self, condition: Equals) -> str:
        a, b = condition.a, condition.b
        if isinstance(a, Value) and isinstance(a.source, Const):
            a, b = b, a
        found, _ = self.value(a)
        if isinstance(b, Value) and isinstance(b.source, Const) and b.when is None:
            known = alike((b.source.value,))
            return f"{found} == {known[0]!r}" if len(known) == 1 else f"{found} in {known!r}"
        return f"equal({found}, {self.value(b)[0]})"


def compile_tree(tree: Tree) -> tuple[str, dict[str, Any]]:
    """The generated source and its namespace, with the functions

    make(r, system, related)   the object under `fields`, the rows of `records`, or None where `when` says skip
    key(r, system, related)    external id, or the outgoing key
    group(r, system, related)  what groups rows
    same(r)                    the columns that must be equal in all rows of a group
    keys(r, system, related)   the keys of related entities
    """
    writer = _Compiler(tree)

    def make() -> None:
        if tree.when is not None:
            writer.put(f"if not ({writer.condition(tree.when)}): return None")
        if tree.records is None:
            writer.slot(Obj(tree.fields.members, keep=True), lambda e: f"return {e}")
        else:
            body = Obj(tree.fields.members, keep=True)
            each = Each(tree.records.source, body, tree.records.where, keep=True)
            writer.slot(each, lambda e: f"return {e}")

    def returning(node: Node) -> Callable[[], None]:
        return lambda: writer.put(f"return {writer.value(node)[0]}")

    writer.function("make(r, system, related)", make)
    key = tree.external_id if tree.direction == "in" else tree.key
    if key is not None:
        writer.function("key(r, system, related)", returning(key))
    if tree.group_by is not None:
        writer.function("group(r, system, related)", returning(tree.group_by))

    def same() -> None:
        read = "".join(f"{writer.raw(path)}, " for path in tree.same)
        writer.put(f"return ({read})")

    writer.function("same(r)", same)

    def keys() -> None:
        found = [f"{name!r}: {writer.value(related.key)[0]}" for name, related in tree.related.items()]
        writer.put(f"return {{{', '.join(found)}}}")

    if tree.related:
        writer.function("keys(r, system, related)", keys)
    source = f"# {tree.name}, version {tree.version}: written by the mapping compiler, do not edit\n\n"
    source += "\n".join(flatten(writer.lines)) + "\n"
    filename = f"<mapping {tree.name}>"
    exec(compile(source, filename, "exec"), writer.space)  # noqa: S102  (it wrote the source itself)
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    return source, writer.space
