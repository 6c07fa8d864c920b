"""Reading what a system really has, from its beginning, without taking it in and without moving any cursor.

Where a system speaks files, its source is never run (it would take the files away): the newest complete listing in
intake is read, or a file that was given.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson
from sqlalchemy import text

from connectors.contract import Call, Fault, Page, Record, Source
from hub import intake as intakes
from hub.reconcile.parts import Part
from hub.words import HubError

if TYPE_CHECKING:
    from hub.engine import Hub

__all__ = ["Extent", "NoListing", "Sheet", "open_extent", "sheets", "sheets_by_id"]

_SPOOL = 8 * 1024 * 1024


class NoListing(HubError):
    """There is no full listing to read, or the file that was given cannot be read."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page or file of a listing. `records` may be called again: it reads from the start."""

    records: Callable[[], Iterator[Record | Fault]]
    name: str
    complete: bool = False


@dataclass(slots=True)
class Extent:
    """What a listing covers.

    how     api: asked of the system now; intake: the newest complete listing taken in; file: a file that was given
    since, until  the stretch of time that was read, where it is one
    whole   what it does not show is not there
    as_of   what changed in the hub after this moment is in flight
    """

    how: str
    name: str
    as_of: datetime
    since: datetime | None = None
    until: datetime | None = None
    whole: bool = True
    intake_id: int | None = None
    pages: int = 0


_NEWEST = text("""
    SELECT id, coalesce(processed_at, received_at) AS as_of FROM intake
    WHERE system = :system AND flow = :flow AND complete AND state IN ('processed', 'failed') AND event_id IS NULL
    ORDER BY id DESC LIMIT 1
""")


def open_extent(
    hub: Hub, part: Part, *, file: Path | None, since: datetime | None, until: datetime | None, now: datetime
) -> Extent:
    """What will be read for the flow of `part`. Raises NoListing where there is nothing to read."""
    if file is not None:
        if not file.is_file():
            raise NoListing(f"{file} というファイルはありません。", f"There is no file {file}.")
        return Extent("file", file.name, now, since, until)
    if part.files:
        with hub.engine.connect() as connection:
            row = connection.execute(_NEWEST, {"system": part.system, "flow": part.flow}).one_or_none()
            if row is None:
                raise _no_listing(part)
            item = intakes.load_intake(connection, row.id)
        if item.state == "erased":
            raise _no_listing(part)
        return Extent("intake", item.name or f"#{item.id}", row.as_of, intake_id=item.id)
    if part.dated:
        return Extent("api", part.source.name, now, since, until)
    return Extent("api", part.source.name, now)


def _no_listing(part: Part) -> NoListing:
    return NoListing(
        f"{part.system}/{part.flow} には完全な一覧(全件ファイル)が届いていません。相手に全件を出力してもらい、"
        "--file で指定してください。",
        f"No complete listing of {part.system}/{part.flow} has come. Have the system write all of it and give the "
        "file with --file.",
    )


def sheets(hub: Hub, part: Part, call: Call[Any], extent: Extent, file: Path | None) -> Iterator[Sheet]:
    """The pages of the listing, one after the other. `call` carries the stretch of time in its params.

    Raises Retry, Refused or Misconfigured as the source does.
    """
    if file is not None:
        yield Sheet(lambda: _of_file(file, part.source, call), file.name, complete=True)
        return
    if extent.intake_id is not None:
        with hub.engine.connect() as connection:
            item = intakes.load_intake(connection, extent.intake_id)
        yield Sheet(
            lambda: intakes.decode(hub.engine, item, part.source, call.config), extent.name, complete=True
        )
        return
    yield from _of_pages(part.source, call)


def sheets_by_id(part: Part, call: Call[Any]) -> Iterator[Sheet]:
    """What the source gives for the ids in the params of `call`."""
    yield from _of_pages(part.source, call)


def _of_pages(source: Source, call: Call[Any]) -> Iterator[Sheet]:
    for page in source.run(call, None):
        if page.raw is None:
            yield Sheet(lambda page=page: _records(page), page.name or source.name, page.complete)  # type: ignore[misc]
            continue
        with _kept(page.raw) as body:

            def again(body: IO[bytes] = body) -> Iterator[Record | Fault]:
                body.seek(0)
                assert source.decode is not None
                yield from source.decode(body, call.config, call.params)

            yield Sheet(again, page.name or source.name, page.complete)


def _records(page: Page) -> Iterator[Record | Fault]:
    for position, data in enumerate(page.records):
        yield Record(_as_stored(data), position)


def _as_stored(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record as intake would give it back: what JSON has no form for would be refused there too."""
    stored: Mapping[str, Any] = orjson.loads(orjson.dumps(data))
    return stored


def _kept(raw: bytes | IO[bytes]) -> IO[bytes]:
    body = tempfile.SpooledTemporaryFile(max_size=_SPOOL)  # noqa: SIM115  closed by the caller
    if isinstance(raw, bytes):
        body.write(raw)
    else:
        while chunk := raw.read(1 << 20):
            body.write(chunk)
    body.seek(0)
    return body


def _of_file(file: Path, source: Source, call: Call[Any]) -> Iterator[Record | Fault]:
    """A file: in the layout of the flow's interface, or for an API a JSON list or JSON lines of its records."""
    try:
        with file.open("rb") as body:
            if source.decode is not None:
                yield from source.decode(body, call.config, call.params)
            elif file.suffix.lower() in (".jsonl", ".ndjson"):
                for line, raw in enumerate(body, start=1):
                    if raw.strip():
                        yield Record(orjson.loads(raw), line)
            else:
                for position, data in enumerate(orjson.loads(body.read())):
                    yield Record(data, position)
    except OSError as error:
        raise NoListing(
            f"{file} を読めません: {error.strerror}", f"{file} cannot be read: {error.strerror}"
        ) from error
    except orjson.JSONDecodeError as error:
        raise NoListing(
            f"{file} はJSONとして読めません({error.lineno} 行目)。",
            f"{file} is not JSON (line {error.lineno}).",
        ) from error
