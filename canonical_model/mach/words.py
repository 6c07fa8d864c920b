"""Words both sides share: texts, money, addresses, names. Reading is lenient: what cannot be read is no value here
and travels as a leftover; writing makes plain JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import TypeAdapter, ValidationError

from canonical_model.codes import CodeList, PaymentMethod
from canonical_model.entity import Entity, ExternalRef
from canonical_model.mach.dialect import Dialect, Verbatim
from canonical_model.product import Gtin
from canonical_model.values import Address, Email, Instant, Money, PersonName, Phone, minor_digits

__all__ = [
    "SYSTEM",
    "Context",
    "MachError",
    "address",
    "address_out",
    "amount",
    "amount_out",
    "array",
    "boolean",
    "code",
    "currency_of",
    "drop_empty",
    "email",
    "gtin",
    "instant",
    "instant_out",
    "known",
    "local",
    "local_out",
    "mach_id",
    "method",
    "method_out",
    "money",
    "money_out",
    "named",
    "number",
    "number_out",
    "obj",
    "outside",
    "phone",
    "plain",
    "references",
    "references_out",
    "text",
    "texts",
    "whole",
]

SYSTEM = "mach"
"""System name of the ids, and namespace of the traits, that come from objects of the standard."""


class MachError(ValueError):
    """The object is no whole object of the standard; the message says what it lacks."""


@dataclass(frozen=True, slots=True)
class Context:
    """channel      canonical channel of what comes in; also the first part of keys that name one
    received_at  stands in where an object tells no time and the canonical entity needs one
    """

    channel: str
    received_at: datetime
    dialect: Dialect = Dialect.SNAKE


def text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def texts(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else ()


def boolean(value: Any, default: bool) -> bool:
    return value if isinstance(value, bool) else default


def whole(value: Any) -> int | None:
    """A whole number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != int(value):
        return None
    return int(value)


def number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        result = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return result if result.is_finite() else None


