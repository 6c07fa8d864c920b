"""W5 in small: what mapping one order costs is counted in Python calls, never timed.

The figures are bounds with some room. Whoever passes one has made the generated code ask the interpreter, or a function
of its own for each field.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bench.w5.work import CONTEXT, Desk
from canonical_model import Order

FIELDS = 80
"""Values the order has at least, each way: an interpreter is called for each of them."""


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Calls of Python functions, by the file they stand in."""
    found: Counter[str] = Counter()

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            found[Path(frame.f_code.co_filename).name] += 1

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(before)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


def calls_of(run: Callable[[], Any]) -> Counter[str]:
    run()  # what is learned once is not counted
    with counted() as found:
        run()
    return found


def leaves(value: Any) -> int:
    """How many values that are no objects or lists."""
    if isinstance(value, dict):
        return sum(leaves(each) for each in value.values())
    return sum(leaves(each) for each in value) if isinstance(value, list) else 1


def test_the_order_is_as_large_as_the_bounds_suppose(desk: Desk) -> None:
    made = desk.made_in()
    assert leaves(made) >= FIELDS
    assert leaves(desk.made_out().record) >= FIELDS


def test_mapping_in_calls_few_functions_and_the_interpreter_never(desk: Desk) -> None:
    found = calls_of(desk.made_in)
    assert found["interpreter.py"] == 0
    # kana, telephone, postal code, dates and the like; a field that is only copied costs no call
    assert found.total() <= 50


def test_mapping_out_calls_few_functions_and_the_interpreter_never(desk: Desk) -> None:
    found = calls_of(lambda: desk.outgoing.from_entity(desk.entity, CONTEXT))
    assert found["interpreter.py"] == 0
    assert found.total() <= 40


def test_validating_calls_no_function_for_a_plain_value(desk: Desk) -> None:
    made = desk.made_in()
    assert calls_of(lambda: Order.model_validate(made)).total() <= 45


def test_the_interpreter_would_be_seen(desk: Desk) -> None:
    from mappings.interpreter import Walk

    assert calls_of(lambda: Walk(desk.incoming.tree, desk.record, CONTEXT).fields())["interpreter.py"] > 100
