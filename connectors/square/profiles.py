"""Customers into Square: profiles found by Square's id, by our reference or by e-mail address, then made or changed.

Bulk calls take a hundred profiles and answer for each. A new profile has an idempotency key, a changed one the
version it was read with. Facts: Square's OpenAPI (BulkCreateCustomers, BulkUpdateCustomers).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from connectors.contract import Batch, Call, Change, Outcome, Refused, Retry
from connectors.outcomes import Row as SinkRow, read_record
from connectors.square.api import Api, error_of, idempotency_key, in_parts
from connectors.square.config import SquareConfig
from connectors.square.customers import LIMIT, retrieve
from connectors.square.outcomes import failed

__all__ = ["CustomerRow", "put_customers"]


class AddressRow(SinkRow):
    """An address in Square's words: `administrative_district_level_1` is the prefecture, `locality` the city."""

    address_line_1: str | None = None
    address_line_2: str | None = None
    address_line_3: str | None = None
    locality: str | None = None
    administrative_district_level_1: str | None = None
    postal_code: str | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None


class CustomerRow(SinkRow):
    """A profile, named by Square's `id` or by `reference_id`, the hub's name of the customer. One of the names, the
    company, the e-mail address or the telephone number must be there (Square's rule).
    """

    id: Annotated[str, StringConstraints(min_length=1)] | None = None
    reference_id: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    given_name: Annotated[str, StringConstraints(max_length=300)] | None = None
    family_name: Annotated[str, StringConstraints(max_length=300)] | None = None
    company_name: Annotated[str, StringConstraints(max_length=500)] | None = None
    nickname: Annotated[str, StringConstraints(max_length=100)] | None = None
    email_address: Annotated[str, StringConstraints(max_length=254)] | None = None
    phone_number: Annotated[str, Field(pattern=r"^\+?\d{9,16}$")] | None = None
    birthday: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    note: str | None = None
    address: AddressRow | None = None

    @model_validator(mode="after")
    def _somebody(self) -> CustomerRow:
        names = (self.given_name, self.family_name, self.company_name, self.email_address, self.phone_number)
        if not (self.id or self.reference_id):
            raise ValueError("give id (of a profile at Square) or reference_id")
        if not any(names):
            raise ValueError("Square needs a name, a company, an e-mail address or a telephone number")
        return self


def put_customers(call: Call[SquareConfig], batch: Batch) -> Iterator[Outcome]:
    """Create profiles or change those that are there; fields the record leaves out stay as they are.

    Two profiles with the same e-mail address: the change is refused (`ambiguous_customer`), merge them in Square.
    """
    api = Api(call)
    rows: dict[str, tuple[Change, CustomerRow]] = {}
    for change in batch:
        try:
            if change.deleted:
                raise Refused(
                    "顧客の削除はSquareの画面で行ってください。 / customers are not deleted in Square by the hub;"
                    " erase them there",
                    code="not_deleted",
                )
            rows[change.key] = (change, read_record(CustomerRow, change.record))
        except Refused as error:
            yield failed(change, error)
    by_id = _by_id(api, rows.values())
    new: dict[str, tuple[Change, dict[str, Any]]] = {}
    changed: dict[str, tuple[Change, dict[str, Any]]] = {}
    for key, (change, row) in rows.items():
        try:
            profile = by_id.get(key) or _find(api, row)
        except (Refused, Retry) as error:
            yield failed(change, error)
            continue
        wanted = row.model_dump(exclude_none=True, exclude={"id"})
        if profile is None:
            new[idempotency_key(batch, [key, wanted])] = (change, wanted)
            continue
        differing = _differing(wanted, profile)
        if not differing:
            yield _done(change, profile)
        elif profile["id"] in changed:
            reason = f"this batch changes the profile {profile['id']} twice (also as {changed[profile['id']][0].key})"
            yield Outcome.refused(change.key, reason, code="duplicate")
        else:
            version = {"version": profile["version"]} if "version" in profile else {}
            changed[profile["id"]] = (change, {**differing, **version})
    yield from _write(api, "/v2/customers/bulk-create", new)
    yield from _write(api, "/v2/customers/bulk-update", changed)


