"""The tables of erased persons. What each means is said in docs/personal-data.md. None of them holds personal data."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from hub.store.tables import metadata

__all__ = ["erased_entity", "erased_row", "erasure", "erasure_mark"]

# the certificate: who, when, why, how much in which place
erasure = Table(
    "erasure",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # keyed hash of the key that was named
    Column("subject", LargeBinary, nullable=False, index=True),
    Column("requested_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("places", JSONB, nullable=False),
    # systems that may hold copies the hub cannot reach
    Column("systems", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("digest", LargeBinary, nullable=False),
    Column("erased_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("lifted_at", DateTime(timezone=True)),
    Column("lifted_by", Text),
)

# what a person is recognised by: keyed hashes, see hub/erasure/marks.py
erasure_mark = Table(
    "erasure_mark",
    metadata,
    Column("mark", LargeBinary, primary_key=True),
    # of the key in the home folder: another key would recognise nobody
    Column("key_id", LargeBinary, nullable=False),
    Column("erasure_id", BigInteger, ForeignKey("erasure.id"), nullable=False, index=True),
    Column("erased_at", DateTime(timezone=True), nullable=False),
    # the person has ordered anew
    Column("returned_at", DateTime(timezone=True)),
)

# entities whose persons were removed; `recipients`: only these of an order of somebody else, NULL: all
erased_entity = Table(
    "erased_entity",
    metadata,
    Column("entity_id", BigInteger, ForeignKey("entity.id", ondelete="CASCADE"), nullable=False),
    Column("erasure_id", BigInteger, ForeignKey("erasure.id"), nullable=False, index=True),
    Column("recipients", ARRAY(Text)),
    PrimaryKeyConstraint("entity_id", "erasure_id"),
)

# rows of stored pages that were blanked: they are passed over when the page is read again
erased_row = Table(
    "erased_row",
    metadata,
    Column("intake_id", BigInteger, ForeignKey("intake.id", ondelete="CASCADE"), nullable=False),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("intake_id", "position"),
)
