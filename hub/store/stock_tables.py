"""The tables of the stock room. What each means is said in docs/stock.md.

`stock_reservation` and `stock_oversold` are facts of their own. Everything else is derived from entities, system
files and deliveries, and comes out the same when it is made anew.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Interval,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)

from hub.store.tables import entity, intake, ledger, metadata

__all__ = [
    "stock_counter",
    "stock_demand",
    "stock_dirty",
    "stock_free",
    "stock_kit",
    "stock_location",
    "stock_oversold",
    "stock_pool_location",
    "stock_pool_places",
    "stock_reservation",
    "stock_rule",
]

_FALSE, _TRUE, _ZERO = text("false"), text("true"), text("0")
_MOVEMENTS = text("kind = 'stock_movement'")

Index("ledger_entity_idx", ledger.c.entity_id)
Index("intake_flow_idx", intake.c.system, intake.c.flow, intake.c.id)
Index(
    "entity_movement_idx",
    text("(content ->> 'sku')"),
    text("(content ->> 'occurred_at')"),
    _table=entity,
    postgresql_where=_MOVEMENTS,
)
Index(
    "entity_movement_order_idx", text("(content ->> 'order_key')"), _table=entity, postgresql_where=_MOVEMENTS
)

# ---------------------------------------------------------------- what system files and locations say

stock_location = Table(
    "stock_location",
    metadata,
    Column("location", Text, primary_key=True),
    Column("online", Boolean, nullable=False, server_default=_TRUE),
    Column("pickup", Boolean, nullable=False, server_default=_FALSE),
    Column("safety_stock", BigInteger, nullable=False, server_default=_ZERO),
)

# how a channel ('*': any other) shows a SKU ('': any other); `places` names the locations it sells from
stock_rule = Table(
    "stock_rule",
    metadata,
    Column("channel", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("places", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("buffer", BigInteger, nullable=False),
    Column("share", BigInteger, nullable=False),  # ten-thousandths
    Column("leave", BigInteger, nullable=False),
    Column("at_most", BigInteger, nullable=False),
    Column("everything", Boolean, nullable=False),
    PrimaryKeyConstraint("channel", "sku"),
)

# systems that count stock: from when their counts hold an order
stock_counter = Table(
    "stock_counter",
    metadata,
    Column("system", Text, primary_key=True),
    Column("channel", Text),
    Column("flow", Text),
    Column("books_after", Interval, nullable=False),
    Column("count_age", Interval, nullable=False),
)

stock_pool_location = Table(
    "stock_pool_location",
    metadata,
    Column("pool", Text, nullable=False),
    Column("location", Text, nullable=False),
    PrimaryKeyConstraint("pool", "location"),
)

# the pools that hold all of these places: what is promised from the places counts in each of them
stock_pool_places = Table(
    "stock_pool_places",
    metadata,
    Column("pool", Text, nullable=False),
    Column("places", Text, nullable=False),
    PrimaryKeyConstraint("pool", "places"),
)

# `stocked`: the kit is counted as a thing of its own, so its parts are not looked at
stock_kit = Table(
    "stock_kit",
    metadata,
    Column("kit", Text, nullable=False),
    Column("part", Text, nullable=False, index=True),
    Column("units", BigInteger, nullable=False),
    Column("product_id", BigInteger, nullable=False, index=True),
    Column("stocked", Boolean, nullable=False, server_default=_FALSE),
    PrimaryKeyConstraint("kit", "part"),
)

# ---------------------------------------------------------------- what is promised

# units of orders that the counts may not hold yet; `place` is a location the order names, or ''
stock_demand = Table(
    "stock_demand",
    metadata,
    Column("order_id", BigInteger, nullable=False),
    Column("sku", Text, nullable=False, index=True),
    Column("place", Text, nullable=False),
    Column("order_key", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("ordered_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("order_id", "sku", "place"),
)

stock_reservation = Table(
    "stock_reservation",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("origin", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("location", Text),
    Column("order_key", Text),
    # open -> confirmed -> ordered (its order has come); open -> expired; open, confirmed -> released
    Column("state", Text, nullable=False, server_default=text("'open'")),
    Column("expires_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("closed_at", DateTime(timezone=True)),
)
_STANDING = text("state IN ('open', 'confirmed')")
Index("stock_reservation_sku_idx", stock_reservation.c.sku, postgresql_where=_STANDING)
Index("stock_reservation_order_idx", stock_reservation.c.order_key, postgresql_where=_STANDING)
Index(
    "stock_reservation_expires_idx", stock_reservation.c.expires_at, postgresql_where=text("state = 'open'")
)

# ---------------------------------------------------------------- what is left

# a SKU in a pool of locations; whoever changes `free` holds the row until it commits
stock_free = Table(
    "stock_free",
    metadata,
    Column("sku", Text, nullable=False),
    Column("pool", Text, nullable=False),
    Column("on_hand", BigInteger, nullable=False),
    Column("moved", BigInteger, nullable=False),
    Column("allocated", BigInteger, nullable=False),
    Column("safety_stock", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("unbooked", BigInteger, nullable=False),
    Column("free", BigInteger, nullable=False),
    Column("backorderable", Boolean, nullable=False),
    PrimaryKeyConstraint("sku", "pool"),
    # room for the next version beside the last: then no index has to be told
    postgresql_with={"fillfactor": 70},
)

# SKUs to look at in the next turn; appended only, so that nobody waits for another's row
stock_dirty = Table(
    "stock_dirty",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("sku", Text, nullable=False, index=True),
)

stock_oversold = Table(
    "stock_oversold",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("order_id", BigInteger, nullable=False),
    Column("order_key", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("flagged_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("resolved_at", DateTime(timezone=True)),
)
Index(
    "stock_oversold_open_key",
    stock_oversold.c.sku,
    stock_oversold.c.order_id,
    unique=True,
    postgresql_where=stock_oversold.c.resolved_at.is_(None),
)
