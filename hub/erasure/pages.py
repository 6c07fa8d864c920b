"""Blanking a person's rows in stored pages, so that what was received no longer tells of the person.

A page of JSON records: the record becomes null. A file: the lines of the row are overwritten by blanks, byte for byte,
so that no other row moves. Either way the row is then passed over whenever the page is read again (`erased_row`). A
page in which that cannot be done without changing what the other rows say is erased as a whole; its entities stay.

The SHA-256 of a file stays that of the file as received: it tells a file that comes twice, and is made of many rows.
That of anything else is made anew.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, text

from connectors.contract import Fault, Record, Source
from hub.intake import PART, Intake
from hub.store.database import digest

__all__ = [
    "blank_rows",
    "blank_values",
    "blanked",
    "body_of",
    "erase_page",
    "line_ends",
    "overwritten",
    "without_rows",
]

_BODY = text("SELECT part, body FROM intake_body WHERE intake_id = :id AND part >= 0 ORDER BY part")
_DROP_CALL = text("DELETE FROM intake_body WHERE intake_id = :id AND part < 0")
_DROP = text("DELETE FROM intake_body WHERE intake_id = :id")
_DROP_PARTS = text("DELETE FROM intake_body WHERE intake_id = :id AND part >= 0")
_PUT = text("INSERT INTO intake_body (intake_id, part, body) VALUES (:id, :part, :body)")
_REPUT = text("UPDATE intake_body SET body = :body WHERE intake_id = :id AND part = :part")
_HASH = text("UPDATE intake SET sha256 = :sha256 WHERE id = :id")
_NOTE = text("""
    INSERT INTO erased_row (intake_id, position) SELECT :id, u.p FROM unnest(CAST(:positions AS bigint[])) AS u(p)
    ON CONFLICT DO NOTHING
