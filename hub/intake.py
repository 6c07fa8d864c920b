"""Intake: one page, file or webhook exactly as received, stored before anything is done with it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

import orjson
from sqlalchemy import Connection, Engine, case, delete, func, insert, select, text, update

from connectors.contract import Fault, Page, Record, SeenFile, Source
from hub.store.database import driver
from hub.store.erasure_tables import erased_row
from hub.store.tables import flow_state, intake, intake_body, quarantine

__all__ = ["Intake", "IntakeHistory", "decode", "load_intake", "open_body", "store_page", "unprocessed"]

_DEEPEST = 8
PART = 4 * 1024 * 1024
"""Bytes of a body kept in one row; what streaming a large file holds in memory."""


@dataclass(frozen=True, slots=True)
class Intake:
    """A stored page: where it came from, and what is needed to read it again."""

    id: int
    system: str
    flow: str
    source: str
    name: str | None
    media_type: str
    sha256: bytes
    size: int
    params: dict[str, Any]
    deleted: tuple[str, ...]
    complete: bool
    state: str
    received_at: datetime
    event_id: str | None = None
    fetch_ids: tuple[str, ...] = ()
    attempts: int = 0
    erased: tuple[int, ...] = ()
    """Positions of rows that were blanked, because the person they told of was erased."""


def _body_of(page: Page) -> IO[bytes]:
    if page.raw is None:
        return io.BytesIO(orjson.dumps(list(page.records)))
    return io.BytesIO(page.raw) if isinstance(page.raw, bytes) else page.raw


def store_page(
    connection: Connection, *, system: str, flow: str, source: str, page: Page, params: Mapping[str, Any]
) -> int | None:
    """Store a page and its cursor in the caller's transaction. Returns the intake id.

    A page without content that only moves the cursor (or says something to the operator) stores no intake unless
    it carries deletions or ends a listing; then None is returned.
    """
    if page.cursor is not None:
        save_cursor(connection, system, flow, page.cursor.model_dump(mode="json"))
    if page.raw is None and not page.records and not page.deleted and not page.complete:
        return None
    intake_id: int = connection.execute(
        insert(intake).values(
            system=system, flow=flow, source=source, name=page.name, media_type=page.media_type, sha256=b"", size=0,
            sequence=page.sequence, params=dict(params), deleted=list(page.deleted), complete=page.complete,
            note=page.note,
        ).returning(intake.c.id)
    ).scalar_one()  # fmt: skip
    sha256, size, part = hashlib.sha256(), 0, 0
    body = _body_of(page)
    while chunk := body.read(PART):
        sha256.update(chunk)
        size += len(chunk)
        connection.execute(insert(intake_body).values(intake_id=intake_id, part=part, body=chunk))
        part += 1
    connection.execute(
        update(intake).where(intake.c.id == intake_id).values(sha256=sha256.digest(), size=size)
    )
    return intake_id


def save_cursor(connection: Connection, system: str, flow: str, cursor: Mapping[str, Any] | None) -> None:
    """Remember where the flow's next read starts."""
    connection.execute(
        text(
            "INSERT INTO flow_state (system, flow, cursor) VALUES (:system, :flow, CAST(:cursor AS jsonb)) "
            "ON CONFLICT (system, flow) DO UPDATE SET cursor = excluded.cursor"
        ),
        {"system": system, "flow": flow, "cursor": orjson.dumps(cursor).decode()},
    )


def load_cursor(connection: Connection, system: str, flow: str) -> dict[str, Any] | None:
    """The cursor as it was saved, or None at the first run."""
    found: dict[str, Any] | None = connection.scalar(
        select(flow_state.c.cursor).where(flow_state.c.system == system, flow_state.c.flow == flow)
    )
    return found


def ended_listing(connection: Connection, system: str, flow: str) -> bool:
    """Whether the newest page taken in of this flow ended a complete listing, or there is none."""
    ended: bool | None = connection.scalar(
        select(intake.c.complete)
        .where(intake.c.system == system, intake.c.flow == flow, intake.c.state != "stored")
        # webhooks and what was fetched by id are no part of any listing
        .where(intake.c.event_id.is_(None), ~intake.c.params.has_key("ids"))
        .order_by(intake.c.id.desc())
        .limit(1)
    )
    return ended is not False


