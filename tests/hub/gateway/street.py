"""Two shops in a street, for the tests of gateway and jobs: signed events in, absolute stock out.

Their other side is a folder, so that killed processes and those after them see the same. As a program it is a gateway
or a worker that may be killed: `street.py <database url> <folder> gateway|worker`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel, SecretStr

from connectors.contract import (
    Batch,
    Call,
    Connector,
    Cursor,
    Deletes,
    Event,
    Misconfigured,
    Outcome,
    Page,
    Refused,
    Retry,
    Title,
    Write,
)
from connectors.registry import Connectors
from connectors.webhooks import stripe
from hub.engine import Hub
from hub.gateway.app import Gateway
from hub.gateway.server import bind, server
from hub.jobs.worker import Pace, Worker
from hub.store.database import migrate, open_engine
from hub.systems import load_systems

HERE = Path(__file__).parent
SECRET = "whsec_street"
HEADER = "x-street-signature"


class StreetConfig(BaseModel):
    root: Path
    secret: SecretStr | None = None


class Behind(Cursor):
    """The number of the last page read."""

    page: int


street = Connector("street", config=StreetConfig, title=Title("通り", "Street"))


# ---------------------------------------------------------------- what comes in


@street.webhook
def events(headers: Mapping[str, str], body: bytes, config: StreetConfig) -> Sequence[Event]:
    """{"id", "type", "data"}; stock events are fat, order events thin."""
    stripe(headers, body, [config.secret], header=HEADER)
    try:
        said = json.loads(body)
        kind, data, event_id = said["type"], said["data"], str(said["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"no event: {error}", code="bad_event") from error
    match kind:
        case "stock.changed":
            return [Event("stock", event_id, datetime.now(UTC), records=data)]
        case "stock.two":
            return [
                Event("stock", f"{event_id}:{one['sku']}", records=[{**one, "location": "W1", "version": 1}])
                for one in data
            ]
        case "stock.gone":
            return [Event("stock", event_id, deleted=data)]
        case "order.changed":
            return [Event("orders", event_id, fetch=data)]
        case "parcel.lost":
            return [Event("parcels", event_id, records=data)]
        case "breaks":
            raise RuntimeError("a bug in the webhook function")
    return []


def _pages(call: Call[StreetConfig], folder: str, cursor: Behind | None) -> Iterator[Page]:
    after = -1 if cursor is None else cursor.page
    for path in sorted((call.config.root / folder).glob("*.json")):
        if int(path.stem) > after:
            yield Page(Behind(page=int(path.stem)), records=json.loads(path.read_bytes()), name=path.name)


@street.source("stock", key="sku", cursor=Behind, order="version", deletes=Deletes.EVENTS)
def stock(call: Call[StreetConfig], cursor: Behind | None) -> Iterator[Page]:
    yield from _pages(call, "stock", cursor)


@street.source("orders", key="number")
def orders(call: Call[StreetConfig], cursor: None) -> Iterator[Page]:
    """Every order, or those of `params["ids"]`; each id asked for is written down."""
    ids = call.params.get("ids")
    folder = call.config.root / "orders"
    if ids is None:
        yield Page(None, records=[json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))])
        return
    with (call.config.root / "asked.jsonl").open("a") as file:
        file.write(json.dumps(ids) + "\n")
    _misbehave(call, "fetch")
    if "refused" in ids:
        raise Refused("there is no order 'refused'", code="404")
    found = [path for one in ids if (path := folder / f"{one}.json").exists()]
    if found:
        yield Page(None, records=[json.loads(path.read_bytes()) for path in found], name="by id")


# ---------------------------------------------------------------- what goes out


def _misbehave(call: Call[StreetConfig], when: str) -> None:
    """What the test asked of the next calls: a list of "retry", "refuse", "misconfigured", "crash" in a file."""
    path = call.config.root / f"{when}.faults"
    faults = json.loads(path.read_text()) if path.exists() else []
    if not faults:
        return
    path.write_text(json.dumps(faults[1:]))
    match faults[0]:
        case "retry":
            raise Retry("come back later")
        case "refuse":
            raise Refused("no", code="no")
        case "misconfigured":
            raise Misconfigured("the key expired")
        case "crash":
            raise RuntimeError("a bug in the connector")


@street.sink("stock", key="sku", batch_size=10, write=Write.ABSOLUTE)
def take_stock(call: Call[StreetConfig], batch: Batch) -> Iterable[Outcome]:
    """Writes a line for each change, in one write; `slow` holds how long a call takes."""
    root = call.config.root
    slow = root / "slow"
    if slow.exists():
        time.sleep(float(slow.read_text()))
    _misbehave(call, "send")
    lines = [
        json.dumps(
            {
                "key": c.key,
                "record": c.record,
                "batch": batch.idempotency_key,
                "at": time.time(),
                "deleted": c.deleted,
            }
        )
        for c in batch
        if c.record.get("sku") != "BAD"
    ]
    handle = os.open(root / "took.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, "".join(f"{line}\n" for line in lines).encode())
    os.close(handle)
    return [
        Outcome.refused(c.key, "no such SKU", code="unknown_sku")
        if c.record.get("sku") == "BAD"
        else Outcome.done(c.key)
        for c in batch
    ]


@street.sink("ledger", key="number", write=Write.APPEND, idempotent=True)
def take_orders(call: Call[StreetConfig], batch: Batch) -> Iterable[Outcome]:
    with (call.config.root / "orders.jsonl").open("a") as file:
        file.writelines(json.dumps({"key": c.key, "record": c.record}) + "\n" for c in batch)
    return [Outcome.done(c.key) for c in batch]


@street.sink("file", key="sku", whole=True)
def take_file(call: Call[StreetConfig], batch: Batch) -> Iterable[Outcome]:
    raise AssertionError("whole files keep to their timetable")


# ---------------------------------------------------------------- the street

SYSTEM = """
system: {name}
connector: street
title: {{ja: 通り, en: Street}}
settings: {{root: "{root}"}}
constants: {{channel: {name}}}
flows:
  stock: {{pull: stock, mapping: street/stock.in}}
  orders: {{pull: orders, mapping: street/orders.in}}
  stock_out: {{push: stock, mapping: street/stock.out}}
  orders_out: {{push: ledger, mapping: street/orders.out}}
  file_out: {{push: file, mapping: street/stock.out}}
