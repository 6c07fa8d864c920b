"""Cost grows with what changed, not with what exists; every customer is looked at once, in few statements."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import pytest
from crowd import customers
from register import Register
from sqlalchemy import event

from hub.people import turn


@pytest.fixture
def counted(register: Register) -> Callable[[], int]:
    """How many statements were sent since the last time it was asked."""
    sent = 0

    def count(*_: object) -> None:
        nonlocal sent
        sent += 1

    event.listen(register.engine, "before_cursor_execute", count)

    def since() -> int:
        nonlocal sent
        result, sent = sent, 0
        return result

    return since


def test_statements_do_not_grow_with_the_customers_of_a_round(
    register: Register, counted: Callable[[], int]
) -> None:
    everybody = list(customers(900))
    register.say(*everybody[:100])
    counted()
    register.match()
    few = counted()
    register.say(*everybody[100:])
    counted()
    found = register.match()
    assert found.folded == len(everybody) - 100
    assert found.linked > 50
    assert counted() <= few + 5


def test_only_what_changed_is_looked_at_again(register: Register) -> None:
    everybody = list(customers(300))
    register.say(*everybody)
    register.match()
    changed = [{**content, "phones": ["0399990000"]} for content in everybody[:3]]
    register.say(*changed, *everybody[3:])
    found = register.match()
    assert (found.folded, found.compared) == (3, 3)


def test_what_is_not_compared_costs_no_second_look(register: Register) -> None:
    everybody = list(customers(50))
    register.say(*everybody)
    register.match()
    register.say(*({**content, "note": "new"} for content in everybody))
    found = register.match()
    assert (found.folded, found.compared) == (0, 0)


def test_rounds_give_what_one_round_gives(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = list(islice(customers(150, doubles=0.6), 200))
    register.say(*everybody)
    register.match()
    at_once = {(pair.keys, pair.state, pair.rules) for pair in register.pairs()}
    register.clear()
    register.say(*everybody)
    monkeypatch.setattr(turn, "ROUND", 17)
    register.match()
    assert {(pair.keys, pair.state, pair.rules) for pair in register.pairs()} == at_once
