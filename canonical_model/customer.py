"""Customers: people and companies, their identities and what they consented to."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Any

from pydantic import EmailStr, Field

from canonical_model.entity import Entity
from canonical_model.values import Address, Instant, PersonName, Phone, Value

__all__ = ["Consent", "ConsentChannel", "Customer", "CustomerAddress", "CustomerType", "Identity"]


class CustomerType(StrEnum):
    PERSON = "person"
    COMPANY = "company"


class ConsentChannel(StrEnum):
    MAIL = "mail"
    DM = "dm"
    TEL = "tel"
    SMS = "sms"
    LINE = "line"


class Consent(Value):
    """Whether the customer may be reached on a channel; of two answers the stricter counts."""

    channel: ConsentChannel
    granted: bool
    at: Instant | None = None
    source: str | None = None


class Identity(Value):
    """A name the customer is known by somewhere: login, member number, LINE user id."""

    scheme: str
    id: str


class CustomerAddress(Value):
    """An address of the customer's book. `purpose`: home, billing, shipping, ..."""

    address: Address
    purpose: str | None = None
    name: PersonName | None = None
    phone: Phone | None = None
    default: bool = False


class Customer(Entity, kind="customer"):
    """A buyer. Key: "{channel or core}/{customer number}"; where none is given, the contact it came by."""

    number: str | None = None
    type: CustomerType = CustomerType.PERSON
    name: PersonName
    company: str | None = None
    emails: tuple[EmailStr, ...] = ()
    phones: tuple[Phone, ...] = ()
    addresses: tuple[CustomerAddress, ...] = ()
    identities: tuple[Identity, ...] = ()
    consents: tuple[Consent, ...] = ()
    birth_date: date | None = None
    sex: str | None = None
    rank: str | None = None
    registered_at: Instant | None = None
    first_media_code: str | None = None
    blocked: bool = False
    merged_into: str | None = None
    note: str | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)
