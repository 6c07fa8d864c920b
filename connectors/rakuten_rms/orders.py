"""Orders out of RMS: search for numbers, then get the orders, a hundred at a time.

There is no "updated since". A change is caught by one of three looks: windows by several dates (ordered, confirmed,
fixed, shipping reported), every order still open, and now and then the cancelled ones, which carry no date of
their own. An order seen by two looks in one run is fetched once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import AwareDatetime

from connectors.contract import Call, Cursor, Page, Refused
from connectors.rakuten_rms.config import RakutenConfig
from connectors.rakuten_rms.gateway import order_call, raise_errors
from connectors.rakuten_rms.windows import JST, Window, halves, rms_time, windows
from connectors.transport.http import Intent

__all__ = ["GET_ORDER_LIMIT", "OrderCursor", "fetch_orders", "orders", "search_numbers"]

GET_ORDER_LIMIT = 100
_REACH = timedelta(days=729)
"""RMS shows 730 days; one less, so that a slow run does not fall over the edge."""


class OrderCursor(Cursor):
    """`until`: all windows up to here were read. `rechecked`: when cancelled orders were last looked for.

    `taken` orders of what comes next were stored already. It tells pages apart and no more: what comes next is
    searched again from its start, because numbers move between the pages of a search.
    """

    until: AwareDatetime
    rechecked: AwareDatetime | None = None
    taken: int = 0


def orders(call: Call[RakutenConfig], cursor: OrderCursor | None) -> Iterator[Page]:
    """One page per getOrder answer.

    Params of a run: `order_numbers` or `ids` (fetch just these), or `since` / `until` (ISO 8601, JST when no offset
    stands there: read this time again by all dates). Such a run leaves the cursor where it is.
    """
    if numbers := call.params.get("order_numbers") or call.params.get("ids"):
        yield from _pages(call, list(numbers), None, None)
    elif call.params.get("since"):
        yield from _again(call)
    else:
        yield from _since(call, cursor)


def _again(call: Call[RakutenConfig]) -> Iterator[Page]:
    now = call.now()
    start = _moment(call.params["since"], "since")
    end = _moment(call.params["until"], "until") if call.params.get("until") else now
    seen: set[str] = set()
    for window in windows(max(start, now - _REACH), end, timedelta(days=call.config.window_days)):
        yield from _pages(call, _new(seen, _by_dates(call, window)), None, None)


def _since(call: Call[RakutenConfig], cursor: OrderCursor | None) -> Iterator[Page]:
    config = call.config
    now = call.now().replace(microsecond=0)
    before = cursor or OrderCursor(until=now - timedelta(days=config.first_days) + config.overlap)
    rechecked = before.rechecked
    start = before.until - config.overlap
    note = None
    if start < now - _REACH:
        note = (
            f"楽天RMSは730日より前の受注を返しません。{start:%Y-%m-%d}以降の一部は取得できません。"
            f" / RMS does not return orders older than 730 days: some since {start:%Y-%m-%d} are lost to us."
        )
        start = now - _REACH
    seen: set[str] = set()
    for window in windows(start, now, timedelta(days=config.window_days)):
        behind = OrderCursor(until=window.end, rechecked=rechecked)
        yield from _pages(call, _new(seen, _by_dates(call, window)), before, behind, note)
        before, note = behind, None
    recent = Window(now - timedelta(days=config.recheck_days), now)
    yield from _pages(call, _new(seen, search_numbers(call, recent, 1, config.open_progress)), before, None)
    if rechecked is None or now - rechecked >= config.recheck_every:
        found = search_numbers(call, recent, 1, config.closed_progress) if config.closed_progress else ()
        yield from _pages(call, _new(seen, found), before, OrderCursor(until=now, rechecked=now))


def _by_dates(call: Call[RakutenConfig], window: Window) -> Iterator[str]:
    for date_type in call.config.date_types:
        yield from search_numbers(call, window, date_type)


def _new(seen: set[str], numbers: Iterable[str]) -> list[str]:
    found = [number for number in dict.fromkeys(numbers) if number not in seen]
    seen.update(found)
    return found


def search_numbers(
    call: Call[RakutenConfig], window: Window, date_type: int, progress: Sequence[int] = ()
) -> Iterator[str]:
    """Numbers of the orders in a window. Where RMS would stop silently (15,000 hits) the window is halved."""
    page, pages = 1, 1
    while page <= pages:
        body: dict[str, Any] = {
            "dateType": date_type,
            "startDatetime": rms_time(window.start),
            "endDatetime": rms_time(window.end),
            "PaginationRequestModel": {
                "requestRecordsAmount": call.config.search_page_size,
                "requestPage": page,
                "SortModelList": [{"sortColumn": 1, "sortDirection": 1}],
            },
        }
        if progress:
            body["orderProgressList"] = list(progress)
        answer = order_call(call, "searchOrder", body, intent=Intent.READ)
        raise_errors("searchOrder", answer)
        paging = answer.get("PaginationResponseModel") or {}
        # with no hits the three numbers are null, not 0
        total, pages = paging.get("totalRecordsAmount") or 0, paging.get("totalPages") or 0
        if total >= call.config.search_hits_limit:
            yield from _halved(call, window, date_type, progress)
            return
        yield from answer.get("orderNumberList") or ()
        page += 1


def _halved(
    call: Call[RakutenConfig], window: Window, date_type: int, progress: Sequence[int]
) -> Iterator[str]:
    parts = halves(window)
    if parts is None:
        raise Refused(
            f"RMS searchOrder: {call.config.search_hits_limit} orders or more within the second"
            f" {rms_time(window.start)}; the rest cannot be reached",
            code="too_many_hits",
        )
    for part in parts:
        yield from search_numbers(call, part, date_type, progress)


def fetch_orders(call: Call[RakutenConfig], numbers: Sequence[str]) -> list[Mapping[str, Any]]:
    """The orders of at most 100 numbers, as getOrder gives them; unknown numbers are missing."""
    body = {"orderNumberList": list(numbers), "version": call.config.get_order_version}
    answer = order_call(call, "getOrder", body, intent=Intent.READ)
    raise_errors("getOrder", answer)
    return list(answer.get("OrderModelList") or ())


def _pages(
    call: Call[RakutenConfig],
    numbers: Sequence[str],
    before: OrderCursor | None,
    behind: OrderCursor | None,
    note: str | None = None,
) -> Iterator[Page]:
    """Pages of the numbers: all but the last carry the cursor `before` the window, the last the one `behind` it."""
    for n in range(0, len(numbers), GET_ORDER_LIMIT):
        chunk = numbers[n : n + GET_ORDER_LIMIT]
        taken = n + len(chunk)
        within = before and before.model_copy(update={"taken": taken})
        yield Page(
            cursor=behind if taken == len(numbers) and behind is not None else within,
            records=fetch_orders(call, chunk),
            name=f"getOrder {chunk[0]} +{len(chunk) - 1}",
            note=note if n == 0 else None,
        )
    if not numbers and (behind is not None or note is not None):
        yield Page(cursor=behind, note=note)


def _moment(value: Any, name: str) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise Refused(
            f"{name}: {value!r} is no date or time; write it as 2026-11-21T09:00", code="bad_param"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=JST)
