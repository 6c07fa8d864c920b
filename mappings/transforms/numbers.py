"""Transforms of numbers, amounts of money and tax rates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import Field

from canonical_model.values import minor_digits
from mappings.faults import TransformFault
from mappings.transforms.registry import BadParameter, Step, as_text, transform

_FOLD = str.maketrans("０１２３４５６７８９．，＋－−ー▲△", "0123456789.,+-----")
_GROUPED = re.compile(r"-?(?:\d+|\d{1,3}(?:,\d{3})+)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d*)?|[+-]?\.\d+")
_MONEY_SIGNS = str.maketrans("", "", "¥￥\\円 　")


def _decimal(value: Any, code: str, *, money: bool = False) -> Decimal | None:
    """The number a value says; null for blank text. Thousands' commas and full-width digits are read."""
    if isinstance(value, bool):
        raise TransformFault(code)
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if isinstance(value, float):
        value = repr(value)
    if not isinstance(value, str):
        raise TransformFault(code)
    body = value.strip()
    if not body:
        return None
    if not body.isascii():
        body = body.translate(_FOLD)
    if money:
        body = body.translate(_MONEY_SIGNS)
    if _NUMBER.fullmatch(body) is None:
        # exponents come from numbers in JSON, never from what people type
        if isinstance(value, str) and re.fullmatch(r"-?\d(?:\.\d+)?e[+-]\d+", body):
            return Decimal(body)
        raise TransformFault(code)
    try:
        return Decimal(body.replace(",", ""))
    except InvalidOperation:
        raise TransformFault(code) from None


def to_integer(value: Any) -> int | None:
    """A whole number; "12", "1,200", "１２", "12.0" and 12 are read."""
    if value.__class__ is int:
        return value
    if value.__class__ is str and value.isdecimal() and value.isascii():
        return int(value)
    if value.__class__ is str and _GROUPED.fullmatch(value):
        return int(value.replace(",", ""))
    number = _decimal(value, "not_an_integer")
    if number is None:
        return None
    if number != number.to_integral_value():
        raise TransformFault("not_an_integer")
    return int(number)


@transform(
    "integer",
    gives="integer",
    ja="整数にします。桁区切り・全角数字・「12.0」も読みます。",
    en="A whole number; thousands' commas, full-width digits and 12.0 are read.",
    examples=[({}, "12", 12), ({}, "1,200", 1200), ({}, "１２", 12), ({}, "-3.0", -3), ({}, " ", None)],
)
def integer() -> Step:
    return to_integer


@transform(
    "decimal",
    gives="text",
    ja="小数を、余分な0のない文字列にします。",
    en="A decimal number as text without needless zeros.",
    examples=[({}, "1,234.50", "1234.5"), ({}, 3, "3"), ({}, "0.10", "0.1")],
)
def decimal() -> Step:
    def step(value: Any) -> str | None:
        number = _decimal(value, "not_a_number")
        return None if number is None else _plain(number)

    return step


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


@transform(
    "number",
    gives="number",
    ja="JSONの数値にします(端数がなければ整数)。",
    en="A number for JSON: whole where it is whole.",
    examples=[({}, "12.50", 12.5), ({}, "12.0", 12)],
)
def number() -> Step:
    def step(value: Any) -> int | float | None:
        found = _decimal(value, "not_a_number")
        if found is None:
            return None
        return int(found) if found == found.to_integral_value() else float(found)

    return step


@transform(
    "offset",
    gives="integer",
    ja="整数に by を足します。",
    en="Adds `by` to a whole number.",
    examples=[({"by": 1}, 0, 1), ({"by": -1}, "5", 4)],
)
def offset(*, by: int) -> Step:
    def step(value: Any) -> int | None:
        found = to_integer(value)
        return None if found is None else found + by

    return step


@transform(
    "negate",
    gives="integer",
    ja="整数の符号を反転します。",
    en="Turns the sign of a whole number.",
    examples=[({}, "-300", 300), ({}, 5, -5)],
)
def negate() -> Step:
    def step(value: Any) -> int | None:
        found = to_integer(value)
        return None if found is None else -found

    return step


@transform(
    "absolute",
    gives="integer",
    ja="整数の符号を取ります。",
    en="A whole number without its sign.",
    examples=[({}, "-300", 300), ({}, 300, 300)],
)
def absolute() -> Step:
    def step(value: Any) -> int | None:
        found = to_integer(value)
        return None if found is None else abs(found)

    return step


