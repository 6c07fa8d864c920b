"""Erasing in the database: entities, what was sent, what was refused, and every text that may repeat a value."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, text

from hub.entities import content_of
from hub.erasure.files import Needles
from hub.erasure.pages import overwritten
from hub.erasure.person import Found, Thing, pseudonym, recipients_of
from hub.erasure.personal import GONE, scrub, scrub_parties, tombstone
from hub.erasure.values import FOLDED, clean, fold, leaves
from hub.jobs.schema import SCHEMA
from hub.store.database import digest

__all__ = ["CODE", "Work", "erase_entities", "erase_quarantine", "erase_sent", "sweep_texts"]

CODE = "erased_person"
_WORDS = {
    "code": CODE,
    "ja": "個人情報の消去により内容を削除しました。",
    "en": "What stood here was removed because the person was erased.",
}
_KEPT_AS_CONTENT = frozenset({"order", "subscription", "cart", "customer"})
_NUMBER_LIKE = re.compile(r"[\d.,/:T+Z-]{1,25}")
_DATE = re.compile(r"\d{4}[-/]?\d{2}[-/]?\d{2}([T ]?[\d:.+Z-]*)?")


@dataclass(slots=True)
class Work:
    """One erasure under way: who, under which names from now on, and how much in which place."""

    erasure: int
    found: Found
    renamed: dict[str, str] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    sizes: set[int] = field(default_factory=set)

    def count(self, place: str, number: int = 1) -> None:
        """`number` more things were erased in a place."""
        if number:
            self.places[place] = self.places.get(place, 0) + number

    def clean(self, value: Any) -> Any:
        """JSON-like data without what is telling of the person."""
        return clean(value, self.found.person, self.renamed, GONE)


# ---------------------------------------------------------------- entities

_WRITE = text("""
    UPDATE entity SET key = :key, content = CAST(:content AS jsonb), hash = :hash, version = version + 1,
        updated_at = now(), deleted_at = CASE WHEN :gone THEN coalesce(deleted_at, now()) ELSE deleted_at END
    WHERE id = :id
""")
_NOTE = text("""
    INSERT INTO erased_entity (entity_id, erasure_id, recipients) VALUES (:id, :erasure, CAST(:recipients AS text[]))
    ON CONFLICT DO NOTHING
""")
_WORDS_OF = text("SELECT entity_id, system, content FROM contribution WHERE entity_id = ANY(:ids)")
_REWORD = text("""
    UPDATE contribution SET content = CAST(:content AS jsonb) WHERE entity_id = :id AND system = :system
""")
_OF_CUSTOMERS = {
    "contribution": text("DELETE FROM contribution WHERE entity_id = ANY(:ids)"),
    "cross_reference": text("DELETE FROM cross_reference WHERE entity_id = ANY(:ids)"),
    "record": text("DELETE FROM record WHERE entity_id = ANY(:ids)"),
    "ledger": text("DELETE FROM ledger WHERE entity_id = ANY(:ids)"),
}
# a hash of the bytes a person came in says whether a guess is right
_UNHASH = text("UPDATE record SET hash = '' WHERE entity_id = ANY(:ids)")
_KEYS_TAKEN = text("SELECT count(*) FROM entity WHERE kind = :kind AND key = :key")


def erase_entities(connection: Connection, work: Work) -> None:
    """Customers become tombstones under a new key, orders and what belongs to them lose the person.

    Nothing is put into the change feed: no flow is woken, nothing is sent to anybody by erasing.
    """
    found = work.found
    customers = found.of_kind("customer")
    work.renamed |= {
        thing.key: pseudonym(thing.key, work.erasure, n) for n, thing in enumerate(customers, start=1)
    }
    for thing in customers:
        key = work.renamed[thing.key]
        _write(connection, work, thing, tombstone(thing.content, key), gone=True)
    names = {"ids": [thing.id for thing in customers]}
    for place, statement in _OF_CUSTOMERS.items():
        work.count(place, connection.execute(statement, names).rowcount)
    others = [thing for thing in found.own.values() if thing.kind != "customer"]
    for thing in others:
        _write(connection, work, thing, work.clean(scrub(thing.kind, thing.content)))
    mentions: dict[int, tuple[Thing, list[str]]] = {}
    for thing in found.mentions.values():
        content, gone = scrub_parties(thing.kind, thing.content, found.person.is_party)
        mentions[thing.id] = thing, gone
        _write(connection, work, thing, content, recipients=gone)
    ids = [*[thing.id for thing in others], *mentions]
    for row in connection.execute(_WORDS_OF, {"ids": ids}).all():
        thing = found.own.get(row.entity_id) or found.mentions[row.entity_id]
        if thing.id in mentions:
            content, _ = scrub_parties(thing.kind, row.content, found.person.is_party)
        else:
            content = work.clean(scrub(thing.kind, row.content))
        stored = content_of(thing.kind, content)[1].decode()
        connection.execute(_REWORD, {"id": thing.id, "system": row.system, "content": stored})
        work.count("contribution")
    connection.execute(_UNHASH, {"ids": ids})


def _write(
    connection: Connection, work: Work, thing: Thing, content: dict[str, Any], *, gone: bool = False,
    recipients: list[str] | None = None,
) -> None:  # fmt: skip
    key = content["key"]
    if key != thing.key and not gone:
        taken = connection.scalar(_KEYS_TAKEN, {"kind": thing.kind, "key": key})
        key = content["key"] = f"{key}.{thing.id}" if taken else key
    _, stored = content_of(thing.kind, content)
    connection.execute(
        _WRITE, {"id": thing.id, "key": key, "content": stored.decode(), "hash": digest(stored), "gone": gone}
    )
    connection.execute(_NOTE, {"id": thing.id, "erasure": work.erasure, "recipients": recipients})
    work.count(f"entity:{thing.kind}")


# ---------------------------------------------------------------- what was sent

_LEDGER = text("SELECT system, flow, key, entity_id, record FROM ledger WHERE entity_id = ANY(:ids)")
_RELEDGER = text("""
    UPDATE ledger SET record = CAST(:record AS jsonb), hash = :hash
    WHERE system = :system AND flow = :flow AND key = :key
