"""Value types: small, frozen, comparable; the words every entity is written in."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

__all__ = [
    "Address",
    "BusinessDate",
    "Instant",
    "Money",
    "PersonName",
    "Phone",
    "PostalCode",
    "Quantity",
    "SignedQuantity",
    "TaxRate",
    "Value",
    "minor_digits",
]


class Value(BaseModel):
    """Base of value types and of the parts of entities: frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_NO_MINOR_UNIT = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "PYG", "UGX", "XAF", "XOF", "XPF"})
_THREE_DIGITS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def minor_digits(currency: str) -> int:
    """Decimals of a currency's minor unit (ISO 4217): 0 for JPY, 3 for KWD, else 2."""
    if currency in _NO_MINOR_UNIT:
        return 0
    return 3 if currency in _THREE_DIGITS else 2


def _rate(value: Any) -> Decimal:
    if isinstance(value, float):
        value = repr(value)
    rate = Decimal(value)
    if not 0 <= rate < 1:
        raise ValueError("a tax rate is a fraction: 0.10 for 10 %")
    # 0.10 and 0.1 must be one value, or an unchanged row would look changed
    return rate.normalize() + 0


TaxRate = Annotated[
    Decimal,
    BeforeValidator(_rate),
    PlainSerializer(lambda rate: format(rate, "f"), return_type=str, when_used="json"),
]
"""Fraction, 0 <= rate < 1; written as a string in JSON ("0.1", "0.08")."""

Quantity = Annotated[int, Field(ge=0)]
SignedQuantity = int
BusinessDate = date
"""A day of trade in Japan, not an instant: it may differ from the date of the timestamp."""
Instant = AwareDatetime
"""An aware datetime; the hub keeps UTC."""


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


def _phone(value: str) -> str:
    folded = unicodedata.normalize("NFKC", value)
    digits = "".join(c for c in folded if c.isdigit() or c == "+")
    if not 3 <= len(digits.lstrip("+")) <= 15 or "+" in digits[1:]:
        raise ValueError("a phone number has 3 to 15 digits, with a leading + if international")
    return digits


Phone = Annotated[str, AfterValidator(_phone)]
"""Digits as dialled in Japan ("0312345678") or E.164 with a leading +; no hyphens."""


def _postal_code(value: str) -> str:
    folded = unicodedata.normalize("NFKC", value).upper().strip()
    compact = folded.replace("-", "").replace("〒", "").replace(" ", "")
    return compact if compact.isdigit() else folded


PostalCode = Annotated[str, AfterValidator(_postal_code), Field(min_length=3, max_length=12)]
"""Seven digits without a hyphen in Japan ("1000001"); other countries as written there."""


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
            for full, first, last in (("full", "family", "given"), ("full_kana", "family_kana", "given_kana")):
                if not data.get(full) and (data.get(first) or data.get(last)):
                    data = {**data, full: " ".join(p for p in (data.get(first), data.get(last)) if p)}
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
