"""Each check of a source lets a good connector pass and finds the fault of a broken one."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import IO, Any

import httpx
import pytest
import structlog
from pydantic import AwareDatetime, BaseModel, SecretStr

from connectors.contract import Call, Connector, Cursor, Deletes, Fault, Page, Record, Title
from connectors.transport.auth import HeaderKey
from connectors.transport.http import HttpSettings

Judge = Callable[..., dict[str, str]]


class Config(BaseModel):
    base_url: str = "https://shop.example"
    api_key: SecretStr = SecretStr("key-of-the-test-account")


class Since(Cursor):
    updated: AwareDatetime | None = None
    page: int = 1


class Wobbly(Cursor):
    """A cursor that JSON changes."""

    page: int = 1
    hidden: Any = None


FILES = {
    "recordings/check.yaml": "- request: {path: /shop}\n  response: {json: {name: shop}}\n",
    "recordings/orders.yaml": """
- request: {path: /orders, query: {page: "1"}}
  response: {json: {orders: [{id: A1, at: "2026-01-01T00:00:00Z"}, {id: A2, at: "2026-01-02T00:00:00Z"}], more: true}}
- request: {path: /orders, query: {page: "2"}}
  response: {json: {orders: [{id: A3, at: "2026-01-03T00:00:00Z"}], more: false}}
- request: {path: /orders, query: {page: "1", since: "2026-01-02T23:00:00+00:00"}}
  response: {json: {orders: [], more: false}}
""",
    "cases/orders.yaml": """
