"""The generated code and the interpreter are one meaning: for any mapping and any record.

The generated code may give up (the interpreter then decides), but where it answers, it answers the same; and for
records as systems send them it must not give up, or every record would pay the slow way.
"""

from __future__ import annotations

import dataclasses
import json
from copy import deepcopy
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from mappings import RecordFaults, find_mappings, load_mapping
from mappings.compiler import compile_tree
from mappings.expressions import FORMS, Expressions, Scope
from mappings.interpreter import Walk
from mappings.nodes import Tree
from mappings.paths import Path
from mappings.problems import Problems
from mappings.tables import Table

BENCH = FilePath(__file__).parents[2] / "bench" / "w5"
TABLE = Table("codes", "codes.csv", "", {"a": "A", "1": "one", "": "", "gone": ""}, {})

# ---------------------------------------------------------------- records

NAMES = st.sampled_from(["a", "b", "c", "rows"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 1500),
    st.floats(allow_nan=False, width=32),
    st.sampled_from(
        ["", " ", "　", "a", " a ", "1", "0", "1,200", "2026/11/21", "2026-02-30", "ﾔﾏﾀﾞ", "gone", "14-16"]
    ),
    st.text(max_size=5),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=12,
)
RECORDS = st.dictionaries(NAMES, VALUES, max_size=4)
CONTEXTS = st.sampled_from(
    [{"system": {"id": "s", "channel": "shop"}}, {"system": {"id": "s", "channel": " "}}, {"system": {}}]
)

# ---------------------------------------------------------------- mappings

ROOTS_IN_LOOP = ["$item", "$parent", "$record"]
STEPS = st.lists(
    st.one_of(NAMES.map(lambda n: f".{n}"), st.just("[]"), st.sampled_from(["[0]", "[-1]"])), max_size=3
)
TRANSFORMS = st.sampled_from(
    [
        "text", "kana", "integer", "verbatim", "money", "boolean", "slot", "date", "json", "upper",
        {"offset": 1}, {"prefix": "x"}, {"table": "codes"}, {"table": {"name": "codes", "unknown": "?"}},
        {"money": {"tax_included": True, "tax_rate": "10"}}, {"money": {"tax_rate": {"from": "b"}}},
        {"money": {"tax_included": {"from": "c", "as": "boolean"}}},
        {"lookup": {"values": {"a": 0}, "keep_unknown": True}},
    ]
)  # fmt: skip


@st.composite
def paths(draw: st.DrawFn, depth: int) -> str:
    steps = "".join(draw(STEPS))
    bare = draw(NAMES) + steps
    kinds = ["bare", "bare", "$record", "$system"] + (
        ["$item", "$parent", "$index", "$parent_index"] if depth else []
    )
    kind = draw(st.sampled_from(kinds))
    if kind == "bare":
        return bare
    if kind == "$system":
        return "$system." + draw(st.sampled_from(["channel", "id", "other"]))
    return kind if kind.endswith("index") else kind + (("." + bare) if draw(st.booleans()) else "")


@st.composite
def conditions(draw: st.DrawFn, depth: int) -> dict[str, Any]:
    kind = draw(st.sampled_from(["present", "absent", "equals", "in", "not", "all", "any"]))
    if kind in ("present", "absent"):
        return {kind: draw(paths(depth))}
    if kind == "equals":
        other = draw(
            st.one_of(paths(depth), st.sampled_from([1, "1", "a", None, True]).map(lambda v: {"value": v}))
        )
        return {kind: [draw(paths(depth)), other]}
    if kind == "in":
        return {
            kind: [draw(paths(depth)), draw(st.lists(st.sampled_from([0, 1, "a", "1", None]), max_size=3))]
        }
    if kind == "not":
        return {kind: draw(conditions(depth))}
    return {kind: [draw(conditions(depth)), draw(conditions(depth))]}


@st.composite
def expressions(draw: st.DrawFn, depth: int = 0, level: int = 0) -> Any:
    simple = ["path", "from", "value", "first", "join", "call"]
    kind = draw(
        st.sampled_from(simple if level > 2 else [*simple, "object", "fields", "each", "item", "list"])
    )
    if kind == "path":
        return draw(paths(depth))
    if kind == "value":
        return {"value": draw(st.sampled_from([1, "x", "", None, True, ["k"]]))}
    if kind in ("object", "fields"):
        inner = draw(
            st.dictionaries(st.sampled_from("pqr"), expressions(depth, level + 1), min_size=1, max_size=3)
        )
        return inner if kind == "object" else draw(with_options({"fields": inner}, ["keep", "when"], depth))
    if kind == "list":
        return draw(st.lists(expressions(depth, level + 1), min_size=1, max_size=3))
    if kind in ("each", "item"):
        body = draw(expressions(depth + 1, level + 1))
        fields = {"fields": body if isinstance(body, dict) and not set(body) & set(FORMS) else {"p": body}}
        each = {"each": draw(paths(depth)), **({"item": body} if kind == "item" else fields)}
        if draw(st.booleans()):
            each["where"] = draw(conditions(depth + 1))
        return draw(with_options(each, ["keep", "when"], depth))
    form: dict[str, Any] = {"from": draw(paths(depth))}
    if kind in ("first", "join"):
        form = {kind: draw(st.lists(simple_values(depth), min_size=1, max_size=3))}
        if kind == "join":
            form |= draw(st.sampled_from([{}, {"with": "/"}, {"all": True}, {"with": "{", "all": True}]))
    elif kind == "call":
        form = {"call": f"{__name__}:shout", "args": [draw(paths(depth))]}
    return draw(with_options(form, ["as", "default", "required", "when", "keep"], depth))


