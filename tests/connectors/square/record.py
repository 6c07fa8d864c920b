"""Records the answers the contract kit plays, and its cases: `python -m tests.connectors.square.record`.

Starts the stand-in afresh for each recording, with one seed and a clock that stands still, so that ids, times and
amounts come out the same each time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.contract import Batch, Call, Change
from connectors.square import SquareConfig, connector
from connectors.testing import record
from connectors.testing.cases import NOW
from connectors.testing.yaml_text import dump_yaml
from sandbox.square import Limits, Postman, Seller, Server, Subscription, sell, sign, take_back
from sandbox.square.customer_api import bulk_create

HERE = Path(__file__).parent
URL = "https://hub.example.jp/webhooks/square-main"


class Clock:
    """A day before the kit's present, one minute later at each event of the day."""

    def __init__(self) -> None:
        self.time = NOW - timedelta(days=1)

    def __call__(self) -> datetime:
        return self.time


def busy_day() -> Seller:
    """A seller with a little of everything."""
    clock = Clock()
    seller = Seller(limits=Limits(pace=5000), clock=clock)
    for hour, sku in enumerate(("TEA-100", "TEE-AI-M", "CUP-1")):
        clock.time = NOW - timedelta(hours=20 - hour)
        seller.receive(sku, "渋谷店", 10)
        bulk_create(
            seller,
            {"customers": {f"k{hour}": {"family_name": "見本", "reference_id": f"core/C{hour}"}}},
        )
        item = seller.catalog[seller.variation(sku)]["item_variation_data"]["item_id"]
        seller.catalog[item] |= {"updated_at": seller.now(), "version": seller.new_version()}
    for hour in range(3):
        clock.time = NOW - timedelta(hours=10 - hour)
        sell(seller, "渋谷店", [("TEA-100", 1), ("CUP-1", 1)], tenders=(("CARD", None),))

    for hour, order in enumerate(list(seller.orders)):
        clock.time = NOW - timedelta(hours=5 - hour)
        take_back(seller, order, [("TEA-100", 1)])
    clock.time = NOW
    return seller


def config(seller: Seller, url: str) -> SquareConfig:
    """Small pages, so that cursors are recorded too; one store."""
    return SquareConfig.model_validate(
        {
            "base_url": url,
            "access_token": seller.access_token,
            "page_size": 2,
            "locations": {"store-shibuya": seller.location("渋谷店")},
            "requests_per_second": 1000,
        }
    )


def changes(seller: Seller, sink: str) -> list[dict[str, Any]]:
    """What each sink is given: something new, something that is there, something wrong."""
    if sink == "inventory":
        made = []
        for sku, quantity, at in (("TEA-100", 7, NOW - timedelta(minutes=5)), ("CUP-1", 0, None)):
            row: dict[str, Any] = {"catalog_object_id": seller.variation(sku), "location": "store-shibuya"}
            row |= {"quantity": quantity} | ({"occurred_at": at.isoformat()} if at else {})
            made.append({"key": f"{sku}@store-shibuya", "record": row})
        wrong = {"catalog_object_id": "NOSUCHVARIATION", "location": "store-shibuya", "quantity": 1}
        return [*made, {"key": "NONE@store-shibuya", "record": wrong}]
    if sink == "products":
        new = {"sku": "SHIN-50", "name": "50g", "price_money": {"amount": 1200, "currency": "JPY"}}
        return [
            {"key": "P1", "record": {"name": "新茶", "tax_percentage": "8", "variations": [new]}},
            {"key": "P2", "record": {"name": "湯呑み（改）", "variations": [{"sku": "CUP-1"}]}},
            {"key": "P3", "record": {"name": "x", "variations": [{"sku": "CUP-1"}, {"sku": "TEA-100"}]}},
        ]
    return [
        {"key": "core/C9", "record": {"reference_id": "core/C9", "family_name": "見本"}},
        {
            "key": "core/C1",
            "record": {"reference_id": "core/C1", "family_name": "見本", "note": "常連"},
        },
        {"key": "core/C8", "record": {"reference_id": "core/C8", "email_address": "no-address"}},
    ]


EXPECTED = {
    "inventory": {
        "TEA-100@store-shibuya": "done",
        "CUP-1@store-shibuya": "done",
        "NONE@store-shibuya": "refused",
    },
    "products": {"P1": "done", "P2": "done", "P3": "refused"},
    "customers": {"core/C9": "done", "core/C1": "done", "core/C8": "refused"},
}


def source(name: str) -> Callable[[Call[Any], Seller], None]:
    """Read it whole, then again from the cursor of each page: the kit resumes there."""

    def run(call: Call[Any], _: Seller) -> None:
        read = connector.sources[name].run
        for page in list(read(call, None)):
            list(read(call, page.cursor))

    return run


def sink(name: str) -> Callable[[Call[Any], Seller], None]:
    """Send the changes of the case; where the sink can be asked, ask after it."""

    def run(call: Call[Any], seller: Seller) -> None:
        declared = connector.sinks[name]
        given = [Change(version=1, **change) for change in changes(seller, name)]
        outcomes = list(declared.run(call, Batch(given, "contract-1")))
        sys.stdout.write("".join(f"  {outcome}\n" for outcome in outcomes))
        if declared.ask is not None:
            list(declared.ask(call, Batch(given, "contract-1", attempt=2)))

    return run


def check(call: Call[Any], _: Seller) -> None:
    """Try the account."""
    assert connector.check_function is not None
    connector.check_function(call)


def main() -> None:
    """Write everything anew."""
    plans: dict[str, Callable[[Call[Any], Seller], None]] = {"check": check}
    plans |= {
        f"{name}.source" if name in connector.sinks else name: source(name) for name in connector.sources
    }
    plans |= {f"{name}.sink": sink(name) for name in connector.sinks}
    for name, run in plans.items():
        sys.stdout.write(f"{name}\n")
        seller = busy_day()
        target = HERE / "recordings" / f"{name}.yaml"
        with Server(seller) as server, record(connector, config(seller, server.url), target, now=NOW) as call:
            run(call, seller)
        if name.endswith(".sink"):
            what = name.removesuffix(".sink")
            case = {"changes": changes(busy_day(), what), "expect": {"outcomes": EXPECTED[what]}}
            dump_yaml(case, HERE / "cases" / f"{name}.yaml")
    dump_yaml({"calls": webhook_calls()}, HERE / "cases" / "webhook.yaml")


def webhook_calls() -> list[dict[str, Any]]:
    """A sale and a change of the catalogue, as the postman sends them."""
    seller = busy_day()
    seller.postman = Postman(Subscription(URL))
    order = sell(seller, "渋谷店", [("TEA-100", 1)])
    variation, location = seller.variation("TEA-100"), seller.location("渋谷店")
    moment = {"type": "catalog_version", "object": {"catalog_version": {"updated_at": seller.now()}}}
    seller.tell("catalog.version.updated", moment)
    expected = {
        "order.created": [{"source": "orders", "fetch": [order["id"]]}],
        "inventory.count.updated": [{"source": "inventory", "fetch": [f"{variation}@{location}"]}],
        "catalog.version.updated": [{"source": "products"}, {"source": "variations"}],
    }
    calls = []
    for letter in seller.postman._letters:
        kind = json.loads(letter.body)["type"]
        if kind in expected:
            signature = sign(seller.postman.subscription.signature_key, URL, letter.body)
            headers = {"X-Square-HmacSha256-Signature": signature, "Content-Type": "application/json"}
            calls.append({"headers": headers, "body": letter.body.decode(), "expect": expected[kind]})
    return calls


if __name__ == "__main__":
    main()
