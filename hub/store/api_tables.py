"""The tables of the API: who may use it, and indexes for what is searched by. See docs/api.md."""

from __future__ import annotations

from sqlalchemy import ARRAY, Column, DateTime, Index, LargeBinary, Table, Text, func, text

from hub.store.tables import entity, metadata

__all__ = ["api_key"]

# a key is shown once, when it is made; what is kept of it is its SHA-256
api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
)
Index("api_key_name_key", api_key.c.name, unique=True, postgresql_where=api_key.c.revoked_at.is_(None))

_ORDERS, _CUSTOMERS = text("kind = 'order'"), text("kind = 'customer'")
Index("entity_updated_idx", entity.c.kind, entity.c.updated_at)
Index("entity_order_number_idx", text("(content ->> 'number')"), _table=entity, postgresql_where=_ORDERS)
Index(
    "entity_order_customer_idx", text("(content ->> 'customer_key')"), _table=entity, postgresql_where=_ORDERS
)
Index(
    "entity_email_idx", text("(content -> 'emails')"), _table=entity, postgresql_using="gin",
    postgresql_where=_CUSTOMERS,
)  # fmt: skip
Index(
    "entity_phone_idx", text("(content -> 'phones')"), _table=entity, postgresql_using="gin",
    postgresql_where=_CUSTOMERS,
)  # fmt: skip
Index(
    "entity_variant_idx", text("jsonb_path_query_array(content, '$.\"variants\"[*].\"sku\"')"), _table=entity,
    postgresql_using="gin", postgresql_where=text("kind = 'product'"),
)  # fmt: skip
