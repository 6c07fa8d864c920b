"""Quarantine: records that could not be taken in, or were refused on the way out, with the reason and the bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson
from sqlalchemy import Connection, text

from connectors.contract import Fault
from hub.logs import mask
from hub.reports import QuarantineRow
from hub.store.database import digest
from mappings import FieldFault

__all__ = [
    "Refusal",
    "after_replay",
    "close_rest",
    "discard",
    "list_rows",
    "masked_fault",
    "open_subjects",
    "put_refusals",
    "refused_of",
    "refused_rows",
    "resolve_keys",
    "resolve_outgoing",
    "resolve_subjects",
    "show_row",
    "waiting_keys",
]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row to be put into quarantine."""

    system: str
    flow: str
    direction: str
    stage: str
    mapping: str
    subject: str
    code: str
    faults: list[dict[str, Any]]
    intake_id: int | None = None
    positions: Sequence[int] = ()
    entity_id: int | None = None
    delivery_id: int | None = None
    record: Any = None
    raw: bytes | None = None

    @classmethod
    def of_row(
        cls, system: str, flow: str, intake_id: int, fault: Fault, *, subject: str | None, key: str | None
    ) -> Self:
        """A row that could not even be read.

        subject  names the same row wherever it comes again; None for what is only told of this page
        key      the record it would have been (part of), if that much could be read
        """
        told = _fault(
            fault.code, fault.reason_ja or fault.reason, fault.reason, None, fault.column, fault.position, fault.value
        )  # fmt: skip
        if key is not None:
            told["key"] = key
        if fault.whole:
            told["whole"] = True
        return cls(
            system, flow, "in", "decode", "", subject or f"intake:{intake_id}:{fault.position}", fault.code, [told],
            intake_id=intake_id, positions=[fault.position], record=fault.hint, raw=fault.raw,
        )  # fmt: skip

    @classmethod
    def of_record(
        cls, system: str, flow: str, mapping: str, intake_id: int, *,
        subject: str, positions: Sequence[int], faults: Iterable[FieldFault], record: Any,
    ) -> Self:  # fmt: skip
        """A record that was read but could not be mapped or is no valid entity."""
        found = [
            _fault(f.code, f.reason_ja, f.reason_en, f.field, f.column, f.position, f.value) for f in faults
        ]
        return cls(
            system, flow, "in", "map", mapping, subject, found[0]["code"], found,
            intake_id=intake_id, positions=positions, record=record,
        )  # fmt: skip

    @classmethod
    def of_change(
        cls, system: str, flow: str, mapping: str, *,
        key: str, code: str, reason_ja: str, reason_en: str, entity_id: int, delivery_id: int | None, record: Any,
    ) -> Self:  # fmt: skip
        """A change the other side refused, or that could not be written in its words."""
        return cls(
            system, flow, "out", "send" if delivery_id else "map", mapping, key, code,
            [_fault(code, reason_ja, reason_en, None, None, None, None)],
            entity_id=entity_id, delivery_id=delivery_id, record=record,
        )  # fmt: skip


def refused_rows(
    system: str, flow: str, intake_id: int, unreadable: Iterable[Fault], keys: Mapping[int, str]
) -> list[Refusal]:
    """What is told of the rows of a page that could not be read; `keys`: position -> the record it belongs to.

    A row that says what it belongs to is the same row wherever it comes again, so that a snapshot with one bad row in
    it does not fill the quarantine day by day; what is said of a whole page is told of each page.
    """
    refusals: list[Refusal] = []
    times: dict[bytes, int] = {}
    for row in unreadable:
        subject = None
        if row.hint and row.raw and not row.whole:
            number = times[row.raw] = times.get(row.raw, 0) + 1
            subject = f"row:{digest(row.raw).hex()}" + (f":{number}" if number > 1 else "")
        key = keys.get(row.position)
        refusals.append(Refusal.of_row(system, flow, intake_id, row, subject=subject, key=key))
    return refusals