def unprocessed(connection: Connection, system: str, flow: str) -> list[int]:
    """Pages stored by an interrupted run and not yet taken in, oldest first."""
    rows = connection.scalars(
        select(intake.c.id)
        .where(intake.c.system == system, intake.c.flow == flow, intake.c.state == "stored")
        .order_by(intake.c.id)
    )
    return list(rows)


_ERASED = func.array(
    select(erased_row.c.position)
    .where(erased_row.c.intake_id == intake.c.id)
    .order_by(erased_row.c.position)
    .scalar_subquery()
)


def load_intake(connection: Connection, intake_id: int) -> Intake:
    """The intake's row. Raises LookupError when there is none."""
    row = connection.execute(
        select(
            intake.c.id, intake.c.system, intake.c.flow, intake.c.source, intake.c.name, intake.c.media_type,
            intake.c.sha256, intake.c.size, intake.c.params, intake.c.deleted, intake.c.complete, intake.c.state,
            intake.c.received_at, intake.c.event_id, intake.c.fetch_ids, intake.c.attempts, _ERASED.label("erased"),
        ).where(intake.c.id == intake_id)
    ).one_or_none()  # fmt: skip
    if row is None:
        raise LookupError(f"there is no intake {intake_id}")
    values = dict(row._mapping)
    lists = {name: tuple(values[name]) for name in ("deleted", "fetch_ids", "erased")}
    return Intake(**{**values, **lists})


# in binary: as text each byte would come as two
_PART_OF = "SELECT body FROM intake_body WHERE intake_id = %s AND part = %s"


class _Body(io.RawIOBase):
    """The stored parts as one readable stream; holds two parts in memory, the second on its way while the first is
    read.
    """

    def __init__(self, engine: Engine, intake_id: int) -> None:
        self._engine = engine
        self._intake_id = intake_id
        self._part = 0
        self._rest = memoryview(b"")
        self._bringer: ThreadPoolExecutor | None = None
        self._coming: Future[bytes | None] | None = None

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if self._bringer is not None:
            self._bringer.shutdown()
        super().close()

    def _bring(self, part: int) -> bytes | None:
        with self._engine.connect() as connection, driver(connection).cursor(binary=True) as cursor:
            row = cursor.execute(_PART_OF, [self._intake_id, part]).fetchone()
        return None if row is None else row[0]

    def _next_part(self) -> bytes | None:
        body = self._bring(self._part) if self._coming is None else self._coming.result()
        self._part += 1
        self._coming = None
        if body is not None and len(body) == PART:  # most pages are one part, and smaller
            self._bringer = self._bringer or ThreadPoolExecutor(1, "body")
            self._coming = self._bringer.submit(self._bring, self._part)
        return body

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            body = self._next_part()
            if body is None:
                return 0
            self._rest = memoryview(body)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def open_body(engine: Engine, intake_id: int) -> IO[bytes]:
    """The bytes as received, as a stream."""
    return io.BufferedReader(_Body(engine, intake_id), buffer_size=1 << 20)


def decode(engine: Engine, item: Intake, source: Source, config: Any) -> Iterator[Record | Fault]:
    """The records of a stored page, without those of erased persons. Pure in what it reads: the same intake gives the
    same records each time.
    """
    if item.erased:
        gone = frozenset(item.erased)
        yield from (row for row in _decode(engine, item, source, config) if row.position not in gone)
    else:
        yield from _decode(engine, item, source, config)


def _decode(engine: Engine, item: Intake, source: Source, config: Any) -> Iterator[Record | Fault]:
    with open_body(engine, item.id) as body:
        if item.event_id is not None:
            for position, data in enumerate(_event_records(body.read(), item.params)):
                yield Record(data, position)
        elif source.decode is not None:
            yield from source.decode(body, config, item.params)
        else:
            for position, data in enumerate(orjson.loads(body.read() or b"[]")):
                yield Record(data, position)


