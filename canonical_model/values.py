"""Value types: small, frozen, comparable; the words every entity is written in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from math import isfinite
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    model_validator,
)

__all__ = [
    "Address",
    "BusinessDate",
    "Email",
    "Instant",
    "Json",
    "JsonObject",
    "Money",
    "OptionValue",
    "PersonName",
    "Phone",
    "PostalCode",
    "Quantity",
    "SignedQuantity",
    "TaxRate",
    "Translations",
    "Value",
    "check_json_object",
    "minor_digits",
    "sorted_json",
]


class Value(BaseModel):
    """Base of value types and of the parts of entities: frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


_NO_MINOR_UNIT = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "PYG", "UGX", "XAF", "XOF", "XPF"})
_THREE_DIGITS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def minor_digits(currency: str) -> int:
    """Decimals of a currency's minor unit (ISO 4217): 0 for JPY, 3 for KWD, else 2."""
    if currency in _NO_MINOR_UNIT:
        return 0
    return 3 if currency in _THREE_DIGITS else 2


_NUMBERS = (str, int, float, Decimal)


@lru_cache(maxsize=1024, typed=True)
def _known_rate(value: str | int | float | Decimal) -> Decimal:
    rate = Decimal(repr(value) if isinstance(value, float) else value)
    if not rate.is_finite() or not 0 <= rate < 1:
        raise ValueError("a tax rate is a fraction: 0.10 for 10 %")
    # 0.10 and 0.1 must be one value, or an unchanged row would look changed
    return rate.normalize() + 0


def _rate(value: Any) -> Decimal:
    if type(value) is not str and (not isinstance(value, _NUMBERS) or isinstance(value, bool)):
        raise ValueError("a tax rate is a fraction: 0.10 for 10 %")
    try:
        return _known_rate(value)
    except (InvalidOperation, TypeError):  # no number at all; a signalling NaN cannot even be hashed
        raise ValueError("a tax rate is a fraction: 0.10 for 10 %") from None


@lru_cache(maxsize=1024)
def _rate_text(rate: Decimal) -> str:
    return format(rate, "f")


TaxRate = Annotated[
    Decimal,
    PlainValidator(_rate, json_schema_input_type=Annotated[str, Field(pattern=r"^0(\.\d+)?$")]),
    PlainSerializer(_rate_text, return_type=str, when_used="json"),
]
"""Fraction, 0 <= rate < 1; written as a string in JSON ("0.1", "0.08")."""

Quantity = Annotated[int, Field(ge=0)]
SignedQuantity = int
BusinessDate = date
"""A day of trade in Japan, not an instant: it may differ from the date of the timestamp."""


def _to_utc(value: datetime) -> datetime:
    if not value.utcoffset():
        return value
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("this instant lies outside the years 1 to 9999 in UTC") from None


