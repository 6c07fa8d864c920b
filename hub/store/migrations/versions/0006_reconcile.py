"""Comparisons of the hub with a system's listing"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _id() -> sa.Column[object]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False)


def _when(name: str, *, now: bool = False) -> sa.Column[object]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not now, server_default=default)


def _of_run(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["run_id"], ["reconcile_run.id"], name=op.f(f"{table}_run_id_fkey"), ondelete="CASCADE"
    )


def upgrade() -> None:
    op.create_table(
        "reconcile_run",
        _id(),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        _when("started_at", now=True),
        _when("finished_at"),
        sa.Column("outcome", sa.Text(), server_default=sa.text("'running'"), nullable=False),
        sa.Column("params", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("counts", postgresql.JSONB(), nullable=True),
        sa.Column("parts", postgresql.JSONB(), nullable=True),
        sa.Column("folder", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("reconcile_run_pkey")),
    )
    op.create_index(
        "reconcile_run_newest_idx", "reconcile_run", ["system", "subject", sa.literal_column("id DESC")]
    )
    op.create_table(
        "reconcile_difference",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("entity_key", sa.Text(), nullable=True),
        sa.Column("sent_key", sa.Text(), nullable=True),
        sa.Column("fetch_id", sa.Text(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("hub_hash", sa.LargeBinary(), nullable=True),
        sa.Column("system_hash", sa.LargeBinary(), nullable=True),
        sa.Column("fields", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        _when("settled_at"),
        _of_run("reconcile_difference"),
        sa.PrimaryKeyConstraint("run_id", "n", name=op.f("reconcile_difference_pkey")),
    )
    op.create_index("reconcile_difference_key_idx", "reconcile_difference", ["kind", "key"])
    op.create_table(
        "reconcile_fix",
        _id(),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("params", postgresql.JSONB(), nullable=False),
        _when("started_at", now=True),
        _when("finished_at"),
        sa.Column("counts", postgresql.JSONB(), nullable=True),
        _of_run("reconcile_fix"),
        sa.PrimaryKeyConstraint("id", name=op.f("reconcile_fix_pkey")),
    )
    op.create_index(op.f("reconcile_fix_run_id_idx"), "reconcile_fix", ["run_id"])


def downgrade() -> None:
    op.drop_table("reconcile_fix")
    op.drop_table("reconcile_difference")
    op.drop_table("reconcile_run")
