"""From the stand-in's signed calls to events, and from thin events to records."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from connectors.contract import Call, Event, Misconfigured, Refused
from connectors.square import SquareConfig, connector
from sandbox.square import Postman, Seller, Subscription, cancel, order_ahead, sell, sign, take_back
from sandbox.square.catalog_api import batch_upsert
from sandbox.square.customer_api import bulk_create, bulk_update, delete
from tests.connectors.square.conftest import Front, settings

Opened = Callable[..., Call[Any]]
URL = "https://hub.example.jp/webhooks/square-main"


class Door:
    """Takes the calls of the postman, as a gateway would."""

    def __init__(self, server: Front, **more: Any) -> None:
        self.config = settings(
            server, webhook_secret=SecretStr("sandbox-signature-key"), notification_url=URL, **more
        )
        self.events: list[Event] = []
        transport = httpx.MockTransport(self._answer)
        server.seller.postman = self.postman = Postman(Subscription(URL), transport=transport)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.events += opened_by(self.config, headers, request.content)
        return httpx.Response(200)

    def come(self) -> list[Event]:
        """All events until now."""
        self.events.clear()
        self.postman.deliver(all_of_them=True)
        return self.events


def opened_by(config: SquareConfig, headers: dict[str, str], body: bytes) -> list[Event]:
    assert connector.webhook_door is not None
    return list(connector.webhook_door.run(headers, body, config))


@pytest.fixture
def door(server: Front) -> Door:
    return Door(server)


def read(opened: Opened, event: Event) -> list[dict[str, Any]]:
    """What the hub takes in of an event."""
    if event.records:
        return [dict(record) for record in event.records]
    call = opened(params={"ids": list(event.fetch)})
    return [
        dict(record) for page in connector.sources[event.source].run(call, None) for record in page.records
    ]


def test_a_sale_names_the_order_the_payment_and_the_count(seller: Seller, opened: Opened, door: Door) -> None:
    seller.receive("TEA-100", "渋谷店", 5)
    door.come()
    order = sell(seller, "渋谷店", [("TEA-100", 2)])

    events = door.come()

    records = {event.source: read(opened, event) for event in events}
    assert {event.source for event in events} == {"orders", "payments", "inventory"}
    assert [event.fetch for event in events if event.source == "orders"] == [(order["id"],)] * 2
    assert records["orders"][0]["line_items"][0]["catalog"]["sku"] == "TEA-100"
    assert (records["inventory"][0]["quantity"], records["inventory"][0]["location"]) == (
        "3",
        "store-shibuya",
    )
    assert (records["payments"][0]["order_id"], records["payments"][0]["location"]) == (
        order["id"],
        "store-shibuya",
    )
    assert len({event.event_id for event in events}) == len(events)


def test_a_late_event_brings_the_present_number(seller: Seller, opened: Opened, door: Door) -> None:
    seller.receive("TEA-100", "渋谷店", 5)
    (early,) = door.come()
    sell(seller, "渋谷店", [("TEA-100", 2)])

    assert [record["quantity"] for record in read(opened, early)] == ["3"]


def test_a_return_and_a_cancellation_are_told(seller: Seller, opened: Opened, door: Door) -> None:
    sale = sell(seller, "渋谷店", [("TEA-100", 1)])
    waiting = order_ahead(seller, "渋谷店", [("TEA-100", 1)], recipient={"display_name": "見本"})
    door.come()

    take_back(seller, sale["id"], [("TEA-100", 1)])
    cancel(seller, waiting["id"])
    events = door.come()

    assert {event.source for event in events} == {"orders", "payments", "refunds", "inventory"}
    states = [read(opened, event)[0]["state"] for event in events if event.source == "orders"]
    assert states == ["COMPLETED", "CANCELED"]


def test_a_change_of_the_catalogue_is_read_by_its_time(seller: Seller, opened: Opened, door: Door) -> None:
    data = {"sku": "NEW-1", "pricing_type": "VARIABLE_PRICING"}
    child = {"type": "ITEM_VARIATION", "id": "#v", "item_variation_data": data}
    item = {"type": "ITEM", "id": "#i", "item_data": {"name": "新商品", "variations": [child]}}
    batch_upsert(seller, {"idempotency_key": "k", "batches": [{"objects": [item]}]})

    products, variations = door.come()

    assert (products.source, variations.source) == ("products", "variations")
    assert products.event_id != variations.event_id
    assert "新商品" in [record["item_data"]["name"] for record in read(opened, products)]
    assert "NEW-1" in [record["item_variation_data"]["sku"] for record in read(opened, variations)]


def test_customers_come_whole_and_go_by_name(seller: Seller, opened: Opened, door: Door) -> None:
    answer = bulk_create(seller, {"customers": {"k": {"family_name": "見本"}}})["responses"]["k"]["customer"]
    bulk_update(seller, {"customers": {answer["id"]: {"note": "常連"}}})
    delete(seller, answer["id"])

    created, updated, deleted = door.come()

    assert [event.source for event in (created, updated, deleted)] == ["customers"] * 3
    assert (created.records[0]["id"], updated.records[0]["note"]) == (answer["id"], "常連")
    assert (deleted.deleted, deleted.records) == ((answer["id"],), ())


def test_other_peoples_stores_and_unknown_types_have_no_effect(server: Front, seller: Seller) -> None:
    door = Door(server, locations={"store-umeda": seller.location("梅田店")})
    sell(seller, "渋谷店", [("TEA-100", 1)])
    seller.tell("oauth.authorization.revoked", {"type": "revocation", "object": {}})

    assert door.come() == []


def test_doubled_calls_have_one_event_id(seller: Seller, door: Door) -> None:
    seller.receive("TEA-100", "渋谷店", 5)
    door.postman._letters *= 2

    first, second = door.come()

    assert first == second


def call_of(body: Any, *, url: str = URL, key: str = "sandbox-signature-key") -> tuple[dict[str, str], bytes]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {"x-square-hmacsha256-signature": sign(key, url, content)}, content


EVENT = {"merchant_id": "M", "type": "order.updated", "event_id": "e1", "created_at": "2026-11-21T00:00:00Z",
         "data": {"type": "order_updated", "id": "O1", "object": {"order_updated": {"order_id": "O1"}}}}  # fmt: skip


@pytest.mark.parametrize(
    "call",
    [
        call_of(EVENT, url=URL + "/"),
        call_of(EVENT, url=URL.replace("https", "http")),
        call_of(EVENT, key="another"),
        ({}, json.dumps(EVENT).encode()),
        ({"x-square-hmacsha256-signature": "é"}, json.dumps(EVENT).encode()),
        (call_of(EVENT)[0], json.dumps(EVENT | {"event_id": "e2"}).encode()),
    ],
    ids=["slash", "scheme", "key", "unsigned", "no ascii", "changed"],
)
def test_calls_that_are_not_genuine_are_refused(door: Door, call: tuple[dict[str, str], bytes]) -> None:
    with pytest.raises(Refused) as refused:
        opened_by(door.config, *call)
    assert refused.value.code == "bad_signature"


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"\xff", b"null", {},
        EVENT | {"created_at": "yesterday"},
        EVENT | {"data": None},
        EVENT | {"data": {"object": {}}},
        EVENT | {"type": "inventory.count.updated", "data": {"object": {"inventory_counts": [{"state": "IN_STOCK"}]}}},
        EVENT | {"type": "catalog.version.updated", "data": {"object": {"catalog_version": {"updated_at": 5}}}},
        EVENT | {"type": "payment.created", "data": {"object": {"payment": []}}},
    ],
)  # fmt: skip
def test_events_that_cannot_be_read_are_refused(door: Door, body: Any) -> None:
    with pytest.raises(Refused) as refused:
        opened_by(door.config, *call_of(body))
    assert refused.value.code == "bad_event"


@pytest.mark.parametrize(
    "missing", [{"webhook_secret": None}, {"webhook_secret": ""}, {"notification_url": None}]
)
def test_without_key_or_url_the_door_is_shut(server: Front, missing: dict[str, Any]) -> None:
    config = settings(
        server, **{"webhook_secret": "sandbox-signature-key", "notification_url": URL} | missing
    )

    with pytest.raises(Misconfigured):
        opened_by(config, *call_of(EVENT))
