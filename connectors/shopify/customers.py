"""Customers into Shopify."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from connectors.contract import Batch, Call, Change, Outcome, Refused
from connectors.outcomes import Row, each, read_record
from connectors.shopify.api import Api
from connectors.shopify.config import ShopifyConfig
from connectors.shopify.metafields import MetafieldRow, put_metafields, values_of

__all__ = ["CustomerRow", "put_customers"]


class AddressRow(Row):
    """An address of the customer's book; `provinceCode` is "JP-13" for 東京都."""

    firstName: str | None = None  # noqa: N815  (Shopify's names)
    lastName: str | None = None  # noqa: N815
    company: str | None = None
    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    provinceCode: str | None = None  # noqa: N815
    zip: str | None = None
    countryCode: str = "JP"  # noqa: N815
    phone: str | None = None
    default: bool = False


class ConsentRow(Row):
    """Whether the customer wants marketing mail, and since when."""

    granted: bool
    at: AwareDatetime | None = None


class CustomerRow(Row):
    """A customer, named by the e-mail address. What is None stays as it is in the shop."""

    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    firstName: str | None = None  # noqa: N815
    lastName: str | None = None  # noqa: N815
    phone: Annotated[str, Field(pattern=r"^\+\d{6,15}$")] | None = None
    locale: str | None = None
    note: str | None = None
    addresses: tuple[AddressRow, ...] = ()
    emailMarketing: ConsentRow | None = None  # noqa: N815
    metafields: tuple[MetafieldRow, ...] = ()


_TEXT = ("firstName", "lastName", "company", "address1", "address2", "city", "provinceCode", "zip", "phone")


def put_customers(call: Call[ShopifyConfig], batch: Batch) -> Iterator[Outcome]:
    """Create customers, or change those of the same e-mail address.

    Addresses are added, never taken away or rewritten: the book belongs to the customer. An address is the same when
    name, postal code and first line are. A deleted customer is left alone; erasing is asked for in the shop.
    """
    api = Api(call)

    def put(change: Change) -> Outcome:
        row = read_record(CustomerRow, change.record)
        if change.deleted:
            raise Refused(
                "customers are not deleted in the shop by the hub; ask for their erasure there",
                code="not_deleted",
            )
        present = _present(api, row.email)
        customer = _set(api, row, present)
        _add_addresses(api, customer, row, present)
        _consent(api, customer, row, present)
        names = api.config.metafields.customer
        put_metafields(api, customer, row.metafields, names, values_of(present or {}))
        return Outcome.done(change.key, external_id=customer)

    yield from each(batch, put)


def _present(api: Api, email: str) -> dict[str, Any] | None:
    names = list(api.config.metafields.customer)
    found: dict[str, Any] | None = api.query(
        "CustomerByIdentifier",
        identifier={"emailAddress": email},
        metafields=names,
        withMetafields=bool(names),
    )["customerByIdentifier"]
    return found


def _set(api: Api, row: CustomerRow, present: Mapping[str, Any] | None) -> str:
    wanted: dict[str, Any] = {
        name: value
        for name in ("firstName", "lastName", "phone", "locale", "note")
        if (value := getattr(row, name)) is not None
    }
    if present is None:
        # The address is the identifier: a creation whose answer was lost is found by it.
        created = api.mutate(
            "SetCustomer",
            repeatable=True,
            identifier={"email": row.email},
            input={"email": row.email, **wanted},
        )
        return str(created["customer"]["id"])
    known = {**present, "phone": (present["defaultPhoneNumber"] or {}).get("phoneNumber")}
    changed = {name: value for name, value in wanted.items() if (known[name] or "") != value}
    if changed:
        api.mutate("SetCustomer", repeatable=True, identifier={"id": present["id"]}, input=changed)
    return str(present["id"])


def _add_addresses(api: Api, customer: str, row: CustomerRow, present: Mapping[str, Any] | None) -> None:
    book = [_identity(address) for address in (present["addressesV2"]["nodes"] if present else ())]
    for address in row.addresses:
        wanted = {name: value for name in _TEXT if (value := getattr(address, name))}
        if _identity(wanted) in book:
            continue
        api.mutate(
            "AddAddress",
            customer=customer,
            address={**wanted, "countryCode": address.countryCode},
            default=address.default or not book,
        )
        book.append(_identity(wanted))


def _identity(address: Mapping[str, Any]) -> tuple[str, ...]:
    def plain(*names: str) -> str:
        folded = unicodedata.normalize("NFKC", "".join(address.get(name) or "" for name in names))
        return "".join(c for c in folded if not c.isspace() and c not in "-‐−ー").lower()

    return plain("lastName", "firstName"), plain("zip"), plain("address1")


def _consent(api: Api, customer: str, row: CustomerRow, present: Mapping[str, Any] | None) -> None:
    """Set the state where it is another. A consent that the shop knows to be newer than ours stays."""
    wanted = row.emailMarketing
    if wanted is None:
        return
    email = (present or {}).get("defaultEmailAddress") or {}
    state = "SUBSCRIBED" if wanted.granted else "UNSUBSCRIBED"
    known = email.get("marketingState", "NOT_SUBSCRIBED")
    told_at = email.get("marketingUpdatedAt")
    newer_there = told_at and wanted.at and datetime.fromisoformat(told_at) > wanted.at
    if known == state or newer_there or (not wanted.granted and known == "NOT_SUBSCRIBED"):
        return
    consent: dict[str, Any] = {"marketingState": state, "marketingOptInLevel": "SINGLE_OPT_IN"}
    if wanted.at is not None:
        consent["consentUpdatedAt"] = wanted.at.isoformat()
    api.mutate(
        "SetEmailConsent", repeatable=True, input={"customerId": customer, "emailMarketingConsent": consent}
    )
