"""Orders are derived from facts: shipments, returns and payments that name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, text

from canonical_model.content import dump_json
from canonical_model.derive import OrderFacts, derive_order
from canonical_model.entity import entity_model

if TYPE_CHECKING:
    from hub.entities import Draft

__all__ = ["FACTS", "derive_orders", "order_facts_lock"]

FACTS = frozenset({"shipment", "return", "payment", "refund"})
"""Entity kinds whose `order_key` says which order's state they decide."""

_FACTS_OF = text(
    "SELECT kind, content FROM entity WHERE kind IN ('shipment', 'return', 'payment', 'refund') AND deleted_at IS NULL "
    "AND content ->> 'order_key' = ANY(:keys) ORDER BY id"
)
_ORDERS_AND_FACTS = 0x7453_4F46
_LOCK_SHARED = text("SELECT pg_advisory_xact_lock_shared(:lock)")
_LOCK_ALONE = text("SELECT pg_advisory_xact_lock(:lock)")


def order_facts_lock(connection: Connection, kind: str) -> None:
    """Writers of orders run beside each other, but not beside a writer of facts, until they commit.

    Without it an order and its first shipment, written at the same moment, would not see each other.
    """
    if kind == "order" or kind in FACTS:
        connection.execute(_LOCK_SHARED if kind == "order" else _LOCK_ALONE, {"lock": _ORDERS_AND_FACTS})


def derive_orders(connection: Connection, drafts: Sequence[Draft], *, always: bool = False) -> None:
    """Put the quantities and the three status axes into the drafts of orders that facts are known of.

    `always` derives the others too: they may have had a fact that is gone.
    """
    facts: dict[str, dict[str, list[Any]]] = {}
    for row in connection.execute(_FACTS_OF, {"keys": [draft.key for draft in drafts]}):
        model = entity_model(row.kind).model_validate(row.content)
        facts.setdefault(row.content["order_key"], {}).setdefault(row.kind, []).append(model)
    order_model = entity_model("order")
    for draft in drafts:
        known = facts.get(draft.key, {})
        if not known and not always:
            continue
        order = order_model.model_validate(orjson.loads(draft.content))
        draft.content = dump_json(
            derive_order(
                order,  # type: ignore[arg-type]
                OrderFacts(
                    shipments=tuple(known.get("shipment", ())),
                    returns=tuple(known.get("return", ())),
                    payments=tuple(known.get("payment", ())),
                    refunds=tuple(known.get("refund", ())),
                ),
            )
        )