def place_of_records(records: Sequence[Any], said: Any) -> list[str] | None:
    """Where in a call's JSON the records of an event lie: keys to a list that equals them, or to the only one.

    None when they are not there as they are. Then they are kept beside the call; else the call's body is enough, and
    there is one copy less of what may be personal.
    """
    wanted = list(records)
    todo: list[tuple[list[str], Any]] = [([], said)]
    while todo:
        path, value = todo.pop()
        if value == wanted or (len(wanted) == 1 and value == wanted[0]):
            return path
        if isinstance(value, dict) and len(path) < _DEEPEST:
            todo += [([*path, key], inner) for key, inner in value.items() if isinstance(inner, dict | list)]
    return None


def _event_records(body: bytes, params: Mapping[str, Any]) -> list[Any]:
    """The records of a stored event: see `place_of_records`; without a place the body is the records."""
    found = orjson.loads(body)
    if "records" not in params:
        return list(found)
    if params["records"] is None:
        return []
    for key in params["records"]:
        found = found[key]
    return found if isinstance(found, list) else [found]


def event_records(connection: Connection, intake_ids: Sequence[int]) -> dict[int, list[Any]]:
    """The records of stored events, by intake; one query for all."""
    rows = connection.execute(
        select(intake_body.c.intake_id, intake_body.c.body, intake.c.params)
        .join(intake, intake.c.id == intake_body.c.intake_id)
        .where(intake_body.c.intake_id.in_(intake_ids), intake_body.c.part == 0)
    )
    return {row.intake_id: _event_records(row.body, row.params) for row in rows}


def finish(connection: Connection, intake_id: int, counts: Mapping[str, Any]) -> None:
    """The page was taken in. One whose bytes had to go because of an erased person stays erased."""
    state = case((intake.c.state == "erased", "erased"), else_="processed")
    connection.execute(
        update(intake)
        .where(intake.c.id == intake_id)
        .values(state=state, processed_at=func.now(), counts=dict(counts))
    )


@dataclass(slots=True)
class _Seen:
    name: str
    sha256: str
    received_at: datetime


class IntakeHistory:
    """`FileHistory` of one flow: the intake table is the memory of its files."""

    def __init__(self, engine: Engine, system: str, flow: str) -> None:
        self._engine = engine
        self._mine = (intake.c.system == system, intake.c.flow == flow, intake.c.event_id.is_(None))

    def _newest(self, *conditions: Any) -> _Seen | None:
        query = select(intake.c.name, intake.c.sha256, intake.c.received_at).where(*self._mine, *conditions)
        with self._engine.connect() as connection:
            row = connection.execute(query.order_by(intake.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else _Seen(row.name or "", bytes(row.sha256).hex(), row.received_at)

    def by_name(self, name: str) -> SeenFile | None:
        return self._newest(intake.c.name == name)

    def by_sha256(self, digest: str) -> SeenFile | None:
        return self._newest(intake.c.sha256 == bytes.fromhex(digest))

    def last_sequence(self, name_prefix: str) -> int | None:
        query = select(func.max(intake.c.sequence)).where(
            *self._mine, func.starts_with(intake.c.name, name_prefix)
        )
        with self._engine.connect() as connection:
            number: int | None = connection.scalar(query)
        return number


def erase_bodies(connection: Connection, *, older_than: datetime, limit: int | None = None) -> int:
    """Remove the bytes of pages received before `older_than`, at most `limit`; returns of how many.

    Pages an open quarantine row needs are kept.
    """
    needed = select(quarantine.c.intake_id).where(
        quarantine.c.state == "open", quarantine.c.intake_id.is_not(None)
    )
    old = select(intake.c.id).where(
        intake.c.state.in_(("processed", "failed")),
        intake.c.received_at < older_than,
        intake.c.id.not_in(needed),
    )
    ids = list(connection.scalars(old.order_by(intake.c.id).limit(limit)))
    connection.execute(delete(intake_body).where(intake_body.c.intake_id.in_(ids)))
    connection.execute(update(intake).where(intake.c.id.in_(ids)).values(state="erased"))
    return len(ids)
