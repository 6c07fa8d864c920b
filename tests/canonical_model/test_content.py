"""The stored form: equal entities give equal bytes, and the bytes give the entity back."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from canonical_model import ENTITIES, Order
from canonical_model.codes import CODE_LISTS, OrderRoute, PaymentMethod
from canonical_model.content import dump_json, from_content, from_json, to_content

words = st.text(max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
traits = st.dictionaries(
    st.sampled_from(["rakuten", "ne", "mach"]), st.dictionaries(words, json_values, max_size=4)
)
money = st.fixed_dictionaries(
    {"amount": st.integers(-(10**12), 10**12)},
    optional={
        "currency": st.sampled_from(["JPY", "USD"]),
        "tax_included": st.none() | st.booleans(),
        "tax_rate": st.sampled_from([None, "0.1", "0.10", 0.08, "0.080"]),
    },
)
parties = st.fixed_dictionaries(
    {
        "name": st.fixed_dictionaries(
            {"full": st.text(min_size=1, max_size=8)}, optional={"family_kana": words}
        )
    },
    optional={
        "phone": st.sampled_from(["03-1234-5678", "+819012345678", None]),
        "email": st.sampled_from(["A@Example.JP", None]),
        "address": st.fixed_dictionaries(
            {}, optional={"postal_code": st.sampled_from(["100-0001", None]), "city": st.none() | words}
        ),
    },
)
quantity = st.fixed_dictionaries({"ordered": st.integers(0, 99)}, optional={"cancelled": st.integers(0, 9)})
lines = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.uuids().map(str),
            "sku": st.text(min_size=1, max_size=8),
            "name": words,
            "quantity": quantity,
            "unit_price": money,
        },
        optional={"traits": st.dictionaries(words, json_values, max_size=3), "options": st.none() | words},
    ),
    min_size=1,
    max_size=3,
)
orders = st.fixed_dictionaries(
    {
        "key": st.text(min_size=1, max_size=20),
        "number": st.text(min_size=1, max_size=20),
        "channel": words,
        "ordered_at": st.datetimes(timezones=st.timezones(), allow_imaginary=False).filter(
            lambda moment: 2 < moment.year < 9998
        ),
        "buyer": parties,
        "recipients": st.tuples(st.fixed_dictionaries({"id": st.just("1"), "party": parties})),
        "lines": lines,
        "payment": st.fixed_dictionaries({"method": st.sampled_from(list(PaymentMethod))}),
        "totals": st.fixed_dictionaries({"payable": money}, optional={"goods": st.none() | money}),
    },
    optional={
        "route": st.sampled_from(list(OrderRoute)),
        "traits": traits,
        "business_date": st.none() | st.dates(),
    },
)


def shuffled(value: Any, dice: random.Random) -> Any:
    """The same JSON value with its members in another order."""
    if isinstance(value, dict):
        names = list(value)
        dice.shuffle(names)
        return {name: shuffled(value[name], dice) for name in names}
    return [shuffled(item, dice) for item in value] if isinstance(value, list) else value


@settings(deadline=None, max_examples=100)
@given(orders, st.randoms(use_true_random=False))
def test_orders_survive_storing_and_equal_orders_are_equal_bytes(
    data: dict[str, Any], dice: random.Random
) -> None:
    order = Order.model_validate(data)
    content, stored = to_content(order), dump_json(order)
    assert json.loads(stored) == content
    assert from_json("order", stored) == order
    again = from_content("order", shuffled(content, dice))
    assert again == order
    assert dump_json(again) == stored


def test_the_stored_form_is_compact_and_readable(order: Callable[..., Order]) -> None:
    content = to_content(order(traits={"rakuten": {"b": 1, "a": 2}}))
    assert content["ordered_at"] == "2026-11-21T01:00:00Z"
    assert content["lines"][1]["unit_price"] == {"amount": 500, "tax_included": True, "tax_rate": "0.08"}
    assert content["lines"][0]["quantity"] == {"ordered": 2}
    assert list(content["traits"]["rakuten"]) == ["a", "b"]
    assert "status" not in content
    assert "note" not in content
    assert "髙﨑" in dump_json(order()).decode()


def test_an_unknown_kind_is_named_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"no entity kind 'ordr'; known: cart, .*order"):
        from_content("ordr", {})


def test_traits_hold_json_under_a_namespace(order: Callable[..., Order]) -> None:
    with pytest.raises(ValidationError, match=r"rakuten\.x is no JSON value"):
        order(traits={"rakuten": {"x": {1, 2}}})
    with pytest.raises(ValidationError):
        order(traits={"rakuten": 1})


def test_an_unknown_field_is_refused(order: Callable[..., Order]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        order(odered_at="2026-11-21T10:00:00+09:00")


def test_every_kind_is_named_in_both_languages() -> None:
    for kind, model in ENTITIES.items():
        ja, en = model.titles
        assert ja != kind
        assert any(ord(letter) > 0x3000 for letter in ja), kind
        assert en.isascii()


def test_every_code_is_labelled_in_both_languages() -> None:
    for name, codes in CODE_LISTS.items():
        assert all(codes.titles()), name
        labels = [(code.label_ja, code.label_en) for code in codes]
        assert all(ja and en.isascii() for ja, en in labels), name
        assert len({ja for ja, _ in labels}) == len(labels), f"{name}: two codes have one Japanese label"
        assert all(code.value == code.value.lower() for code in codes)
