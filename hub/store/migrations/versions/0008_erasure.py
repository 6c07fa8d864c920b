"""Erased customers"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erasure",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("places", postgresql.JSONB(), nullable=False),
        sa.Column("systems", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("erasure_pkey")),
    )
    op.create_index(op.f("erasure_subject_idx"), "erasure", ["subject"])
    op.create_table(
        "erasure_mark",
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.LargeBinary(), nullable=False),
        sa.Column("erasure_id", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasure.id"], name=op.f("erasure_mark_erasure_id_fkey")),
        sa.PrimaryKeyConstraint("mark", name=op.f("erasure_mark_pkey")),
    )
    op.create_index(op.f("erasure_mark_erasure_id_idx"), "erasure_mark", ["erasure_id"])
    op.create_table(
        "erased_entity",
        sa.Column("entity_id", sa.BigInteger(), nullable=False),
        sa.Column("erasure_id", sa.BigInteger(), nullable=False),
        sa.Column("recipients", sa.ARRAY(sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("erased_entity_entity_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasure.id"], name=op.f("erased_entity_erasure_id_fkey")),
        sa.PrimaryKeyConstraint("entity_id", "erasure_id", name=op.f("erased_entity_pkey")),
    )
    op.create_index(op.f("erased_entity_erasure_id_idx"), "erased_entity", ["erasure_id"])
    op.create_table(
        "erased_row",
        sa.Column("intake_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["intake_id"], ["intake.id"], name=op.f("erased_row_intake_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("intake_id", "position", name=op.f("erased_row_pkey")),
    )


def downgrade() -> None:
    op.drop_table("erased_row")
    op.drop_table("erased_entity")
    op.drop_table("erasure_mark")
    op.drop_table("erasure")
