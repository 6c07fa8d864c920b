"""How far a flow's urgent changes are queued; where the newest whole listing of a flow lies"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ZERO = sa.text("0")


def upgrade() -> None:
    for name in ("urgent_xid", "urgent_seq"):
        op.add_column("flow_state", sa.Column(name, sa.BigInteger(), server_default=_ZERO, nullable=False))
    op.create_index(
        "intake_complete_idx", "intake", ["system", "flow", "id"], postgresql_where=sa.text("complete")
    )


def downgrade() -> None:
    op.drop_index("intake_complete_idx", "intake")
    for name in ("urgent_seq", "urgent_xid"):
        op.drop_column("flow_state", name)
