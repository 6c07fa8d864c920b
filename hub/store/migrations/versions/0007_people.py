"""Customers that may be one person"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _texts(name: str) -> sa.Column[Any]:
    empty = sa.text("'{}'::text[]")
    return sa.Column(name, sa.ARRAY(sa.Text()), server_default=empty, nullable=False)


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [to], name=op.f(f"{table}_{column}_fkey"), ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "people_customer",
        sa.Column("entity_id", sa.BigInteger(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("name", "kana", "given", "given_kana")),
        *(_texts(name) for name in ("phones", "emails", "addresses", "rooms")),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("sex", sa.Text(), nullable=True),
        _texts("flags"),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("dirty", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        _refers("people_customer", "entity_id", "entity.id"),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("people_customer_pkey")),
    )
    op.create_index(
        "people_customer_dirty_idx", "people_customer", ["entity_id"], postgresql_where=sa.text("dirty")
    )
    op.create_table(
        "people_block",
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.Column("entity_id", sa.BigInteger(), nullable=False),
        _refers("people_block", "entity_id", "people_customer.entity_id"),
        sa.PrimaryKeyConstraint("rule", "digest", "entity_id", name=op.f("people_block_pkey")),
    )
    op.create_index(op.f("people_block_entity_id_idx"), "people_block", ["entity_id"])
    op.create_table(
        "people_pair",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("one_id", sa.BigInteger(), nullable=False),
        sa.Column("other_id", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        *(_texts(name) for name in ("rules", "against", "doubts")),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("automatic", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("survivor_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("one_id < other_id", name="people_pair_order_check"),
        _refers("people_pair", "one_id", "entity.id"),
        _refers("people_pair", "other_id", "entity.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("people_pair_pkey")),
        sa.UniqueConstraint("one_id", "other_id", name=op.f("people_pair_one_id_other_id_key")),
    )
    op.create_index(op.f("people_pair_other_id_idx"), "people_pair", ["other_id"])
    for name, state, column in (
        ("open", "open", "id"), ("linked", "linked", "one_id"), ("linked_other", "linked", "other_id"),
        ("rejected", "rejected", "one_id"),
    ):  # fmt: skip
        where = sa.text(f"state = '{state}'")
        op.create_index(f"people_pair_{name}_idx", "people_pair", [column], postgresql_where=where)
    op.create_table(
        "people_decision",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("pair_id", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        _texts("rules"),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        _refers("people_decision", "pair_id", "people_pair.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("people_decision_pkey")),
    )
    op.create_index(op.f("people_decision_pair_id_idx"), "people_decision", ["pair_id"])
    op.create_table(
        "people_member",
        sa.Column("entity_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("overlay", postgresql.JSONB(), nullable=False),
        sa.Column("own", postgresql.JSONB(), nullable=False),
        _refers("people_member", "entity_id", "entity.id"),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("people_member_pkey")),
    )
    op.create_index(op.f("people_member_person_id_idx"), "people_member", ["person_id"])


def downgrade() -> None:
    for table in ("people_member", "people_decision", "people_pair", "people_block", "people_customer"):
        op.drop_table(table)
