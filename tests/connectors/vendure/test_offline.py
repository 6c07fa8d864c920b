"""What can be held without a server: documents, events, records of the sinks, the lock file."""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Change, Misconfigured, Outcome, Refused, Retry
from connectors.outcomes import each
from connectors.vendure import CustomFields, VendureConfig, connector
from connectors.vendure.documents import document, operations
from connectors.vendure.events import events
from connectors.webhooks import clock_at
from mappings.samples import find_samples

SECRET = "events-secret"
CONFIG = VendureConfig.model_validate(
    {"base_url": "https://shop.example.jp", "username": "u", "password": "p", "webhook_secret": SECRET}
)


SIGNED_AT = datetime(2026, 11, 21, 1, 2, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _back_then() -> Iterator[None]:
    with clock_at(SIGNED_AT):
        yield


def signed(body: bytes, *, secret: str = SECRET, at: datetime = SIGNED_AT) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    digest = hmac.digest(secret.encode(), f"msg_1.{stamp}.".encode() + body, "sha256")
    proof = base64.b64encode(digest).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": f"v1,{proof}"}


def body(kind: str = "OrderPlaced", **data: Any) -> bytes:
    said = {"id": "e1", "type": kind, "occurredAt": "2026-11-21T01:02:03.000Z", "data": data}
    return json.dumps({"events": [said]}).encode()


# ---------------------------------------------------------------- documents


@pytest.mark.parametrize("name", sorted(operations()))
def test_a_document_holds_each_fragment_once_and_no_more(name: str) -> None:
    text = document(name, CustomFields(order=("ref",)))
    fragments = re.findall(r"^fragment (\w+)", text, re.MULTILINE)
    assert len(fragments) == len(set(fragments))
    assert set(re.findall(r"\.\.\.(\w+)", text)) == set(fragments)
    assert "#custom_fields" not in text


def test_custom_fields_are_asked_for_where_the_settings_name_them() -> None:
    assert "customFields { a b }" in document("Customers", CustomFields(customer=("a", "b")))
    assert "customFields" not in document("Customers", CustomFields(order=("a",)))


# ---------------------------------------------------------------- events


def test_an_event_names_what_to_fetch() -> None:
    said = body(orders=["7"], state="PaymentSettled")
    [event] = events(signed(said), said, CONFIG)
    assert (event.source, event.event_id, event.fetch) == ("orders", "e1:orders", ("7",))


def test_a_deleted_product_is_told_as_deleted() -> None:
    said = body("Product", products=["3"], change="deleted")
    [event] = events(signed(said), said, CONFIG)
    assert (event.source, event.deleted, event.fetch) == ("products", ("3",), ())


def test_an_event_of_a_variant_names_its_product_too() -> None:
    said = body("ProductVariant", variants=["3", "4"], products=["1"], change="updated")
    products, variants = events(signed(said), said, CONFIG)
    assert (products.source, products.event_id, products.fetch) == ("products", "e1:products", ("1",))
    assert (variants.source, variants.event_id, variants.fetch) == ("variants", "e1:variants", ("3", "4"))


def test_an_event_that_names_nothing_we_fetch_is_nothing() -> None:
    said = body("AssetEvent", assets=["3"])
    assert events(signed(said), said, CONFIG) == []


def test_of_two_secrets_either_opens() -> None:
    said = body(orders=["7"])
    old, new = signed(said, secret="the-former-secret"), signed(said)
    both = {**new, "webhook-signature": f"{old['webhook-signature']} {new['webhook-signature']}"}
    assert len(events(both, said, CONFIG)) == 1


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "bad_signature"),
        (signed(body(), secret="another"), "bad_signature"),
        (signed(b"other bytes"), "bad_signature"),
        ({**signed(body()), "webhook-id": "msg_2"}, "bad_signature"),
        ({**signed(body()), "webhook-timestamp": "1"}, "bad_signature"),
        ({**signed(body()), "webhook-timestamp": "１２"}, "bad_signature"),
        ({**signed(body()), "webhook-signature": "v1,ü"}, "bad_signature"),
        (signed(body(), at=SIGNED_AT - timedelta(minutes=6)), "outside_window"),
        (signed(body(), at=SIGNED_AT + timedelta(minutes=6)), "outside_window"),
    ],
)
def test_an_event_that_is_not_signed_now_by_the_shop_is_refused(headers: dict[str, str], code: str) -> None:
    with pytest.raises(Refused) as raised:
        events(headers, body(), CONFIG)
    assert raised.value.code == code


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"[]",
        b'{"id": 1}',
        b'{"events": {}}',
        b'{"events": [1]}',
        b'{"events": [{"id":"a","type":"b","occurredAt":"x","data":{}}]}',
        b'{"events": [{"id":"a","type":"b","occurredAt":"2026-11-21T01:02:03","data":{}}]}',
        b'{"events": [{"id":"a","type":"b","occurredAt":"2026-11-21T01:02:03Z","data":{"orders":"12"}}]}',
        b'{"events": [{"id":"a","type":"b","occurredAt":"2026-11-21T01:02:03Z","data":[]}]}',
        b'{"events": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        json.dumps({"events": [{"id": "a"}] * 1001}).encode(),
    ],
    ids=lambda said: said[:60].decode(),
)
def test_an_event_that_cannot_be_read_is_refused(said: bytes) -> None:
    with pytest.raises(Refused) as raised:
        events(signed(said), said, CONFIG)
    assert raised.value.code == "bad_event"


def test_without_a_secret_the_door_is_shut() -> None:
    shut = CONFIG.model_copy(update={"webhook_secret": None})
    with pytest.raises(Misconfigured, match="shut"):
        events(signed(body()), body(), shut)


# ---------------------------------------------------------------- sinks


@pytest.mark.parametrize(
    "sample",
    [sample for sample in find_samples() if re.match(r"vendure/\w+\.out$", sample.mapping)],
    ids=str,
)
def test_what_the_mappings_send_is_what_the_sinks_take(sample: Any) -> None:
    expected = json.loads(sample.expected.read_text(encoding="utf-8"))
    sink = connector.sinks[sample.mapping.removeprefix("vendure/").removesuffix(".out")]
    assert sink.record is not None
    if expected is not None and "record" in expected:
        sink.record.model_validate(expected["record"])


def test_a_dead_server_is_not_asked_for_every_change() -> None:
    asked: list[str] = []

    def write(change: Change) -> Outcome:
        asked.append(change.key)
        raise Retry("down")

    outcomes = list(each([Change(str(n), {}, 1) for n in range(50)], write))
    assert len(asked) == 3
    assert [outcome.verdict.value for outcome in outcomes] == ["retry"] * 50


def test_a_refused_change_does_not_stop_the_others() -> None:
    def write(change: Change) -> Outcome:
        if change.key == "1":
            raise Refused("bad", code="x")
        return Outcome.done(change.key)

    outcomes = list(each([Change(str(n), {}, 1) for n in range(3)], write))
    assert [(outcome.key, outcome.verdict.value, outcome.code) for outcome in outcomes] == [
        ("0", "done", None),
        ("1", "refused", "x"),
        ("2", "done", None),
    ]


# ---------------------------------------------------------------- the sandbox


def test_the_lock_of_the_sandbox_names_versions_and_no_address() -> None:
    text = (Path("sandbox/vendure/app/package-lock.json")).read_text(encoding="utf-8")
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert packages["node_modules/@vendure/core"]["version"] == "3.7.3"
    assert packages["node_modules/@graphql-tools/delegate"]["version"] == "12.2.1"
    assert all("integrity" in package for path, package in packages.items() if path)
