"""Payments, settlements, entries in the books and documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from canonical_model import Document, JournalEntry, Payment, Settlement


@pytest.mark.parametrize(
    ("events", "receipt"),
    [
        ([], "none"),
        ([("provisional", 3100)], "provisional"),
        ([("provisional", 3100), ("provisional_revoked", 3100)], "none"),
        ([("provisional", 3100), ("confirmed", 3100)], "confirmed"),
        ([("confirmed", 3100), ("settled", 3100)], "settled"),
        ([("received", 3000)], "short"),
        ([("received", 3200)], "over"),
        ([("received", 3100), ("refunded", 3100)], "refunded"),
    ],
)
def test_how_far_the_money_has_come(
    payment: Callable[..., Payment], events: list[tuple[str, int]], receipt: str
) -> None:
    assert payment("p1", *events).receipt.value == receipt


def test_an_event_told_twice_counts_once() -> None:
    event = {"id": "e1", "kind": "captured", "amount": {"amount": 3100}, "at": "2026-11-21T00:00:00Z"}
    later = {**event, "amount": {"amount": 3000}, "at": "2026-11-22T00:00:00Z"}
    base = {"key": "p", "order_key": "o", "method": "card", "amount": {"amount": 3100}}
    assert Payment.model_validate({**base, "events": [event, event]}).received == 3100
    for events in ([event, later], [later, event]):
        assert Payment.model_validate({**base, "events": events}).received == 3000


def test_a_settlement_is_held_against_its_lines() -> None:
    lines = [
        {"id": "1", "kind": "sale", "amount": {"amount": 10000}},
        {"id": "2", "kind": "fee", "amount": {"amount": -330}},
    ]
    base = {"key": "gmo/1", "collector": "gmo", "number": "1", "lines": lines}
    assert Settlement.model_validate({**base, "amount": {"amount": 9670}}).difference() == 0
    assert Settlement.model_validate({**base, "amount": {"amount": 9671}}).difference() == 1


def entry(*lines: tuple[str, int]) -> dict[str, Any]:
    listed = [
        {"side": side, "account": f"科目{n}", "amount": {"amount": amount}}
        for n, (side, amount) in enumerate(lines)
    ]
    return {"key": "sales/2026-11-21", "date": "2026-11-21", "lines": listed}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6), st.integers(-2, 2))
def test_an_entry_balances_or_is_refused(debits: list[int], off: int) -> None:
    credit = sum(debits) + off
    lines = [("debit", amount) for amount in debits] + [("credit", credit)]
    if off == 0:
        assert len(JournalEntry.model_validate(entry(*lines)).lines) == len(lines)
    else:
        with pytest.raises(ValidationError, match=r"differ|other side"):
            JournalEntry.model_validate(entry(*lines))


def test_a_negative_side_is_refused() -> None:
    with pytest.raises(ValidationError, match="belongs on the other side"):
        JournalEntry.model_validate(entry(("debit", -100), ("credit", -100)))


def test_an_entry_is_in_one_currency() -> None:
    data = entry(("debit", 100), ("credit", 100))
    data["lines"][1]["amount"]["currency"] = "USD"
    with pytest.raises(ValidationError, match="one currency"):
        JournalEntry.model_validate(data)


@pytest.mark.parametrize(
    ("number", "ok"), [("T7000012050002", True), ("7000012050002", False), ("T0000012050002", False)]
)
def test_the_number_of_an_issuer_of_qualified_invoices_has_its_shape(number: str, ok: bool) -> None:
    data = {"key": "d1", "type": "invoice", "number": "1", "issued_on": "2026-11-30", "issuer_number": number}
    if ok:
        assert Document.model_validate(data).issuer_number == number
    else:
        with pytest.raises(ValidationError, match="issuer_number"):
            Document.model_validate(data)
