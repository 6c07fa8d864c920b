"""What every source promises, checked on its recording."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from typing import Any

import httpx

from connectors.contract import ConnectorError, Cursor, Deletes, Misconfigured, Retry, Source
from connectors.testing.faults import RETRY_AFTER, Transform, garble, lock_out, no_connection, throttle
from connectors.testing.findings import Check, broken, hold, secrets_in, why_not_json
from connectors.testing.memory import MemoryHistory
from connectors.testing.playback import sent_as_text
from connectors.testing.stage import PageRead, Reading, Stage, member

__all__ = ["source_checks"]

_MOST_RESUMES = 10
_MOST_THROTTLES = 5


def source_checks(stage: Stage, source: Source) -> Iterator[Check]:
    """The checks that fit what the source declares."""
    checks = {
        "pages": pages_move, "keys": keys_are_there, "records": records_are_json, "deletes": deletes_fit,
        "expected": expected_came, "secrets": nothing_leaks,
    }  # fmt: skip
    if source.cursor is not None:
        checks |= {"cursor": cursor_survives_json, "resume": resume_yields_the_rest, "again": again_ends}
    if source.cursor is not None and source.overlap > timedelta(0):
        checks["overlap"] = overlap_is_read
    if source.decode is not None:
        checks["decode"] = decode_is_pure
    if stage.connector.files is not None:
        checks["restart"] = files_survive_a_restart
    if source.acknowledge is not None:
        checks["acknowledge"] = acknowledging_again_answers_the_same
    if stage.connector.http is not None:
        checks |= {
            "throttled": throttling_is_waited_for, "locked_out": lock_out_needs_a_person,
            "down": no_connection_is_retried, "garbled": garbled_answers_are_errors,
        }  # fmt: skip
    for name, check in checks.items():
        yield Check(f"source:{source.name}:{name}", partial(check, stage, source))


def pages_move(stage: Stage, source: Source) -> None:
    """Each page carries its own cursor: one that comes twice would make the hub read in circles."""
    reading = stage.read(source, stage.start(source))
    hold(reading.pages, f"{source.name}: its recording gives no page; record at least one")
    seen: list[Cursor] = []
    for number, page in enumerate(reading.pages, 1):
        cursor = page.page.cursor
        if source.cursor is None:
            hold(
                cursor is None,
                f"{source.name}: page {number} has a cursor, but none is declared (cursor=...)",
            )
            continue
        hold(
            type(cursor) is source.cursor,
            f"{source.name}: page {number} has the cursor {cursor!r}; declared is {source.cursor.__name__}",
        )
        assert cursor is not None
        hold(
            cursor not in seen,
            f"{source.name}: page {number} has the same cursor as an earlier page ({cursor!r}); "
            "the cursor must lie behind the page",
        )
        seen.append(cursor)


def keys_are_there(stage: Stage, source: Source) -> None:
    """The declared key is in every record."""
    for position, record in enumerate(stage.read(source, stage.start(source)).records):
        key = member(record, source.key)
        hold(
            isinstance(key, (str, int)) and not isinstance(key, bool) and key != "",
            f"{source.name}: record {position} has no {source.key!r} (it is {key!r}; the record has "
            f"{', '.join(map(str, record))})",
        )


def records_are_json(stage: Stage, source: Source) -> None:
    """Records can be stored as JSON, and fit the declared model."""
    for position, record in enumerate(stage.read(source, stage.start(source)).records):
        hold(
            isinstance(record, Mapping),
            f"{source.name}: record {position} is a {type(record).__name__}, not a mapping",
        )
        problem = why_not_json(record)
        hold(problem is None, f"{source.name}: record {position} cannot be stored as JSON: {problem}")
        if source.record is not None:
            try:
                source.record.model_validate(record)
            except ValueError as error:
                broken(f"{source.name}: record {position} does not fit {source.record.__name__}: {error}")


def deletes_fit(stage: Stage, source: Source) -> None:
    """What a page says of deletions is what the source declared."""
    pages = stage.read(source, stage.start(source)).pages
    told = [key for page in pages for key in page.page.deleted]
    if source.deletes is not Deletes.EVENTS:
        hold(
            not told,
            f"{source.name}: pages name deleted ids {told}, but deletes={source.deletes} is declared",
        )
    if source.deletes is Deletes.ABSENCE:
        hold(
            pages and pages[-1].page.complete,
            f"{source.name}: deletes=absence is declared, but the last page does not say complete=True",
        )
    else:
        hold(
            not any(page.page.complete for page in pages),
            f"{source.name}: a page says complete=True, but deletes={source.deletes} is declared; "
            "what is absent would not count as deleted",
        )


def expected_came(stage: Stage, source: Source) -> None:
    """What the case expects."""
    expect = stage.source_case(source.name).expect
    reading = stage.read(source, stage.start(source))
    last = reading.pages[-1].page.cursor if reading.pages else None
    came = {
        "keys": reading.keys(source),
        "records": reading.records,
        "faults": [fault.code for page in reading.pages for fault in page.faults],
        "deleted": [key for page in reading.pages for key in page.page.deleted],
        "cursor": last.model_dump(mode="json") if last else None,
    }
    for name, wanted in expect.model_dump(exclude_none=True).items():
        hold(came[name] == wanted, f"{source.name}: expected {name} {wanted!r}, came {came[name]!r}")


def nothing_leaks(stage: Stage, source: Source) -> None:
    """No secret in traces, logs, pages and errors."""
    reading = stage.read(source, stage.start(source))
    seen = [*map(repr, reading.rig.steps), *reading.rig.logs]
    seen += [repr((page.page.name, page.page.note, page.page.cursor, page.records)) for page in reading.pages]
    if stage.connector.http is not None:
        seen.append(repr(_error(stage, source, lock_out())))
    leaked = secrets_in(seen, stage.secrets)
    hold(not leaked, f"{source.name}: a secret of the settings shows in: {leaked}")


def cursor_survives_json(stage: Stage, source: Source) -> None:
    """The hub keeps cursors as JSON."""
    assert source.cursor is not None
    hold(
        source.cursor.model_config.get("frozen"),
        f"{source.cursor.__name__} must be frozen: derive it from Cursor",
    )
    for page in stage.read(source, stage.start(source)).pages:
        cursor = page.page.cursor
        hold(cursor is not None, f"{source.name}: a page has no cursor")
        assert cursor is not None
        again = source.cursor.model_validate(json.loads(cursor.model_dump_json()))
        hold(again == cursor, f"{source.name}: as JSON the cursor {cursor!r} becomes {again!r}")


def resume_yields_the_rest(stage: Stage, source: Source) -> None:
    """A read that starts from a saved cursor gives every record that had not come yet."""
    reading = stage.read(source, stage.start(source))
    for number in range(1, len(reading.pages))[:_MOST_RESUMES]:
        resumed = _resumed(stage, source, reading, number)
        rest = [record for page in reading.pages[number:] for record in page.records]
        lost = [member(record, source.key) for record in rest if record not in resumed.records]
        hold(
            not lost,
            f"{source.name}: started again behind page {number} (cursor {reading.pages[number - 1].page.cursor!r}), "
            f"the read loses {lost}",
        )
        _nothing_twice(source, reading, resumed, f"behind page {number}")


def again_ends(stage: Stage, source: Source) -> None:
    """A read from the last cursor ends, and starts the listing over only if an overlap is declared."""
    reading = stage.read(source, stage.start(source))
    again = _resumed(stage, source, reading, len(reading.pages))
    _nothing_twice(source, reading, again, "behind the last page")


def overlap_is_read(stage: Stage, source: Source) -> None:
    """A read from the last cursor asks for what lies up to `overlap` behind it."""
    reading = stage.read(source, stage.start(source))
    again = _resumed(stage, source, reading, len(reading.pages))
    if any(record in reading.records for record in again.records):
        return
    cursor = reading.pages[-1].page.cursor
    moments = [
        moment for value in (cursor.model_dump() if cursor else {}).values() for moment in _moments(value)
    ]
    asked = [moment for request in again.rig.requests for moment in _moments_of(request)]
    hold(
        moments and asked and min(asked) <= max(moments) - source.overlap,
        f"{source.name}: an overlap of {source.overlap} is declared, but a read from {cursor!r} neither gives a record "
        f"again nor asks for an earlier time (asked for: {[str(m) for m in sorted(asked)] or 'no time at all'})",
    )


def decode_is_pure(stage: Stage, source: Source) -> None:
    """Decoding the same bytes again gives the same rows, in the order of their positions."""
    assert source.decode is not None
    params = stage.source_case(source.name).params
    for page in stage.read(source, stage.start(source)).pages:
        raw = page.page.raw
        if not isinstance(raw, bytes):
            continue
        first, second = (list(source.decode(BytesIO(raw), stage.config, params)) for _ in range(2))
        hold(first == second, f"{source.name}: decoding {page.page.name!r} twice gives different rows")
        positions = [row.position for row in first]
        hold(
            positions == sorted(positions),
            f"{source.name}: the rows of {page.page.name!r} do not come in the order of their positions: {positions}",
        )


def files_survive_a_restart(stage: Stage, source: Source) -> None:
    """Killed between handing a file over and the hub's storing it, the next read hands it over again."""
    whole = stage.read(source, stage.start(source))
    for number in range(len(whole.pages))[:_MOST_RESUMES]:
        with stage.open_for(source) as rig:
            cursor = stage.start(source)
            came: list[Mapping[str, Any]] = []
            pages = source.run(rig.call, cursor)
            for _ in range(number):
                page = stage.stored(rig, source, next(pages))
                cursor = page.page.cursor
                came += page.records
            next(pages)  # handed over and never stored
            if isinstance(pages, Generator):
                pages.close()
            came += stage.read_in(rig, source, cursor).records
        lost = [member(record, source.key) for record in whole.records if record not in came]
        hold(
            not lost,
            f"{source.name}: killed before page {number + 1} was stored, the next read loses {lost}; "
            "a file may be put away only after its page was yielded",
        )
    with stage.open_for(source) as rig:
        last = stage.read_in(rig, source, stage.start(source)).pages[-1].page.cursor
        again = stage.read_in(rig, source, last)
    hold(not again.records, f"{source.name}: a second read hands over again {again.keys(source)}")


