"""Each check of a sink lets a good connector pass and finds the fault of a broken one."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, SecretStr

from connectors.contract import Batch, Call, Connector, Outcome, Refused, Retry, Title, Write
from connectors.transport.auth import HeaderKey
from connectors.transport.http import HttpSettings, Intent

Judge = Callable[..., dict[str, str]]
Sink = Callable[[Call[Any], Batch], Iterable[Outcome]]


class Config(BaseModel):
    base_url: str = "https://shop.example"
    api_key: SecretStr = SecretStr("key-of-the-test-account")


FILES = {
    "recordings/check.yaml": "- request: {path: /shop}\n  response: {json: {name: shop}}\n",
    "recordings/stock.yaml": """
- request: {method: PUT, path: /stock, json: {items: [{sku: A, quantity: 1}, {sku: B, quantity: 2}]}}
  response: {json: {errors: []}}
- request: {method: PUT, path: /stock, json: {items: [{sku: GONE, quantity: 3}]}}
  response: {json: {errors: [{sku: GONE, message: unknown SKU}]}}
""",
    "cases/stock.yaml": """
changes:
  - {key: A, record: {sku: A, quantity: 1}}
  - {key: B, record: {sku: B, quantity: 2}}
  - {key: GONE, record: {sku: GONE, quantity: 3}}
expect:
  outcomes: {A: done, B: done, GONE: refused}
""",
}


def stock(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    body = {"items": [dict(change.record) for change in batch]}
    refused = {e["sku"]: e["message"] for e in call.http.put("/stock", json=body).json()["errors"]}
    for change in batch:
        reason = refused.get(change.key)
        yield Outcome.refused(change.key, reason) if reason else Outcome.done(change.key)


def shop(run: Sink = stock, **declared: Any) -> Connector[Config]:
    connector = Connector(
        "tiny_shop",
        config=Config,
        title=Title("店", "Shop"),
        http=lambda c: HttpSettings(c.base_url, auth=HeaderKey("X-Api-Key", c.api_key)),
    )
    connector.sink("stock", **({"key": "sku", "batch_size": 2} | declared))(run)
    connector.check(lambda call: f"shop {call.http.get('/shop').json()['name']}")
    return connector


def test_a_good_sink_passes_every_check(judge: Judge) -> None:
    assert judge(shop(), FILES) == {}


def test_a_sink_that_tells_retry_per_change_passes_too(judge: Judge) -> None:
    def run(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
        try:
            return list(stock(call, batch))
        except Retry as error:
            return [Outcome.retry(change.key, str(error), after=error.after) for change in batch]

    assert judge(shop(run), FILES) == {}


def test_a_document_without_what_it_refused_is_whole(judge: Judge) -> None:
    def run(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
        done = list(stock(call, batch))
        return [*done[:-1], Outcome.refused(done[-1].key, "the layout has no room for it")]

    case = FILES["cases/stock.yaml"].partition("expect:")[0]
    assert judge(shop(run, whole=True), FILES | {"cases/stock.yaml": case}) == {}


def told(change: Callable[[list[Outcome]], Iterable[Any]]) -> Sink:
    """`stock`, whose outcomes are spoilt."""
    return lambda call, batch: change(list(stock(call, batch)))


def everything_is_done(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    try:
        list(stock(call, batch))
    except Exception:  # noqa: BLE001
        structlog.get_logger().warning("never mind")
    return [Outcome.done(change.key) for change in batch]


def everything_is_refused_on_errors(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    try:
        return list(stock(call, batch))
    except Exception as error:  # noqa: BLE001
        return [Outcome.refused(change.key, str(error)) for change in batch]


def its_own_errors(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    try:
        return list(stock(call, batch))
    except Exception as error:
        raise RuntimeError("stock") from error


def a_new_number_each_time(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    call.http.put("/stock", json={"items": [dict(c.record) for c in batch]}, headers={"X-Request-Id": "1"})
    call.http.get("/log", params={"id": str(uuid.uuid4())})
    return [Outcome.done(change.key) for change in batch]


def a_request_more_the_second_time(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    outcomes = list(stock(call, batch))
    if batch.attempt > 1 and batch.changes[-1].key == "GONE":
        call.http.get("/log", params={"id": "again"})
    return outcomes


def other_outcomes_the_second_time(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    outcomes = list(stock(call, batch))
    return outcomes if batch.attempt == 1 else [Outcome.retry(o.key, "again") for o in outcomes]


def refuses_when_throttled(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    body = {"items": [dict(change.record) for change in batch]}
    answer = call.http.put("/stock", json=body, expect={429})
    if answer.status_code == 429:
        return [Outcome.refused(change.key, "429") for change in batch]
    return [Outcome.done(change.key) for change in batch]


def raises_when_throttled(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    body = {"items": [dict(change.record) for change in batch]}
    if call.http.put("/stock", json=body, expect={429}).status_code == 429:
        raise Retry("too many requests")
    return [Outcome.done(change.key) for change in batch]


def logs_the_key(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    structlog.get_logger().info("calling", key=call.config.api_key.get_secret_value())
    return stock(call, batch)


def refuses_the_recorded_batch(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    raise Refused("no")


LOG = """
- request: {path: /log, query: {id: "*"}}
  response: {json: {}}