def _fault(
    code: str,
    ja: str,
    en: str,
    field: str | None,
    column: str | None,
    position: int | None,
    value: str | None,
) -> dict[str, Any]:
    fault = {
        "code": code,
        "ja": ja,
        "en": en,
        "field": field,
        "column": column,
        "line": position,
        "value": value,
    }
    return {name: part for name, part in fault.items() if part is not None}


_PUT = text("""
    INSERT INTO quarantine AS q (system, flow, direction, stage, mapping, subject, code, faults, intake_id, positions,
                                 entity_id, delivery_id, record, raw)
    VALUES (:system, :flow, :direction, :stage, :mapping, :subject, :code, CAST(:faults AS jsonb), :intake_id,
            CAST(:positions AS bigint[]), :entity_id, :delivery_id, CAST(:record AS jsonb), :raw)
    ON CONFLICT (system, flow, mapping, subject) WHERE state = 'open' DO UPDATE
        SET stage = excluded.stage, code = excluded.code, faults = excluded.faults, intake_id = excluded.intake_id,
            positions = excluded.positions, entity_id = excluded.entity_id, delivery_id = excluded.delivery_id,
            record = excluded.record, raw = excluded.raw
""")


def put_refusals(connection: Connection, refusals: Sequence[Refusal]) -> None:
    """Put rows into quarantine; one that is there already, and open, is brought up to date."""
    if refusals:
        connection.execute(
            _PUT,
            [
                {
                    "system": r.system, "flow": r.flow, "direction": r.direction, "stage": r.stage,
                    "mapping": r.mapping, "subject": r.subject, "code": r.code,
                    "faults": orjson.dumps(r.faults).decode(), "intake_id": r.intake_id,
                    "positions": list(r.positions), "entity_id": r.entity_id, "delivery_id": r.delivery_id,
                    "record": orjson.dumps(r.record, default=str).decode(), "raw": r.raw,
                }
                for r in refusals
            ],
        )  # fmt: skip


_OPEN = text("""
    SELECT subject, intake_id FROM quarantine
    WHERE system = :system AND flow = :flow AND mapping = :mapping AND state = 'open' AND subject = ANY(:subjects)
""")
_WAITING = text("""
    SELECT DISTINCT faults -> 0 ->> 'key' FROM quarantine
    WHERE system = :system AND flow = :flow AND mapping = '' AND state = 'open' AND intake_id < :intake
      AND faults -> 0 ? 'key'
""")
_RESOLVE = text("""
    UPDATE quarantine SET state = :state, resolved_at = now()
    WHERE system = :system AND flow = :flow AND mapping = :mapping AND state = 'open' AND subject = ANY(:subjects)
""")
_RESOLVE_KEYS = text("""
    UPDATE quarantine SET state = 'resolved', resolved_at = now()
    WHERE system = :system AND flow = :flow AND mapping = '' AND state = 'open' AND intake_id < :intake
      AND faults -> 0 ->> 'key' = ANY(:keys)
""")


def open_subjects(
    connection: Connection, *, system: str, flow: str, mapping: str, subjects: Sequence[str]
) -> dict[str, int]:
    """Which of these records wait in quarantine, each with the page it came in last."""
    names = {"system": system, "flow": flow, "mapping": mapping, "subjects": list(subjects)}
    return {row.subject: row.intake_id for row in connection.execute(_OPEN, names)}


def waiting_keys(connection: Connection, *, system: str, flow: str, before: int) -> frozenset[str]:
    """The records to which unreadable rows of pages older than `before` belong."""
    names = {"system": system, "flow": flow, "intake": before}
    return frozenset(connection.scalars(_WAITING, names))


def resolve_subjects(
    connection: Connection, *, system: str, flow: str, mapping: str, subjects: Sequence[str], replayed: bool
) -> None:
    """Close the open rows of records that have now gone through."""
    state = "replayed" if replayed else "resolved"
    names = {"system": system, "flow": flow, "mapping": mapping, "subjects": list(subjects), "state": state}
    connection.execute(_RESOLVE, names)