""")
_CHANGES = text("""
    SELECT delivery_id, n, key, entity_id, record, previous, reason, external_id, verdict
    FROM delivery_change WHERE entity_id = ANY(:ids) ORDER BY delivery_id, n
""")
_RECHANGE = text("""
    UPDATE delivery_change
    SET key = :key, record = CAST(:record AS jsonb), previous = CAST(:previous AS jsonb), hash = :hash,
        reason = :reason, external_id = :external_id,
        verdict = coalesce(verdict, 'superseded'), code = CASE WHEN verdict IS NULL THEN :code ELSE code END
    WHERE delivery_id = :delivery AND n = :n
""")
_SETTLED = text("""
    UPDATE delivery AS d SET state = 'done', finished_at = now()
    WHERE d.id = ANY(:ids) AND d.finished_at IS NULL
      AND NOT EXISTS (SELECT FROM delivery_change AS c WHERE c.delivery_id = d.id AND c.verdict IS NULL)
""")


def erase_sent(connection: Connection, work: Work) -> None:
    """The ledger of accepted values and the deliveries, with their hashes. What waits to be sent is not sent."""
    found = work.found
    ids = {"ids": [*found.own, *found.mentions]}
    for row in connection.execute(_LEDGER, ids).all():
        record = _reduced(work, row.entity_id, row.record)
        names = {"system": row.system, "flow": row.flow, "key": row.key}
        connection.execute(_RELEDGER, {**names, **_stored(record)})
        work.count("ledger")
    touched: set[int] = set()
    for row in connection.execute(_CHANGES, ids).all():
        thing = found.own.get(row.entity_id) or found.mentions[row.entity_id]
        customer = thing.kind == "customer"
        record = {} if customer else _reduced(work, row.entity_id, row.record)
        previous = None if customer or row.previous is None else _reduced(work, row.entity_id, row.previous)
        key = f"{work.renamed[thing.key]}#{row.n}" if customer else work.clean(row.key)
        connection.execute(
            _RECHANGE,
            {
                **_stored(record), "delivery": row.delivery_id, "n": row.n, "key": key,
                "previous": None if previous is None else orjson.dumps(previous).decode(),
                "reason": work.clean(row.reason), "external_id": None if customer else row.external_id, "code": CODE,
            },
        )  # fmt: skip
        work.count("delivery_change")
        touched.add(row.delivery_id)
    connection.execute(_SETTLED, {"ids": list(touched)})


def _stored(record: Any) -> dict[str, Any]:
    body = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    return {"record": body.decode(), "hash": digest(body)}


def _reduced(work: Work, entity_id: int, record: Any) -> Any:
    """What was sent of an entity, without the person.

    Of a person's own order only what the order without its person still says is kept, and numbers and dates: every
    system has its own names for what is personal, and free text may stand in any column.
    """
    thing = work.found.own.get(entity_id)
    if thing is None:
        return _without_recipients(work, work.found.mentions[entity_id], record)
    if thing.kind not in _KEPT_AS_CONTENT:
        return work.clean(record)
    kept = {fold(part) for leaf in leaves(scrub(thing.kind, thing.content)) for part in _pieces(leaf)}
    return work.clean(_only(record, kept, work.found.person.postal | work.found.person.telling))


def _pieces(leaf: str) -> Iterable[str]:
    return {leaf, *re.split(r"[/#]", leaf)}


def _only(value: Any, kept: set[str], never: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _only(item, kept, never) for name, item in value.items()}
    if isinstance(value, list):
        return [_only(item, kept, never) for item in value]
    if not isinstance(value, str) or not value:
        return value
    folded = fold(value)
    if folded in never:
        return ""
    if folded in kept or all(fold(part) in kept for part in _pieces(value)):
        return value
    return value if _is_figure(value) else ""


def _is_figure(value: str) -> bool:
    """A date, a time, an amount: nothing that could be a phone number or postal code."""
    if _DATE.fullmatch(value):
        return True
    return bool(_NUMBER_LIKE.fullmatch(value)) and len(re.sub(r"\D", "", value)) <= 6


def _without_recipients(work: Work, thing: Thing, record: Any) -> Any:
    """What was sent of somebody else's order, without the rows' values that are this person's."""
    values: set[str] = set()
    gone = set(recipients_of(thing, work.found.person))
    for recipient in thing.content.get("recipients", ()):
        if str(recipient.get("id")) in gone:
            before = {fold(leaf) for leaf in leaves(recipient.get("party"))}
            values |= {one for one in before if len(one) >= 2}

    def visit(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: visit(item) for name, item in value.items()}
        if isinstance(value, list):
            return [visit(item) for item in value]
        return "" if isinstance(value, str) and value and fold(value) in values else value

    return work.clean(visit(record))


