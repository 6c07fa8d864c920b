"""What can be held without a server: documents, events, records of the sinks, the lock file."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Change, Misconfigured, Outcome, Refused, Retry
from connectors.outcomes import each
from connectors.vendure import CustomFields, VendureConfig, connector
from connectors.vendure.documents import document, operations
from connectors.vendure.events import events
from mappings.samples import find_samples

SECRET = "events-secret"
CONFIG = VendureConfig.model_validate(
    {"base_url": "https://shop.example.jp", "username": "u", "password": "p", "webhook_secret": SECRET}
)


def signed(body: bytes, *, secret: str = SECRET) -> dict[str, str]:
    stamp = "1795222923"
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-Shop-Timestamp": stamp, "X-Shop-Signature": f"sha256={digest}"}


def body(kind: str = "OrderPlaced", **data: Any) -> bytes:
    said = {"id": "e1", "type": kind, "occurredAt": "2026-11-21T01:02:03.000Z", "data": data}
    return json.dumps(said).encode()


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


def test_a_deleted_address_is_a_change_of_its_customer() -> None:
    said = body("CustomerAddress", customers=["4"], change="deleted")
    [event] = events(signed(said), said, CONFIG)
    assert (event.source, event.fetch, event.deleted) == ("customers", ("4",), ())


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "bad_signature"),
        (signed(body(), secret="another"), "bad_signature"),
        (signed(b"other bytes"), "bad_signature"),
        ({**signed(body()), "X-Shop-Timestamp": "1"}, "bad_signature"),
        ({"X-Shop-Timestamp": "１２", "X-Shop-Signature": "sha256=ü"}, "bad_signature"),
    ],
)
def test_an_event_that_is_not_signed_now_by_the_shop_is_refused(headers: dict[str, str], code: str) -> None:
    with pytest.raises(Refused) as raised:
        events(headers, body(), CONFIG)
    assert raised.value.code == code


@pytest.mark.parametrize(
    "said", [b"", b"[]", b'{"id": 1}', b'{"id":"a","type":"b","occurredAt":"x","data":{}}']
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
