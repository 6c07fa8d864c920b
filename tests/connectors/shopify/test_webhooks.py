"""Signed webhooks: what they name, what shuts the door, and the courier that brings them."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given, strategies as st

from connectors.contract import Call, Event, Misconfigured, Refused
from connectors.shopify import ShopifyConfig, connector
from connectors.shopify.events import TOPICS, events
from sandbox.shopify import Courier, Shop, Subscription
from sandbox.shopify.courier import call_of
from sandbox.shopify.payloads import Told

Opened = Callable[..., Call[Any]]
SECRET = "hush-of-the-app"
CONFIG = ShopifyConfig.model_validate(
    {"shop": "tsunagi-sandbox.myshopify.com", "access_token": "t", "webhook_secret": SECRET}
)


def signed(topic: str, body: bytes, *, secret: str = SECRET, **headers: str | None) -> dict[str, str]:
    digest = base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()
    told: dict[str, str | None] = {
        "x-shopify-topic": topic,
        "x-shopify-hmac-sha256": digest,
        "x-shopify-shop-domain": CONFIG.shop,
        "x-shopify-webhook-id": "w1",
        "x-shopify-triggered-at": "2026-11-21T03:00:00.123456789Z",
    }
    given_ = {name.replace("_", "-"): value for name, value in headers.items()}
    return {name: value for name, value in (told | given_).items() if value is not None}


def take(topic: str, body: Any, **headers: str | None) -> list[Event]:
    raw = json.dumps(body).encode()
    return list(events(signed(topic, raw, **headers), raw, CONFIG))


@pytest.mark.parametrize(
    ("topic", "body", "expected"),
    [
        ("orders/create", {"id": 820982911946154508}, [("orders", "Order/820982911946154508")]),
        ("orders/edited", {"order_edit": {"id": 1, "order_id": 7}}, [("orders", "Order/7")]),
        ("refunds/create", {"id": 1, "order_id": 7}, [("orders", "Order/7")]),
        ("fulfillments/update", {"id": 1, "order_id": 7}, [("orders", "Order/7")]),
        ("products/update", {"id": 5}, [("products", "Product/5"), ("variants", "Product/5")]),
        (
            "inventory_levels/update",
            {"inventory_item_id": 3, "location_id": 2},
            [("inventory", "InventoryItem/3")],
        ),
        ("customers/update", {"id": 4}, [("customers", "Customer/4")]),
        ("customers/data_request", {"customer": {"id": 4}}, [("customers", "Customer/4")]),
        ("app/uninstalled", {"id": 1}, []),
        ("shop/redact", {"shop_id": 1}, []),
    ],
)
def test_an_event_names_what_to_fetch(topic: str, body: Any, expected: list[tuple[str, str]]) -> None:
    came = take(topic, body)
    assert [(e.source, e.fetch) for e in came] == [(s, (f"gid://shopify/{g}",)) for s, g in expected]
    assert [e.event_id for e in came] == [f"w1:{source}" for source, _ in expected]
    assert all(e.records == () and e.deleted == () for e in came)
    assert all(e.occurred_at is not None and e.occurred_at.utcoffset() is not None for e in came)


@pytest.mark.parametrize(
    ("topic", "body", "source", "gone"),
    [
        ("products/delete", {"id": 5}, "products", "Product/5"),
        ("customers/delete", {"id": 4, "phone": None, "addresses": []}, "customers", "Customer/4"),
        ("customers/redact", {"customer": {"id": 4}, "orders_to_redact": [1]}, "customers", "Customer/4"),
        ("orders/delete", {"id": 9}, "orders", "Order/9"),
    ],
)
def test_what_is_gone_is_told_as_gone(topic: str, body: Any, source: str, gone: str) -> None:
    (event,) = take(topic, body)
    assert (event.source, event.deleted, event.fetch) == (source, (f"gid://shopify/{gone}",), ())


def test_a_merged_customer_is_fetched_and_the_other_gone() -> None:
    (event,) = take(
        "customers/merge",
        {
            "admin_graphql_api_customer_kept_id": "gid://shopify/Customer/1",
            "admin_graphql_api_customer_deleted_id": "gid://shopify/Customer/2",
        },
    )
    assert (event.fetch, event.deleted) == (("gid://shopify/Customer/1",), ("gid://shopify/Customer/2",))


def test_a_living_thing_sent_again_as_a_deletion_deletes_nothing() -> None:
    with pytest.raises(Refused) as refused:
        take("products/delete", {"id": 5, "title": "煎茶", "created_at": "2026-01-01T00:00:00Z"})
    assert refused.value.code == "bad_event"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x_shopify_shop_domain": "other.myshopify.com"}, "other_account"),
        ({"x_shopify_shop_domain": None}, "other_account"),
        ({"x_shopify_topic": "themes/publish"}, "unknown_topic"),
        ({"x_shopify_topic": None}, "unknown_topic"),
        ({"x_shopify_webhook_id": None}, "bad_event"),
        ({"x_shopify_triggered_at": "yesterday"}, "bad_event"),
        ({"x_shopify_hmac_sha256": None}, "bad_signature"),
    ],
)
def test_headers_that_do_not_fit_are_refused(headers: dict[str, str | None], code: str) -> None:
    with pytest.raises(Refused) as refused:
        take("orders/create", {"id": 1}, **headers)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"id": null}', b'{"id": "1 OR 1"}', b'"x"', b"\xff", b"[" * 100_000]
)
@pytest.mark.parametrize("topic", [name for name, reads in TOPICS.items() if reads])
def test_a_body_that_cannot_be_read_is_refused(topic: str, body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        events(signed(topic, body), body, CONFIG)
    assert refused.value.code == "bad_event"


def test_the_order_of_judging_is_the_signature_first() -> None:
    body = b'{"id": 1}'
    headers = signed("themes/publish", body, secret="another", x_shopify_shop_domain="other.myshopify.com")
    with pytest.raises(Refused) as refused:
        events(headers, body, CONFIG)
    assert refused.value.code == "bad_signature"


def test_both_secrets_open_while_one_is_replaced() -> None:
    config = CONFIG.model_copy(
        update={"webhook_secret": None, "previous_webhook_secret": CONFIG.webhook_secret}
    )
    body = b'{"id": 1}'
    assert events(signed("orders/create", body), body, config)
    with pytest.raises(Misconfigured):
        events(signed("orders/create", body), body, CONFIG.model_copy(update={"webhook_secret": None}))


@given(body=st.binary(max_size=300), topic=st.sampled_from(sorted(TOPICS)))
def test_any_signed_bytes_give_events_or_a_refusal(body: bytes, topic: str) -> None:
    code, came = "bad_event", []
    try:
        came = list(events(signed(topic, body), body, CONFIG))
    except Refused as refused:
        code = str(refused.code)
    assert code == "bad_event"
    assert {event.source for event in came} <= connector.sources.keys()


# ---------------------------------------------------------------- from the shop to the hub's door


class Door(BaseHTTPRequestHandler):
    """A receiver that refuses the first tries."""

    came: list[tuple[dict[str, str], bytes]]
    refuse = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = type(self)
        if kind.refuse:
            kind.refuse -= 1
            self.send_response(503)
        else:
            kind.came.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def door() -> Iterator[tuple[str, type[Door]]]:
    kind = type("OneDoor", (Door,), {"came": [], "refuse": 0})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/webhooks/shopify", kind
        server.shutdown()
        thread.join()


def test_what_happens_in_the_shop_comes_to_the_door_and_can_be_fetched(
    door: tuple[str, type[Door]], shop: Shop, opened: Opened
) -> None:
    url, receiver = door
    courier = Courier([Subscription(url, SECRET)], duplicates=1.0, pause=0.005, seed=3)
    shop.tell = courier
    receiver.refuse = 2
    with courier:
        order = shop.sell("SHIRT-01-L")
        assert order is not None
        assert courier.drain()
    came = [event for headers, body in receiver.came for event in events(headers, body, CONFIG)]

    assert {e.source for e in came} == {"orders", "inventory"}
    assert len(receiver.came) == 4  # two events, each twice
    assert len({e.event_id for e in came}) == 2
    assert any(sent.status == 503 for sent in courier.sent)
    asked = next(e.fetch for e in came if e.source == "orders")
    (page,) = connector.sources["orders"].run(opened(params={"ids": asked}), None)
    assert [r["name"] for r in page.records] == [order["name"]]
    levels = next(e.fetch for e in came if e.source == "inventory")
    (page,) = connector.sources["inventory"].run(opened(params={"ids": levels}), None)
    assert [q["quantity"] for q in page.records[0]["quantities"] if q["name"] == "available"] == [0]


def test_events_are_lost_and_given_up_as_asked_for(door: tuple[str, type[Door]], shop: Shop) -> None:
    url, receiver = door
    with Courier([Subscription(url, SECRET)], losses=1.0) as courier:
        shop.tell = courier
        shop.sell("SHIRT-01-L")
        assert courier.drain()
    assert receiver.came == []
    assert len(courier.dropped) == 2
    receiver.refuse = 99
    with Courier([Subscription(url, SECRET, ["orders/create"])], attempts=3, pause=0.001) as courier:
        shop.tell = courier
        shop.take_orders(1)
        assert courier.drain()
    assert len(courier.sent) == 3
    assert len(courier.dropped) == 1


def test_events_overtake_each_other_where_asked_for(door: tuple[str, type[Door]]) -> None:
    url, receiver = door
    with Courier([Subscription(url, SECRET)], reorder=0.5, pause=0.01, seed=1) as courier:
        for n in range(30):
            courier(Told("orders/create", {"id": n}, f"d{n}", "2026-11-21T03:00:00Z", CONFIG.shop))
        assert courier.drain()
    order = [json.loads(body)["id"] for _, body in receiver.came]
    assert sorted(order) == list(range(30)) != order


def test_the_body_is_signed_as_it_is_sent() -> None:
    headers, body = call_of(Told("orders/create", {"id": 1, "name": "髙﨑"}, "d", "t", "s"), SECRET)
    digest = base64.b64encode(hmac.digest(SECRET.encode(), body, "sha256")).decode()
    assert headers["X-Shopify-Hmac-Sha256"] == digest
    assert "髙﨑".encode() in body
