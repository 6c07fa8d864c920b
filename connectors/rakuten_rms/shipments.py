"""Shipping reports into RMS (発送完了報告): never a second parcel for the same tracking number.

Each attempt reads the orders first and sends only what they do not show. An answer that got lost is a `retry`;
the next attempt sees at the order itself whether the first one arrived.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.contract import Batch, Call, Change, Outcome, Refused, Retry
from connectors.rakuten_rms.config import RakutenConfig
from connectors.rakuten_rms.gateway import errors_in, order_call, raise_errors
from connectors.rakuten_rms.orders import GET_ORDER_LIMIT, fetch_orders
from connectors.rakuten_rms.parcels import Refusal, detail_ids, plan
from connectors.transport.http import Intent

__all__ = ["already_reported", "shipments"]


@dataclass(frozen=True, slots=True)
class _Report:
    """What one order must still be told, by one or more changes (one per recipient)."""

    number: str
    changes: tuple[Change, ...]
    baskets: tuple[dict[str, Any], ...]

    @property
    def body(self) -> dict[str, Any]:
        return {"orderNumber": self.number, "BasketidModelList": list(self.baskets)}


def already_reported(call: Call[RakutenConfig], batch: Batch) -> Iterable[Outcome]:
    """Outcomes for the changes whose parcels the orders show already."""
    for change, order in _with_orders(call, batch):
        try:
            missing = plan(change, order)
        except Refusal:
            continue
        if not missing and order is not None:
            yield _done(change, detail_ids(change, order))


def shipments(call: Call[RakutenConfig], batch: Batch) -> Iterable[Outcome]:
    """Report `{orderNumber, BasketidModelList: [{basketId, ShippingModelList: [...]}]}`.

    Several changes may belong to one order (several recipients); they are sent together.
    """
    todo: dict[str, list[tuple[Change, list[dict[str, Any]]]]] = {}
    for change, order in _with_orders(call, batch):
        try:
            missing = plan(change, order)
        except Refusal as refusal:
            yield Outcome.refused(change.key, str(refusal), code=refusal.code)
            continue
        if missing:
            todo.setdefault(str(change.record["orderNumber"]), []).append((change, missing))
        elif order is not None:
            yield _done(change, detail_ids(change, order))
    reports = [
        _Report(
            number, tuple(c for c, _ in parts), tuple(basket for _, baskets in parts for basket in baskets)
        )
        for number, parts in todo.items()
    ]
    bulk = call.config.report_in_bulk_from
    if bulk is not None and len(reports) >= bulk:
        yield from _in_bulk(call, reports)
    else:
        yield from _one_by_one(call, reports)


def _with_orders(
    call: Call[RakutenConfig], batch: Batch
) -> Iterator[tuple[Change, Mapping[str, Any] | None]]:
    numbers = list(dict.fromkeys(str(change.record.get("orderNumber")) for change in batch))
    known: dict[str, Mapping[str, Any]] = {}
    for n in range(0, len(numbers), GET_ORDER_LIMIT):
        known |= {o["orderNumber"]: o for o in fetch_orders(call, numbers[n : n + GET_ORDER_LIMIT])}
    for change in batch:
        yield change, known.get(str(change.record.get("orderNumber")))


def _done(change: Change, details: Sequence[int]) -> Outcome:
    return Outcome.done(change.key, external_id=str(details[0]) if details else None)


def _told(report: _Report, messages: Sequence[Mapping[str, Any]]) -> Iterator[Outcome]:
    """One outcome per change from RMS' messages on an order. An order is taken as a whole or not at all."""
    errors = errors_in(messages)
    if errors:
        code = str(errors[0].get("messageCode"))
        said = "; ".join(f"{error.get('messageCode')} {error.get('message')}" for error in errors)
        for change in report.changes:
            yield Outcome.refused(change.key, f"RMS {report.number}: {said}", code=code)
        return
    # messages stand in the order of the rows sent, so each change finds the id of its first row
    details = {m.get("dataNumber"): m.get("shippingDetailId") for m in messages}
    row = 1
    for change in report.changes:
        mine = {basket["basketId"] for basket in change.record["BasketidModelList"]}
        first = details.get(row)
        row += sum(len(b["ShippingModelList"]) for b in report.baskets if b["basketId"] in mine)
        yield _done(change, [int(first)] if first is not None else [])


