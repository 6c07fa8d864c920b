"""Alembic's entry: migrations run on the connection the store hands over, never on their own."""

from __future__ import annotations

from alembic import context

from hub.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
