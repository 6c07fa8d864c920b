"""Numbers in fixed-length fields: zeros, signs in the zone of a digit, implied decimals.

Zoned signs after a host's file was converted from EBCDIC show as letters: +0..9 `{ABCDEFGHI`, -0..9 `}JKLMNOPQR`, the
same for kana and Latin EBCDIC. PC COBOLs write negative last digits as `p`..`y` (zone 7) or with zone B.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from connectors.files.layout import FixedField

__all__ = ["read_number", "write_number"]

_PLUS = b"{ABCDEFGHI"
_MINUS = {"ebcdic": b"}JKLMNOPQR", "ascii37": b"pqrstuvwxy", "ascii3b": bytes(range(0xB0, 0xBA))}


def read_number(raw: bytes, item: FixedField) -> int | Decimal:
    """The value of a numeric field. Raises ValueError for anything that is no number in the field's form."""
    body, negative = raw.strip(b" "), False
    if item.sign in _MINUS:
        last = body[-1:]
        if (digit := _MINUS[item.sign].find(last)) >= 0:
            negative, body = True, body[:-1] + b"%d" % digit
        elif item.sign == "ebcdic" and (digit := _PLUS.find(last)) >= 0:
            body = body[:-1] + b"%d" % digit
    elif item.sign == "leading" and body[:1] in (b"+", b"-"):
        negative, body = body[:1] == b"-", body[1:].lstrip(b" ")
    elif item.sign == "trailing" and body[-1:] in (b"+", b"-"):
        negative, body = body[-1:] == b"-", body[:-1].rstrip(b" ")
    if not body.isdigit():
        raise ValueError(f"not a number: {raw!r}")
    value = -int(body) if negative else int(body)
    return Decimal(value).scaleb(-item.decimals) if item.decimals else value


def write_number(value: object, item: FixedField) -> bytes:
    """The field's bytes. Raises ValueError when the value is no number, too fine, negative without a sign, too long."""
    try:
        scaled = Decimal(str(value)).scaleb(item.decimals)
    except InvalidOperation:
        raise ValueError(f"not a number: {value!r}") from None
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise ValueError(f"{value} has more than {item.decimals} decimal places")
    number = int(scaled)
    if number < 0 and item.sign == "none":
        raise ValueError(f"{value} is negative and the field has no sign")
    width = item.length - (item.sign in ("leading", "trailing"))
    digits = b"%0*d" % (width, abs(number))
    if len(digits) > width:
        raise ValueError(f"{value} has more than {width} digits")
    if item.sign == "leading":
        return (b"-" if number < 0 else b"+") + digits
    if item.sign == "trailing":
        return digits + (b"-" if number < 0 else b"+")
    if number < 0:
        last = digits[-1] - 0x30
        return digits[:-1] + _MINUS[item.sign][last : last + 1]
    if item.sign == "ebcdic":
        return digits[:-1] + _PLUS[digits[-1] - 0x30 : digits[-1] - 0x2F]
    return digits