def _by_id(api: Api, rows: Iterable[tuple[Change, CustomerRow]]) -> dict[str, dict[str, Any]]:
    """Profiles of the changes whose id at Square is known: change key -> profile."""
    known = {each: change.key for change, row in rows if (each := row.id or change.external_id)}
    found: dict[str, dict[str, Any]] = {}
    for part in in_parts(known, LIMIT):
        for each, profile in retrieve(api, part).items():
            found[known[each]] = profile
    return found


def _find(api: Api, row: CustomerRow) -> dict[str, Any] | None:
    """The profile with our reference, else one with this e-mail address that has no reference.

    Families share addresses: a profile that carries another reference is another customer.
    """
    if row.id is not None and row.reference_id is None:
        raise Refused(
            f"Squareに顧客 {row.id} がありません（統合または削除済み）。"
            f" / Square has no profile {row.id} (any more): it was"
            " merged or deleted there",
            code="unknown_customer",
        )
    for name, value in (("reference_id", row.reference_id), ("email_address", row.email_address)):
        if value is None:
            continue
        body = api.search(
            "/v2/customers/search", {"limit": 10, "query": {"filter": {name: {"exact": value}}}}
        )
        # "exact" is case-insensitive there, and may be tokenised: what does not equal ours is another's
        found = [
            each
            for each in body.get("customers") or ()
            if str(each.get(name, "")).lower() == value.lower()
            and (name == "reference_id" or not each.get("reference_id"))
        ]
        if len(found) > 1:
            raise Refused(
                f"{name} がSquareの複数の顧客（{', '.join(each['id'] for each in found)}）にあります。Squareで統合して"
                f"ください。 / several profiles in Square have this {name}: merge them there",
                code="ambiguous_customer",
            )
        if found:
            profile: dict[str, Any] = found[0]
            return profile
    return None


def _differing(wanted: Mapping[str, Any], profile: Mapping[str, Any]) -> dict[str, Any]:
    differing: dict[str, Any] = {}
    for name, value in wanted.items():
        present = profile.get(name)
        if isinstance(value, Mapping):
            parts = {k: v for k, v in value.items() if (present or {}).get(k) != v}
            if parts:
                differing[name] = parts
        elif name == "phone_number":
            if _digits(present) != _digits(value):
                differing[name] = value
        elif present != value:
            differing[name] = value
    return differing


def _digits(phone: Any) -> str:
    """A telephone number as dialled in Japan, for comparing: Square may show +81 where 0 was sent."""
    digits = "".join(c for c in str(phone or "") if c.isdigit())
    return "0" + digits[2:] if str(phone or "").startswith("+81") else digits


def _write(api: Api, path: str, wanted: Mapping[str, tuple[Change, dict[str, Any]]]) -> Iterator[Outcome]:
    """One bulk call for at most a hundred profiles; its answer has one part for each."""
    names = list(wanted)
    for start in range(0, len(names), LIMIT):
        part = names[start : start + LIMIT]
        try:
            body = api.write(path, {"customers": {name: wanted[name][1] for name in part}}, partial=True)
            answers = body.get("responses") or {}
            if body.get("errors") and not answers:
                raise error_of(body["errors"])
        except (Refused, Retry) as error:
            yield from (failed(wanted[name][0], error) for name in part)
            continue
        for name in part:
            yield _answered(wanted[name][0], answers.get(name) or {})


def _answered(change: Change, answer: Mapping[str, Any]) -> Outcome:
    if answer.get("errors"):
        error = error_of(answer["errors"])
        if isinstance(error, Refused | Retry):
            return failed(change, error)
        raise error
    profile = answer.get("customer")
    if not profile:
        return Outcome.retry(change.key, "Square's answer says nothing about this profile")
    return _done(change, profile)


def _done(change: Change, profile: Mapping[str, Any]) -> Outcome:
    version = profile.get("version")
    return Outcome.done(
        change.key, external_id=profile["id"], external_version=None if version is None else str(version)
    )
