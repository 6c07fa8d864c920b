"""Stock into Square: absolute counts (PHYSICAL_COUNT), up to a hundred in one call.

Square orders what it is told by `occurred_at`: sales made after a count was taken are taken off again, however late
the count arrives. So a count carries the time at which its number was true, and must not be dated earlier than a sale
that the number already holds. Where the record does not say (or says one Square no longer takes, older than a day), it
is now; a second attempt then looks first whether the first one arrived, because counting anew would swallow the sales
between the two.
Facts: Square's OpenAPI (BatchChangeInventory, InventoryPhysicalCount.occurred_at), Inventory API guide "How it works".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints

from connectors.contract import Batch, Call, Change, Outcome, Refused, Retry
from connectors.outcomes import Row as SinkRow, read_record
from connectors.square.api import Api, error_of, idempotency_key, in_parts
from connectors.square.config import SquareConfig
from connectors.square.outcomes import failed
from connectors.square.places import id_of
from connectors.square.walk import wire_time

__all__ = ["CHANGES_A_CALL", "CountRow", "already_counted", "put_counts"]

CHANGES_A_CALL = 100
_OLDEST = timedelta(hours=23, minutes=50)
_BEHIND = timedelta(seconds=2)
"""Square refuses times in its future; where its clock is behind ours, counts of now are dated so much earlier."""
_LOOK_BACK = timedelta(hours=25)
_PLACE = re.compile(r"changes\[(\d+)\]|changes\.(\d+)")


class CountRow(SinkRow):
    """Units of one variation at one location.

    quantity     what lies there and may be sold; a whole number of at least 0
    location     the hub's name of the location (settings `locations`), or `location_id`, Square's id; may be left out
                 where the settings name one location only
    occurred_at  when the number was true
    """

    catalog_object_id: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    quantity: Annotated[int, Field(ge=0, le=10**9)]
    location: str | None = None
    location_id: str | None = None
    occurred_at: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class _Count:
    change: Change
    place: tuple[str, str]
    """Variation and location."""
    quantity: int
    reference: str
    counted_at: datetime | None
    """None: now."""

    def body(self, now: datetime) -> dict[str, Any]:
        """The change as Square takes it."""
        moment = now if self.counted_at is None else min(self.counted_at, now)
        return {
            "type": "PHYSICAL_COUNT",
            "physical_count": {
                "reference_id": self.reference,
                "catalog_object_id": self.place[0],
                "state": "IN_STOCK",
                "location_id": self.place[1],
                "quantity": str(self.quantity),
                "occurred_at": wire_time(moment, "microseconds"),
            },
        }


def put_counts(call: Call[SquareConfig], batch: Batch) -> Iterator[Outcome]:
    """Write counts. A bad one is refused, the others of its call are sent again without it."""
    api = Api(call)
    counts: dict[tuple[str, str], _Count] = {}
    for change in batch:
        try:
            count = _count(call, batch, change)
        except Refused as error:
            yield failed(change, error)
            continue
        other = counts.get(count.place)
        if other is not None:
            reason = (
                f"同じSKUと店舗が2回あります（{other.change.key}）。 / this batch counts the same variation at the same"
                f" location twice (also as {other.change.key})"
            )
            yield Outcome.refused(change.key, reason, code="duplicate")
            continue
        counts[count.place] = count
    waiting = list(counts.values())
    for start in range(0, len(waiting), CHANGES_A_CALL):
        yield from _send(api, batch, waiting[start : start + CHANGES_A_CALL])


def already_counted(call: Call[SquareConfig], batch: Batch) -> Iterator[Outcome]:
    """Which changes of the batch Square has: counts of the last day that carry their reference."""
    api = Api(call)
    wanted: dict[str, Change] = {}
    objects: list[str] = []
    for change in batch:
        try:
            row = read_record(CountRow, _record(change))
        except Refused:
            continue  # `put_counts` says so
        wanted[_reference(batch, change)] = change
        objects.append(row.catalog_object_id)
    for part in in_parts(objects, CHANGES_A_CALL):
        page: str | None = None
        while True:
            body = api.search(
                "/v2/inventory/changes/batch-retrieve",
                {
                    "catalog_object_ids": part,
                    "types": ["PHYSICAL_COUNT"],
                    "updated_after": wire_time(call.now() - _LOOK_BACK),
                    "cursor": page,
                },
            )
            for found in body.get("changes") or ():
                count = found.get("physical_count") or {}
                known = wanted.pop(count.get("reference_id") or "", None)
                if known is not None:
                    yield Outcome.done(
                        known.key,
                        external_id=count["catalog_object_id"],
                        external_version=count.get("created_at"),
                    )
            page = body.get("cursor") or None
            if page is None or not wanted:
                break


def _record(change: Change) -> Mapping[str, Any]:
    """The record; of something that is gone, a count of nothing."""
    return {**change.record, "quantity": 0} if change.deleted else change.record


def _count(call: Call[SquareConfig], batch: Batch, change: Change) -> _Count:
    row = read_record(CountRow, _record(change))
    told, now = row.occurred_at, call.now()
    return _Count(
        change,
        place=(row.catalog_object_id, id_of(call.config, change.record)),
        quantity=row.quantity,
        reference=_reference(batch, change),
        counted_at=None if told is None or not now - _OLDEST <= told <= now else told,
    )


def _reference(batch: Batch, change: Change) -> str:
    """Tells one change of one delivery, at every attempt. The hub marks a part of a batch behind a dot of its key."""
    delivery = batch.idempotency_key.partition(".")[0]
    text = f"{delivery}\n{change.key}\n{change.version}"
    return "tsunagi-" + hashlib.sha256(text.encode()).hexdigest()[:40]


def _send(
    api: Api, batch: Batch, counts: Sequence[_Count], behind: timedelta = timedelta(0)
) -> Iterator[Outcome]:
    """One call. Square takes it as a whole or not at all; where it names no culprit, the halves are tried."""
    if not counts:
        return
    now = api.call.now() - behind
    # unchanged counts must be written too: 5, sold to 4, counted 5 again is a change
    body = {"changes": [count.body(now) for count in counts], "ignore_unchanged_counts": False}
    try:
        answer = api.write(
            "/v2/inventory/changes/batch-create",
            {"idempotency_key": idempotency_key(batch, body), **body},
            partial=True,
        )
        if answer.get("errors"):
            raise error_of(answer["errors"])
    except Retry as error:
        yield from (failed(count.change, error) for count in counts)
        return
    except Refused as error:
        if error.code == "invalid_time" and not behind:
            yield from _send(api, batch, counts, _BEHIND)
            return
        if len(counts) == 1:
            yield failed(counts[0].change, error)
            return
        wrong = {n for n in _named(str(error)) if n < len(counts)}
        if wrong:
            yield from (failed(counts[n].change, error) for n in sorted(wrong))
            yield from _send(api, batch, [count for n, count in enumerate(counts) if n not in wrong], behind)
            return
        middle = len(counts) // 2
        yield from _send(api, batch, counts[:middle], behind)
        yield from _send(api, batch, counts[middle:], behind)
        return
    told = {
        (each.get("catalog_object_id"), each.get("location_id")): each.get("calculated_at")
        for each in answer.get("counts") or ()
        if each.get("state") == "IN_STOCK"
    }
    for count in counts:
        yield Outcome.done(
            count.change.key, external_id=count.place[0], external_version=told.get(count.place)
        )


def _named(said: str) -> Iterator[int]:
    """The changes an error's `field` names ("changes[3].physical_count.location_id")."""
    for found in _PLACE.finditer(said):
        yield int(found[1] or found[2])