def resolve_keys(connection: Connection, *, system: str, flow: str, before: int, keys: Sequence[str]) -> None:
    """Close the unreadable rows of older pages whose records have now come in a newer one."""
    names = {"system": system, "flow": flow, "intake": before, "keys": list(keys)}
    connection.execute(_RESOLVE_KEYS, names)


_CLOSE_REST = text("""
    UPDATE quarantine
    SET resolved_at = now(),
        state = CASE WHEN positions && CAST(:overtaken AS bigint[]) THEN 'resolved' ELSE :state END
    WHERE system = :system AND flow = :flow AND state = 'open' AND intake_id = :intake
      AND (stage = 'decode' OR subject LIKE 'intake:%' OR positions && CAST(:overtaken AS bigint[]))
      AND subject <> ALL(:again)
      AND (CAST(:only AS bigint[]) IS NULL OR positions && CAST(:only AS bigint[]))
""")


def close_rest(
    connection: Connection, *, system: str, flow: str, intake_id: int, again: Iterable[str],
    overtaken: Iterable[int], only: Iterable[int] | None, replayed: bool,
) -> None:  # fmt: skip
    """Close what a page was once refused for and is no longer, now that it was read again.

    again      subjects that were refused this time too
    overtaken  positions of records that a newer page has brought meanwhile
    only       the positions that were tried; None for all
    """
    connection.execute(
        _CLOSE_REST,
        {
            "system": system, "flow": flow, "intake": intake_id, "again": list(again), "overtaken": list(overtaken),
            "only": None if only is None else list(only), "state": "replayed" if replayed else "resolved",
        },
    )  # fmt: skip


_RESOLVE_OUTGOING = text("""
    UPDATE quarantine SET state = 'resolved', resolved_at = now()
    WHERE system = :system AND flow = :flow AND mapping = :mapping AND state = 'open' AND stage = :stage
      AND subject = ANY(:subjects)
""")


def resolve_outgoing(
    connection: Connection, *, system: str, flow: str, mapping: str, stage: str, subjects: Sequence[str]
) -> None:
    """Close the open rows of changes that could now be written (`map`: entity keys) or were accepted (`send`: keys)."""
    names = {"system": system, "flow": flow, "mapping": mapping, "stage": stage, "subjects": list(subjects)}
    connection.execute(_RESOLVE_OUTGOING, names)


_LIST = text("""
    SELECT q.*, i.name FROM quarantine AS q LEFT JOIN intake AS i ON i.id = q.intake_id
    WHERE (CAST(:system AS text) IS NULL OR q.system = :system)
      AND (CAST(:flow AS text) IS NULL OR q.flow = :flow)
      AND (CAST(:state AS text) IS NULL OR q.state = :state)
      AND (CAST(:ids AS bigint[]) IS NULL OR q.id = ANY(CAST(:ids AS bigint[])))
    ORDER BY q.id LIMIT :limit
""")


def masked_fault(fault: Mapping[str, Any]) -> dict[str, Any]:
    """A fault as it may be shown: personal data masked, in its sentences too, also those of the other side."""
    value = fault.get("value")
    sentences = {language: fault[language] for language in ("ja", "en")}
    if value is None:
        return {**fault, **{language: mask("", said) for language, said in sentences.items()}}
    shown = mask(fault.get("column") or fault.get("field") or "", value)
    if value:
        sentences = {language: said.replace(value, shown) for language, said in sentences.items()}
    return {**fault, **sentences, "value": shown}


def _subject(row: Any) -> str:
    """What the row is about, for people: of one that could not be read the record it belongs to, if that is known."""
    if row.stage != "decode":
        return str(row.subject)
    return str(row.faults[0].get("key") or f"intake:{row.intake_id}:{row.positions[0]}")