def acknowledging_again_answers_the_same(stage: Stage, source: Source) -> None:
    """The hub acknowledges a page after each replay too: the same refusals give the same answer, never a second one."""
    assert source.acknowledge is not None
    for refused in ([], [{"line": 2, "key": "A1", "code": "field", "message": "見本 / sample"}]):
        with stage.open_for(source) as rig:
            for page in stage.read_in(rig, source, stage.start(source)).pages:
                if page.page.name is None:
                    continue
                told = []
                for _ in range(2):
                    before = len(rig.requests)
                    source.acknowledge(rig.call, page.page.name, refused)
                    sent = [sent_as_text(request) for request in rig.requests[before:]]
                    told.append((sent, dict(rig.files.content) if rig.files is not None else {}))
                hold(
                    told[0] == told[1],
                    f"{source.name}: acknowledging {page.page.name!r} twice gives another answer the second time",
                )


def throttling_is_waited_for(stage: Stage, source: Source) -> None:
    """429 with Retry-After: wait, then go on; the records are the same."""
    reading = stage.read(source, stage.start(source))
    for number in range(min(len(reading.rig.requests), _MOST_THROTTLES)):
        try:
            slowed = stage.read(source, stage.start(source), through=throttle(number))
        except ConnectorError as error:
            broken(
                f"{source.name}: 429 to request {number + 1} ended the read: {error!r}; call.http waits by itself"
            )
        hold(
            slowed.records == reading.records,
            f"{source.name}: after 429 to request {number + 1} other records came: {slowed.keys(source)}",
        )
        hold(
            sum(slowed.rig.waits) >= RETRY_AFTER,
            f"{source.name}: Retry-After was {RETRY_AFTER} s, but the read waited {sum(slowed.rig.waits):.1f} s",
        )


