"""Which fields of the canonical model speak of persons, and how they are taken out.

Personal by type: names, addresses, phone numbers and e-mail addresses, wherever a model holds one. Personal by name:
`ERASED` below, free text above all, because people write names into it. A test walks every model and fails for a text
field that stands neither here nor in its own list of harmless ones, so that a new kind cannot be forgotten.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from canonical_model import Address, PersonName, entity_model
from canonical_model.customer import Contact, CustomerAddress
from canonical_model.order import Party, Recipient
from canonical_model.values import Email, JsonObject, Phone, Translations

__all__ = [
    "ERASED",
    "GONE",
    "KINDS_OF_PERSONS",
    "code_like",
    "field_types",
    "is_personal",
    "models_of",
    "parties_of",
    "scrub",
    "scrub_parties",
    "tombstone",
]

GONE = "（消去済み）"
"""What stands where a name must stand. CP932 can carry it."""

KINDS_OF_PERSONS = frozenset(
    {
        "cart", "coupon", "customer", "document", "journal_entry", "order", "order_history", "payment",
        "point_movement", "refund", "return", "shipment", "subscription",
    }
)  # fmt: skip
"""Kinds that may speak of a customer. The others are about goods, places and rules."""

ERASED: Mapping[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, fields in {
        "Coupon": "assigned_to last_used_by",
        "DeliveryRequest": "place note",
        "Document": "addressee url sha256",
        "Gift": "inscription message",
        "JournalEntry": "description",
        "JournalLine": "partner description",
        "Order": "note memo",
        "OrderLine": "options option_values",
        "Parcel": "label_url",
        "Payment": "note card",
        "PaymentEvent": "reason",
        "Refund": "reason",
        "Return": "note",
        "ReturnLine": "note",
        "Shipment": "instructions signed_by tracking_url",
        "Subscription": "note end_reason",
        "TrackingEvent": "description",
    }.items()
}
"""Model -> fields that are personal by their meaning. Of a customer nothing is kept: see `tombstone`."""

_CODE = re.compile(r"[A-Za-z0-9_./:#=+-]{1,80}")
_PHONE_LIKE = re.compile(r"\+?\d[\d-]{8,}")


def code_like(value: Any) -> bool:
    """Whether a value of a free object is a number, a flag or a code: no text a person wrote, no phone number."""
    if not isinstance(value, str):
        return True
    return bool(_CODE.fullmatch(value)) and not _PHONE_LIKE.fullmatch(value)


# ---------------------------------------------------------------- the models' types


def _parts(annotation: Any) -> Iterator[Any]:
    """The types inside an annotation; Annotated ones as they are."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType, tuple, list):
        for part in get_args(annotation):
            if part is not Ellipsis:
                yield from _parts(part)
        return
    yield annotation
    if origin is Annotated and annotation not in (Phone, Email, JsonObject, Translations):
        yield from _parts(get_args(annotation)[0])


@cache
def field_types(model: type[BaseModel]) -> Mapping[str, tuple[Any, ...]]:
    """Field -> the types it may hold."""
    hints = get_type_hints(model, include_extras=True)
    return {name: tuple(_parts(hints[name])) for name in model.model_fields}


def _is_model(kind: Any, base: type[BaseModel] = BaseModel) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)


def _is_free(kind: Any) -> bool:
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return bare is dict or get_origin(bare) is dict


def is_personal(model: type[BaseModel], name: str) -> bool:
    """Whether the field as a whole speaks of a person."""
    if name in ERASED.get(model.__name__, ()):
        return True
    return any(kind in (PersonName, Address, Phone, Email) for kind in field_types(model)[name])


def models_of(kind: str) -> list[type[BaseModel]]:
    """The model of an entity kind and all models inside it."""
    found: dict[type[BaseModel], None] = {}

    def visit(model: type[BaseModel]) -> None:
        if model in found:
            return
        found[model] = None
        for kinds in field_types(model).values():
            for part in kinds:
                if _is_model(part):
                    visit(part)

    visit(entity_model(kind))
    return list(found)


# ---------------------------------------------------------------- taking persons out


def tombstone(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    """All that is kept of a customer: a key that says nothing, so that orders still agree on who bought."""
    kept = {name: content[name] for name in ("type",) if name in content}
    return {"key": key, **kept, "name": {"full": GONE}, "status": "archived"}


def scrub(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The content without persons: amounts, numbers, dates, goods and codes stay."""
    return _scrub(entity_model(kind), content)


def _scrub(model: type[BaseModel], content: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in content.items():
        kinds = field_types(model).get(name, ())
        if PersonName in kinds:
            result[name] = {"full": GONE}
        elif Address in kinds:
            if isinstance(value, dict) and value.get("country", "JP") != "JP":
                result[name] = {"country": value["country"]}  # whether consumption tax is due depends on it
        elif is_personal(model, name):
            continue
        elif any(_is_free(part) for part in kinds):
            result[name] = _codes_of(value)
        else:
            inner = next((part for part in kinds if _is_model(part)), None)
            result[name] = value if inner is None else _each(inner, value)
    return {name: value for name, value in result.items() if value is not None}


def _each(model: type[BaseModel], value: Any) -> Any:
    if isinstance(value, list):
        return [_scrub(model, item) for item in value]
    return _scrub(model, value) if isinstance(value, Mapping) else value


def _codes_of(value: Any) -> Any:
    if isinstance(value, Mapping):
        found = {name: _codes_of(item) for name, item in value.items()}
        return {name: item for name, item in found.items() if item is not None}
    if isinstance(value, list):
        return [item for item in map(_codes_of, value) if item is not None]
    return value if code_like(value) else None


# ---------------------------------------------------------------- one person among others

Match = Callable[[Mapping[str, Any]], bool]


def parties_of(kind: str, content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every person named in the content, as {name, address, phone, email}."""
    for model, node in _nodes(entity_model(kind), content):
        if issubclass(model, Party | CustomerAddress | Contact):
            yield node


def _nodes(model: type[BaseModel], value: Any) -> Iterator[tuple[type[BaseModel], Mapping[str, Any]]]:
    if isinstance(value, list):
        for item in value:
            yield from _nodes(model, item)
    elif isinstance(value, Mapping):
        yield model, value
        for name, part in value.items():
            inner = next((kind for kind in field_types(model).get(name, ()) if _is_model(kind)), None)
            if inner is not None:
                yield from _nodes(inner, part)


def scrub_parties(
    kind: str, content: Mapping[str, Any], match: Match, recipients: frozenset[str] = frozenset()
) -> tuple[dict[str, Any], list[str]]:
    """The content without the persons `match` knows, and the recipients (by id) that were among them.

    recipients  ids of recipients that go whatever they are called
    """
    gone: list[str] = []

    def visit(model: type[BaseModel], value: Any) -> Any:
        if isinstance(value, list):
            return [visit(model, item) for item in value]
        if not isinstance(value, Mapping):
            return value
        if issubclass(model, Recipient):
            known = str(value.get("id"))
            if known in recipients or match(value.get("party") or {}):
                gone.append(known)
                return _scrub(model, value)
        elif issubclass(model, Party | CustomerAddress | Contact) and match(value):
            return _scrub(model, value)
        result = {}
        for name, part in value.items():
            inner = next((one for one in field_types(model).get(name, ()) if _is_model(one)), None)
            result[name] = part if inner is None else visit(inner, part)
        return result

    return visit(entity_model(kind), content), gone
