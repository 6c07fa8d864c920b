"""The path language: what it reads, what it refuses, and that it means what JMESPath means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from mappings.paths import FLATTEN, BadPath, follow, parse_path, walk

jmespath = pytest.importorskip("jmespath", reason="the comparison needs the jmespath package")

NAMES = st.sampled_from(["a", "b", "c", "name_1"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=3))
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=25,
)
STEPS = st.one_of(
    NAMES.map(lambda name: f".{name}"), st.just("[]"), st.integers(-3, 3).map(lambda i: f"[{i}]")
)
PATHS = st.tuples(NAMES, st.lists(STEPS, max_size=6)).map(lambda parts: parts[0] + "".join(parts[1]))


@given(PATHS, JSON)
def test_a_path_means_what_it_means_in_jmespath(path: str, data: Any) -> None:
    assert follow(parse_path(path).steps, data) == jmespath.search(path, data)


@given(PATHS, JSON)
def test_each_runs_over_what_the_flattened_path_gives(path: str, data: Any) -> None:
    steps = parse_path(path).steps
    whole = steps if FLATTEN in steps else (*steps, FLATTEN)
    items = [item for item, _, _ in walk(steps, data)]
    # JMESPath would also drop lists' nulls: `each` never runs over nulls
    assert items == [item for item in follow(whole, data) or [] if item is not None]


@pytest.mark.parametrize(
    ("text", "root", "steps"),
    [
        ("受注名", "", ("受注名",)),
        ("受注住所１", "", ("受注住所１",)),
        ('"消費税率（%）"', "", ("消費税率（%）",)),
        ('"お届け先 住所".町', "", ("お届け先 住所", "町")),
        ("rows[]", "", ("rows", FLATTEN)),
        ("PackageModelList[].ItemModelList[]", "", ("PackageModelList", FLATTEN, "ItemModelList", FLATTEN)),
        ("a[0].b[-1]", "", ("a", 0, "b", -1)),
        ("$system.channel", "system", ("channel",)),
        ("$index", "index", ()),
        ("$related.order.number", "related", ("order", "number")),
        ("$record", "record", ()),
    ],
)
def test_paths_are_read(text: str, root: str, steps: tuple[object, ...]) -> None:
    path = parse_path(text)
    assert (path.root, path.steps) == (root, steps)


@pytest.mark.parametrize(
    "text", ["", "a.", ".a", "a..b", "a b", "a%", "a[", "a[x]", "a.[0]", '""', "$a$b", "1a", "a-b"]
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(BadPath):
        parse_path(text)


def test_the_refusal_shows_how_to_quote() -> None:
    with pytest.raises(BadPath) as caught:
        parse_path("消費税率（%）")
    assert str(caught.value) == (
        "stopped at '%' (character 6). A name with blanks or signs stands in double quotes: '\"消費税率（%）\"'"
    )
    assert (
        caught.value.ja
        == "6 文字目の「%」で止まりました。空白や記号を含む列名は二重引用符で囲みます: '\"消費税率（%）\"'"
    )


def test_walk_tells_the_item_one_level_up() -> None:
    data = {"packages": [{"id": 1, "items": ["a", "b"]}, {"id": 2, "items": ["c"]}]}
    found = [
        (item, parent["id"], at) for item, parent, at in walk(parse_path("packages[].items[]").steps, data)
    ]
    assert found == [("a", 1, 0), ("b", 1, 0), ("c", 2, 1)]
