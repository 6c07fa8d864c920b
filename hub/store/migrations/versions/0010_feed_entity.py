"""The history of an entity"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("change_feed_entity_id_idx"), "change_feed", ["entity_id"])


def downgrade() -> None:
    op.drop_index(op.f("change_feed_entity_id_idx"), "change_feed")
