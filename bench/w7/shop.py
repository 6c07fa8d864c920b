"""The connector of W7: a till that signs its events, and channels that take stock by HTTP.

It is put into the hub's own programs (`tsunagi gateway`, `worker`, `push`) as any other package's connector is: by an
entry point, which `install` writes into a folder of the Python path.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from connectors.contract import Batch, Budget, Call, Connector, Event, Outcome, Page, Title
from connectors.transport.http import HttpSettings, Intent
from connectors.webhooks import hmac_header

__all__ = ["BATCH", "CHANNELS", "HEADER", "PACE", "Config", "event", "install", "listed", "shop", "sku_of"]

TILL = "till"
MALL = "mall"
"""The channel that sells everything, and gets the bulk push."""
OTHERS = ("shop", "market", "outlet")
CHANNELS = (MALL, *OTHERS)
HEADER = "x-till-signature"
SECRET = "bench"
BATCH = 100
"""Changes one call takes, as Square's inventory batch."""
PACE = 12
"""Calls a second each channel allows: 1,200 SKUs a second, so that 100,000 SKUs take 83 s, longer than the measured
minute and the quarter of one before it. That is in the middle of what is common: Rakuten takes 400 SKUs a call and one
call a second, Square 100 a call and some tens of calls."""
START = 1_000
"""Units of each SKU before the first sale."""
LOCATION = "W1"
OPENED = datetime(2026, 11, 1, tzinfo=UTC)


class Config(BaseModel):
    """Where the channel stands, and of the till how many SKUs it has and how many the small channels list."""

    base_url: str = "http://127.0.0.1:9"
    secret: SecretStr = SecretStr(SECRET)
    skus: int = 0
    listed: int = 0


def _http(config: Config) -> HttpSettings:
    return HttpSettings(base_url=config.base_url, budget=Budget(PACE, burst=PACE))


shop = Connector("w7", config=Config, title=Title("計測", "Bench"), http=_http)


def sku_of(number: int) -> str:
    return f"SKU-{number:06d}"


