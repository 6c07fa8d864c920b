"""Taking in many events as one page: a burst of webhooks costs little more than one of them.

Each record still knows the event it came in, so origins, quarantine and replay are the same as one by one. Of several
events about one record only the newest is mapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, text

from connectors.contract import Record, Source
from hub.erasure.guard import open_guard
from hub.erasure.pages import blank_rows
from hub.intake import event_records, load_intake
from hub.quarantine import waiting_keys
from hub.takein import Setting, TakenIn, take_in_records
from mappings import Mapping as RecordMapping

__all__ = ["may_go_together", "take_in_events"]

_FINISH = text("""
    UPDATE intake SET state = 'processed', processed_at = now(), counts = jsonb_build_object('records', u.records)
    FROM unnest(CAST(:ids AS bigint[]), CAST(:records AS int[])) AS u(id, records) WHERE intake.id = u.id
""")


def may_go_together(mappings: Sequence[RecordMapping]) -> bool:
    """Whether the flow's records stand each for itself: rows of a group must stay with their page."""
    return all(mapping.tree.group_by is None for mapping in mappings)


def take_in_events(
    engine: Engine,
    intake_ids: Sequence[int],
    source: Source,
    *,
    system: str,
    flow: str,
    mappings: Sequence[RecordMapping],
    context: Mapping[str, Any],
    authority: Mapping[str, Mapping[str, str]],
) -> TakenIn:
    """Take in the records of these events, oldest first, and mark the events as finished."""
    with engine.connect() as connection:
        bodies = event_records(connection, intake_ids)
        waiting = waiting_keys(connection, system=system, flow=flow, before=intake_ids[0])
        guard = open_guard(connection)
    places = [(event, n) for event in intake_ids for n in range(len(bodies.get(event, ())))]

    def records() -> Iterator[Record]:
        return (Record(bodies[event][n], position) for position, (event, n) in enumerate(places))

    result = TakenIn()
    for number, mapping in enumerate(mappings):
        setting = Setting(
            engine, system, flow, context, authority, mapping, source.key, intake_ids[0], number == 0,
            waiting=waiting if number == 0 else frozenset(), order=source.order, places=places,
            guard=guard,
        )  # fmt: skip
        result.join(take_in_records(setting, records()))
    with engine.begin() as connection:
        gone = [places[position] for position in result.blank - result.keep]
        for event in sorted({event for event, _ in gone}):
            item = load_intake(connection, event)
            blank_rows(connection, item, source, None, [n for one, n in gone if one == event])
        counts = [len(bodies.get(event, ())) for event in intake_ids]
        connection.execute(_FINISH, {"ids": list(intake_ids), "records": counts})
    return result
