"""The store's tables. `migrations/` builds them; a test holds the two to each other.

Conventions: every timestamp is `timestamptz` in UTC; `hash` is a 16-byte BLAKE2b; `system` and `flow` are the names
of the system files. Facts (intake, change feed, deliveries, attempts) are appended; entities, the record ledger and
the ledger of accepted values hold the newest state.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

__all__ = [
    "account_token",
    "change_feed",
    "contribution",
    "cross_reference",
    "delivery",
    "delivery_attempt",
    "delivery_change",
    "entity",
    "flow_run",
    "flow_state",
    "intake",
    "intake_body",
    "ledger",
    "metadata",
    "quarantine",
    "rate_budget",
    "record",
]

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    }
)


def _when(name: str, *, nullable: bool = True, now: bool = False) -> Column[object]:
    return Column(
        name, DateTime(timezone=True), nullable=nullable, server_default=func.now() if now else None
    )


intake = Table(
    "intake",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("system", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("name", Text),
    Column("media_type", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sequence", Integer),
    Column("params", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("deleted", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("complete", Boolean, nullable=False, server_default=text("false")),
    Column("note", Text),
    # of a webhook: what makes a second delivery recognisable; ids to ask the source for; when it happened over there
    Column("event_id", Text),
    Column("fetch_ids", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    _when("occurred_at"),
    # how often taking it in broke down
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # stored -> processed, or failed (see quarantine); erased once the body was removed by the retention rule
    Column("state", Text, nullable=False, server_default=text("'stored'")),
    Column("counts", JSONB),
    _when("received_at", nullable=False, now=True),
    _when("processed_at"),
)
Index(
    "intake_unprocessed_idx",
    intake.c.system,
    intake.c.flow,
    intake.c.id,
    postgresql_where=intake.c.state == "stored",
)
Index("intake_complete_idx", intake.c.system, intake.c.flow, intake.c.id, postgresql_where=intake.c.complete)
_NO_EVENT = intake.c.event_id.is_(None)
Index("intake_sha256_idx", intake.c.system, intake.c.flow, intake.c.sha256, postgresql_where=_NO_EVENT)
Index("intake_name_idx", intake.c.system, intake.c.flow, intake.c.name, postgresql_where=_NO_EVENT)
Index(
    "intake_event_key",
    intake.c.system,
    intake.c.event_id,
    unique=True,
    postgresql_where=intake.c.event_id.is_not(None),
)

intake_body = Table(
    "intake_body",
    metadata,
    Column("intake_id", BigInteger, ForeignKey("intake.id", ondelete="CASCADE"), nullable=False),
    # 0, 1, ...: what is taken in; -1: the body of the webhook call it was made from
    Column("part", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("intake_id", "part"),
)

entity = Table(
    "entity",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("content", JSONB, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    # the only system that contributed so far, or NULL: then `contribution` has a row for each
    Column("system", Text),
    _when("updated_at", nullable=False, now=True),
    _when("deleted_at"),
    UniqueConstraint("kind", "key"),
)
# facts are looked up by the order they speak of
Index(
    "entity_order_key_idx",
    text("(content ->> 'order_key')"),
    _table=entity,
    postgresql_where=text("kind IN ('shipment', 'return', 'payment', 'refund')"),
)
Index("entity_sku_idx", entity.c.kind, text("(content ->> 'sku')"), postgresql_where=text("content ? 'sku'"))

contribution = Table(
    "contribution",
    metadata,
    Column("entity_id", BigInteger, ForeignKey("entity.id", ondelete="CASCADE"), nullable=False),
    Column("system", Text, nullable=False),
    Column("content", JSONB, nullable=False),
    _when("updated_at", nullable=False, now=True),
    PrimaryKeyConstraint("entity_id", "system"),
)

cross_reference = Table(
    "cross_reference",
    metadata,
    Column("system", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("entity_id", BigInteger, ForeignKey("entity.id", ondelete="CASCADE"), nullable=False, index=True),
    PrimaryKeyConstraint("system", "kind", "external_id"),
)

record = Table(
    "record",
    metadata,
    Column("system", Text, nullable=False),
    Column("mapping", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    # of the raw record and the mapping's digest: equal hash, nothing to do
    Column("hash", LargeBinary, nullable=False),
    # NULL: the record was refused (see quarantine) or skipped by the mapping's `when`
    Column("entity_id", BigInteger, ForeignKey("entity.id", ondelete="CASCADE"), index=True),
    Column("mapping_version", Integer, nullable=False),
    Column("intake_id", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    # what the source orders versions of one record by, where it can
    Column("order_value", Text),
    PrimaryKeyConstraint("system", "mapping", "record_id"),
)

change_feed = Table(
    "change_feed",
    metadata,
    # the writing transaction: rows are read only below the oldest transaction still running
    Column("xid", BigInteger, nullable=False, server_default=text("(pg_current_xact_id()::text::bigint)")),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("entity_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("system", Text, nullable=False),
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
    _when("at", nullable=False, now=True),
    # stock that went down, an order that was cancelled: it overtakes what waits (hub/urgency.py)
    Column("urgent", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("xid", "seq"),
)
Index("change_feed_kind_idx", change_feed.c.kind, change_feed.c.xid, change_feed.c.seq)
# the history of one entity: what `explain` tells, and what a newer row has replaced
Index("change_feed_entity_id_idx", change_feed.c.entity_id)
Index("change_feed_urgent_idx", change_feed.c.xid, change_feed.c.seq, postgresql_where=change_feed.c.urgent)

flow_state = Table(
    "flow_state",
    metadata,
    Column("system", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("cursor", JSONB),
    Column("feed_xid", BigInteger, nullable=False, server_default=text("0")),
    Column("feed_seq", BigInteger, nullable=False, server_default=text("0")),
    # of a push: up to here its urgent changes are queued, ahead of the others
    Column("urgent_xid", BigInteger, nullable=False, server_default=text("0")),
    Column("urgent_seq", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("system", "flow"),
)

flow_run = Table(
    "flow_run",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("system", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("direction", Text, nullable=False),
    _when("started_at", nullable=False, now=True),
    _when("finished_at"),
    # running, ok, retry, refused, misconfigured, crashed
    Column("outcome", Text, nullable=False, server_default=text("'running'")),
    Column("counts", JSONB),
    Column("error", Text),
)
Index("flow_run_newest_idx", flow_run.c.system, flow_run.c.flow, flow_run.c.id.desc())

ledger = Table(
    "ledger",
    metadata,
    Column("system", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("entity_id", BigInteger, nullable=False),
    Column("entity_version", Integer, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("record", JSONB, nullable=False),
    Column("external_id", Text),
    Column("external_version", Text),
    Column("delivery_id", BigInteger, nullable=False),
    _when("accepted_at", nullable=False, now=True),
    PrimaryKeyConstraint("system", "flow", "key"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("system", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False, unique=True),
    # stored -> sending -> done; a delivery that ran out of attempts is `given_up`
    Column("state", Text, nullable=False, server_default=text("'stored'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("business_date", Text),
    _when("created_at", nullable=False, now=True),
    _when("finished_at"),
    # sent before the others, whoever is sending
    Column("urgent", Boolean, nullable=False, server_default=text("false")),
)
Index(
    "delivery_open_idx",
    delivery.c.system,
    delivery.c.flow,
    delivery.c.id,
    postgresql_where=delivery.c.finished_at.is_(None),
)

delivery_change = Table(
    "delivery_change",
    metadata,
    Column("delivery_id", BigInteger, ForeignKey("delivery.id", ondelete="CASCADE"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("entity_id", BigInteger, nullable=False),
    Column("entity_version", Integer, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("record", JSONB, nullable=False),
    Column("previous", JSONB),
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
    Column("verdict", Text),
    Column("reason", Text),
    Column("code", Text),
    Column("external_id", Text),
    PrimaryKeyConstraint("delivery_id", "n"),
)

delivery_attempt = Table(
    "delivery_attempt",
    metadata,
    Column("delivery_id", BigInteger, ForeignKey("delivery.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),
    _when("started_at", nullable=False, now=True),
    _when("finished_at"),
    Column("outcome", Text),
    Column("counts", JSONB),
    Column("error", Text),
    PrimaryKeyConstraint("delivery_id", "attempt"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("system", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("direction", Text, nullable=False),
    # decode, map, send
    Column("stage", Text, nullable=False),
    Column("mapping", Text, nullable=False, server_default=text("''")),
    # what the row is about: a record id or a delivery's key; of a row that could not be read "row:" and the digest of
    # its bytes, and "intake:7:12" for what is said of that page alone
    Column("subject", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("faults", JSONB, nullable=False),
    Column("intake_id", BigInteger),
    Column("positions", ARRAY(BigInteger), nullable=False, server_default=text("'{}'::bigint[]")),
    Column("entity_id", BigInteger),
    Column("delivery_id", BigInteger),
    Column("record", JSONB),
    Column("raw", LargeBinary),
    # open -> replayed | discarded | resolved (the record came again and went through)
    Column("state", Text, nullable=False, server_default=text("'open'")),
    Column("replays", Integer, nullable=False, server_default=text("0")),
    Column("resolution", Text),
    _when("created_at", nullable=False, now=True),
    _when("resolved_at"),
)
Index(
    "quarantine_open_subject_key",
    quarantine.c.system,
    quarantine.c.flow,
    quarantine.c.mapping,
    quarantine.c.subject,
    unique=True,
    postgresql_where=quarantine.c.state == "open",
)

# one row for each account and bucket: see hub/budget.py
rate_budget = Table(
    "rate_budget",
    metadata,
    Column("account", Text, nullable=False),
    Column("bucket", Text, nullable=False),
    Column("rate", Double, nullable=False),
    Column("burst", Double, nullable=False),
    # the budget is used up to this moment; it lies ahead of now while somebody waits for a turn
    _when("used_until", nullable=False),
    # the other side wanted no call before
    _when("held_until"),
    Column("granted", BigInteger, nullable=False, server_default=text("0")),
    Column("waited", Double, nullable=False, server_default=text("0")),
    Column("penalties", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("account", "bucket"),
)

account_token = Table(
    "account_token",
    metadata,
    Column("name", Text, primary_key=True),
    # encrypted: see hub/tokens.py
    Column("sealed", LargeBinary, nullable=False),
    _when("saved_at", nullable=False, now=True),
)

import hub.store.api_tables  # noqa: E402
import hub.store.erasure_tables  # noqa: E402
import hub.store.people_tables  # noqa: E402
import hub.store.reconcile_tables  # noqa: E402
import hub.store.stock_tables  # noqa: E402  (its tables belong to the same metadata)
import hub.store.subscriber_tables  # noqa: E402, F401