@st.composite
def simple_values(draw: st.DrawFn, depth: int) -> Any:
    return draw(
        st.one_of(
            paths(depth),
            st.builds(lambda p, t: {"from": p, "as": t}, paths(depth), TRANSFORMS),
            st.just({"value": "-"}),
        )
    )


@st.composite
def with_options(draw: st.DrawFn, form: dict[str, Any], names: list[str], depth: int) -> dict[str, Any]:
    for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=2)):
        if name == "as":
            form["as"] = draw(st.lists(TRANSFORMS, max_size=3))
        elif name == "when":
            form["when"] = draw(conditions(depth))
        else:
            form[name] = draw(st.sampled_from(["d", 0])) if name == "default" else True
    return form


def shout(value: Any) -> Any:
    if value == "a":
        raise ValueError("no")
    return value if not isinstance(value, str) else value + "!"


def tree_of(fields: dict[str, Any], group: bool) -> Tree:
    problems = Problems("test")
    reader = Expressions(problems, lambda _: (TABLE, None, []))
    members = reader.members(
        fields, ("fields",), Scope(incoming=True, here=None, whole=None, related={}), None
    )
    problems.raise_if_any()
    by = (
        reader.key("a", ("group", "by"), Scope(incoming=True, here=None, whole=None, related={}))
        if group
        else None
    )
    return Tree("test/t.in", "t", 1, "in", "order", {}, members, group_by=by)


def outcome_fast(make: Any, record: Any, context: Any) -> tuple[str, Any]:
    try:
        return "made", make(record, context.get("system"), None)
    except Exception as error:  # noqa: BLE001
        return "gave up", error


def outcome_walk(tree: Tree, record: Any, context: Any) -> tuple[str, Any]:
    walk = Walk(tree, record, context)
    made = walk.fields()
    return ("faults", walk.faults) if walk.faults else ("made", made)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from("pqrs"), expressions(), min_size=1, max_size=4), RECORDS, CONTEXTS)
def test_generated_code_answers_what_the_walk_answers(
    fields: dict[str, Any], record: Any, context: Any
) -> None:
    tree = tree_of(fields, group=False)
    before = deepcopy(record)
    fast, walked = (
        outcome_fast(compile_tree(tree)[1]["make"], record, context),
        outcome_walk(tree, record, context),
    )
    assert record == before, "a mapping must not change the record"
    if fast[0] == "made":
        assert walked == fast
        assert json.dumps(walked[1], default=str, sort_keys=True) == json.dumps(
            fast[1], default=str, sort_keys=True
        )


# ---------------------------------------------------------------- mappings as they are shipped

SHIPPED = [*find_mappings(), *find_mappings([BENCH])]


def names_in(node: Any) -> set[str]:
    """Names that stand in the paths of a mapping."""
    if isinstance(node, Path):
        return {step for step in node.steps if isinstance(step, str)}
    if isinstance(node, tuple):
        return {name for part in node for name in names_in(part)}
    if dataclasses.is_dataclass(node):
        return {name for field in dataclasses.fields(node) for name in names_in(getattr(node, field.name))}
    return set()


@pytest.mark.parametrize("name", SHIPPED)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_shipped_mappings_mean_the_same_both_ways(name: str, data: st.DataObject) -> None:
    mapping = load_mapping(name, roots=[BENCH])
    names = st.sampled_from(sorted(names_in(mapping.tree.fields)) or ["a"])
    leaves = st.one_of(
        LEAVES, st.sampled_from(["2026-11-21", "2026/11/21 09:30:00", "100-0001", "03-1234-5678", "1", "2"])
    )
    values = st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(names, inner, max_size=6)),
        max_leaves=20,
    )
    record = data.draw(st.dictionaries(names, values, max_size=12))
    context = {"system": {"id": "s", "channel": "shop"}}
    if mapping.direction == "in":
        fast, walked = (
            outcome_fast(mapping._make, record, context),
            outcome_walk(mapping.tree, record, context),
        )
        if fast[0] == "made" and fast[1] is not None:
            assert walked == fast
        return
    try:
        made = mapping.from_entity(record, context, {})
    except RecordFaults:
        return
    if made is not None:
        walk = Walk(mapping.tree, record, context)
        again = {"rows": walk.rows()} if mapping.tree.records else walk.fields()
        assert not walk.faults
        assert again == made.record


def test_an_order_as_shops_send_it_needs_no_second_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    mapping = load_mapping("shop/orders.in", roots=[BENCH])

    def no_walk(*_: object, **__: object) -> None:
        raise AssertionError("the generated code gave up on a usual order")

    monkeypatch.setattr("mappings.mapping.Walk", no_walk)
    order = {
        "id": 1,
        "order_number": "A1",
        "status": "paid",
        "ordered_at": "2026-11-21 09:30:15",
        "customer": {"last_name": "髙橋", "id": 5, "zip": "100-0001", "tel": "03-1234-5678", "company": ""},
        "deliveries": [{"id": 7, "last_name": "髙橋", "cool": 0, "preferred_time": "午前中"}],
        "items": [
            {"sku": "S1", "name": "品", "quantity": "2", "price": "1,100", "tax_rate": "8%", "delivery_id": 7}
        ],
        "payment": {"type": "cod"},
        "total": 2200,
    }
    entity = mapping.to_entity(order, {"system": {"id": "s", "channel": "shop"}})
    assert entity is not None
    assert entity["lines"][0]["unit_price"] == {"amount": 1100, "tax_included": True, "tax_rate": "0.08"}