""")
_ERASED = text("UPDATE intake SET state = 'erased', sha256 = :sha256 WHERE id = :id")

Clean = Callable[[Any], Any]


def body_of(connection: Connection, intake_id: int) -> list[bytes]:
    """The stored parts, in order."""
    return [bytes(row.body) for row in connection.execute(_BODY, {"id": intake_id})]


def blank_rows(
    connection: Connection, item: Intake, source: Source, config: Any, positions: Iterable[int]
) -> bool:
    """Blank the rows at these positions, in the caller's transaction. False when the page had to go as a whole.

    The page was taken in, or is just about to be marked so.
    """
    wanted = set(positions)
    if not wanted:
        return True
    parts = body_of(connection, item.id)
    if not parts:
        return True
    connection.execute(_DROP_CALL, {"id": item.id})  # the call beside it repeats the record
    if item.event_id is not None or source.decode is None:
        return _blank_json(connection, item, b"".join(parts), wanted)
    blanked = _blank_lines(b"".join(parts), item, source, config, wanted)
    if blanked is None:
        return erase_page(connection, item)
    body, lines = blanked
    replace_bytes(connection, item.id, parts, body)
    connection.execute(_NOTE, {"id": item.id, "positions": sorted(lines)})
    return True


def erase_page(connection: Connection, item: Intake) -> bool:
    """Remove the bytes of a page that was taken in. Returns False: it was not done row by row."""
    connection.execute(_DROP, {"id": item.id})
    connection.execute(_ERASED, {"id": item.id, "sha256": item.sha256 if item.event_id is None else b""})
    return False


def replace_bytes(connection: Connection, intake_id: int, parts: Sequence[bytes], body: bytes) -> None:
    """Store the body again, of the same length, part by part; parts that did not change are left alone."""
    at = 0
    for number, part in enumerate(parts):
        new = body[at : at + len(part)]
        at += len(part)
        if new != part:
            connection.execute(_REPUT, {"id": intake_id, "part": number, "body": new})


def blank_values(
    connection: Connection, item: Intake, source: Source, positions: Iterable[int], clean: Clean,
    needles: Sequence[bytes],
) -> bool:  # fmt: skip
    """Take one person's values out of rows that are about somebody else; returns whether there were any.

    clean    what does so with a JSON record
    needles  the values as bytes, for files
    """
    wanted = set(positions)
    parts = body_of(connection, item.id)
    if not wanted or not parts:
        return False
    body = b"".join(parts)
    if item.event_id is not None or source.decode is None:
        whole = orjson.loads(body)
        changed = clean(whole) if item.event_id is not None else [
            clean(one) if at in wanted else one for at, one in enumerate(whole)
        ]  # fmt: skip
        if changed != whole:
            store_json(connection, item, changed)
        return bool(changed != whole)
    new = without_values(body, wanted, needles)
    replace_bytes(connection, item.id, parts, new)
    return new != body


def without_values(body: bytes, positions: Iterable[int], needles: Sequence[bytes]) -> bytes:
    """A file with the values overwritten in these rows."""
    ends, result = line_ends(body), bytearray(body)
    for position in positions:
        if 0 < position <= len(ends):
            last = last_line(body, ends, position, len(ends) + 1)
            begin, end = (ends[position - 2] if position > 1 else 0), ends[last - 1]
            result[begin:end] = overwritten(bytes(result[begin:end]), needles)
    return bytes(result)


def overwritten(body: bytes, needles: Iterable[bytes]) -> bytes:
    """Bytes with every needle overwritten by blanks: nothing moves."""
    for needle in needles:
        if needle in body:
            body = body.replace(needle, b" " * len(needle))
    return body


# ---------------------------------------------------------------- JSON


def _blank_json(connection: Connection, item: Intake, body: bytes, wanted: set[int]) -> bool:
    try:
        whole = orjson.loads(body or b"[]")
        changed = _nulled(whole, item, wanted)
    except (ValueError, KeyError, TypeError, IndexError):
        return erase_page(connection, item)
    store_json(connection, item, changed)
    connection.execute(_NOTE, {"id": item.id, "positions": sorted(wanted)})
    return True


def _nulled(whole: Any, item: Intake, wanted: set[int]) -> Any:
    """The page with the records at these places made null; of a single record nothing is left beside it."""
    if item.event_id is None or "records" not in item.params:
        for position in wanted:
            whole[position] = None
        return whole
    found = whole
    for key in item.params["records"] or []:
        found = found[key]
    if not isinstance(found, list):
        return None
    for position in wanted:
        found[position] = None
    # what stands around the records may repeat one of them
    for key in reversed(item.params["records"] or []):
        found = {key: found}
    return found


def store_json(connection: Connection, item: Intake, value: Any) -> None:
    """Store a page of JSON anew, with its new hash."""
    body = orjson.dumps(value)
    connection.execute(_DROP_PARTS, {"id": item.id})
    for number, at in enumerate(range(0, len(body), PART)):
        connection.execute(_PUT, {"id": item.id, "part": number, "body": body[at : at + PART]})
    connection.execute(_HASH, {"id": item.id, "sha256": hashlib.sha256(body).digest()})


# ---------------------------------------------------------------- files


def without_rows(body: bytes, item: Intake, source: Source, config: Any, positions: set[int]) -> bytes | None:
    """A file with these rows blanked, or None when that cannot be done without changing what others say."""
    blanked_ = _blank_lines(body, item, source, config, positions)
    return None if blanked_ is None else blanked_[0]


def _blank_lines(
    body: bytes, item: Intake, source: Source, config: Any, wanted: set[int]
) -> tuple[bytes, set[int]] | None:
    """The file with the lines of these rows blanked, and which lines those are; None when others would suffer."""
    before = list(_read(body, item, source, config))
    starts = sorted({position for position, _ in before})
    following = dict(zip(starts, [*starts[1:], 0], strict=True))
    ends = line_ends(body)
    lines: set[int] = set()
    result = bytearray(body)
    for position in wanted:
        if not 0 < position <= len(ends):
            return None
        last = last_line(body, ends, position, following.get(position) or len(ends) + 1)
        for line in range(position, last + 1):
            lines.add(line)
            begin, end = (ends[line - 2] if line > 1 else 0), ends[line - 1]
            result[begin:end] = blanked(body[begin:end])
    after = _read(bytes(result), item, source, config)
    left = [one for one in before if one[0] not in lines]
    return (bytes(result), lines) if left == [one for one in after if one[0] not in lines] else None


def line_ends(body: bytes) -> list[int]:
    """Where each line ends, its newline included."""
    ends, at = [], body.find(b"\n")
    while at >= 0:
        ends.append(at + 1)
        at = body.find(b"\n", at + 1)
    if not ends or ends[-1] < len(body):
        ends.append(len(body))
    return ends


def last_line(body: bytes, ends: list[int], first: int, before: int) -> int:
    """The last line of a row that begins on `first`: quotes may hold newlines, but never the next row."""
    quotes = 0
    for line in range(first, min(before, len(ends) + 1)):
        quotes += body[(ends[line - 2] if line > 1 else 0) : ends[line - 1]].count(b'"')
        if quotes % 2 == 0:
            return line
    return first


def blanked(line: bytes) -> bytes:
    """Blanks of the same length; line ends stay, and the zero bytes of UTF-16."""
    return bytes(one if one in (0x0A, 0x0D, 0x00) else 0x20 for one in line)


def _read(body: bytes, item: Intake, source: Source, config: Any) -> Iterable[tuple[int, bytes]]:
    """Position and a hash of what is said there, of every row."""
    assert source.decode is not None
    for row in source.decode(io.BytesIO(body), config, item.params):
        yield row.position, digest(_said(row))


def _said(row: Record | Fault) -> bytes:
    if isinstance(row, Record):
        return orjson.dumps(row.data, default=str)
    return repr((row.code, row.raw, row.column, row.value)).encode()