def lock_out_needs_a_person(stage: Stage, source: Source) -> None:
    """401 is `Misconfigured`."""
    _hold_error(stage, source, lock_out(), Misconfigured, "401 to every request")


def no_connection_is_retried(stage: Stage, source: Source) -> None:
    """Nobody answers: `Retry`."""
    _hold_error(stage, source, no_connection(), Retry, "no connection")


def garbled_answers_are_errors(stage: Stage, source: Source) -> None:
    """A maintenance page with status 200 must not pass for an empty listing."""
    reading = stage.read(source, stage.start(source))
    handed_on = all(page.page.raw is not None for page in reading.pages)  # then decode judges the bytes
    if not handed_on and any(
        "json" in answer.headers.get("content-type", "") for answer in reading.rig.answers
    ):
        _hold_error(stage, source, garble(), ConnectorError, "a page of HTML in place of JSON")


def _hold_error(
    stage: Stage, source: Source, fault: Transform, wanted: type[ConnectorError], what: str
) -> None:
    if not stage.read(source, stage.start(source)).rig.requests:
        return
    error = _error(stage, source, fault)
    came = f"it raised {error!r}" if error else "it ended as if all were well"
    hold(isinstance(error, wanted), f"{source.name}: {what} should raise {wanted.__name__}; {came}")


