"""Customers: people and companies, their identities and what they consented to."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from canonical_model.codes import ConsentChannel, CustomerStatus, PointReason
from canonical_model.entity import Entity
from canonical_model.values import (
    Address,
    Email,
    Instant,
    JsonObject,
    PersonName,
    Phone,
    SignedQuantity,
    Value,
)

__all__ = [
    "Consent",
    "ConsentChannel",
    "Contact",
    "Customer",
    "CustomerAddress",
    "CustomerType",
    "Identity",
    "Loyalty",
    "PointMovement",
]


class CustomerType(StrEnum):
    PERSON = "person"
    COMPANY = "company"


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


class Contact(Value):
    """A person to talk to at a company."""

    name: PersonName
    email: Email | None = None
    phone: Phone | None = None
    job_title: str | None = None
    department: str | None = None
    role: str | None = None
    ref: str | None = None


class Loyalty(Value):
    """Membership in a points programme; `points` is the balance its system told last."""

    programme: str | None = None
    member_number: str | None = None
    tier: str | None = None
    points: SignedQuantity | None = None


class Customer(Entity, kind="customer", ja="顧客", en="Customer"):
    """A buyer. Key: "{channel or core}/{customer number}"; where none is given, the contact it came by.

    merged_into  key of the customer this one was found to be (名寄せ); it is kept, never deleted
    """

    number: str | None = None
    type: CustomerType = CustomerType.PERSON
    name: PersonName
    company: str | None = None
    emails: tuple[Email, ...] = ()
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
    attributes: JsonObject = Field(default_factory=dict)
    status: CustomerStatus = CustomerStatus.ACTIVE
    contacts: tuple[Contact, ...] = ()
    loyalty: Loyalty | None = None
    job_title: str | None = None
    language: str | None = None
    tax_number: str | None = None
    """VAT number; in Japan the number of a qualified invoice issuer (T and 13 digits)."""
    registration_number: str | None = None
    """Company register number; in Japan the 13 digits of 法人番号."""
    segments: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class PointMovement(Entity, kind="point_movement", ja="ポイント増減", en="Movement of points"):
    """One change of a points balance; appended, never edited. Key: "{programme}/{source}/{order}/{reason}".

    points  what came (positive) or went (negative)
    """

    customer_key: str
    programme: str
    reason: PointReason
    points: SignedQuantity
    occurred_at: Instant
    expires_on: date | None = None
    order_key: str | None = None
    limited: bool = False
    """Points that may be used only for a time or a purpose (期間限定)."""