def number_out(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def obj(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def array(value: Any) -> list[dict[str, Any]]:
    return value if isinstance(value, list) and all(isinstance(item, dict) for item in value) else []


_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_PHONE: TypeAdapter[str] = TypeAdapter(Phone)
_GTIN: TypeAdapter[str] = TypeAdapter(Gtin)
_INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)


def _lenient(adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        return adapter.validate_python(value) if isinstance(value, str) and value else None
    except ValidationError:
        return None


def email(value: Any) -> str | None:
    result: str | None = _lenient(_EMAIL, value)
    return result


def phone(value: Any) -> str | None:
    result: str | None = _lenient(_PHONE, value)
    return result


def gtin(value: Any) -> str | None:
    result: str | None = _lenient(_GTIN, value)
    return result


def instant(value: Any) -> datetime | None:
    """An ISO 8601 text, or the standard's timestamp object {"value": ..., "timezone": ...}."""
    result: datetime | None = _lenient(_INSTANT, value.get("value") if isinstance(value, dict) else value)
    return result


def instant_out(value: datetime | None) -> str | None:
    return None if value is None else str(_INSTANT.dump_python(value, mode="json"))


def currency_of(value: Any) -> str | None:
    return (
        value if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isupper() else None
    )


def amount(value: Any, currency: str | None, **tax: Any) -> Money | None:
    """A number in major units (34.95) as money; what lies below the minor unit is rounded half to even."""
    exact = number(value)
    if exact is None or currency is None:
        return None
    return Money(
        amount=int(exact.scaleb(minor_digits(currency)).to_integral_value()), currency=currency, **tax
    )


def amount_out(value: Money | None) -> int | float | None:
    return None if value is None else number_out(Decimal(value.amount).scaleb(-minor_digits(value.currency)))


def money(value: Any, **tax: Any) -> Money | None:
    """The standard's money object {"amount": 34.95, "currency": "EUR"}."""
    given = obj(value)
    return amount(given.get("amount"), currency_of(given.get("currency")), **tax)


def money_out(value: Money | None) -> dict[str, Any] | None:
    return None if value is None else {"amount": amount_out(value), "currency": value.currency}


_PREFERRED = ("ja-JP", "ja", "en-US", "en")


def _main_locale(locales: Iterable[str]) -> str:
    given = sorted(locales)
    return next((locale for locale in _PREFERRED if locale in given), given[0])


def local(given: Mapping[str, Any], field: str, translations: dict[str, dict[str, str]]) -> str | None:
    """A text, or one text per locale: then all go into `translations`, and the Japanese or English one is it."""
    value = given.get(field)
    if isinstance(value, dict) and value and all(isinstance(item, str) for item in value.values()):
        for locale, one in value.items():
            translations.setdefault(locale, {})[field] = one
        return str(value[_main_locale(value)])
    return text(value)


def plain(value: Any) -> str | None:
    """A text; of one text per locale the Japanese or English one."""
    return local({"text": value}, "text", {})


def local_out(value: str | None, field: str, translations: Mapping[str, Mapping[str, str]]) -> Any:
    by_locale = {locale: texts[field] for locale, texts in translations.items() if field in texts}
    if not by_locale or value is None:
        return value
    return Verbatim({**by_locale, _main_locale(by_locale): value})


def named(given: Mapping[str, Any], otherwise: str) -> PersonName:
    """The name of a person object, in any of the ways the standard writes it."""
    family, first = text(given.get("last_name")), text(given.get("first_name"))
    full = text(given.get("name")) or text(given.get("company_name")) or text(given.get("companyName"))
    if family or first:
        return PersonName(full=" ".join(part for part in (first, family) if part), family=family, given=first)
    return PersonName(full=full or otherwise)


def address(value: Any) -> Address | None:
    """line1 is the street, line2 the building, the region a prefecture; a country must be named."""
    given = obj(value)
    country = given.get("country")
    if not isinstance(country, str) or len(country) != 2 or not country.isupper() or not country.isascii():
        return None
    parts = {
        "country": country,
        "prefecture": plain(given.get("region")),
        "city": plain(given.get("city")),
        "town": plain(given.get("district")),
        "street": plain(given.get("line1")),
        "building": plain(given.get("line2")),
        "company": text(given.get("company")),
    }
    try:
        return Address(postal_code=text(given.get("postal_code")), **parts)
    except ValidationError:
        return Address(**parts)


def address_out(value: Address | None) -> dict[str, Any] | None:
    if value is None:
        return None
    lines = [part for part in (value.street, *value.lines) if part]
    street = "".join(lines) if value.country == "JP" else ", ".join(lines)
    inside = value.country == "JP" and value.town  # in Japan the street line begins with the town
    return drop_empty(
        {
            "line1": f"{value.town}{street}" if inside else street,
            "line2": value.building,
            "city": value.city,
            "district": None if inside else value.town,
            "region": value.prefecture,
            "postal_code": value.postal_code,
            "country": value.country,
            "company": value.company,
        }
    )


def drop_empty(made: dict[str, Any]) -> dict[str, Any]:
    """Without members that say nothing: null, empty text, empty lists and objects."""
    return {
        name: value for name, value in made.items() if value is not None and value not in ("", [], {}, ())
    }


def code(value: Any, codes: Mapping[str, CodeList]) -> Any:
    """The canonical code of a word of the standard; None where it is unknown."""
    return codes.get(value) if isinstance(value, str) else None


def known(value: CodeList, codes: Mapping[str, CodeList]) -> str:
    """The standard's first word for a canonical code; the code itself where it has none."""
    return next((word for word, one in codes.items() if one is value), value.value)


def mach_id(entity: Entity) -> str:
    """The id the object came with, else the canonical key."""
    return next((ref.id for ref in entity.refs if ref.system == SYSTEM), entity.key)


def outside(key: str | None, entity: Entity) -> str | None:
    """The standard's id of another entity's key: without the channel, where `entity` came from an object."""
    if key is None or all(ref.system != SYSTEM for ref in entity.refs):
        return key
    return key.partition("/")[2] or key


def references(given: Mapping[str, Any]) -> tuple[ExternalRef, ...]:
    """`refs` of an entity: the object's own id and its cross references."""
    result = [ExternalRef(system=SYSTEM, id=given["id"])] if text(given.get("id")) else []
    for system, value in obj(given.get("external_references")).items():
        if isinstance(value, str) and system and system != SYSTEM:
            result.append(ExternalRef(system=system, id=value))
    return tuple(result)


def references_out(entity: Entity) -> dict[str, Any]:
    return Verbatim({ref.system: ref.id for ref in entity.refs if ref.system != SYSTEM})


_METHODS: dict[str, CodeList] = {
    "card": PaymentMethod.CARD,
    "credit_card": PaymentMethod.CARD,
    "debit_card": PaymentMethod.CARD,
    "bank_transfer": PaymentMethod.BANK_TRANSFER,
    "digital_wallet": PaymentMethod.PAY_APP,
    "paypal": PaymentMethod.PAY_APP,
    "buy_now_pay_later": PaymentMethod.DEFERRED,
    "klarna": PaymentMethod.DEFERRED,
    "klarna_checkout": PaymentMethod.DEFERRED,
    "store_credit": PaymentMethod.GIFT_CARD,
    "gift_card": PaymentMethod.GIFT_CARD,
    "cash_on_delivery": PaymentMethod.COD,
    "cash": PaymentMethod.CASH,
    "invoice": PaymentMethod.INVOICE,
    "direct_debit": PaymentMethod.DIRECT_DEBIT,
    "points": PaymentMethod.POINTS,
}


def method(value: Any) -> PaymentMethod:
    found: PaymentMethod | None = code(value, _METHODS)
    return found or PaymentMethod.OTHER


def method_out(value: PaymentMethod, name: str | None) -> str:
    """The word it came with (kept as the method's name), else the standard's word."""
    return name if name is not None and method(name) is value else known(value, _METHODS)