# ---------------------------------------------------------------- what was refused

_REFUSED = text(f"""
    SELECT id, system, mapping, subject, state, faults, record, raw, entity_id, intake_id, positions, direction
    FROM quarantine AS q
    WHERE entity_id = ANY(:ids) OR intake_id = ANY(:pages)
       OR EXISTS (SELECT FROM unnest(CAST(:values AS text[])) AS v
                  WHERE position(v IN {FOLDED.format("concat(q.subject, q.faults, q.record, q.resolution)")}) > 0)
       OR EXISTS (SELECT FROM unnest(CAST(:bytes AS bytea[])) AS b WHERE position(b IN q.raw) > 0)
    ORDER BY id
""")  # noqa: S608  (a constant of ours)
_EMPTY = text("""
    UPDATE quarantine
    SET subject = :subject, faults = CAST(:faults AS jsonb), record = NULL, raw = NULL,
        state = CASE WHEN state = 'open' THEN 'discarded' ELSE state END,
        resolution = CASE WHEN state = 'open' THEN :code ELSE NULL END,
        resolved_at = coalesce(resolved_at, now())
    WHERE id = :id
""")
_CLEANED = text("""
    UPDATE quarantine SET faults = CAST(:faults AS jsonb), record = CAST(:record AS jsonb), raw = :raw,
        resolution = :resolution
    WHERE id = :id
""")


def erase_quarantine(
    connection: Connection, work: Work, rows: Mapping[int, set[int]], needles: Needles
) -> None:
    """Refused records of the person: emptied and closed. Those of others lose the values.

    rows  intake id -> positions that were blanked
    """
    found = work.found
    values = list(found.person.telling)
    names = {"ids": list(found.own), "pages": list(rows), "values": values, "bytes": needles.every}
    for row in connection.execute(_REFUSED, names).all():
        if _is_own(work, row, rows):
            subject = row.subject if not _tells(work, row) else f"erased:{uuid.uuid4().hex}"
            faults = [{**_WORDS, **_place(fault)} for fault in row.faults]
            values_ = {
                "id": row.id,
                "subject": subject,
                "faults": orjson.dumps(faults).decode(),
                "code": CODE,
            }
            connection.execute(_EMPTY, values_)
            work.count("quarantine")
        elif _mentions(work, row, needles):
            faults, record = work.clean(row.faults), work.clean(row.record)
            raw = None if row.raw is None else overwritten(bytes(row.raw), needles.every)
            connection.execute(
                _CLEANED,
                {"id": row.id, "faults": orjson.dumps(faults).decode(), "raw": raw, "resolution": None,
                 "record": orjson.dumps(record).decode()},
            )  # fmt: skip
            work.count("quarantine")


