"""Who may use the hub's API"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SEARCHED = {
    "entity_order_number_idx": ("(content ->> 'number')", "order", None),
    "entity_order_customer_idx": ("(content ->> 'customer_key')", "order", None),
    "entity_email_idx": ("(content -> 'emails')", "customer", "gin"),
    "entity_phone_idx": ("(content -> 'phones')", "customer", "gin"),
    "entity_variant_idx": (
        "jsonb_path_query_array(content, '$.\"variants\"[*].\"sku\"')", "product", "gin",
    ),
}  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("api_key_pkey")),
    )
    op.create_index(
        "api_key_name_key", "api_key", ["name"], unique=True, postgresql_where=sa.text("revoked_at IS NULL")
    )
    op.create_index("entity_updated_idx", "entity", ["kind", "updated_at"])
    for name, (what, kind, using) in _SEARCHED.items():
        op.create_index(
            name,
            "entity",
            [sa.literal_column(what)],
            postgresql_using=using,
            postgresql_where=sa.text(f"kind = '{kind}'"),
        )


def downgrade() -> None:
    for name in (*_SEARCHED, "entity_updated_idx"):
        op.drop_index(name, "entity")
    op.drop_table("api_key")
