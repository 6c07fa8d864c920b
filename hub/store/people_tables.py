"""The tables of customer matching (名寄せ): matching columns, pairs of customers, who decided what, and persons.

Names, numbers and addresses stand here only folded for comparing, in `people_customer`; `hub.people.forget` removes
every row of a customer.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from hub.store.tables import metadata

__all__ = ["people_block", "people_customer", "people_decision", "people_member", "people_pair"]


def _customer(name: str, *, primary_key: bool = False, index: bool = False) -> Column[int]:
    reference = ForeignKey("entity.id", ondelete="CASCADE")
    return Column(name, BigInteger, reference, nullable=False, primary_key=primary_key, index=index)


def _texts(name: str) -> Column[list[str]]:
    return Column(name, ARRAY(Text), nullable=False, server_default=text("'{}'::text[]"))


# one customer as it is compared; see hub/people/columns.py
people_customer = Table(
    "people_customer",
    metadata,
    Column("entity_id", BigInteger, ForeignKey("entity.id", ondelete="CASCADE"), primary_key=True),
    # channel or core: what stands before the / of the key
    Column("scope", Text, nullable=False),
    Column("name", Text),
    Column("kana", Text),
    Column("given", Text),
    Column("given_kana", Text),
    _texts("phones"),
    _texts("emails"),
    _texts("addresses"),
    # "address#room"
    _texts("rooms"),
    Column("birth_date", Date),
    Column("sex", Text),
    # blocked, deceased, company, merged (its own system says into whom)
    _texts("flags"),
    # of the columns and of the rules they were blocked by
    Column("hash", LargeBinary, nullable=False),
    # pairs are to be looked for again
    Column("dirty", Boolean, nullable=False, server_default=text("true")),
)
Index("people_customer_dirty_idx", people_customer.c.entity_id, postgresql_where=people_customer.c.dirty)

# customers with one digest agree in every column the rule names
people_block = Table(
    "people_block",
    metadata,
    Column("rule", Text, nullable=False),
    Column("digest", BigInteger, nullable=False),
    Column(
        "entity_id",
        BigInteger,
        ForeignKey("people_customer.entity_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    PrimaryKeyConstraint("rule", "digest", "entity_id"),
)

people_pair = Table(
    "people_pair",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # the lower entity id first
    _customer("one_id"),
    _customer("other_id", index=True),
    # same, likely, household
    Column("verdict", Text, nullable=False),
    _texts("rules"),
    # what speaks against it: columns that differ, and facts such as same_system
    _texts("against"),
    # what would have kept rules from linking the two, found since they did
    _texts("doubts"),
    # open -> linked -> rejected (undone), or rejected at once; noted: a household, nothing to decide
    Column("state", Text, nullable=False),
    # linked by rules alone, no person decided
    Column("automatic", Boolean, nullable=False, server_default=text("false")),
    # of the two, the one a person chose to survive
    Column("survivor_id", BigInteger),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("decided_at", DateTime(timezone=True)),
    UniqueConstraint("one_id", "other_id"),
    CheckConstraint("one_id < other_id", name="people_pair_order_check"),
)
_STATE = people_pair.c.state
Index("people_pair_open_idx", people_pair.c.id, postgresql_where=_STATE == "open")
Index("people_pair_linked_idx", people_pair.c.one_id, postgresql_where=_STATE == "linked")
Index("people_pair_linked_other_idx", people_pair.c.other_id, postgresql_where=_STATE == "linked")
Index("people_pair_rejected_idx", people_pair.c.one_id, postgresql_where=_STATE == "rejected")

# appended, never edited
people_decision = Table(
    "people_decision",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "pair_id", BigInteger, ForeignKey("people_pair.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    # linked (by rules), accepted, rejected, undone
    Column("action", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=text("''")),
    # the rules that held at that moment
    _texts("rules"),
    Column("decided_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# customers that are linked to others; derived from the linked pairs (hub/people/persons.py)
people_member = Table(
    "people_member",
    metadata,
    Column("entity_id", BigInteger, ForeignKey("entity.id", ondelete="CASCADE"), primary_key=True),
    # the survivor's entity; its own, too
    Column("person_id", BigInteger, nullable=False, index=True),
    # what the hub lays over the content: {"merged_into": key, "denied": [consents]}
    Column("overlay", JSONB, nullable=False),
    # what the systems themselves say there: {"merged_into": ..., "consents": [...]}
    Column("own", JSONB, nullable=False),
)
