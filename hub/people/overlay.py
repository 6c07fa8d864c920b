"""What links lay over a customer: into whom it was merged, and every "no" any of the person's customers ever said.

A customer's content is what its systems say with this on top, as an order's state is derived from facts. What the
systems themselves say there is kept beside it (`people_member.own`), so that a link can be taken back without a trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, text

from canonical_model.content import dump_json
from canonical_model.entity import entity_model

if TYPE_CHECKING:
    from hub.entities import Draft

__all__ = ["FIELDS", "denials", "laid_over", "lay_links_over", "own_part", "without_overlay"]

FIELDS = ("merged_into", "consents")
"""The fields of a customer that links touch."""

Content = Mapping[str, Any]

_MEMBERS = text("""
    SELECT e.key, m.entity_id, m.overlay, m.own FROM entity AS e JOIN people_member AS m ON m.entity_id = e.id
    WHERE e.kind = 'customer' AND e.key = ANY(:keys)
""")
_SAY = text("UPDATE people_member SET own = CAST(:own AS jsonb) WHERE entity_id = :id")


def own_part(content: Content) -> dict[str, Any]:
    """What a content says in the fields that links touch."""
    return {name: content[name] for name in FIELDS if name in content}


def without_overlay(content: Content, own: Content) -> dict[str, Any]:
    """A content with what its systems themselves say in the fields that links touch."""
    return {name: value for name, value in content.items() if name not in FIELDS} | dict(own)


def laid_over(content: Content, overlay: Content) -> bytes:
    """The stored form of a content with an overlay on it. Without one it is what it was, to the byte."""
    result = dict(content)
    if into := overlay.get("merged_into"):
        result["merged_into"] = into
    if denied := overlay.get("denied"):
        result["consents"] = _strictest(result.get("consents", ()), denied)
    return dump_json(entity_model("customer").model_validate(result))


def _strictest(said: Iterable[Content], denied: Sequence[Content]) -> list[Content]:
    """A no stays as it was said; a yes on a channel somebody refused becomes that refusal."""
    refused = {each["channel"]: each for each in denied}
    kept = list(said)
    own_no = {each["channel"] for each in kept if not each["granted"]}
    result = [each for each in kept if each["channel"] not in refused or not each["granted"]]
    return result + [refused[channel] for channel in sorted(refused) if channel not in own_no]


def denials(contents: Iterable[tuple[str, Content]]) -> list[Content]:
    """Of (key, own content) of a person's customers: the newest refusal for each channel, in the channels' order."""
    newest: dict[str, tuple[str, str, Content]] = {}
    for key, content in contents:
        for each in content.get("consents", ()):
            if each["granted"]:
                continue
            found = (each.get("at") or "", key, each)
            if each["channel"] not in newest or newest[each["channel"]][:2] < found[:2]:
                newest[each["channel"]] = found
    return [newest[channel][2] for channel in sorted(newest)]


def lay_links_over(connection: Connection, drafts: Sequence[Draft]) -> None:
    """Put the overlay into drafts of customers that are linked, and remember what their systems say beneath it.

    Inside the transaction that holds the customers' rows.
    """
    keys = {draft.key: draft for draft in drafts}
    for row in connection.execute(_MEMBERS, {"keys": list(keys)}).all():
        content = orjson.loads(keys[row.key].content)
        own = own_part(content)
        if own != row.own:
            connection.execute(_SAY, {"id": row.entity_id, "own": orjson.dumps(own).decode()})
        keys[row.key].content = laid_over(content, row.overlay)
