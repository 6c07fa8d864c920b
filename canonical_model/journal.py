"""Bookkeeping entries and documents."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field, model_validator

from canonical_model.codes import DocumentKind, EntrySide
from canonical_model.entity import Entity
from canonical_model.values import Address, BusinessDate, Instant, Money, Quantity, TaxRate, Value

__all__ = ["Document", "DocumentLine", "DocumentTax", "JournalEntry", "JournalLine"]


class JournalLine(Value):
    """One side of an entry. Accounts, sub-accounts and tax categories are the accounting system's own names.

    amount  in minor units, tax inside (税込), never negative: what lowers an account stands on its other side
    tax     consumption tax inside `amount`, where it is told
    """

    side: EntrySide
    account: str
    sub_account: str | None = None
    department: str | None = None
    partner: str | None = None
    partner_number: str | None = None
    """The partner's number as an issuer of qualified invoices (T and 13 digits)."""
    amount: Money
    tax: Money | None = None
    tax_category: str | None = None
    tax_rate: TaxRate | None = None
    reduced: bool = False
    """The reduced rate (軽減税率): two different 8 % are told apart by it."""
    description: str | None = None


class JournalEntry(Entity, kind="journal_entry", ja="仕訳", en="Journal entry"):
    """A balanced entry in the books. Key: "{source}/{source document}".

    reverses  key of the posted entry this one takes back (赤伝): a posted slip is never edited
    sources   keys of what it was made of, so that nothing is posted twice
    """

    number: str | None = None
    date: BusinessDate
    lines: Annotated[tuple[JournalLine, ...], Field(min_length=2)]
    description: str | None = None
    sources: tuple[str, ...] = ()
    reverses: str | None = None
    adjustment: bool = False
    """An entry of the closing of accounts (決算整理仕訳)."""

    @model_validator(mode="after")
    def _balanced(self) -> JournalEntry:
        sums = {EntrySide.DEBIT: 0, EntrySide.CREDIT: 0}
        currency = self.lines[0].amount.currency
        for line in self.lines:
            if line.amount.currency != currency:
                raise ValueError(f"an entry is in one currency: {currency} and {line.amount.currency}")
            if line.amount.amount < 0:
                raise ValueError(f"{line.account}: a negative amount belongs on the other side")
            sums[line.side] += line.amount.amount
        if sums[EntrySide.DEBIT] != sums[EntrySide.CREDIT]:
            raise ValueError(f"debit {sums[EntrySide.DEBIT]} and credit {sums[EntrySide.CREDIT]} differ")
        return self


class DocumentLine(Value):
    """One line of a document."""

    name: str
    quantity: Quantity | None = None
    unit_price: Money | None = None
    amount: Money
    tax_rate: TaxRate | None = None
    reduced: bool = False
    order_key: str | None = None
    occurred_on: date | None = None


class DocumentTax(Value):
    """Total of one rate: the tax of a rate is rounded once in a document."""

    rate: TaxRate
    amount: Money
    tax: Money


class Document(Entity, kind="document", ja="書類", en="Document"):
    """An invoice, delivery note, receipt or other paper. Key: the document's number.

    issuer_number  number of the qualified invoice issuer (適格請求書発行事業者), T and 13 digits
    corrects       key of the document this one corrects or refunds
    sha256, url    the file, where there is one
    """

    type: DocumentKind
    number: str
    issued_on: date
    issuer: str | None = None
    issuer_number: Annotated[str, Field(pattern=r"^T[1-9]\d{12}$")] | None = None
    addressee: str | None = None
    address: Address | None = None
    order_keys: tuple[str, ...] = ()
    lines: tuple[DocumentLine, ...] = ()
    taxes: tuple[DocumentTax, ...] = ()
    total: Money | None = None
    corrects: str | None = None
    created_at: Instant | None = None
    media_type: str | None = None
    url: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