"""


def build(url: str, base: Path, *, secret: bool = True, threads: int = 8) -> Hub:
    """A hub with the shops `north` and `south`, each with a folder below `base`. Secrets come from the environment."""
    engine = open_engine(url, threads=threads)
    migrate(engine)
    systems = base / "systems"
    systems.mkdir(exist_ok=True)
    for name in ("north", "south"):
        for folder in ("stock", "orders"):
            (base / name / folder).mkdir(parents=True, exist_ok=True)
        (systems / f"{name}.yaml").write_text(SYSTEM.format(name=name, root=base / name), "utf-8")
        connection = {"conn_type": "street", "extra": {"secret": SECRET} if secret else {}}
        os.environ[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(connection)
    loaded = load_systems([systems])
    assert loaded.faults == [], [str(fault) for fault in loaded.faults]
    return Hub(engine, loaded, Connectors(street=street), mapping_roots=[HERE / "mappings"])


def stock_event(event_id: str, sku: str, on_hand: int, version: int) -> dict[str, Any]:
    record = {"sku": sku, "location": "W1", "on_hand": on_hand, "version": version}
    return {"id": event_id, "type": "stock.changed", "data": [record]}


def order(number: str, **more: Any) -> dict[str, Any]:
    return {
        "number": number, "at": "2026-11-21T12:00:00+09:00", "buyer": "山田 花子", "confirmation": "confirmed",
        "recipients": [{"id": "1", "name": "山田 花子"}], "total": 1000,
        "lines": [{"id": "1", "sku": "A", "quantity": 1, "price": 1000, "recipient_id": "1"}], **more,
    }  # fmt: skip


def sign(body: bytes, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    """The headers of a genuine call."""
    moment = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return {HEADER: f"t={moment},v1={digest}", "content-type": "application/json"}


def took(base: Path, name: str = "south") -> list[dict[str, Any]]:
    """What the shop's sink took, in order."""
    path = base / name / "took.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def running(hub: Hub, application: Gateway | None = None) -> Iterator[httpx.Client]:
    """A client of a gateway that runs in a thread."""
    listener = bind("127.0.0.1", 0)
    gateway = server(hub, application=application, loop="asyncio")  # uvloop is not made for threads
    thread = threading.Thread(target=gateway.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30) as client:
            yield client
    finally:
        gateway.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


async def _gateway(hub: Hub, base: Path) -> None:
    listener = bind("127.0.0.1", 0)
    (base / "port.new").write_text(str(listener.getsockname()[1]))
    (base / "port.new").replace(base / "port")
    await server(hub).serve(sockets=[listener])


async def _worker(hub: Hub) -> None:
    worker = Worker(hub, concurrency=3, pace=Pace(heartbeat=0.4, dead_after=2.0, urgent=1.0, patience=5.0))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()
    if worker.left_running:
        os._exit(3)


if __name__ == "__main__":
    _, url, base, what = sys.argv
    with build(url, Path(base)) as opened:
        asyncio.run(_gateway(opened, Path(base)) if what == "gateway" else _worker(opened))
