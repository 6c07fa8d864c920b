"""A connector for the engine's tests: pages and files in a folder, a sink that writes lines with fsync.

It lives in a folder so that a killed process and the next one see the same other side.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel

from connectors.contract import (
    Batch,
    Call,
    Connector,
    Cursor,
    Deletes,
    Fault,
    Misconfigured,
    Outcome,
    Page,
    Record,
    Refused,
    Retry,
    Title,
    Write,
)


class ShopConfig(BaseModel):
    root: Path


class Behind(Cursor):
    """The number of the last page read."""

    page: int


shop = Connector("test_shop", config=ShopConfig, title=Title("テスト店", "Test shop"))


def _pages(call: Call[ShopConfig], folder: str, cursor: Behind | None) -> Iterator[Page]:
    after = -1 if cursor is None else cursor.page
    for path in sorted((call.config.root / folder).glob("*.json")):
        number = int(path.stem)
        if number > after:
            yield Page(Behind(page=number), records=json.loads(path.read_bytes()), name=path.name)


@shop.source("stock", key="sku", cursor=Behind)
def stock_pages(call: Call[ShopConfig], cursor: Behind | None) -> Iterator[Page]:
    yield from _pages(call, "stock", cursor)


@shop.source("listing", key="sku", deletes=Deletes.ABSENCE)
def listing_pages(call: Call[ShopConfig], cursor: None) -> Iterator[Page]:
    """All stock, every time; the last page ends the listing."""
    paths = sorted((call.config.root / "listing").glob("*.json"))
    for path in paths:
        yield Page(None, records=json.loads(path.read_bytes()), name=path.name, complete=path == paths[-1])


@shop.source("told", key="sku", cursor=Behind, deletes=Deletes.EVENTS)
def told_pages(call: Call[ShopConfig], cursor: Behind | None) -> Iterator[Page]:
    """Pages of {"gone": [...]} only."""
    for page in _pages(call, "told", cursor):
        yield Page(page.cursor, deleted=page.records[0]["gone"], name=page.name)


@shop.source("orders", key="number", cursor=Behind)
def order_pages(call: Call[ShopConfig], cursor: Behind | None) -> Iterator[Page]:
    yield from _pages(call, "orders", cursor)


@shop.source("shipments", key="id", cursor=Behind)
def shipment_pages(call: Call[ShopConfig], cursor: Behind | None) -> Iterator[Page]:
    yield from _pages(call, "shipments", cursor)


def decode_lines(body: IO[bytes], config: Any, params: Mapping[str, Any]) -> Iterator[Record | Fault]:
    """`number,sku,quantity` lines; anything else is a fault that still knows the order number."""
    for line, raw in enumerate(body, start=1):
        cells = raw.decode().rstrip("\n").split(",")
        if len(cells) == 3:
            yield Record(dict(zip(("number", "sku", "quantity"), cells, strict=True)), line)
        else:
            yield Fault(
                line, "column_count", f"line {line} has {len(cells)} columns, not 3", raw,
                hint={"number": cells[0]}, reason_ja=f"{line} 行目の列数が {len(cells)} です（3 のはず）",
            )  # fmt: skip


def answer_lines(call: Call[ShopConfig], name: str, refused: Sequence[Mapping[str, Any]]) -> None:
    """An answer file beside the file: the refused rows."""
    (call.config.root / "lines" / f"{name}.answer").write_text(json.dumps(list(refused), ensure_ascii=False))


@shop.source("lines", key="number", decode=decode_lines, acknowledge=answer_lines)
def line_files(call: Call[ShopConfig], cursor: None) -> Iterator[Page]:
    assert call.files_seen is not None
    for path in sorted((call.config.root / "lines").glob("*.csv")):
        if call.files_seen.by_name(path.name) is None:
            with path.open("rb") as body:
                yield Page(None, raw=body, name=path.name, media_type="text/csv")


def accepted(root: Path, sink: str) -> list[dict[str, Any]]:
    """Everything the other side took, in order: {"key", "record", "batch"}."""
    path = root / f"{sink}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _misbehave(call: Call[ShopConfig], sink: str, when: str) -> dict[str, str]:
    """What the test asked of the next call: a list of {"when": ..., "do": ...} in a file."""
    path = call.config.root / f"{sink}.faults"
    faults = json.loads(path.read_text()) if path.exists() else []
    if not faults or faults[0]["when"] != when:
        return {}
    path.write_text(json.dumps(faults[1:]))
    match faults[0]["do"]:
        case "retry":
            raise Retry("come back later")
        case "refuse":
            raise Refused("not this batch", code="no")
        case "misconfigured":
            raise Misconfigured("the key expired")
        case "crash":
            raise RuntimeError("a bug in the sink")
    return dict(faults[0])


def _append(path: Path, line: bytes) -> None:
    # one write call: a killed process leaves whole lines
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line)
    os.close(handle)


def _take(call: Call[ShopConfig], sink: str, batch: Batch) -> Iterator[Outcome]:
    fault = _misbehave(call, sink, "before")
    for change in batch:
        if str(change.record.get("sku", "")).startswith("BAD"):
            yield Outcome.refused(change.key, "no such SKU", code="unknown_sku")
            continue
        if fault.get("do") == "busy" or (fault.get("do") == "half" and change is not batch.changes[0]):
            yield Outcome.retry(change.key, "busy")
            continue
        line = json.dumps({"key": change.key, "record": change.record, "batch": batch.idempotency_key,
                           "deleted": change.deleted})  # fmt: skip
        _append(call.config.root / f"{sink}.jsonl", line.encode() + b"\n")
        yield Outcome.done(change.key, external_id=f"x-{change.key}")
    _misbehave(call, sink, "after")


@shop.sink("stock", key="sku", batch_size=10)
def take_stock(call: Call[ShopConfig], batch: Batch) -> Iterable[Outcome]:
    return list(_take(call, "sink_stock", batch))


@shop.sink("answers", key="sku", answers=True)
def take_answers(call: Call[ShopConfig], batch: Batch) -> Iterable[Outcome]:
    return list(_take(call, "sink_answers", batch))


def ask_shipments(call: Call[ShopConfig], batch: Batch) -> Iterable[Outcome]:
    there = {line["key"] for line in accepted(call.config.root, "sink_shipments")}
    return [Outcome.done(change.key) for change in batch if change.key in there]


@shop.sink("shipments", key="id", batch_size=10, write=Write.APPEND, ask=ask_shipments)
def take_shipments(call: Call[ShopConfig], batch: Batch) -> Iterable[Outcome]:
    return list(_take(call, "sink_shipments", batch))


@shop.check
def look(call: Call[ShopConfig]) -> str:
    """The folder is there."""
    if not call.config.root.is_dir():
        raise Misconfigured(f"no folder {call.config.root}")
    return "folder found"