def listed(number: int, skus: int, of: int) -> str:
    """The SKU behind a number below `of`: those the small channels list lie all over the assortment."""
    return sku_of(number * (skus // of))


# ---------------------------------------------------------------- what comes in


def event(number: int, sku: str, on_hand: int, at: datetime) -> tuple[bytes, bytes]:
    """Body and signature of what the till tells after a sale: some 700 bytes, as Square's inventory.count.updated."""
    said = {
        "merchant_id": "6SSW7HV8K2ST5", "type": "inventory.count.updated",
        "event_id": f"df5f3813-a913-45a1-94e9-{number:012d}", "created_at": at.isoformat(),
        "data": {
            "type": "inventory", "id": f"84fbd827-fdae-412a-974b-{number:012d}",
            "object": {"inventory_counts": [{
                "sku": sku, "location": LOCATION, "on_hand": on_hand, "as_of": at.isoformat(),
                "catalog_object_id": f"FQ6IYZPA27L7OTZVQ3TI{number:04d}", "catalog_object_type": "ITEM_VARIATION",
                "state": "IN_STOCK", "register": "T-0042", "receipt": f"R{number:09d}", "clerk": "0117",
            }]},
        },
    }  # fmt: skip
    body = json.dumps(said).encode()
    return body, hmac.digest(SECRET.encode(), body, "sha256").hex().encode()


@shop.webhook
def events(headers: Mapping[str, str], body: bytes, config: Config) -> Sequence[Event]:
    """An event carries the counts that changed."""
    hmac_header(headers, body, [config.secret], header=HEADER, encoding="hex")
    said = json.loads(body)
    return [Event("stock", said["event_id"], records=said["data"]["object"]["inventory_counts"])]


@shop.source("stock", key="sku", order="as_of")
def stock(call: Call[Config], _cursor: None) -> Iterator[Page]:
    """Every SKU, counted once before the day begins."""
    opened = OPENED.isoformat()
    for start in range(0, call.config.skus, 20_000):
        numbers = range(start, min(start + 20_000, call.config.skus))
        yield Page(
            None,
            records=[
                {"sku": sku_of(n), "location": LOCATION, "on_hand": START, "as_of": opened} for n in numbers
            ],
        )


@shop.source("listings", key="id")
def listings(call: Call[Config], _cursor: None) -> Iterator[Page]:
    """What the small channels sell."""
    for channel in OTHERS:
        skus = [listed(n, call.config.skus, call.config.listed) for n in range(call.config.listed)]
        yield Page(None, records=[{"id": f"{channel}/{sku}", "channel": channel, "sku": sku} for sku in skus])


# ---------------------------------------------------------------- what goes out


@shop.sink("stock", key="sku", batch_size=BATCH)
def take(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    """One call for the batch; whoever answers 200 has taken all of it."""
    rows = [[change.key, change.record["quantity"]] for change in batch]
    call.http.post("stock", json=rows, intent=Intent.REPEATABLE)
    return [Outcome.done(change.key) for change in batch]


# ---------------------------------------------------------------- the house

_MAPPINGS: Mapping[str, str] = {
    "stock.in": "version: 1\ndirection: in\nentity: stock_position\ntitle: {ja: 在庫, en: Stock}\nexternal_id: sku\n"
    'fields: {key: {join: [sku, location], with: "@"}, sku: sku, location: location,'
    " on_hand: {from: on_hand, as: integer}, as_of: {from: as_of, as: datetime}}\n",
    "listings.in": "version: 1\ndirection: in\nentity: listing\ntitle: {ja: 出品, en: Listing}\nexternal_id: id\n"
    "fields: {key: id, channel: channel, sku: sku, external_id: sku}\n",
    "stock.out": "version: 1\ndirection: out\nentity: sellable\ntitle: {ja: 販売可能数, en: Sellable stock}\n"
    "when: {equals: [channel, $system.channel]}\nkey: sku\nfields: {sku: sku, quantity: quantity}\n",
}


def _system(name: str, flows: Mapping[str, Any], **more: Any) -> str:
    said = {"system": name, "connector": "w7", "title": name, "constants": {"channel": name}, **more}
    return json.dumps({**said, "flows": flows})  # JSON is YAML


def install(home: Path, port: int, skus: int, small: int) -> dict[str, str]:
    """Write systems, mappings and the entry point below `home`; returns the environment of the hub's programs."""
    systems, mappings, package = home / "systems", home / "mappings" / "w7", home / "path" / "w7-1.dist-info"
    for folder in (systems, mappings, package):
        folder.mkdir(parents=True)
    for name, text in _MAPPINGS.items():
        (mappings / f"{name}.yaml").write_text(text, "utf-8")
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: w7\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[tsunagi.connectors]\nw7 = bench.w7.shop:shop\n")
    incoming = {
        "stock": {"pull": "stock", "mapping": "w7/stock.in"},
        "listings": {"pull": "listings", "mapping": "w7/listings.in"},
    }
    till = _system(TILL, incoming, settings={"skus": skus, "listed": small})
    (systems / "till.yaml").write_text(till)
    for name in CHANNELS:
        out = {"stock": {"push": "stock", "mapping": "w7/stock.out"}}
        offers = {"allocation": {"offers": "everything"}} if name == MALL else {}
        channel = _system(name, out, settings={"base_url": f"http://127.0.0.1:{port}/{name}"}, **offers)
        (systems / f"{name}.yaml").write_text(channel)
    root = Path(__file__).resolve().parent.parent.parent
    return {
        "TSUNAGI_HOME": str(home), "TSUNAGI_SYSTEMS": str(systems), "TSUNAGI_LOG_FORMAT": "json",
        "PYTHONPATH": f"{home / 'path'}:{root}", "PYTHONWARNINGS": "ignore",
    }  # fmt: skip