def _place(fault: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fault[name] for name in ("line", "column", "field") if name in fault}


def _is_own(work: Work, row: Any, rows: Mapping[int, set[int]]) -> bool:
    if row.entity_id is not None:
        return row.entity_id in work.found.own
    if rows.get(row.intake_id, set()).intersection(row.positions):
        return True
    own = {one for (system, _), ids in work.found.ids.items() if system == row.system for one in ids}
    return row.subject in own


def _tells(work: Work, row: Any) -> bool:
    customers = {
        one
        for (system, kind), ids in work.found.ids.items()
        if system == row.system and kind == "customer"
        for one in ids
    }
    parts = row.subject.split("#")
    return work.found.person.mentioned(row.subject) or bool(customers.intersection(parts))


def _mentions(work: Work, row: Any, needles: Needles) -> bool:
    said = work.found.person.surely(orjson.dumps([row.subject, row.faults, row.record]).decode())
    return said or (row.raw is not None and needles.meant(bytes(row.raw)))


# ---------------------------------------------------------------- texts that may repeat a value

_TEXTS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    # table, its key, columns of text, of JSON, of lists of text
    ("flow_run", "id", ("error",), ("counts",), ()),
    ("delivery_attempt", "ctid", ("error",), ("counts",), ()),
    ("delivery_change", "ctid", ("reason",), (), ()),
    ("intake", "id", ("note", "name", "event_id"), ("params", "counts"), ("deleted", "fetch_ids")),
    ("flow_state", "ctid", (), ("cursor",), ()),
    ("stock_reservation", "id", ("key", "origin", "order_key"), (), ()),
    ("reconcile_run", "id", ("error",), ("params", "parts"), ()),
    ("reconcile_fix", "id", ("reason",), ("params",), ()),
    (f"{SCHEMA}.procrastinate_jobs", "id", (), ("args",), ()),
)
_FORGET_RECORDS = text(f"""
    DELETE FROM record WHERE EXISTS (SELECT FROM unnest(CAST(:values AS text[])) AS v
        WHERE position(v IN {FOLDED.format("record_id")}) > 0)
""")  # noqa: S608  (a constant of ours)
_FORGET_REFERENCES = text(f"""
    DELETE FROM cross_reference WHERE kind = 'customer' AND EXISTS (SELECT FROM unnest(CAST(:values AS text[])) AS v
        WHERE position(v IN {FOLDED.format("external_id")}) > 0)
""")  # noqa: S608  (a constant of ours)


def sweep_texts(connection: Connection, work: Work) -> None:
    """Error texts, notes, parameters, cursors, jobs: the values are replaced where they stand."""
    telling = {"values": list(work.found.person.telling)}
    for table, key, texts, jsons, lists in _TEXTS:
        columns = (*texts, *jsons, *lists)
        whole = FOLDED.format("concat_ws(' ', " + ", ".join(f"t.{name}::text" for name in columns) + ")")
        rows = connection.execute(
            text(
                f"SELECT {key}::text AS key, {', '.join(columns)} FROM {table} AS t WHERE EXISTS "  # noqa: S608
                f"(SELECT FROM unnest(CAST(:values AS text[])) AS v WHERE position(v IN {whole}) > 0)"
            ),
            telling,
        ).all()
        kinds = {
            **dict.fromkeys(texts, "text"),
            **dict.fromkeys(jsons, "jsonb"),
            **dict.fromkeys(lists, "text[]"),
        }
        sets = ", ".join(f"{name} = CAST(:{name} AS {kind})" for name, kind in kinds.items())
        how = "tid" if key == "ctid" else "bigint"
        for row in rows:
            values = {name: _swept(work, name, getattr(row, name), kinds[name]) for name in columns}
            connection.execute(
                text(f"UPDATE {table} SET {sets} WHERE {key} = CAST(:row AS {how})"),  # noqa: S608
                {**values, "row": row.key},
            )
            work.count(table.rpartition(".")[2])
    sure = {"values": list(work.found.person.sure)}
    work.count("record", connection.execute(_FORGET_RECORDS, sure).rowcount)
    work.count("cross_reference", connection.execute(_FORGET_REFERENCES, sure).rowcount)


def _swept(work: Work, name: str, value: Any, kind: str) -> Any:
    if value is None:
        return None
    if name in ("event_id", "key", "name") and work.found.person.mentioned(str(value)):
        return f"erased:{uuid.uuid4().hex}"  # it must stay one of its kind
    cleaned = work.clean(value)
    return orjson.dumps(cleaned).decode() if kind == "jsonb" else cleaned