Instant = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An aware datetime, kept in UTC: the same moment is the same value and the same text ("...Z")."""


def _not_json(value: Any, where: str) -> ValueError:
    return ValueError(f"{where or 'the value'} is no JSON value: {type(value).__name__} {value!r:.60}")


_PLAIN = frozenset({str, int, bool, type(None)})


def _check_json(value: Any, where: str) -> None:
    if type(value) in _PLAIN or isinstance(value, (int, str)):
        return
    if isinstance(value, float):
        if not isfinite(value):
            raise _not_json(value, where)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise _not_json(key, f"a key of {where}" if where else "a key")
            if type(item) not in _PLAIN:  # nearly all are: neither a call nor a path for them
                _check_json(item, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if type(item) not in _PLAIN:
                _check_json(item, f"{where}[{index}]")
    else:
        raise _not_json(value, where)


def check_json_object(value: dict[str, Any]) -> dict[str, Any]:
    """Raises ValueError where a value is none JSON knows; that its keys are text has been seen to."""
    for key, item in value.items():
        if type(item) not in _PLAIN:
            _check_json(item, key)
    return value


def sorted_json(value: Any) -> Any:
    """The same JSON value with the keys of every object in order, so that equal values are equal bytes."""
    if isinstance(value, dict):
        return {key: sorted_json(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [sorted_json(item) for item in value]
    return value


JsonObject = Annotated[
    dict[str, Any],
    AfterValidator(check_json_object),
    PlainSerializer(sorted_json, return_type=dict[str, Any], when_used="json"),
]
"""A JSON object whose shape is not ours: text, finite numbers, true/false, null, lists, objects."""


def _json_value(value: Any) -> Any:
    _check_json(value, "")
    return value


Json = Annotated[
    Any, AfterValidator(_json_value), PlainSerializer(sorted_json, return_type=Any, when_used="json")
]
"""Any JSON value whose shape is not ours."""

Translations = Annotated[
    dict[str, dict[str, str]],
    PlainSerializer(sorted_json, return_type=dict[str, dict[str, str]], when_used="json"),
]
"""Texts in other languages: {"en-US": {"name": "Apple", "description": "..."}}; locale -> field -> text."""


class Money(Value):
    """An amount in the currency's minor unit (JPY has none: 1100 is 1,100 yen).

    tax_included  whether consumption tax is inside the amount; None where tax has no meaning (points, payments)
    tax_rate      the rate the amount falls under, if one
    """

    amount: int
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "JPY"
    tax_included: bool | None = None
    tax_rate: TaxRate | None = None

    def __add__(self, other: Self) -> Self:
        return self._like(self.amount + self._same(other).amount)

    def __sub__(self, other: Self) -> Self:
        return self._like(self.amount - self._same(other).amount)

    def __mul__(self, times: int) -> Self:
        return self._like(self.amount * times)

    def __neg__(self) -> Self:
        return self._like(-self.amount)

    def _like(self, amount: int) -> Self:
        return self.model_copy(update={"amount": amount})

    def _same(self, other: Self) -> Self:
        mine = (self.currency, self.tax_included, self.tax_rate)
        if mine != (other.currency, other.tax_included, other.tax_rate):
            raise ValueError(f"{self} and {other} differ in currency or tax and cannot be added")
        return other

    def __str__(self) -> str:
        digits = minor_digits(self.currency)
        return f"{Decimal(self.amount).scaleb(-digits):,.{digits}f} {self.currency}"

    @classmethod
    def total(cls, amounts: Iterable[Self], *, currency: str = "JPY") -> int:
        """Sum in minor units; every amount must be in `currency`."""
        result = 0
        for money in amounts:
            if money.currency != currency:
                raise ValueError(f"{money} is not in {currency}")
            result += money.amount
        return result


class OptionValue(Value):
    """A named property of a variant or of what was bought: ("色", "赤")."""

    name: str
    value: str


def _phone(value: str) -> str:
    if value.isascii() and value.isdigit() and 3 <= len(value) <= 15:
        return value
    folded = unicodedata.normalize("NFKC", value)
    digits = "".join(c for c in folded if c in "0123456789+")
    if not 3 <= len(digits.lstrip("+")) <= 15 or "+" in digits[1:]:
        raise ValueError("a phone number has 3 to 15 digits, with a leading + if international")
    return digits


Phone = Annotated[str, AfterValidator(_phone)]
"""Digits as dialled in Japan ("0312345678") or E.164 with a leading +; no hyphens."""


def _postal_code(value: str) -> str:
    if len(value) == 7 and value.isascii() and value.isdigit():
        return value
    folded = unicodedata.normalize("NFKC", value).upper().strip()
    compact = folded.replace("-", "").replace("〒", "").replace(" ", "")
    return compact if compact.isdigit() else folded


PostalCode = Annotated[str, AfterValidator(_postal_code), Field(min_length=3, max_length=12)]
"""Seven digits without a hyphen in Japan ("1000001"); other countries as written there."""

# Some carriers in Japan handed out addresses with doubled or trailing dots before the @ ("a..b.@docomo.ne.jp"),
# which the standard forbids and which are in use: they are taken as they are.
_PLAIN_EMAIL = re.compile(
    r"[A-Za-z0-9_!#$%&'*+/=?^`{|}~.-]{1,64}@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63})"
)


def _email(value: str) -> str:
    value = value.strip()
    if len(value) <= 254 and (match := _PLAIN_EMAIL.fullmatch(value)):
        return value[: match.start(1)] + match[1].lower()
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(f"not an e-mail address: {error}") from None


Email = Annotated[str, AfterValidator(_email), Field(json_schema_extra={"format": "email"})]
"""An e-mail address, its domain in lower case; nothing is sent to find out whether it works."""


class PersonName(Value):
    """A person's or company's name. `full` is always there; the parts only where the system gives them."""

    full: Annotated[str, Field(min_length=1)]
    family: str | None = None
    given: str | None = None
    full_kana: str | None = None
    family_kana: str | None = None
    given_kana: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _compose(cls, data: Any) -> Any:
        if isinstance(data, dict):
            get = data.get
            family, given = get("family"), get("given")
            if (family or given) and not get("full"):
                data = {**data, "full": f"{family} {given}" if family and given else family or given}
            family, given = get("family_kana"), get("given_kana")
            if (family or given) and not get("full_kana"):
                data = {**data, "full_kana": f"{family} {given}" if family and given else family or given}
        return data


class Address(Value):
    """A postal address, in the parts Japan writes it in; largest part first.

    prefecture  都道府県, or the region elsewhere
    city        市区町村
    town        町域・大字, where the system keeps it apart
    street      番地 and what follows when the system does not divide it
    building    建物名・部屋番号
    lines       the address as the system gave it, when it cannot be divided safely
    """

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "JP"
    postal_code: PostalCode | None = None
    prefecture: str | None = None
    city: str | None = None
    town: str | None = None
    street: str | None = None
    building: str | None = None
    lines: tuple[str, ...] = ()
    company: str | None = None
    department: str | None = None

    @model_validator(mode="after")
    def _japanese_postal_code(self) -> Self:
        code = self.postal_code
        if self.country == "JP" and code is not None and (len(code) != 7 or not code.isdigit()):
            raise ValueError(f"a Japanese postal code has 7 digits, not {code!r}")
        return self

    def one_line(self) -> str:
        """The address on one line, as written in Japan, without the postal code."""
        parts = (self.prefecture, self.city, self.town, self.street, *self.lines, self.building)
        return "".join(p for p in parts if p)
