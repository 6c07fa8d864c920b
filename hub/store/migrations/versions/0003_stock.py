"""Stock: what a channel may sell, term by term; reservations; units sold that are not there"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MOVEMENTS = sa.text("kind = 'stock_movement'")


def upgrade() -> None:
    op.create_index("ledger_entity_idx", "ledger", ["entity_id"])
    op.create_index("intake_flow_idx", "intake", ["system", "flow", "id"])
    op.create_index(
        "entity_movement_idx",
        "entity",
        [sa.literal_column("(content ->> 'sku')"), sa.literal_column("(content ->> 'occurred_at')")],
        postgresql_where=_MOVEMENTS,
    )
    op.create_index(
        "entity_movement_order_idx",
        "entity",
        [sa.literal_column("(content ->> 'order_key')")],
        postgresql_where=_MOVEMENTS,
    )
    op.create_table(
        "stock_location",
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("online", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("pickup", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("safety_stock", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("location", name=op.f("stock_location_pkey")),
    )
    op.create_table(
        "stock_rule",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("places", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("buffer", sa.BigInteger(), nullable=False),
        sa.Column("share", sa.BigInteger(), nullable=False),
        sa.Column("leave", sa.BigInteger(), nullable=False),
        sa.Column("at_most", sa.BigInteger(), nullable=False),
        sa.Column("everything", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "sku", name=op.f("stock_rule_pkey")),
    )
    op.create_table(
        "stock_counter",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("flow", sa.Text(), nullable=True),
        sa.Column("books_after", sa.Interval(), nullable=False),
        sa.Column("count_age", sa.Interval(), nullable=False),
        sa.PrimaryKeyConstraint("system", name=op.f("stock_counter_pkey")),
    )
    op.create_table(
        "stock_pool_location",
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pool", "location", name=op.f("stock_pool_location_pkey")),
    )
    op.create_table(
        "stock_pool_places",
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("places", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pool", "places", name=op.f("stock_pool_places_pkey")),
    )
    op.create_table(
        "stock_kit",
        sa.Column("kit", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False, index=True),
        sa.Column("stocked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("kit", "part", name=op.f("stock_kit_pkey")),
    )
    op.create_index(op.f("stock_kit_part_idx"), "stock_kit", ["part"])
    op.create_table(
        "stock_demand",
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("order_key", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "sku", "place", name=op.f("stock_demand_pkey")),
    )
    op.create_index(op.f("stock_demand_sku_idx"), "stock_demand", ["sku"])
    op.create_table(
        "stock_free",
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in (
                "on_hand", "moved", "allocated", "safety_stock", "reserved", "unbooked", "free",
            )
        ),
        sa.Column("backorderable", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("sku", "pool", name=op.f("stock_free_pkey")),
    )  # fmt: skip
    op.create_table(
        "stock_reservation",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("order_key", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("stock_reservation_pkey")),
        sa.UniqueConstraint("key", name=op.f("stock_reservation_key_key")),
    )
    standing = sa.text("state IN ('open', 'confirmed')")
    op.create_index("stock_reservation_sku_idx", "stock_reservation", ["sku"], postgresql_where=standing)
    op.create_index(
        "stock_reservation_order_idx", "stock_reservation", ["order_key"], postgresql_where=standing
    )
    op.create_index(
        "stock_reservation_expires_idx",
        "stock_reservation",
        ["expires_at"],
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "stock_dirty",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("stock_dirty_pkey")),
    )
    op.create_index(op.f("stock_dirty_sku_idx"), "stock_dirty", ["sku"])
    op.create_table(
        "stock_oversold",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("order_key", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("flagged_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("stock_oversold_pkey")),
    )
    op.create_index(
        "stock_oversold_open_key",
        "stock_oversold",
        ["sku", "order_id"],
        unique=True,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )


def downgrade() -> None:
    for table in (
        "stock_oversold", "stock_dirty", "stock_reservation", "stock_free", "stock_demand", "stock_kit",
        "stock_pool_places", "stock_pool_location", "stock_counter", "stock_rule", "stock_location",
    ):  # fmt: skip
        op.drop_table(table)
    op.drop_index("entity_movement_order_idx", "entity")
    op.drop_index("entity_movement_idx", "entity")
    op.drop_index("intake_flow_idx", "intake")
    op.drop_index("ledger_entity_idx", "ledger")
