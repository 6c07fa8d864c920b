"""A count of an earlier moment never takes the place of a later one, whatever order the two come in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from hub.entities import Draft

__all__ = ["hold_back_older", "note_counted_again"]

_AS_OF = text("""
    SELECT key, (content ->> 'as_of')::timestamptz AS as_of FROM entity
    WHERE kind = 'stock_position' AND key = ANY(:keys) AND content ? 'as_of' AND system = :system AND deleted_at IS NULL
""")


def hold_back_older(
    connection: Connection, system: str, drafts: Iterable[Draft], newest: dict[str, Draft]
) -> None:
    """Let `newest` hold, of each stock position, the draft of the latest moment, and none that is stored already later.

    Only the system's own word is compared: two systems may look at different moments.
    """
    moments: dict[str, datetime] = {}
    for draft in drafts:
        moment = _moment(draft)
        if moment is not None and (draft.key not in moments or moment >= moments[draft.key]):
            moments[draft.key] = moment
            newest[draft.key] = draft
    if not moments:
        return
    for row in connection.execute(_AS_OF, {"keys": list(moments), "system": system}):
        if moments[row.key] < row.as_of:
            del newest[row.key]


def _moment(draft: Draft) -> datetime | None:
    content: Mapping[str, str] = orjson.loads(draft.content)
    told = content.get("as_of")
    return None if told is None else datetime.fromisoformat(told)


_COUNTED_AGAIN = text("""
    INSERT INTO stock_dirty (sku) SELECT DISTINCT sku FROM stock_demand WHERE sku = ANY(CAST(:skus AS text[]))
""")


def note_counted_again(connection: Connection, drafts: Iterable[Draft]) -> None:
    """A count that came again is newer though it says the same: open orders of its SKU may be booked by now."""
    skus = {orjson.loads(draft.content).get("sku") for draft in drafts}
    if found := sorted(sku for sku in skus if sku):
        connection.execute(_COUNTED_AGAIN, {"skus": found})
