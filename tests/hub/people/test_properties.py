"""What must hold whatever comes in whatever order: the laws of docs/decisions/people-links.md."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
from register import Pair, Register, customer

from hub.people.decisions import CannotDecide

few = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
NAMES = [
    ("山田 太郎", "ヤマダ タロウ"),
    ("山田 花子", "ヤマダ ハナコ"),
    ("斎藤 一", "サイトウ ハジメ"),
    ("齋藤 一", "サイトウ ハジメ"),
]


@st.composite
def people(draw: st.DrawFn, most: int = 7) -> list[dict[str, Any]]:
    """Customers of three systems out of few names, numbers and addresses, so that many of them meet."""
    found = []
    for number in range(draw(st.integers(2, most))):
        name, kana = draw(st.sampled_from(NAMES))
        more: dict[str, Any] = {}
        if draw(st.booleans()):
            more["birth"] = draw(st.sampled_from(["1980-01-01", "1990-01-01"]))
        if draw(st.booleans()):
            more["email"] = draw(st.sampled_from(["a@example.jp", "b@example.jp"]))
        if draw(st.booleans()):
            more["consents"] = [{"channel": "mail", "granted": draw(st.booleans())}]
        phone = draw(st.sampled_from(["09011112222", "09033334444", "0312345679"]))
        scope = draw(st.sampled_from(["core", "shop", "mall"]))
        home = ("1000001", draw(st.sampled_from(["千代田1-2-3", "千代田一丁目2番4号"])))
        found.append(customer(f"{scope}/{number}", name, kana, phone=phone, address=home, **more))
    return found


def told(register: Register) -> set[tuple[Any, ...]]:
    """Every pair the rules speak of, however it came to be decided."""
    return {(pair.keys, pair.verdict, pair.rules, pair.against) for pair in register.pairs()}


def joined(register: Register) -> dict[str, set[str]]:
    """Survivor -> its customers, of persons with more than one."""
    keys = [row.key for row in register.rows("SELECT key FROM entity")]
    persons: dict[str, set[str]] = {}
    for key in keys:
        persons.setdefault(register.person(key), set()).add(key)
    return {survivor: members for survivor, members in persons.items() if len(members) > 1}


def lawful(register: Register) -> None:
    pairs = register.pairs()
    automatic = Counter(
        key for pair in pairs if pair.automatic and pair.state == "linked" for key in pair.keys
    )
    assert all(times == 1 for times in automatic.values())
    for members in joined(register).values():
        inside = [pair for pair in pairs if set(pair.keys) <= members]
        assert not any(pair.state == "rejected" for pair in inside)
        # just enough links to hold the person together: taking any one back parts it
        assert sum(pair.state == "linked" for pair in inside) == len(members) - 1
        survivors = [key for key in members if "merged_into" not in register.content(key)]
        assert len(survivors) == 1


@few
@given(people(), st.randoms(use_true_random=False))
def test_what_came_first_does_not_matter(
    lasting_register: Register, contents: list[dict[str, Any]], chance: Any
) -> None:
    register = lasting_register
    register.clear()
    register.say(*contents)
    register.match()
    at_once, linked = told(register), {pair.keys for pair in register.pairs() if pair.state == "linked"}
    lawful(register)
    shuffled = chance.sample(contents, len(contents))
    register.clear()
    register.say(*shuffled)
    register.match()
    assert told(register) == at_once
    assert {pair.keys for pair in register.pairs() if pair.state == "linked"} == linked
    register.clear()
    for content in shuffled:
        register.say(content)
        register.match()
    assert told(register) == at_once
    lawful(register)


@few
@given(people())
def test_rules_alone_never_join_three(lasting_register: Register, contents: list[dict[str, Any]]) -> None:
    register = lasting_register
    register.clear()
    for content in contents:  # one after the other: the way a chain would grow
        register.say(content)
        register.match()
    assert all(len(members) == 2 for members in joined(register).values())


@few
@given(people())
def test_a_second_turn_writes_nothing(lasting_register: Register, contents: list[dict[str, Any]]) -> None:
    register = lasting_register
    register.clear()
    register.say(*contents)
    register.match()
    before = register.written()
    again = register.match()
    assert (again.folded, again.compared, again.changed) == (0, 0, 0)
    assert register.written() == before


@few
@given(
    people(),
    st.lists(st.tuples(st.sampled_from(["accept", "reject", "undo"]), st.integers(0, 20)), max_size=10),
)
def test_whatever_persons_decide_stays_lawful(
    lasting_register: Register, contents: list[dict[str, Any]], decisions: list[tuple[str, int]]
) -> None:
    register = lasting_register
    register.clear()
    register.say(*contents)
    register.match()
    for decision, number in decisions:
        pairs = register.pairs()
        if not pairs:
            return
        pair = pairs[number % len(pairs)]
        try:
            getattr(register, decision)(pair.id)
        except CannotDecide:
            continue
        lawful(register)


@few
@given(people(), st.lists(st.integers(0, 20), max_size=4), st.integers(0, 20))
def test_undo_brings_back_exactly_what_was(
    lasting_register: Register, contents: list[dict[str, Any]], first: list[int], last: int
) -> None:
    register = lasting_register
    register.clear()
    register.say(*contents)
    register.match()
    _accept_some(register, first)
    before, pairs = register.state(), register.pairs()
    chosen = _accept_some(register, [last])
    if chosen is None:
        return
    register.undo(chosen.id)
    assert register.state() == before
    assert [pair for pair in register.pairs() if pair.id != chosen.id] == [
        pair for pair in pairs if pair.id != chosen.id
    ]
    register.match()
    assert register.state() == before


def _accept_some(register: Register, numbers: list[int]) -> Pair | None:
    chosen = None
    for number in numbers:
        undecided = [pair for pair in register.pairs() if pair.state in ("open", "noted")]
        if not undecided:
            return None
        chosen = undecided[number % len(undecided)]
        try:
            register.accept(chosen.id)
        except CannotDecide:
            chosen = None
    return chosen
