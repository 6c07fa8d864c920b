"""Decisions of persons on pairs of customers, and forgetting a customer. Who, when and why are kept with each.

Every function runs in the caller's transaction, which must not have written yet (`forget` excepted, see there), and
brings the persons concerned up to date before it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from hub.feed import enter_feed, in_feed
from hub.people.persons import Survivors, alone, groups, settle
from hub.words import HubError

__all__ = ["CannotDecide", "NoSuchPair", "accept", "forget", "reject", "undo"]


class NoSuchPair(HubError):
    """There is no pair of that number; perhaps the data changed and no rule speaks of it any more."""

    def __init__(self, pair_id: int) -> None:
        super().__init__(
            f"候補 {pair_id} はありません(データが変わり、対象外になったのかもしれません)。tsunagi people queue で確認"
            "してください。",
            f"There is no pair {pair_id}; the data may have changed since. See tsunagi people queue.",
        )


class CannotDecide(HubError):
    """The decision contradicts the state of the pair or an earlier decision."""


_PAIR = text("SELECT * FROM people_pair WHERE id = :id FOR UPDATE")
_DECIDE = text("""
    WITH decided AS (
        UPDATE people_pair SET state = :state, automatic = false, survivor_id = :survivor, doubts = '{}',
                               decided_at = now()
        WHERE id = :id RETURNING id, rules
    )
    INSERT INTO people_decision (pair_id, action, decided_by, reason, rules)
    SELECT id, :action, :by, :reason, rules FROM decided
""")
_APART = text("""
    SELECT id FROM people_pair WHERE state = 'rejected' AND id <> :id
    AND ((one_id = ANY(:ones) AND other_id = ANY(:others)) OR (one_id = ANY(:others) AND other_id = ANY(:ones)))
    ORDER BY id LIMIT 1
