"""Customer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from canonical_model.codes import CodeList, ConsentChannel, CustomerStatus
from canonical_model.customer import Consent, Contact, Customer, CustomerAddress, CustomerType, Loyalty
from canonical_model.mach.dialect import Dialect
from canonical_model.mach.words import (
    Context,
    address,
    address_out,
    array,
    boolean,
    code,
    drop_empty,
    email,
    instant,
    instant_out,
    known,
    mach_id,
    named,
    obj,
    phone,
    references,
    references_out,
    text,
    texts,
    whole,
)
from canonical_model.values import PersonName

__all__ = ["read_customer", "write_customer"]

_STATUS: dict[str, CodeList] = {status.value: status for status in CustomerStatus}
_CHANNELS: dict[str, CodeList] = {
    "email": ConsentChannel.MAIL,
    "sms": ConsentChannel.SMS,
    "phone": ConsentChannel.TEL,
    "postal": ConsentChannel.DM,
    "direct_mail": ConsentChannel.DM,
    "line": ConsentChannel.LINE,
}


def _day(value: Any) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _consents(given: Mapping[str, Any]) -> tuple[Consent, ...]:
    """From `communication_preferences` (1.x), else from the marketing traits of the drafts."""
    found = [
        Consent(
            channel=channel, granted=answer["opted_in"], at=instant(answer.get("opted_in_date")), source=None
        )
        for word, answer in obj(given.get("communication_preferences")).items()
        if (channel := code(word, _CHANNELS))
        and isinstance(answer, dict)
        and isinstance(answer.get("opted_in"), bool)
    ]
    marketing = obj(obj(given.get("extensions")).get("marketing"))
    if not found and marketing.get("consent") in ("optedIn", "optedOut"):
        granted = marketing["consent"] == "optedIn"
        source = text(marketing.get("source"))
        channels = [code(word, _CHANNELS) for word in texts(marketing.get("preferences"))]
        found = [Consent(channel=channel, granted=granted, source=source) for channel in channels if channel]
    return tuple(found)


def _consents_out(consents: tuple[Consent, ...], dialect: Dialect) -> dict[str, Any]:
    if not consents:
        return {}
    if dialect is Dialect.SNAKE:
        answers = {
            known(consent.channel, _CHANNELS): drop_empty(
                {"opted_in": consent.granted, "opted_in_date": instant_out(consent.at)}
            )
            for consent in consents
        }
        return {"communication_preferences": answers}
    granted = [known(consent.channel, _CHANNELS) for consent in consents if consent.granted]
    refused = [known(consent.channel, _CHANNELS) for consent in consents if not consent.granted]
    marketing = {"consent": "optedIn" if granted else "optedOut", "preferences": granted or refused}
    return {"extensions": {"marketing": drop_empty({**marketing, "source": consents[0].source})}}


def _contact(given: Mapping[str, Any]) -> Contact:
    return Contact(
        name=named(given, text(given.get("id")) or "?"),
        email=email(given.get("email")),
        phone=phone(given.get("phone")),
        job_title=text(given.get("job_title")),
        department=text(given.get("department")),
        role=text(given.get("role")),
        ref=text(given.get("id")),
    )


def _name_out(name: PersonName, otherwise: str | None) -> dict[str, Any]:
    if name.family or name.given:
        return {"first_name": name.given, "last_name": name.family}
    return {} if name.full == otherwise else {"name": name.full}


def _contact_out(contact: Contact) -> dict[str, Any]:
    return drop_empty(
        {
            "id": contact.ref,
            **_name_out(contact.name, contact.ref or "?"),
            "email": contact.email,
            "phone": contact.phone,
            "job_title": contact.job_title,
            "department": contact.department,
            "role": contact.role,
        }
    )


def _addresses(given: Mapping[str, Any]) -> tuple[CustomerAddress, ...]:
    found = []
    for item in array(given.get("addresses")):
        place = address(item.get("address"))
        if place is not None:
            contact = obj(item.get("contact"))
            found.append(
                CustomerAddress(
                    address=place,
                    purpose=text(item.get("type")),
                    name=named(contact, "") if contact.get("name") or contact.get("last_name") else None,
                    phone=phone(contact.get("phone")),
                    default=boolean(item.get("is_default"), False),
                )
            )
    return tuple(found)


def _address_out(entry: CustomerAddress) -> dict[str, Any]:
    contact = drop_empty({**(_name_out(entry.name, None) if entry.name else {}), "phone": entry.phone})
    return drop_empty(
        {
            "type": entry.purpose,
            "address": address_out(entry.address),
            "contact": contact,
            "is_default": entry.default or None,
        }
    )


def _loyalty(given: Mapping[str, Any]) -> Loyalty | None:
    own = obj(given.get("loyalty")) or obj(obj(given.get("extensions")).get("loyalty"))
    points = whole(own.get("points_balance"))
    loyalty = Loyalty(
        programme=text(own.get("program_id")),
        member_number=text(own.get("member_id")),
        tier=text(own.get("tier")),
        points=whole(own.get("points")) if points is None else points,
    )
    return None if loyalty == Loyalty() else loyalty


def _loyalty_out(loyalty: Loyalty | None, dialect: Dialect) -> dict[str, Any]:
    if loyalty is None:
        return {}
    if dialect is Dialect.CAMEL:
        return {"extensions": {"loyalty": drop_empty({"points": loyalty.points, "tier": loyalty.tier})}}
    return {
        "loyalty": drop_empty(
            {
                "program_id": loyalty.programme,
                "member_id": loyalty.member_number,
                "tier": loyalty.tier,
                "points_balance": loyalty.points,
            }
        )
    }


def read_customer(given: Mapping[str, Any], context: Context) -> Customer:
    """Where the object names nobody, its id stands for the name."""
    person, company = obj(given.get("person")), obj(given.get("company"))
    is_company = given.get("type") == "company"
    company_name = text(company.get("name"))
    if is_company and company_name:
        name = PersonName(full=company_name)
    else:
        name = named(person or {"name": given.get("name")}, given["id"])
    phones = [phone(person.get("phone")), phone(person.get("mobile"))]
    mail = email(person.get("email"))
    extensions = obj(given.get("extensions"))
    language = text(person.get("preferred_language")) or text(
        obj(extensions.get("preferences")).get("language")
    )
    return Customer(
        key=f"{context.channel}/{given['id']}",
        refs=references(given),
        number=given["id"],
        type=CustomerType.COMPANY if is_company else CustomerType.PERSON,
        name=name,
        company=company_name,
        emails=(mail,) if mail else (),
        phones=tuple(number for number in phones if number),
        addresses=_addresses(given),
        consents=_consents(given),
        birth_date=_day(person.get("date_of_birth")),
        sex=text(person.get("gender")),
        registered_at=instant(given.get("created_at")),
        status=code(given.get("status"), _STATUS) or CustomerStatus.ACTIVE,
        contacts=tuple(_contact(item) for item in array(given.get("contacts"))),
        loyalty=_loyalty(given),
        job_title=text(person.get("job_title")),
        language=language,
        tax_number=text(company.get("vat_number")),
        registration_number=text(company.get("registration_number")),
        segments=texts(given.get("segments")),
        tags=texts(given.get("tags")),
    )


def _person_out(customer: Customer, dialect: Dialect) -> dict[str, Any]:
    """The person object; a name without parts stands beside it, as the standard's own address samples do it."""
    name = _name_out(customer.name, mach_id(customer))
    phones = [*customer.phones, None, None]
    person = {
        "first_name": name.get("first_name"),
        "last_name": name.get("last_name"),
        "email": customer.emails[0] if customer.emails else None,
        "phone": phones[0],
        "mobile": phones[1],
        "job_title": customer.job_title,
        "date_of_birth": customer.birth_date.isoformat() if customer.birth_date else None,
        "gender": customer.sex,
        "preferred_language": customer.language if dialect is Dialect.SNAKE else None,
    }
    return {"name": name.get("name"), "person": drop_empty(person)}


def write_customer(customer: Customer, context: Context) -> dict[str, Any]:
    dialect = context.dialect
    is_company = customer.type is CustomerType.COMPANY
    if is_company:
        company = {
            "name": customer.company or customer.name.full,
            "vat_number": customer.tax_number,
            "registration_number": customer.registration_number,
        }
        who: dict[str, Any] = {"company": drop_empty(company)}
    else:
        who = _person_out(customer, dialect)
    consents, loyalty = _consents_out(customer.consents, dialect), _loyalty_out(customer.loyalty, dialect)
    language = customer.language if dialect is Dialect.CAMEL else None
    preferences = drop_empty({"preferences": drop_empty({"language": language})})
    return {
        "id": mach_id(customer) if customer.refs else customer.number or customer.key,
        "type": customer.type.value,
        "status": customer.status.value,
        "external_references": references_out(customer),
        "created_at": instant_out(customer.registered_at),
        **who,
        "contacts": [_contact_out(contact) for contact in customer.contacts],
        "addresses": [_address_out(entry) for entry in customer.addresses],
        **consents,
        **loyalty,
        "segments": list(customer.segments),
        "tags": list(customer.tags),
        "extensions": {**consents.get("extensions", {}), **loyalty.get("extensions", {}), **preferences},
    }