def _error(stage: Stage, source: Source, fault: Transform) -> Exception | None:
    try:
        stage.read(source, stage.start(source), through=fault)
    except AssertionError:
        raise
    except Exception as error:  # noqa: BLE001  (which one it is, is the question)
        return error
    return None


def _resumed(stage: Stage, source: Source, reading: Reading, pages: int) -> Reading:
    """A new read behind the first `pages` pages, from the cursor as the hub would load it."""
    assert source.cursor is not None
    hold(pages, f"{source.name}: its recording gives no page; record at least one")
    cursor = reading.pages[pages - 1].page.cursor
    hold(cursor is not None, f"{source.name}: page {pages} has no cursor")
    assert cursor is not None
    loaded = source.cursor.model_validate(json.loads(cursor.model_dump_json()))
    history = MemoryHistory()
    for stored in reading.pages[:pages]:
        history.add(stored.page, stage.source_case(source.name).now)
    return stage.read(source, loaded, history=history)


def _nothing_twice(source: Source, reading: Reading, resumed: Reading, where: str) -> None:
    """Without an overlap the first page must not come again as a whole: the cursor would not be read at
    all.
    """
    first: list[PageRead] = [page for page in reading.pages if page.records][:1]
    if source.overlap > timedelta(0) or not first:
        return
    hold(
        not all(record in resumed.records for record in first[0].records),
        f"{source.name}: started again {where}, the records of the first page come again; "
        "use the cursor, or declare overlap=... if late rows are read again on purpose",
    )


def _moments_of(request: httpx.Request) -> Iterator[datetime]:
    for value in request.url.params.values():
        yield from _moments(value)
    try:
        body = json.loads(request.content) if request.content else None
    except ValueError:
        return
    yield from _moments(body)


def _moments(value: Any) -> Iterator[datetime]:
    """The points in time in a value: datetimes, ISO texts, and numbers that can be seconds or
    milliseconds.
    """
    if isinstance(value, datetime):
        yield value if value.tzinfo else value.replace(tzinfo=UTC)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _moments(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _moments(item)
    elif isinstance(value, str) and value.isascii() and value.isdigit():
        yield from _moments(int(value))
    elif isinstance(value, str):
        try:
            yield from _moments(datetime.fromisoformat(value))
        except ValueError:
            return
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value / 1000 if value > 10**11 else value
        if 10**9 <= seconds < 10**10:
            yield datetime.fromtimestamp(seconds, UTC)