""")
_KEY = text("SELECT key FROM entity WHERE id = :id AND kind = 'customer'")
_GONE = text("SELECT key FROM entity WHERE id = ANY(:ids) AND deleted_at IS NOT NULL ORDER BY key LIMIT 1")


def _begin(connection: Connection, pair_id: int) -> Any:
    enter_feed(connection)
    alone(connection)
    pair = connection.execute(_PAIR, {"id": pair_id}).one_or_none()
    if pair is None:
        raise NoSuchPair(pair_id)
    return pair


def accept(
    connection: Connection,
    pair_id: int,
    *,
    by: str,
    survivors: Survivors,
    reason: str = "",
    survivor: str | None = None,
) -> int:
    """The two are one person; with what they are linked to already. `survivor` is the key of the one to survive.

    A pair that was rejected before may be accepted: a person changed their mind; a link made by rules is confirmed.
    Returns how many customers changed.
    Raises NoSuchPair, or CannotDecide when they are one person already, or are kept apart by another decision.
    """
    pair = _begin(connection, pair_id)
    if gone := connection.scalar(_GONE, {"ids": [pair.one_id, pair.other_id]}):
        raise CannotDecide(f"{gone} は削除されています。", f"{gone} has been deleted.")
    if not (pair.state == "linked" and pair.automatic):  # a person may confirm what rules did
        _may_join(connection, pair)
    chosen = None
    if survivor is not None:
        keys = {connection.scalar(_KEY, {"id": side}): side for side in (pair.one_id, pair.other_id)}
        if survivor not in keys:
            there = "、".join(map(str, keys)), " or ".join(map(str, keys))
            raise CannotDecide(
                f"統合先は {there[0]} のどちらかです(「{survivor}」)。",
                f"The survivor is {there[1]}, not {survivor!r}.",
            )
        chosen = keys[survivor]
    _decide(connection, pair_id, "linked", "accepted", by, reason, chosen)
    return settle(connection, [pair.one_id], survivors)


def _may_join(connection: Connection, pair: Any) -> None:
    ones, others = (_together(connection, side) for side in (pair.one_id, pair.other_id))
    if pair.other_id in ones:
        raise CannotDecide(
            f"候補 {pair.id} の2人はすでに同一人物です。", f"Pair {pair.id}: the two are one person already."
        )
    if apart := connection.scalar(_APART, {"id": pair.id, "ones": ones, "others": others}):
        raise CannotDecide(
            f"候補 {apart} で別人と判定されているため、つなげません。先に候補 {apart} を見直してください。",
            f"Pair {apart} says that they are different persons. Look at pair {apart} first.",
        )


def reject(connection: Connection, pair_id: int, *, by: str, reason: str) -> None:
    """The two are not one person, and are never offered again. Raises NoSuchPair, CannotDecide (a link: `undo`)."""
    pair = _begin(connection, pair_id)
    if pair.state == "linked":
        raise CannotDecide(
            f"候補 {pair_id} はすでにつながっています。tsunagi people undo {pair_id} を使ってください。",
            f"Pair {pair_id} is linked. Use tsunagi people undo {pair_id}.",
        )
    if pair.state == "rejected":
        raise CannotDecide(
            f"候補 {pair_id} はすでに別人と判定されています。",
            f"Pair {pair_id} has been rejected already.",
        )
    if pair.other_id in _together(connection, pair.one_id):
        raise CannotDecide(
            f"候補 {pair_id} の2人はほかのリンクで同一人物になっています。tsunagi people show で確認し、そのリンクを"
            "取り消してください。",
            f"Pair {pair_id}: other links make the two one person. See tsunagi people show and undo one of those.",
        )
    _decide(connection, pair_id, "rejected", "rejected", by, reason, None)


def undo(connection: Connection, pair_id: int, *, by: str, reason: str, survivors: Survivors) -> int:
    """Take a link back: everything is as it was before, and the pair is remembered as not the same.

    Returns how many customers changed. Raises NoSuchPair, or CannotDecide when the pair is not linked.
    """
    pair = _begin(connection, pair_id)
    if pair.state != "linked":
        raise CannotDecide(
            f"候補 {pair_id} はつながっていないので、取り消すものがありません。",
            f"Pair {pair_id} is not linked; there is nothing to undo.",
        )
    _decide(connection, pair_id, "rejected", "undone", by, reason, None)
    return settle(connection, [pair.one_id, pair.other_id], survivors)


def _together(connection: Connection, entity_id: int) -> list[int]:
    (members,) = groups(connection, [entity_id])
    return members


def _decide(
    connection: Connection, pair_id: int, state: str, action: str, by: str, reason: str, survivor: int | None
) -> None:
    connection.execute(
        _DECIDE,
        {"id": pair_id, "state": state, "action": action, "by": by, "reason": reason.strip(), "survivor": survivor},
    )  # fmt: skip


# ---------------------------------------------------------------- forgetting

_LINKED_TO = text("""
    SELECT one_id + other_id - s.id AS id FROM unnest(CAST(:ids AS bigint[])) AS s(id)
    JOIN people_pair ON state = 'linked' AND (one_id = s.id OR other_id = s.id)
""")
_FORGET_PAIRS = text("DELETE FROM people_pair WHERE one_id = ANY(:ids) OR other_id = ANY(:ids)")
_FORGET_COLUMNS = text("DELETE FROM people_customer WHERE entity_id = ANY(:ids)")


def forget(
    connection: Connection, customer_entity_ids: Sequence[int], *, survivors: Survivors | None = None
) -> int:
    """Erase the matching columns, pairs, decisions and links of customers; returns how many rows are gone.

    Whoever was linked to them stands for itself again, and shows no key of theirs. The customers' own content is
    freed of what links laid over it. In the caller's transaction, best before its other writes: a turn of matching may
    hold the room and want the rows. One that wrote already must have begun with `enter_feed`, else RuntimeError.
    """
    ids = sorted(set(customer_entity_ids))
    if not ids:
        return 0
    if not in_feed(connection):
        enter_feed(connection)
    alone(connection)
    neighbours = set(connection.scalars(_LINKED_TO, {"ids": ids}))
    rows = connection.execute(_FORGET_PAIRS, {"ids": ids}).rowcount
    rows += connection.execute(_FORGET_COLUMNS, {"ids": ids}).rowcount
    settle(connection, neighbours.union(ids), survivors or Survivors())
    return rows
