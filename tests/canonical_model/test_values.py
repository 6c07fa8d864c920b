"""Value types: what they take, what they make of it, what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import TypeAdapter, ValidationError

from canonical_model import Address, Money, PersonName
from canonical_model.values import Email, Instant, JsonObject, Phone, PostalCode, TaxRate, minor_digits

quick = settings(deadline=None, max_examples=100)
yen = st.integers(-(10**12), 10**12)


def parse(kind: Any, value: Any) -> Any:
    return TypeAdapter(kind).validate_python(value)


@quick
@given(yen, yen, yen)
def test_money_adds_like_integers(a: int, b: int, c: int) -> None:
    x, y, z = Money(amount=a), Money(amount=b), Money(amount=c)
    assert (x + y) + z == x + (y + z)
    assert x + y == y + x
    assert x - y == x + (-y)
    assert (x + y).amount == a + b
    assert Money.total([x, y, z]) == a + b + c


@quick
@given(yen, st.integers(-1000, 1000))
def test_money_times_a_count_is_repeated_addition(amount: int, times: int) -> None:
    assert (Money(amount=amount) * times).amount == amount * times


@pytest.mark.parametrize(
    "other",
    [
        Money(amount=1, currency="USD"),
        Money(amount=1, tax_included=True),
        Money(amount=1, tax_rate=Decimal("0.08")),
    ],
)
def test_money_of_different_kinds_is_not_added(other: Money) -> None:
    with pytest.raises(ValueError, match="cannot be added"):
        Money(amount=1) + other


def test_money_is_shown_with_the_decimals_of_its_currency() -> None:
    assert str(Money(amount=1234567)) == "1,234,567 JPY"
    assert str(Money(amount=1234567, currency="USD")) == "12,345.67 USD"
    assert str(Money(amount=-5, currency="KWD")) == "-0.005 KWD"
    assert [minor_digits(code) for code in ("JPY", "EUR", "BHD")] == [0, 2, 3]


def test_money_keeps_its_tax_through_arithmetic() -> None:
    price = Money(amount=100, tax_included=True, tax_rate=Decimal("0.10"))
    assert (price * 3 - price).tax_rate == Decimal("0.1")
    assert (price * 3).tax_included is True


@pytest.mark.parametrize("value", ["0.10", "0.1", 0.1, Decimal("0.100")])
def test_one_rate_in_any_spelling_is_one_value_and_one_text(value: Any) -> None:
    adapter = TypeAdapter(TaxRate)
    rate = adapter.validate_python(value)
    assert adapter.dump_json(rate) == b'"0.1"'


@pytest.mark.parametrize(
    "value", ["10", "-0.1", "1", "abc", None, [], True, "NaN", Decimal("sNaN"), "Infinity", ""]
)
def test_what_is_no_rate_is_refused_in_words(value: Any) -> None:
    with pytest.raises(ValidationError, match="a tax rate is a fraction"):
        parse(TaxRate, value)


@quick
@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_one_moment_is_one_value_and_one_text_whatever_its_offset(naive: datetime, minutes: int) -> None:
    adapter = TypeAdapter(Instant)
    there = naive.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    here = adapter.validate_python(there)
    assert here == there
    text = adapter.dump_json(here)
    assert text.endswith(b'Z"')
    assert text == adapter.dump_json(adapter.validate_python(naive.replace(tzinfo=UTC)))


@pytest.mark.parametrize("value", ["2026-11-21T10:00:00", "0001-01-01T00:00:00+09:00", "yesterday"])
def test_a_moment_needs_an_offset_and_a_year_that_exists(value: str) -> None:
    with pytest.raises(ValidationError):
        parse(Instant, value)


@pytest.mark.parametrize(
    ("given_as", "kept"),
    [
        ("03-1234-5678", "0312345678"),
        ("０３（１２３４）５６７８", "0312345678"),
        ("+81 90-1234-5678", "+819012345678"),
        ("110", "110"),
    ],
)
def test_phones_keep_their_digits(given_as: str, kept: str) -> None:
    assert parse(Phone, given_as) == kept
    assert parse(Phone, kept) == kept


@pytest.mark.parametrize("value", ["", "12", "1234567890123456", "0+312345678", "٠٣١٢٣٤٥٦٧٨", "tel"])
def test_what_cannot_be_dialled_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="3 to 15 digits"):
        parse(Phone, value)


@pytest.mark.parametrize(
    ("given_as", "kept"),
    [
        ("〒100-0001", "1000001"),
        ("１００－０００１", "1000001"),
        ("0600000", "0600000"),
        ("sw1a 1aa", "SW1A 1AA"),
    ],
)
def test_postal_codes(given_as: str, kept: str) -> None:
    assert parse(PostalCode, given_as) == kept
    assert parse(PostalCode, kept) == kept


def test_a_japanese_postal_code_has_seven_digits() -> None:
    with pytest.raises(ValidationError, match="7 digits"):
        Address(postal_code="600000")
    assert Address(country="DK", postal_code="8000").postal_code == "8000"


@pytest.mark.parametrize(
    ("given_as", "kept"),
    [
        ("Taro.Yamada+x@Example.CO.JP", "Taro.Yamada+x@example.co.jp"),
        (" a@b.jp ", "a@b.jp"),
        ("old..style.@docomo.ne.jp", "old..style.@docomo.ne.jp"),
        ("あ@例え.jp", "あ@例え.jp"),
    ],
)
def test_e_mail_addresses_in_use_are_taken(given_as: str, kept: str) -> None:
    assert parse(Email, given_as) == kept
    assert parse(Email, kept) == kept


@pytest.mark.parametrize("value", ["", "no at", "a@", "@b.jp", "a@b", "a b@c.jp", "a@-b.jp"])
def test_what_is_no_e_mail_address_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="not an e-mail address"):
        parse(Email, value)


def test_a_full_name_is_made_of_its_parts_and_kept_where_given() -> None:
    assert PersonName(family="髙﨑", given="太郎").full == "髙﨑 太郎"  # type: ignore[call-arg]
    assert PersonName(full="株式会社つなぎ").family is None
    with pytest.raises(ValidationError):
        PersonName.model_validate({})


def test_an_address_on_one_line_is_written_largest_part_first() -> None:
    address = Address(prefecture="東京都", city="渋谷区", town="神南", street="1-2-3", building=" つなぎビル")
    assert address.one_line() == "東京都渋谷区神南1-2-3 つなぎビル"


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": {"b": [1, float("nan")]}}, r"a\.b\[1\]"),
        ({"at": datetime(2026, 1, 1, tzinfo=UTC)}, "at"),
        ({"rate": Decimal("0.1")}, "rate"),
        ({"a": {1: "x"}}, "a key of a"),
        ({"a": (1, 2)}, "a is no JSON"),
    ],
)
def test_free_objects_hold_json_only_and_say_where_they_do_not(value: Any, where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        parse(JsonObject, value)