_TRUE = ("1", "true", "yes", "y", "on", "t", "あり", "有", "有り", "する", "はい", "済", "○", "〇")
_FALSE = ("0", "false", "no", "n", "off", "f", "なし", "無", "無し", "しない", "いいえ", "未", "×", "-")


@transform(
    "boolean",
    gives="boolean",
    ja="はい/いいえにします。1/0、true/false、あり/なし、済/未 などを読みます。truthy、falsy で言葉を決められます。",
    en="Yes or no; reads 1/0, true/false, あり/なし, 済/未 and more. truthy and falsy name other words.",
    examples=[
        ({}, "1", True),
        ({}, "なし", False),
        ({}, 0, False),
        ({"truthy": ["B"], "falsy": ["A"]}, "B", True),
    ],
)
def boolean(*, truthy: list[str | int] | None = None, falsy: list[str | int] | None = None) -> Step:
    yes = _TRUE if truthy is None else [str(w).lower() for w in truthy]
    no = _FALSE if falsy is None else [str(w).lower() for w in falsy]
    words = dict.fromkeys(no, False) | dict.fromkeys(yes, True)
    known = "/".join(words)

    def step(value: Any) -> bool | None:
        if value.__class__ is bool:
            return value
        if value.__class__ is str and value in words:
            return words[value]
        body = as_text(value).lower()
        if not body:
            return None
        found = words.get(body)
        if found is None:
            raise TransformFault("not_boolean", known=known)
        return found

    return step


# ---------------------------------------------------------------- money and tax


def to_minor(value: Any, digits: int, currency: str) -> int | None:
    """An amount in major units as minor units; JPY has none, so 1100, "1,100円" and "1100.0" are 1100."""
    found = _decimal(value, "not_an_amount", money=True)
    if found is None:
        return None
    scaled = found.scaleb(digits)
    if scaled != scaled.to_integral_value():
        raise TransformFault("money_not_whole", currency=currency)
    return int(scaled)


def amount_reader(
    currency: str = "JPY", implied_decimals: int = 0, unset: Sequence[int | str] = (), sign: str = "keep"
) -> Step:
    """A step that reads an amount in major units as minor units."""
    digits = minor_digits(currency) - implied_decimals
    missing = frozenset(str(word) for word in unset)

    def step(value: Any) -> int | None:
        if digits == 0:
            if value.__class__ is int:
                return value
            if value.__class__ is str and (
                (value.isdecimal() and value.isascii()) or _GROUPED.fullmatch(value)
            ):
                return int(value.replace(",", ""))
        return to_minor(value, digits, currency)

    if not missing and sign == "keep":
        return step

    def careful(value: Any) -> int | None:
        if str(value).strip() in missing:
            return None
        amount = step(value)
        if amount is None or sign == "keep":
            return amount
        return abs(amount) if sign == "absolute" else -amount

    return careful


_Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
_Digits = Annotated[int, Field(ge=0, le=6)]


@transform(
    "money",
    gives="money",
    computed=("tax_included", "tax_rate", "currency"),
    ja="金額オブジェクトにします(最小単位の整数)。tax_included 税込か、tax_rate 税率(列も指定可)、currency 既定 JPY、"
    "implied_decimals 入力が持つ暗黙の小数桁、unset 「未確定」を表す値(null になります)、sign: absolute/negate。",
    en="An amount of money in minor units. tax_included, tax_rate and currency may be {from: ...}; "
    "implied_decimals: decimals the source leaves unwritten; unset: values that mean not fixed yet (become null); "
    "sign: absolute or negate.",
    examples=[
        ({"tax_included": True}, "1,100", {"amount": 1100, "tax_included": True}),
        ({"tax_rate": "10%"}, "1100.0", {"amount": 1100, "tax_rate": "0.1"}),
        ({"currency": "USD"}, "12.5", {"amount": 1250, "currency": "USD"}),
        ({"implied_decimals": 2}, 110000, {"amount": 1100}),
        ({"unset": [-9999]}, -9999, None),
        ({"sign": "absolute"}, "-300", {"amount": 300}),
    ],
)
def money(
    *,
    tax_included: bool | None = None,
    tax_rate: str | int | float | None = None,
    currency: _Currency = "JPY",
    implied_decimals: _Digits = 0,
    unset: list[int | str] = [],  # noqa: B006  (read only)
    sign: Literal["keep", "absolute", "negate"] = "keep",
) -> Step:
    amount_of = amount_reader(currency, implied_decimals, unset, sign)
    fixed: dict[str, Any] = {}
    if currency != "JPY":
        fixed["currency"] = currency
    if tax_included is not None:
        fixed["tax_included"] = tax_included
    if tax_rate is not None:
        try:
            fixed["tax_rate"] = to_rate(tax_rate)
        except TransformFault:
            raise BadParameter("tax_rate", f"{tax_rate!r} is no tax rate") from None

    def step(value: Any, **computed: Any) -> dict[str, Any] | None:
        of_value = amount_of
        if "currency" in computed:
            currency = computed["currency"] or "JPY"
            of_value = amount_reader(currency, implied_decimals, unset, sign)
        amount = of_value(value)
        if amount is None:
            return None
        result = {"amount": amount, **fixed}
        for name, given in computed.items():
            if given is not None:
                result[name] = to_rate(given) if name == "tax_rate" else given
        return result

    return step


