"""The tables of outgoing webhooks. What they are for is said in docs/subscribers.md."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from hub.store.tables import metadata

__all__ = ["subscriber", "subscriber_attempt", "subscriber_message", "subscriber_secret"]

_ZERO = text("0")


def _when(name: str, *, now: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=not now, server_default=func.now() if now else None)


subscriber = Table(
    "subscriber",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("kinds", ARRAY(Text), nullable=False),
    # empty: all
    Column("channels", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    # thin, full, or default: thin where an entity may hold personal data
    Column("content", Text, nullable=False, server_default=text("'default'")),
    # active, paused, given_up
    Column("state", Text, nullable=False, server_default=text("'active'")),
    Column("reason", Text),
    Column("at_once", Integer, nullable=False, server_default=text("4")),
    # where it has read the change feed to
    Column("feed_xid", BigInteger, nullable=False, server_default=_ZERO),
    Column("feed_seq", BigInteger, nullable=False, server_default=_ZERO),
    # failed attempts since the last accepted one, pauses since then, and until when the present one lasts
    Column("failures", Integer, nullable=False, server_default=_ZERO),
    Column("pauses", Integer, nullable=False, server_default=_ZERO),
    _when("failing_since"),
    _when("not_before"),
    _when("accepted_at"),
    _when("created_at", now=True),
)

# while a secret is being replaced there are several; each signs until it expires
subscriber_secret = Table(
    "subscriber_secret",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "subscriber_id",
        BigInteger,
        ForeignKey("subscriber.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    # encrypted: see hub/subscribers/sealed.py
    Column("sealed", LargeBinary, nullable=False),
    _when("created_at", now=True),
    _when("expires_at"),
)

# The entity's key is not kept here: a message that waits says what the entity is called when it is sent.
subscriber_message = Table(
    "subscriber_message",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("subscriber_id", BigInteger, ForeignKey("subscriber.id", ondelete="CASCADE"), nullable=False),
    # the `webhook-id`: the same on every attempt
    Column(
        "event_id",
        Text,
        nullable=False,
        unique=True,
        server_default=text("'msg_' || replace(gen_random_uuid()::text, '-', '')"),
    ),
    # NULL: a ping
    Column("entity_id", BigInteger),
    Column("kind", Text, nullable=False),
    # whole messages take version and content from the entity at their first attempt, and keep them from then on
    Column("whole", Boolean, nullable=False, server_default=text("false")),
    Column("version", Integer),
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
    Column("content", JSONB),
    _when("changed_at"),
    # waiting -> accepted | dead | overtaken (a newer one was sent) | forgotten (its person was erased)
    Column("state", Text, nullable=False, server_default=text("'waiting'")),
    Column("attempts", Integer, nullable=False, server_default=_ZERO),
    _when("next_at", now=True),
    # set by the first attempt: one that fails later is the last
    _when("retry_until"),
    _when("created_at", now=True),
    _when("finished_at"),
)
_WAITING = subscriber_message.c.state == "waiting"
Index(
    "subscriber_message_waiting_idx",
    subscriber_message.c.subscriber_id,
    subscriber_message.c.id,
    postgresql_where=_WAITING,
)
Index(
    "subscriber_message_entity_idx",
    subscriber_message.c.entity_id,
    subscriber_message.c.subscriber_id,
    subscriber_message.c.id,
)
Index(
    "subscriber_message_dead_idx",
    subscriber_message.c.subscriber_id,
    subscriber_message.c.id,
    postgresql_where=subscriber_message.c.state == "dead",
)

subscriber_attempt = Table(
    "subscriber_attempt",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "message_id",
        BigInteger,
        ForeignKey("subscriber_message.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("subscriber_id", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    _when("started_at", now=True),
    # NULL: under way, or the sender ended before it knew
    _when("finished_at"),
    Column("status", Integer),
    Column("ms", Integer),
    # the beginning of the answer, masked
    Column("answer", Text),
    Column("error", Text),
)
Index("subscriber_attempt_newest_idx", subscriber_attempt.c.subscriber_id, subscriber_attempt.c.id)
