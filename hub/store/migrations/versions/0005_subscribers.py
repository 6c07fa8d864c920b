"""Outgoing webhooks: who is told of what, and every attempt"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")
_ZERO = sa.text("0")
_FALSE = sa.text("false")


def _when(name: str, *, now: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not now, server_default=_NOW if now else None)


def _id() -> sa.Column[object]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False)


def upgrade() -> None:
    op.create_table(
        "subscriber",
        _id(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("channels", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.Column("content", sa.Text(), server_default=sa.text("'default'"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at_once", sa.Integer(), server_default=sa.text("4"), nullable=False),
        sa.Column("feed_xid", sa.BigInteger(), server_default=_ZERO, nullable=False),
        sa.Column("feed_seq", sa.BigInteger(), server_default=_ZERO, nullable=False),
        sa.Column("failures", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("pauses", sa.Integer(), server_default=_ZERO, nullable=False),
        _when("failing_since"),
        _when("not_before"),
        _when("accepted_at"),
        _when("created_at", now=True),
        sa.PrimaryKeyConstraint("id", name=op.f("subscriber_pkey")),
        sa.UniqueConstraint("name", name=op.f("subscriber_name_key")),
    )
    op.create_table(
        "subscriber_secret",
        _id(),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        _when("created_at", now=True),
        _when("expires_at"),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("subscriber_secret_subscriber_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("subscriber_secret_pkey")),
    )
    op.create_index(op.f("subscriber_secret_subscriber_id_idx"), "subscriber_secret", ["subscriber_id"])
    op.create_table(
        "subscriber_message",
        _id(),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "event_id",
            sa.Text(),
            server_default=sa.text("'msg_' || replace(gen_random_uuid()::text, '-', '')"),
            nullable=False,
        ),
        sa.Column("entity_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("whole", sa.Boolean(), server_default=_FALSE, nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("deleted", sa.Boolean(), server_default=_FALSE, nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=True),
        _when("changed_at"),
        sa.Column("state", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=_ZERO, nullable=False),
        _when("next_at", now=True),
        _when("retry_until"),
        _when("created_at", now=True),
        _when("finished_at"),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("subscriber_message_subscriber_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("subscriber_message_pkey")),
        sa.UniqueConstraint("event_id", name=op.f("subscriber_message_event_id_key")),
    )
    op.create_index(
        "subscriber_message_waiting_idx",
        "subscriber_message",
        ["subscriber_id", "id"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "subscriber_message_entity_idx", "subscriber_message", ["entity_id", "subscriber_id", "id"]
    )
    op.create_index(
        "subscriber_message_dead_idx",
        "subscriber_message",
        ["subscriber_id", "id"],
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_table(
        "subscriber_attempt",
        _id(),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        _when("started_at", now=True),
        _when("finished_at"),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("ms", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["subscriber_message.id"],
            name=op.f("subscriber_attempt_message_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("subscriber_attempt_pkey")),
    )
    op.create_index(op.f("subscriber_attempt_message_id_idx"), "subscriber_attempt", ["message_id"])
    op.create_index("subscriber_attempt_newest_idx", "subscriber_attempt", ["subscriber_id", "id"])


def downgrade() -> None:
    for table in ("subscriber_attempt", "subscriber_message", "subscriber_secret", "subscriber"):
        op.drop_table(table)
