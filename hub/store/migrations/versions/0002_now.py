"""The road for now: webhooks as intake, urgent changes, rate budgets, tokens of accounts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


_FILES = {"intake_sha256_idx": "sha256", "intake_name_idx": "name"}
_NO_EVENT = sa.text("event_id IS NULL")


def upgrade() -> None:
    op.add_column("intake", sa.Column("event_id", sa.Text()))
    op.add_column(
        "intake",
        sa.Column("fetch_ids", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
    )
    op.add_column("intake", sa.Column("occurred_at", sa.DateTime(timezone=True)))
    op.add_column("intake", sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_index(
        "intake_event_key",
        "intake",
        ["system", "event_id"],
        unique=True,
        postgresql_where=sa.text("event_id IS NOT NULL"),
    )
    # files are looked up by name and content, events never: many small rows should not pay for it
    for name, column in _FILES.items():
        op.drop_index(name, table_name="intake")
        op.create_index(name, "intake", ["system", "flow", column], postgresql_where=_NO_EVENT)
    op.add_column("record", sa.Column("order_value", sa.Text()))
    op.add_column(
        "change_feed",
        sa.Column("urgent", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_index(
        "change_feed_urgent_idx", "change_feed", ["xid", "seq"], postgresql_where=sa.text("urgent")
    )
    op.create_index("change_feed_kind_idx", "change_feed", ["kind", "xid", "seq"])
    op.add_column(
        "delivery", sa.Column("urgent", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_table(
        "rate_budget",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("rate", sa.Double(), nullable=False),
        sa.Column("burst", sa.Double(), nullable=False),
        sa.Column("used_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True)),
        sa.Column("granted", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("waited", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("penalties", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("account", "bucket", name=op.f("rate_budget_pkey")),
    )
    op.create_table(
        "account_token",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("account_token_pkey")),
    )


def downgrade() -> None:
    op.execute("DROP SCHEMA IF EXISTS tsunagi_jobs CASCADE")
    op.drop_table("account_token")
    op.drop_table("rate_budget")
    op.drop_column("delivery", "urgent")
    op.drop_index("change_feed_kind_idx", table_name="change_feed", if_exists=True)
    op.drop_index("change_feed_urgent_idx", table_name="change_feed", postgresql_where=sa.text("urgent"))
    op.drop_column("change_feed", "urgent")
    op.drop_column("record", "order_value")
    for name, column in _FILES.items():
        op.drop_index(name, table_name="intake")
        op.create_index(name, "intake", ["system", "flow", column])
    op.drop_index("intake_event_key", table_name="intake", postgresql_where=sa.text("event_id IS NOT NULL"))
    op.drop_column("intake", "attempts")
    op.drop_column("intake", "occurred_at")
    op.drop_column("intake", "fetch_ids")
    op.drop_column("intake", "event_id")
