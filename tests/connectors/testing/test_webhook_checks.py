"""Each check of a webhook door lets a good one pass and finds the fault of a broken one."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from connectors.contract import Connector, Event, Misconfigured, Refused, Title

Judge = Callable[..., dict[str, str]]
SECRET = "webhook-secret-of-the-test"
BODY = json.dumps({"id": "ev-1", "order": {"id": "A1"}})
SIGNATURE = hmac.new(SECRET.encode(), BODY.encode(), hashlib.sha256).hexdigest()
FILES = {
    "recordings/check.yaml": "[]",
    "recordings/orders.yaml": "[]",
    "cases/webhook.yaml": f"""
calls:
  - headers: {{X-Shop-Signature: {SIGNATURE}, Content-Type: application/json}}
    body: '{BODY}'
    expect: [{{event_id: ev-1, source: orders, fetch: [A1]}}]
""",
}


class Config(BaseModel):
    webhook_secret: SecretStr | None = SecretStr(SECRET)


def door(headers: Mapping[str, str], body: bytes, config: Config) -> Sequence[Event]:
    if config.webhook_secret is None or not config.webhook_secret.get_secret_value():
        raise Misconfigured("set webhook_secret")
    key = config.webhook_secret.get_secret_value().encode()
    wanted = hmac.new(key, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, headers.get("x-shop-signature", "")):
        raise Refused("wrong signature")
    return events(body)


def events(body: bytes) -> Sequence[Event]:
    content = json.loads(body)
    return [Event("orders", content["id"], fetch=[content["order"]["id"]])]


def shop(run: Any = door) -> Connector[Config]:
    connector = Connector("tiny_shop", config=Config, title=Title("店", "Shop"))
    connector.webhook(run)
    connector.check(lambda call: "shop")
    return connector


def judged(judge: Judge, run: Any) -> dict[str, str]:
    connector = shop(run)
    connector.source("orders", key="id")(lambda call, cursor: iter(()))
    found = judge(connector, FILES)
    return {name: text for name, text in found.items() if name.startswith("webhook")}


def test_a_good_door_passes_every_check(judge: Judge) -> None:
    assert judged(judge, door) == {}


def wide_open(headers: Mapping[str, str], body: bytes, config: Config) -> Sequence[Event]:
    return events(body)


def signature_need_only_be_there(headers: Mapping[str, str], body: bytes, config: Config) -> Sequence[Event]:
    if not headers.get("x-shop-signature"):
        raise Refused("no signature")
    return events(body)


def empty_key_will_do(headers: Mapping[str, str], body: bytes, config: Config) -> Sequence[Event]:
    key = config.webhook_secret.get_secret_value() if config.webhook_secret else ""
    wanted = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, headers.get("x-shop-signature", "")):
        raise Refused("wrong signature")
    return events(body)


def names_as_the_shop_writes_them(headers: Mapping[str, str], body: bytes, config: Config) -> Sequence[Event]:
    return door({"x-shop-signature": headers.get("X-Shop-Signature", "")}, body, config)


def crashes_without_headers(headers: Mapping[str, str], body: bytes, config: Config) -> Sequence[Event]:
    assert headers["x-shop-signature"]
    return door(headers, body, config)


def after_the_door(change: Callable[[Event], Any]) -> Any:
    return lambda headers, body, config: [change(event) for event in door(headers, body, config)]


@pytest.mark.parametrize(
    ("run", "check", "text"),
    [
        (wide_open, "unsigned", "a call without a signature should raise Refused; it gave 1 events"),
        (
            wide_open,
            "no_secret",
            "while no secret is configured should raise Misconfigured; it gave 1 events",
        ),
        (signature_need_only_be_there, "tampered", "a changed body should raise Refused"),
        (signature_need_only_be_there, "wrong_signature", "a wrong signature should raise Refused"),
        (empty_key_will_do, "no_secret", "should raise Misconfigured; it raised Refused"),
        (names_as_the_shop_writes_them, "events", "the genuine call of the case is refused"),
        (crashes_without_headers, "unsigned", "should raise Refused; it raised KeyError"),
        (after_the_door(lambda e: Event("parcels", e.event_id)), "events", "'parcels', which is no source"),
        (after_the_door(lambda e: Event("orders", "")), "events", "an event without event_id"),
        (
            after_the_door(lambda e: Event("orders", "ev-1", records=[{"at": object()}])),
            "events",
            "cannot be stored as JSON",
        ),
        (
            after_the_door(lambda e: Event("orders", "ev-2", fetch=["A1"])),
            "events",
            "expected .*'ev-1'.*, came .*'ev-2'",
        ),
        (after_the_door(lambda e: e.event_id), "events", "it gives Event, not str"),
        (
            after_the_door(lambda e: Event("orders", str(uuid.uuid4()))),
            "pure",
            "twice gives different events",
        ),
    ],
)
def test_a_broken_door_is_found(judge: Judge, run: Any, check: str, text: str) -> None:
    findings = judged(judge, run)
    assert re.search(text, findings.get(f"webhook:{check}", f"nothing; other findings: {findings}"))


def test_a_door_without_a_case_and_settings_without_a_secret_are_found(judge: Judge) -> None:
    class Open(BaseModel):
        shop: str = "x"

    connector = Connector("tiny_shop", config=Open, title=Title("店", "Shop"))
    connector.webhook(wide_open)
    findings = judge(connector, {}, Open())
    assert "webhook.yaml is missing" in findings["webhook:events"]
    assert "the settings hold no SecretStr" in findings["webhook:no_secret"]
