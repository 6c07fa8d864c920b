"""Customers into Vendure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from connectors.contract import Batch, Call, Change, Outcome, Refused
from connectors.outcomes import Row, each, read_record
from connectors.vendure.api import Api
from connectors.vendure.config import VendureConfig

__all__ = ["AddressRow", "CustomerRow", "address_input", "find_customer", "put_customers"]


class AddressRow(Row):
    """An address in Vendure's fields. None and "" are the same there."""

    fullName: str | None = None  # noqa: N815  (Vendure's names)
    company: str | None = None
    streetLine1: str = ""  # noqa: N815
    streetLine2: str | None = None  # noqa: N815
    city: str | None = None
    province: str | None = None
    postalCode: str | None = None  # noqa: N815
    countryCode: str = "JP"  # noqa: N815
    phoneNumber: str | None = None  # noqa: N815


class BookAddressRow(AddressRow):
    """An address of the customer's book."""

    defaultShippingAddress: bool | None = None  # noqa: N815
    defaultBillingAddress: bool | None = None  # noqa: N815
    customFields: dict[str, Any] = Field(default_factory=dict)  # noqa: N815


class CustomerRow(Row):
    """A customer, named by the e-mail address. Custom fields that the settings do not name are left out."""

    emailAddress: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]  # noqa: N815
    firstName: str = ""  # noqa: N815
    lastName: str  # noqa: N815
    title: str | None = None
    phoneNumber: str | None = None  # noqa: N815
    addresses: tuple[BookAddressRow, ...] = ()
    customFields: dict[str, Any] = Field(default_factory=dict)  # noqa: N815


_TEXT = ("fullName", "company", "streetLine1", "streetLine2", "city", "province", "postalCode", "phoneNumber")


def put_customers(call: Call[VendureConfig], batch: Batch) -> Iterator[Outcome]:
    """Create customers or change those of the same e-mail address.

    Addresses are added or completed, never taken away: the book belongs to the customer. An address is the same when
    name, postal code and first street line are. A deleted customer is left alone; erasing is done in the shop.
    """
    api = Api(call)

    def put(change: Change) -> Outcome:
        row = read_record(CustomerRow, change.record)
        if change.deleted:
            raise Refused(
                "customers are not deleted in the shop by the hub; erase them there", code="not_deleted"
            )
        customer = find_customer(api, row.emailAddress) or _create(api, row)
        _update(api, customer, row)
        _put_addresses(api, customer, row)
        return Outcome.done(change.key, external_id=customer["id"])

    yield from each(batch, put)


def find_customer(api: Api, email: str) -> dict[str, Any] | None:
    """The customer of this e-mail address; Vendure keeps the addresses in small letters and compares them exactly."""
    options = {"take": 1, "filter": {"emailAddress": {"eq": email.strip().lower()}}}
    return next(iter(api.query("Customers", options=options)["customers"]["items"]), None)


def address_input(row: AddressRow) -> dict[str, Any]:
    """An address as Vendure's inputs take it. Empty text instead of null: some databases' columns refuse null."""
    return {**{name: getattr(row, name) or "" for name in _TEXT}, "countryCode": row.countryCode}


def _create(api: Api, row: CustomerRow) -> dict[str, Any]:
    names = ("emailAddress", "firstName", "lastName", "title", "phoneNumber")
    wanted = {name: getattr(row, name) for name in names if getattr(row, name) is not None}
    custom = _known(api, "customer", row.customFields)
    created: dict[str, Any] = api.mutate("CreateCustomer", input={**wanted, **custom})
    return created


def _update(api: Api, customer: Mapping[str, Any], row: CustomerRow) -> None:
    wanted: dict[str, Any] = {
        name: getattr(row, name)
        for name in ("firstName", "lastName", "title", "phoneNumber")
        if getattr(row, name) is not None and getattr(row, name) != (customer[name] or "")
    }
    present = customer.get("customFields") or {}
    wanted |= _known(api, "customer", {k: v for k, v in row.customFields.items() if present.get(k) != v})
    if wanted:
        api.mutate("UpdateCustomer", repeatable=True, input={"id": customer["id"], **wanted})


def _put_addresses(api: Api, customer: Mapping[str, Any], row: CustomerRow) -> None:
    book = list(customer["addresses"] or ())
    for address in row.addresses:
        wanted = address_input(address)
        custom = _known(api, "address", address.customFields)
        defaults = {
            name: value
            for name in ("defaultShippingAddress", "defaultBillingAddress")
            if (value := getattr(address, name)) is not None
        }
        same = next((each for each in book if _identity(each) == _identity(wanted)), None)
        if same is None:
            created = api.mutate(
                "CreateAddress", customerId=customer["id"], input={**wanted, **defaults, **custom}
            )
            book.append(created)
            continue
        changed = {name: wanted[name] for name in _TEXT if wanted[name] != (same[name] or "")}
        changed |= {name: value for name, value in defaults.items() if value != bool(same[name])}
        if same["country"]["code"] != address.countryCode:
            changed["countryCode"] = address.countryCode
        present = same.get("customFields") or {}
        if any(present.get(name) != value for name, value in custom.get("customFields", {}).items()):
            changed |= custom
        if changed:
            api.mutate("UpdateAddress", repeatable=True, input={"id": same["id"], **changed})


def _identity(address: Mapping[str, Any]) -> tuple[str, ...]:
    def plain(name: str) -> str:
        folded = unicodedata.normalize("NFKC", address[name] or "")
        return "".join(c for c in folded if not c.isspace() and c not in "-‐−ー").lower()

    return plain("fullName"), plain("postalCode"), plain("streetLine1")


def _known(api: Api, kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    names = api.config.custom_fields.names(kind)
    allowed = {name: value for name, value in values.items() if name in names}
    return {"customFields": allowed} if allowed else {}
