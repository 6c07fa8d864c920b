"""No statistics of which kinds there are; room for new versions of what is left of a SKU

The planner is not to know how many entities are of a kind: what it knew would be old after every first load, and a kind
it takes for rare is looked up by kind alone. See docs/decisions/planner-and-kinds.md.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # stating the type again forgets the statistics that are there; nothing is rewritten
    op.execute("ALTER TABLE entity ALTER COLUMN kind TYPE text, ALTER COLUMN kind SET STATISTICS 0")
    op.execute("ALTER TABLE stock_free SET (fillfactor = 70)")


def downgrade() -> None:
    op.execute("ALTER TABLE entity ALTER COLUMN kind SET STATISTICS -1")
    op.execute("ALTER TABLE stock_free RESET (fillfactor)")