@transform(
    "money_minor",
    gives="integer",
    ja="金額を最小単位の整数にします(金額オブジェクトの amount 用)。",
    en="An amount as a whole number of minor units (for the `amount` of a money object).",
    examples=[({}, "1,100", 1100), ({"currency": "USD"}, "12.34", 1234)],
)
def money_minor(
    *,
    currency: _Currency = "JPY",
    implied_decimals: _Digits = 0,
    unset: list[int | str] = [],  # noqa: B006  (read only)
    sign: Literal["keep", "absolute", "negate"] = "keep",
) -> Step:
    return amount_reader(currency, implied_decimals, unset, sign)


_RATES: dict[Any, str] = {
    10: "0.1",
    8: "0.08",
    0: "0",
    "10": "0.1",
    "8": "0.08",
    "0": "0",
    "0.1": "0.1",
    "0.08": "0.08",
}


def to_rate(value: Any) -> str | None:
    """A tax rate as a fraction written in text: 10, "10", "10%", "0.1" and 0.1 all give "0.1"."""
    if value.__class__ is str or value.__class__ is int:
        known = _RATES.get(value)
        if known is not None:
            return known
    percent = False
    if isinstance(value, str):
        body = value.strip()
        percent = body.endswith(("%", "％"))
        value = body.rstrip("%％ ")
    found = _decimal(value, "not_a_tax_rate")
    if found is None:
        if percent:
            raise TransformFault("not_a_tax_rate")
        return None
    if percent or found >= 1:
        found = found / 100
    if not 0 <= found < 1:
        raise TransformFault("not_a_tax_rate")
    return _plain(found)


@transform(
    "tax_rate",
    gives="text",
    ja="税率にします。10、10%、0.1 のどれも 0.1 になります(1以上は%とみなします)。",
    en="A tax rate: 10, 10% and 0.1 all give 0.1 (1 and more is taken as per cent).",
    examples=[({}, 10, "0.1"), ({}, "8%", "0.08"), ({}, "0.1", "0.1"), ({}, "０", "0")],
)
def tax_rate() -> Step:
    return to_rate


@transform(
    "format_number",
    gives="text",
    ja="数値を文字にします。comma: true で桁区切り、decimals で小数桁、unit で単位(円など)。",
    en="A number as text: comma for thousands, decimals, unit put behind (円).",
    examples=[({"comma": True, "unit": "円"}, 1100, "1,100円"), ({"decimals": 2}, 5, "5.00")],
)
def format_number(*, comma: bool = False, decimals: _Digits | None = None, unit: str = "") -> Step:
    def step(value: Any) -> str | None:
        found = _decimal(value, "not_a_number")
        if found is None:
            return None
        text = _plain(found) if decimals is None else format(found, f".{decimals}f")
        if comma:
            text = format(Decimal(text), ",f")
        return text + unit

    return step


@transform(
    "format_money",
    gives="text",
    ja="金額オブジェクトを通貨の主単位の文字にします(JPY は 1100、USD は 12.50)。",
    en="A money object as text in major units (JPY 1100, USD 12.50).",
    examples=[
        ({}, {"amount": 1100, "currency": "JPY"}, "1100"),
        ({}, {"amount": 1250, "currency": "USD"}, "12.50"),
    ],
)
def format_money() -> Step:
    def step(value: Any) -> str | None:
        amount = value.get("amount") if isinstance(value, dict) else value
        if isinstance(amount, str) and not amount.strip():
            return None
        if not isinstance(amount, int) or isinstance(amount, bool):
            raise TransformFault("not_an_amount")
        digits = minor_digits(value.get("currency") or "JPY") if isinstance(value, dict) else 0
        return format(Decimal(amount).scaleb(-digits), f".{digits}f")

    return step