"""
BROKEN: list[tuple[str, Sink, dict[str, Any], str, str]] = [
    (
        "one outcome missing",
        told(lambda o: o[:1]),
        {},
        "outcomes",
        r"given were \['A', 'B', 'GONE'\], told was of \['A', 'GONE'\]",
    ),
    (
        "one outcome twice",
        told(lambda o: [*o, o[0]]),
        {},
        "outcomes",
        r"told was of \['A', 'A', 'B', 'GONE', 'GONE'\]",
    ),
    ("foreign outcome", told(lambda o: [*o, Outcome.done("X")]), {}, "outcomes", "'X'"),
    ("no outcome objects", told(lambda o: [x.key for x in o]), {}, "outcomes", "gives Outcome, not str"),
    (
        "refused without a reason",
        told(lambda o: [Outcome.refused(x.key, "") for x in o]),
        {},
        "outcomes",
        "is refused without a reason",
    ),
    (
        "raises on the recorded batch",
        refuses_the_recorded_batch,
        {},
        "outcomes",
        "the recorded batch raised Refused",
    ),
    ("larger batches than declared", stock, {"batch_size": 3}, "outcomes", "holds no answer"),
    ("batches of nothing", stock, {"batch_size": 0}, "outcomes", "batch_size must be at least 1"),
    (
        "says done for a refusal",
        told(lambda o: [Outcome.done(x.key) for x in o]),
        {},
        "expected",
        "expected GONE to be refused, came Outcome",
    ),
    (
        "another request each time",
        a_new_number_each_time,
        {},
        "again",
        r"(?s)second attempt sends something else.*/log\?id=",
    ),
    ("a request more", a_request_more_the_second_time, {}, "again", "sends 2 requests, the second 3"),
    ("other outcomes", other_outcomes_the_second_time, {}, "again", "ends otherwise"),
    (
        "mixed verdicts of one document",
        told(lambda o: [*o[:-1], Outcome.retry(o[-1].key, "x")]),
        {"whole": True},
        "whole",
        r"came out as \['done', 'retry'\]",
    ),
    (
        "refuses when throttled",
        refuses_when_throttled,
        {},
        "throttled",
        "the batch ends otherwise: .*refused",
    ),
    ("raises when throttled", raises_when_throttled, {}, "throttled", "ended the batch: Retry"),
    (
        "401 per change",
        everything_is_refused_on_errors,
        {},
        "locked_out",
        "401 should raise Misconfigured; it ended with",
    ),
    (
        "done though nobody answered",
        everything_is_done,
        {},
        "down",
        r"no connection should end in Retry .*'A': 'done'",
    ),
    (
        "done though unavailable",
        everything_is_done,
        {},
        "unavailable",
        "503 to every request should end in Retry",
    ),
    (
        "done though no answer came",
        everything_is_done,
        {},
        "unsure",
        "answers that never arrive should end in Retry",
    ),
    (
        "done though refused",
        everything_is_done,
        {},
        "refused",
        r"HTTP 400 to every request, and yet \['A', 'B', 'GONE'\]",
    ),
    (
        "refused though nobody answered",
        everything_is_refused_on_errors,
        {},
        "down",
        "should end in Retry or in retry outcomes",
    ),
    ("own error", its_own_errors, {}, "down", "should raise Retry; it raised RuntimeError"),
    (
        "own error for 400",
        its_own_errors,
        {},
        "refused",
        "should end in Retry, Refused or Misconfigured; it raised RuntimeError",
    ),
    (
        "own error for HTML",
        its_own_errors,
        {},
        "garbled",
        "a page of HTML in place of JSON should end in Retry",
    ),
    ("key in a log", logs_the_key, {}, "secrets", "<SECRET>"),
]


@pytest.mark.parametrize(
    ("run", "declared", "check", "text"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN]
)
def test_a_broken_sink_is_found(
    judge: Judge, run: Sink, declared: dict[str, Any], check: str, text: str
) -> None:
    findings = judge(
        shop(run, **declared), FILES | {"recordings/stock.yaml": FILES["recordings/stock.yaml"] + LOG}
    )
    assert re.search(text, findings.get(f"sink:stock:{check}", f"nothing; other findings: {findings}"))


def test_a_missing_case_is_found(judge: Judge) -> None:
    findings = judge(shop(), {name: text for name, text in FILES.items() if name != "cases/stock.yaml"})
    assert "cases/stock.yaml is missing" in findings["sink:stock:outcomes"]


def test_a_wrong_external_id_is_found(judge: Judge) -> None:
    case = FILES["cases/stock.yaml"] + "  external_ids: {A: id-1}\n"
    findings = judge(shop(), FILES | {"cases/stock.yaml": case})
    assert findings == {"sink:stock:expected": "stock: expected the external id 'id-1' for A, came None"}


# ---------------------------------------------------------------- writes that must happen once


ORDERS = FILES | {
    "recordings/stock.yaml": """
