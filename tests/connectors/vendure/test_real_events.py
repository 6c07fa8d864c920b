"""Signed events of a real Vendure with the plugin, as the webhook function reads them."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from connectors.contract import Event
from connectors.vendure import VendureConfig
from connectors.vendure.events import events

pytestmark = [pytest.mark.vendure, pytest.mark.timeout(900)]

SECRET = "a-secret-of-the-test"
CONFIG = VendureConfig.model_validate(
    {"base_url": "http://127.0.0.1:1", "username": "u", "password": "p", "webhook_secret": SECRET}
)


class Receiver:
    """A hub's door that writes down what came, and answers as it is told."""

    def __init__(self) -> None:
        self.calls: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self.answers: list[int] = []
        """Statuses of the next calls; 200 afterwards."""
        receiver = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.calls.put((dict(self.headers), body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                """Says nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def events(self, until: Callable[[list[Event]], bool], seconds: float = 20) -> list[Event]:
        """What came, read by the connector, until there is enough of it."""
        found: list[Event] = []
        ends = time.monotonic() + seconds
        while not until(found):
            headers, body = self.calls.get(timeout=max(ends - time.monotonic(), 0.01))
            found += events(headers, body, CONFIG)
        return found


@pytest.fixture
def receiver(shop: Any) -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    shop.send_events(made.url, SECRET)
    yield made
    shop.send_events(None)
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def of(source: str, *ids: str) -> Callable[[list[Event]], bool]:
    """Whether an event of the source names these ids."""
    return lambda found: any(event.source == source and set(ids) <= set(event.fetch) for event in found)


def test_a_stock_change_arrives_signed_and_names_what_to_fetch(receiver: Receiver, admin: Any) -> None:
    admin(
        "mutation { updateProductVariants(input: [{id: 3, stockLevels: [{stockLocationId: 1, stockOnHand: 51}]}]) "
        "{ id } }"
    )
    [event] = receiver.events(of("stock", "3"))
    assert event.fetch == ("3",)
    assert event.occurred_at is not None
    assert event.occurred_at.tzinfo is not None


def test_an_orders_life_is_told_and_a_cart_is_not(
    receiver: Receiver, buy: Any, settle: Any, admin: Any
) -> None:
    order = buy("TEA-200", 1)
    told = receiver.events(of("orders", order["id"]))
    # everything the checkout did before was told of the customer only
    assert {event.source for event in told} <= {"orders", "customers", "stock"}
    assert len([event for event in told if event.source == "orders"]) <= 3
    settle(order)
    receiver.events(of("orders", order["id"]))
    line = admin("query($i: ID!) { order(id: $i) { lines { id } } }", i=order["id"])["lines"][0]["id"]
    fulfil = (
        "mutation($l: ID!) { addFulfillmentToOrder(input: {lines: [{orderLineId: $l, quantity: 1}], handler: "
        '{code: "manual-fulfillment", arguments: [{name: "method", value: "x"}, {name: "trackingCode", value: "1"}]}}) '
        "{ ... on Fulfillment { id } ... on ErrorResult { errorCode message } } }"
    )
    parcel = admin(fulfil, l=line)["id"]
    receiver.events(of("orders", order["id"]))
    while not receiver.calls.empty():
        receiver.calls.get()
    move = (
        'mutation($i: ID!) { transitionFulfillmentToState(id: $i, state: "Shipped") '
        "{ ... on Fulfillment { id } ... on ErrorResult { errorCode message } } }"
    )
    admin(move, i=parcel)
    receiver.events(of("orders", order["id"]))


def test_a_changed_price_names_variant_and_product_and_a_deleted_product_is_told_as_gone(
    receiver: Receiver, admin: Any
) -> None:
    created = admin(
        'mutation { createProduct(input: {translations: [{languageCode: ja, name: "しおり", slug: "shiori", '
        'description: ""}]}) { id } }'
    )
    receiver.events(of("products", created["id"]))
    variant = admin(
        'mutation($p: ID!) { createProductVariants(input: [{productId: $p, sku: "SHIORI", price: 100, '
        'translations: [{languageCode: ja, name: "しおり"}]}]) { id } }',
        p=created["id"],
    )[0]
    receiver.events(of("variants", variant["id"]))
    admin(
        "mutation($v: ID!) { updateProductVariants(input: [{id: $v, price: 200}]) { id } }", v=variant["id"]
    )
    told = receiver.events(of("variants", variant["id"]))
    assert any(event.source == "products" and event.fetch == (created["id"],) for event in told)
    admin("mutation($p: ID!) { deleteProduct(id: $p) { result } }", p=created["id"])

    def gone(found: list[Event]) -> bool:
        return {(event.source, *event.deleted) for event in found if event.deleted} >= {
            ("products", created["id"]),
            ("variants", variant["id"]),
        }

    receiver.events(gone)


def test_what_is_rolled_back_is_not_told(receiver: Receiver, admin: Any) -> None:
    write = (
        "mutation($s: String!) { updateProductVariants(input: [{id: 3, stockLevels: [{stockLocationId: 1, "
        "stockOnHand: 60}]}, {id: 4, stockLevels: [{stockLocationId: $s, stockOnHand: 61}]}]) { id } }"
    ).replace("$s: String!", "$s: ID!")
    with pytest.raises(AssertionError):
        admin(write, s="999")  # no such stock location: all or nothing
    admin(
        "mutation { updateProductVariants(input: [{id: 5, stockLevels: [{stockLocationId: 1, stockOnHand: 62}]}]) "
        "{ id } }"
    )
    assert [event.fetch for event in receiver.events(of("stock", "5"))] == [("5",)]


def test_what_is_not_answered_well_comes_again_with_the_same_id(receiver: Receiver, admin: Any) -> None:
    receiver.answers = [503, 500]
    admin(
        "mutation { updateProductVariants(input: [{id: 6, stockLevels: [{stockLocationId: 1, stockOnHand: 63}]}]) "
        "{ id } }"
    )
    messages = [receiver.calls.get(timeout=20)[0]["webhook-id"] for _ in range(3)]
    assert len(set(messages)) == 1


def test_an_event_that_is_refused_for_good_does_not_keep_the_others_back(
    receiver: Receiver, admin: Any
) -> None:
    receiver.answers = [503, 400, 400]
    write = (
        "mutation($v: ID!) { updateProductVariants(input: [{id: $v, stockLevels: [{stockLocationId: 1, "
        "stockOnHand: 64}]}]) { id } }"
    )
    admin(write, v="7")
    bodies = [receiver.calls.get(timeout=20)[1]]
    admin(write, v="8")
    bodies += [receiver.calls.get(timeout=20)[1] for _ in range(3)]
    first, together, alone, other = ([each["data"]["stock"] for each in json_events(body)] for body in bodies)
    assert (first, together) == ([["7"]], [["7"], ["8"]])
    assert (alone, other) == ([["7"]], [["8"]])


def json_events(body: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(body)["events"]
    return found