def _row(row: Any) -> QuarantineRow:
    fault = masked_fault(row.faults[0])
    return QuarantineRow(
        id=row.id, system=row.system, flow=row.flow, direction=row.direction, stage=row.stage, mapping=row.mapping,
        subject=_subject(row), code=row.code, reason_ja=fault["ja"], reason_en=fault["en"],
        column=fault.get("column"), field=fault.get("field"), value_masked=fault.get("value"),
        position=fault.get("line"), name=row.name, state=row.state, replays=row.replays, created_at=row.created_at,
        more=len({other["en"] for other in row.faults}) - 1,
    )  # fmt: skip


def list_rows(
    connection: Connection, *, system: str | None = None, flow: str | None = None, state: str | None = "open",
    ids: Sequence[int] | None = None, limit: int = 1000,
) -> list[QuarantineRow]:  # fmt: skip
    """Quarantined rows, oldest first."""
    names = {"system": system, "flow": flow, "state": state, "ids": None if ids is None else list(ids)}
    return [_row(row) for row in connection.execute(_LIST, {**names, "limit": limit})]


_REFUSED_OF = text("""
    SELECT stage, subject, faults FROM quarantine WHERE intake_id = :intake AND direction = 'in' AND state <> 'resolved'
      AND state <> 'replayed' ORDER BY stage = 'map', id
""")


def refused_of(connection: Connection, intake_id: int) -> list[dict[str, Any]]:
    """What of a page was refused, each thing once, by line: line, key, code and a message in Japanese."""
    told: dict[tuple[Any, str, str], dict[str, Any]] = {}
    unreadable: set[Any] = set()
    for row in connection.execute(_REFUSED_OF, {"intake": intake_id}):
        for fault in row.faults:
            line, code, message = fault.get("line"), fault["code"], fault["ja"]
            if row.stage == "decode":
                unreadable.add(line)
            elif code == "group_broken" and line in unreadable:
                continue  # it repeats what is wrong with its line
            key = fault.get(
                "key", "" if row.stage == "decode" or row.subject.startswith("intake:") else row.subject
            )
            told.setdefault(
                (line, code, message), {"line": line, "key": key, "code": code, "message": message}
            )
    return sorted(told.values(), key=lambda refused: refused["line"] or 0)


_AFTER_REPLAY = text("""
    SELECT count(*) FILTER (WHERE state = 'open') AS still,
           count(*) FILTER (WHERE direction = 'in' AND state = 'resolved') AS superseded,
           count(*) FILTER (WHERE stage = 'decode' AND state = 'replayed' AND EXISTS (
               SELECT 1 FROM quarantine AS n WHERE n.intake_id = q.intake_id AND n.direction = 'in'
                 AND n.state = 'open' AND n.positions && q.positions)) AS otherwise
    FROM quarantine AS q WHERE q.id = ANY(:ids)
""")


def after_replay(connection: Connection, ids: Sequence[int]) -> tuple[int, int]:
    """How many of the rows that were tried are refused still, and how many a newer page has made idle.

    A row that can be read by now, and was then refused for another reason, is refused still.
    """
    row = connection.execute(_AFTER_REPLAY, {"ids": list(ids)}).one()
    return row.still + row.otherwise, row.superseded


def show_row(connection: Connection, row_id: int) -> dict[str, Any]:
    """Everything kept of one row, bytes and all faults included. Raises LookupError when there is none."""
    row = connection.execute(
        _LIST, {"system": None, "flow": None, "state": None, "ids": [row_id], "limit": 1}
    ).one_or_none()
    if row is None:
        raise LookupError(f"there is no quarantine row {row_id}")
    return {**row._mapping, "subject": _subject(row)}


def discard(connection: Connection, ids: Sequence[int], reason: str) -> int:
    """Close open rows for good, with the operator's reason. The bytes stay in the intake."""
    result = connection.execute(
        text(
            "UPDATE quarantine SET state = 'discarded', resolution = :reason, resolved_at = now() "
            "WHERE id = ANY(:ids) AND state = 'open'"
        ),
        {"ids": list(ids), "reason": reason},
    )
    return result.rowcount