- request: {method: POST, path: /movements, json: {sku: A, by: 1}}
  response: {status: 201, json: {id: m-1}}
- request: {path: /movements, query: {reference: contract-1}}
  response: {json: {movements: [{sku: A, id: m-1}]}}
""",
    "cases/stock.yaml": """
changes: [{key: A, record: {sku: A, by: 1}}]
expect: {outcomes: {A: done}, external_ids: {A: m-1}}
""",
}


def move(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    for change in batch:
        answer = call.http.post("/movements", json=dict(change.record)).json()
        yield Outcome.done(change.key, external_id=answer["id"])


def moved(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    answer = call.http.get("/movements", params={"reference": batch.idempotency_key}).json()
    return [Outcome.done(found["sku"], external_id=found["id"]) for found in answer["movements"]]


def test_a_good_delta_sink_passes_every_check(judge: Judge) -> None:
    assert judge(shop(move, write=Write.DELTA, ask=moved), ORDERS) == {}


def sends_again_by_itself(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    for _ in range(2):
        try:
            return list(move(call, batch))
        except Retry:
            continue
    raise Retry("twice nothing")


def repeatable_by_mistake(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    for change in batch:
        answer = call.http.post("/movements", json=dict(change.record), intent=Intent.REPEATABLE).json()
        yield Outcome.done(change.key, external_id=answer["id"])


def refused_when_unsure(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    try:
        return list(move(call, batch))
    except Retry as error:
        return [Outcome.refused(change.key, str(error)) for change in batch]


def knows_nothing(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    return []


def answers_for_others(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    return [Outcome.done("X"), Outcome.done("A")]


def asks_by_writing(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    return move(call, batch)


@pytest.mark.parametrize(
    ("run", "ask", "check", "text"),
    [
        (repeatable_by_mistake, moved, "once", "no request has intent=Intent.ONCE"),
        (sends_again_by_itself, moved, "once", "the sink itself sends the same write again"),
        (refused_when_unsure, moved, "once", "a write whose answer was lost should end in Retry"),
        (move, knows_nothing, "ask", r"\['A'\] were written, but ask does not say so"),
        (move, answers_for_others, "ask", r"ask answers for \['X'\]"),
        (move, asks_by_writing, "ask", "ask must only read .*POST https://shop.example/movements"),
    ],
)
def test_a_broken_delta_sink_is_found(judge: Judge, run: Sink, ask: Any, check: str, text: str) -> None:
    findings = judge(shop(run, write=Write.DELTA, ask=ask), ORDERS)
    assert re.search(text, findings.get(f"sink:stock:{check}", f"nothing; other findings: {findings}"))
