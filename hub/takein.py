"""Taking in: from a stored page to entities. Decode, skip what is known, map, validate, merge, write.

A crash at any point is mended by taking the same page in again: unchanged records are skipped by their hash,
and unchanged contents write nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine

from connectors.contract import Deletes, Fault, Record, Source
from hub.drafting import record_id_of
from hub.erasure.guard import open_guard
from hub.erasure.pages import blank_rows
from hub.intake import Intake, decode
from hub.progress import Counter
from hub.quarantine import close_rest, waiting_keys
from hub.takein_sheet import take_in_sheet
from hub.takein_terms import UNWATCHED, Setting, TakenIn
from hub.takein_units import CHUNK, take_in_records
from mappings import Mapping as RecordMapping

__all__ = ["CHUNK", "Setting", "TakenIn", "record_id_of", "take_in", "take_in_records"]


def take_in(
    engine: Engine,
    item: Intake,
    source: Source,
    config: Any,
    *,
    mappings: Sequence[RecordMapping],
    context: Mapping[str, Any],
    authority: Mapping[str, Mapping[str, str]],
    replay: bool = False,
    only: frozenset[int] | None = None,
    counter: Counter = UNWATCHED,
) -> TakenIn:
    """Take a stored page in through every mapping of its flow. The caller then marks it as finished.

    `replay` takes a page in again, whole or `only` the units at these positions.
    """

    def records() -> Iterator[Record | Fault]:
        return decode(engine, item, source, config)

    with engine.connect() as connection:
        waiting = waiting_keys(connection, system=item.system, flow=item.flow, before=item.id)
        guard = open_guard(connection)
    result = TakenIn()
    for number, mapping in enumerate(mappings):
        setting = Setting(
            engine,
            item.system,
            item.flow,
            context,
            authority,
            mapping,
            source.key,
            item.id,
            number == 0,
            name=item.name or "",
            replay=replay,
            only=only,
            waiting=waiting if number == 0 else frozenset(),
            order=source.order,
            listing=number == 0 and source.deletes is Deletes.ABSENCE,
            counter=counter,
            guard=guard,
        )
        taken = take_in_sheet(setting, item, source, config)
        if taken is None:
            # a group whose rows do not stand together must be known before its first part is taken in
            apart = mapping.rows_apart(records(), context)
            taken = take_in_records(setting, records(), apart)
        result.join(taken)
    with engine.begin() as connection:
        blank_rows(connection, item, source, config, result.blank - result.keep)
        close_rest(
            connection, system=item.system, flow=item.flow, intake_id=item.id, again=result.again,
            overtaken=result.overtaken, only=only, replayed=replay,
        )  # fmt: skip
    return result