def _one_by_one(call: Call[RakutenConfig], reports: Sequence[_Report]) -> Iterator[Outcome]:
    for n, report in enumerate(reports):
        try:
            answer = order_call(call, "updateOrderShipping", report.body, intent=Intent.ONCE)
        except Retry as error:
            # raising would lose what was reported before; the rest is as untold as this one
            for unsettled in reports[n:]:
                for change in unsettled.changes:
                    yield Outcome.retry(change.key, str(error), after=error.after)
            return
        except Refused as error:
            for change in report.changes:
                yield Outcome.refused(change.key, str(error), code=error.code)
            continue
        messages = answer.get("MessageModelList") or ()
        if errors_in(messages) and len(report.changes) > 1:
            # nothing was done; alone, the good parcels go through
            yield from _one_by_one(call, [_alone(report, change) for change in report.changes])
        else:
            yield from _told(report, messages)


def _alone(report: _Report, change: Change) -> _Report:
    mine = {basket["basketId"] for basket in change.record["BasketidModelList"]}
    return _Report(report.number, (change,), tuple(b for b in report.baskets if b["basketId"] in mine))


def _in_bulk(call: Call[RakutenConfig], reports: Sequence[_Report]) -> Iterator[Outcome]:
    for n in range(0, len(reports), GET_ORDER_LIMIT):
        yield from _submit(call, list(reports[n : n + GET_ORDER_LIMIT]))


def _submit(call: Call[RakutenConfig], reports: list[_Report]) -> Iterator[Outcome]:
    """One asynchronous request. A refused one says which orders are wrong; the others are sent again."""
    left = {report.number: report for report in reports}
    while left:
        body = {"OrderShippingModelList": [report.body for report in left.values()]}
        try:
            answer = order_call(call, "updateOrderShippingAsync", body, intent=Intent.ONCE)
        except Retry as error:
            yield from _unsettled(call, left.values(), str(error))
            return
        messages = answer.get("MessageModelList") or ()
        errors = errors_in(messages)
        if not errors:
            request_id = next((m["requestId"] for m in messages if m.get("requestId")), None)
            yield from _results(call, left, request_id)
            return
        wrong = {str(error.get("orderNumber")) for error in errors} & left.keys()
        if not wrong:
            raise_errors("updateOrderShippingAsync", answer)
        for number in wrong:
            report = left.pop(number)
            yield from _told(report, [error for error in errors if error.get("orderNumber") == number])


def _results(
    call: Call[RakutenConfig], left: Mapping[str, _Report], request_id: str | None
) -> Iterator[Outcome]:
    """Wait for the results. RMS says "does not exist" while it works, and for a number it forgot."""
    config = call.config
    tries = max(1, int(config.result_wait / config.result_poll)) if config.result_poll else 1
    settled: set[str] = set()
    for _ in range(tries):
        time.sleep(config.result_poll.total_seconds())
        try:
            answer = order_call(
                call, "getResultUpdateOrderShippingAsync", {"requestId": request_id}, intent=Intent.READ
            )
        except Retry:
            break
        for result in answer.get("ResultShippingModelList") or ():
            number = result.get("orderNumber")
            if number in left and number not in settled:
                settled.add(number)
                yield from _told(left[number], result.get("MessageModelList") or ())
        if settled == left.keys():
            return
    rest = [report for number, report in left.items() if number not in settled]
    yield from _unsettled(call, rest, f"RMS is still working on shipping request {request_id}")


def _unsettled(call: Call[RakutenConfig], reports: Iterable[_Report], reason: str) -> Iterator[Outcome]:
    # asked again only when RMS has surely worked the request off: then the orders show what came of it
    for report in reports:
        for change in report.changes:
            yield Outcome.retry(change.key, reason, after=call.config.settle)
