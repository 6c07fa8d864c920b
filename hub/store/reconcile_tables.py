"""The tables of comparisons of the hub with a system's listing. What each means is said in docs/reconcile.md.

Values of differences are kept masked, and as hashes; what stands in full is in the entities and at the system.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from hub.store.tables import metadata

__all__ = ["reconcile_difference", "reconcile_fix", "reconcile_run"]

reconcile_run = Table(
    "reconcile_run",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("system", Text, nullable=False),
    # what was asked for: a kind of entity, or a flow
    Column("subject", Text, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("finished_at", DateTime(timezone=True)),
    # running -> equal | different | failed
    Column("outcome", Text, nullable=False, server_default=text("'running'")),
    Column("params", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("counts", JSONB),
    # for each flow that was compared: what was read, counts, sums, notes
    Column("parts", JSONB),
    # of the report, below TSUNAGI_HOME/reports
    Column("folder", Text),
    Column("error", Text),
)
Index("reconcile_run_newest_idx", reconcile_run.c.system, reconcile_run.c.subject, reconcile_run.c.id.desc())

reconcile_difference = Table(
    "reconcile_difference",
    metadata,
    Column("run_id", BigInteger, ForeignKey("reconcile_run.id", ondelete="CASCADE"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("flow", Text, nullable=False),
    # in: the hub holds what the system says; out: the system shows what the hub sent
    Column("direction", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # of the entity, or of the place at the system
    Column("key", Text, nullable=False),
    # only_hub, only_system, differ, unreadable, in_flight, unmanaged
    Column("state", Text, nullable=False),
    Column("reason", Text),
    # take_in, send, none
    Column("remedy", Text, nullable=False),
    Column("entity_key", Text),
    # the key of the ledger
    Column("sent_key", Text),
    # what the source is asked by, and the row of the intake that was read
    Column("fetch_id", Text),
    Column("position", BigInteger),
    Column("hub_hash", LargeBinary),
    Column("system_hash", LargeBinary),
    # [{path, hub, system, owner}], values masked
    Column("fields", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    # of a fix: fixed, vanished, still
    Column("outcome", Text),
    Column("settled_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("run_id", "n"),
)
Index("reconcile_difference_key_idx", reconcile_difference.c.kind, reconcile_difference.c.key)

reconcile_fix = Table(
    "reconcile_fix",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "run_id", BigInteger, ForeignKey("reconcile_run.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("reason", Text, nullable=False),
    Column("params", JSONB, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("finished_at", DateTime(timezone=True)),
    Column("counts", JSONB),
)