expect: {keys: [A1, A2, A3], faults: [], deleted: [], cursor: {updated: "2026-01-03T00:00:00Z", page: 1}}
""",
}
HOUR = timedelta(hours=1)
Source = Callable[[Call[Config], Any], Iterator[Page]]


def orders(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
    cursor = cursor or Since()
    page, newest, more = cursor.page, cursor.updated, True
    since = {"since": (newest - HOUR).isoformat()} if newest and page == 1 else {}
    while more:
        answer = call.http.get("/orders", params={"page": page, **since}).json()
        newest = max(
            [*(datetime.fromisoformat(o["at"]) for o in answer["orders"]), *([newest] if newest else [])]
        )
        more, page = answer["more"], page + 1
        yield Page(Since(updated=newest, page=page if more else 1), answer["orders"], name="orders")


def shop(run: Source = orders, **declared: Any) -> Connector[Config]:
    """A connector with one source; `declared` replaces what it declares."""
    connector = Connector(
        "tiny_shop",
        config=Config,
        title=Title("店", "Shop"),
        http=lambda c: HttpSettings(c.base_url, auth=HeaderKey("X-Api-Key", c.api_key)),
    )
    connector.source("orders", **({"key": "id", "cursor": Since, "overlap": HOUR} | declared))(run)
    connector.check(lambda call: f"shop {call.http.get('/shop').json()['name']}")
    return connector


def test_a_good_source_passes_every_check(judge: Judge) -> None:
    assert judge(shop(), FILES) == {}


def changed(**changes: Any) -> Source:
    """`orders`, each page of which is spoilt by functions of the page."""

    def run(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
        for page in orders(call, cursor):
            yield Page(
                **(
                    {"cursor": page.cursor, "records": page.records, "name": "x"}
                    | {k: v(page) for k, v in changes.items()}
                )
            )

    return run


def starts_over(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
    yield from orders(call, None)


def skips_the_second_page(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
    if cursor is not None and cursor.page == 2:
        yield Page(Since(updated=cursor.updated, page=1), ())
        return
    yield from orders(call, cursor)


def forgets_the_overlap(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
    if cursor is None or cursor.page > 1:
        yield from orders(call, cursor)
    else:
        yield Page(cursor, call.http.get("/orders", params={"page": 9}).json()["orders"])


def swallows_errors(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
    try:
        yield from orders(call, cursor)
    except Exception:  # noqa: BLE001
        yield Page(Since(page=99), ())


def lets_its_own_error_out(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
    try:
        yield from orders(call, cursor)
    except Exception as error:
        raise RuntimeError("something went wrong") from error


def never_ends(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
    page = cursor.page if cursor else 1
    while True:
        page += 1
        yield Page(Since(page=page), [{"id": f"A{page}"}])


def opens_its_own_connection(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
    socket.create_connection(("127.0.0.1", 9), timeout=0.1)
    yield from orders(call, cursor)


def logs_the_key(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
    structlog.get_logger().info("calling", key=call.config.api_key.get_secret_value())
    yield from orders(call, cursor)


def tells_the_key_in_an_error(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
    try:
        yield from orders(call, cursor)
    except Exception as error:
        raise type(error)(f"failed with {call.config.api_key.get_secret_value()}") from error


def wobbles(call: Call[Config], cursor: Wobbly | None) -> Iterator[Page]:
    yield Page(Wobbly(hidden=(1, 2)), [{"id": "A1"}])


def its_own_client(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
    httpx.get("http://127.0.0.1:9/orders")
    yield from orders(call, cursor)


class Order(BaseModel):
    id: str
    total: int


BROKEN: list[tuple[str, Source, dict[str, Any], str, str]] = [
    ("yields no page", lambda call, cursor: iter(()), {}, "pages", "gives no page"),
    ("yields dicts", lambda call, cursor: iter([{"id": 1}]), {}, "pages", "yields Page, not dict"),
    ("never ends", never_ends, {"overlap": timedelta(0)}, "pages", "no end after 1000 pages"),
    ("same cursor twice", changed(cursor=lambda p: Since()), {}, "pages", "page 2 has the same cursor"),
    ("no cursor", changed(cursor=lambda p: None), {}, "pages",
     r"page 1 has the cursor None; declared is Since"),
    ("undeclared cursor", orders, {"cursor": None}, "pages", r"none is declared \(cursor="),
    ("no key", orders, {"key": "number"}, "keys",
     r"record 0 has no 'number' \(it is None; the record has id, at\)"),
    ("nested key is an object", changed(records=lambda p: [{"id": {"x": 1}}]), {}, "keys", "no 'id'"),
    ("datetime in a record", changed(records=lambda p: [{"id": "A", "at": datetime.now(UTC)}]), {}, "records",
     "datetime is not JSON"),
    ("NaN in a record", changed(records=lambda p: [{"id": "A", "n": float("nan")}]), {}, "records",
     "not JSON compliant"),
    ("numbers as names", changed(records=lambda p: [{"id": "A", 1: 2}]), {}, "records",
     "does not come back the same"),
    ("half a letter", changed(records=lambda p: [{"id": "A", "n": "\ud800"}]), {}, "records", "surrogates"),
    ("not a mapping", changed(records=lambda p: ["A1"]), {"key": "x"}, "records", "is a str, not a mapping"),
    ("misses its model", orders, {"record": Order}, "records", "does not fit Order.*total"),
    ("undeclared deletes", changed(deleted=lambda p: ["A9"]), {}, "deletes",
     r"\['A9', 'A9'\], but deletes=none"),
    ("never complete", orders, {"deletes": Deletes.ABSENCE}, "deletes", "does not say complete=True"),
    ("complete by mistake", changed(complete=lambda p: True), {}, "deletes", "complete=True, but deletes=none"),
    ("loses a record", changed(records=lambda p: p.records[:1]), {}, "expected",
     r"expected keys \['A1', 'A2', 'A3'\], came \['A1', 'A3'\]"),
    ("key in a log", logs_the_key, {}, "secrets", "<SECRET>"),
    ("key in an error", tells_the_key_in_an_error, {}, "secrets", "failed with <SECRET>"),
    ("key in a page name", changed(name=lambda p: "key-of-the-test-account"), {}, "secrets", "<SECRET>"),
    ("cursor that JSON changes", wobbles, {"cursor": Wobbly}, "cursor", "as JSON the cursor"),
    ("loses pages on resuming", skips_the_second_page, {}, "resume", r"behind page 1 .* loses \['A3'\]"),
    ("ignores the cursor", starts_over, {"overlap": timedelta(0)}, "again",
     "records of the first page come again"),
    ("ignores the cursor in a listing", starts_over, {"overlap": timedelta(0)}, "resume",
     "records of the first page come again"),
    ("forgets the overlap", forgets_the_overlap, {}, "again", "holds no answer for"),
    ("swallows 401", swallows_errors, {}, "locked_out",
     "should raise Misconfigured; it ended as if all were well"),
    ("swallows a dead line", swallows_errors, {}, "down", "should raise Retry; it ended as if all were well"),
    ("swallows HTML", swallows_errors, {}, "garbled", "should raise ConnectorError; it ended as if"),
    ("own error for 401", lets_its_own_error_out, {}, "locked_out", "it raised RuntimeError"),
    ("own error for a dead line", lets_its_own_error_out, {}, "down", "it raised RuntimeError"),
    ("own connection", opens_its_own_connection, {}, "pages",
     "opens a connection of its own to .*call.http and call.files"),
    ("own client", its_own_client, {}, "keys", "opens a connection of its own"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("run", "declared", "check", "text"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN]
)
def test_a_broken_source_is_found(
    judge: Judge, run: Source, declared: dict[str, Any], check: str, text: str
) -> None:
    findings = judge(shop(run, **declared), FILES)
    assert re.search(
        "(?s)" + text, findings.get(f"source:orders:{check}", f"nothing; other findings: {findings}")
    )


def test_an_overlap_that_is_neither_asked_for_nor_seen_is_found(judge: Judge) -> None:
    answer = '- request: {path: /orders, query: {page: "9"}}\n  response: {json: {orders: [{id: A4}], more: false}}\n'
    files = FILES | {"recordings/orders.yaml": FILES["recordings/orders.yaml"] + answer}
    findings = judge(shop(forgets_the_overlap), files)
    assert "an overlap of 1:00:00 is declared" in findings["source:orders:overlap"]
    assert "asked for: no time at all" in findings["source:orders:overlap"]


def test_a_source_that_does_not_wait_is_found(judge: Judge) -> None:
    """A connector that reads 429 as "no orders"."""

    def run(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
        answer = call.http.get("/orders", params={"page": 1}, expect={429})
        yield Page(Since(page=7), answer.json()["orders"] if answer.status_code == 200 else ())

    findings = judge(shop(run), FILES)
    assert "after 429 to request 1 other records came" in findings["source:orders:throttled"]


def test_a_source_that_gives_up_on_429_is_found(judge: Judge) -> None:
    def classify(response: httpx.Response) -> Any:
        from connectors.contract import Refused

        return Refused("too many") if response.status_code == 429 else None

    connector = shop()
    connector.http = lambda c: HttpSettings(c.base_url, classify=classify)
    findings = judge(connector, FILES)
    assert "429 to request 1 ended the read: Refused" in findings["source:orders:throttled"]


def test_without_a_recording_one_finding_says_so(judge: Judge) -> None:
    findings = judge(shop(), {name: text for name, text in FILES.items() if "orders" not in name})
    assert list(findings) == ["source:orders:recorded"]
    assert "orders.yaml (or a folder of that name) is missing" in findings["source:orders:recorded"]


def test_a_listing_without_a_cursor_passes(judge: Judge) -> None:
    def run(call: Call[Config], cursor: None) -> Iterator[Page]:
        records = call.http.get("/orders", params={"page": 1}).json()["orders"]
        yield Page(None, records, complete=True)

    files = FILES | {"cases/orders.yaml": "expect: {keys: [A1, A2]}"}
    assert judge(shop(run, cursor=None, overlap=timedelta(0), deletes=Deletes.ABSENCE), files) == {}


# ---------------------------------------------------------------- pages of bytes


def exports(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
    if cursor is None:
        yield Page(
            Since(page=2),
            raw=BytesIO(call.http.get("/export").content),
            name="export.csv",
            media_type="text/csv",
        )


def decode(stream: IO[bytes], config: Config, params: Any) -> Iterator[Record | Fault]:
    for number, line in enumerate(stream, 1):
        if b"," in line:
            key, total = line.strip().split(b",")
            yield Record({"id": key.decode(), "total": total.decode()}, number)
        else:
            yield Fault(number, "column_count", "too few columns", line)


EXPORT = FILES | {
    "recordings/orders.yaml": '- request: {path: /export}\n  response: {text: "A1,100\\nbroken\\nA2,200\\n"}\n',
    "cases/orders.yaml": "expect: {keys: [A1, A2], faults: [column_count]}\n",
}


def test_pages_of_bytes_pass(judge: Judge) -> None:
    assert judge(shop(exports, decode=decode, overlap=timedelta(0)), EXPORT) == {}


def shuffled(stream: IO[bytes], config: Config, params: Any) -> Iterator[Record | Fault]:
    yield from (Record({"id": f"A{random.random()}"}, 1) for _ in range(2))


def backwards(stream: IO[bytes], config: Config, params: Any) -> Iterator[Record | Fault]:
    yield from reversed(list(decode(stream, config, params)))


def bare(stream: IO[bytes], config: Config, params: Any) -> Any:
    yield {"id": "A1"}


@pytest.mark.parametrize(
    ("decoder", "check", "text"),
    [
        (shuffled, "decode", "decoding 'export.csv' twice gives different rows"),
        (backwards, "decode", r"do not come in the order of their positions: \[3, 2, 1\]"),
        (bare, "pages", "decode yields Record or Fault, not dict"),
        (None, "pages", "gives `raw`, but the source declares no `decode`"),
    ],
)
def test_a_broken_decode_is_found(judge: Judge, decoder: Any, check: str, text: str) -> None:
    findings = judge(shop(exports, decode=decoder, overlap=timedelta(0)), EXPORT)
    assert re.search(text, findings[f"source:orders:{check}"])


def test_a_page_with_records_and_bytes_is_found(judge: Judge) -> None:
    def both(call: Call[Config], cursor: Since | None) -> Iterator[Page]:
        yield Page(Since(page=2), records=[{"id": "A"}], raw=b"A1,100", name="export.csv")

    findings = judge(shop(both, decode=decode, overlap=timedelta(0)), EXPORT)
    assert "gives both `records` and `raw`" in findings["source:orders:pages"]
