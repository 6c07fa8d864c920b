"""Signatures against the public library, and what becomes of secrets."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st
from postroom import Desk, Reply
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from hub.subscribers.answers import Manner
from hub.subscribers.register import SubscriberFault, find, rotate
from hub.subscribers.sealed import SecretUnreadable, signing_secrets
from hub.subscribers.signing import body_of, signed_headers

SECRET = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def test_the_example_of_the_specification() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}', [SECRET])
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(
    key=st.text(min_size=1, max_size=60), content=st.dictionaries(st.text(), st.text() | st.integers(-9, 9))
)
def test_the_public_library_accepts_what_we_sign(key: str, content: dict[str, object]) -> None:
    now = datetime.now(UTC)
    body = body_of("product", key, 3, changed_at=now, deleted=False, content=content)
    headers = signed_headers("msg_1", now, body, [SECRET])
    assert Webhook(SECRET.get_secret_value()).verify(body, headers)["data"]["key"] == key
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "QUJD" * 8).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET.get_secret_value()).verify(body + b" ", headers)


def accepts(secret: SecretStr, desk: Desk) -> bool:
    """Whether a receiver that holds this secret accepts the newest message, by the public library."""
    call = desk.receiver.calls[-1]
    try:
        Webhook(secret.get_secret_value()).verify(call.body, call.headers)
    except WebhookVerificationError:
        return False
    return True


def test_while_a_secret_is_replaced_old_and_new_are_good_and_then_only_the_new(desk: Desk) -> None:
    _, old = desk.subscribe()
    with desk.hub.engine.begin() as connection:
        _, new = rotate(connection, "erp")
    desk.sell("A", 1)
    desk.send()
    assert accepts(old, desk)
    assert accepts(new, desk)
    assert desk.receiver.calls[-1].headers["webhook-signature"].count("v1,") == 2
    desk.run("UPDATE subscriber_secret SET expires_at = now() WHERE expires_at IS NOT NULL")
    desk.sell("A", 2)
    desk.send()
    assert not accepts(old, desk)
    assert accepts(new, desk)


def test_a_secret_that_leaked_ends_at_once(desk: Desk) -> None:
    _, old = desk.subscribe()
    with desk.hub.engine.begin() as connection:
        _, new = rotate(connection, "erp", timedelta(0))
    desk.sell("A", 1)
    desk.send()
    assert accepts(new, desk)
    assert not accepts(old, desk)


def test_rotating_again_and_again_neither_prolongs_old_secrets_nor_swells_the_header(desk: Desk) -> None:
    told, first = desk.subscribe()
    with desk.hub.engine.begin() as connection:
        rotate(connection, "erp", timedelta(hours=1))
        for _ in range(5):
            _, newest = rotate(connection, "erp", timedelta(hours=48))
        assert len(signing_secrets(connection, told.id, "erp")) == 3
    (row,) = desk.rows("SELECT count(*) AS n FROM subscriber_secret WHERE expires_at IS NULL")
    assert row.n == 1
    desk.sell("A", 1)
    desk.send()
    assert accepts(newest, desk)
    assert not accepts(first, desk)


def test_secrets_are_encrypted_where_they_are_kept(desk: Desk) -> None:
    _, secret = desk.subscribe()
    (row,) = desk.rows("SELECT sealed FROM subscriber_secret")
    assert secret.get_secret_value().encode() not in bytes(row.sealed)
    assert secret.get_secret_value()[6:].encode() not in bytes(row.sealed)


def test_under_another_key_nothing_is_sent_and_a_person_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.subscribe()
    desk.sell("A", 1)
    monkeypatch.setenv("TSUNAGI_TOKEN_KEY", "another")
    with pytest.raises(SecretUnreadable, match="rotate-secret erp"):
        desk.send()
    with desk.hub.engine.connect() as connection:
        told = find(connection, "erp")
    assert told.state == "paused"
    assert "TSUNAGI_TOKEN_KEY" in (told.reason or "")
    assert desk.receiver.calls == []


def test_neither_log_nor_attempts_show_secret_or_content(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    _, secret = desk.subscribe("erp", "order", content="full")
    buyer = {
        "key": "rakuten/1",
        "channel": "rakuten",
        "buyer": {"name": "山田 花子", "email": "hanako@example.jp"},
    }
    desk.change("order", ("rakuten/1", buyer))
    # a receiver that answers with all it got
    desk.receiver.answer = lambda call: Reply(
        500,
        {"content-type": "application/json"},
        call.body[:-1] + f', "secret": "{secret.get_secret_value()}"}}'.encode(),
    )
    desk.send(manner=Manner(first=60))
    shown = capsys.readouterr()
    (attempt,) = desk.rows("SELECT answer, error FROM subscriber_attempt")
    assert attempt.answer is not None
    for text in (shown.out, shown.err, attempt.answer):
        assert "hanako" not in text
        assert secret.get_secret_value()[8:] not in text
    assert "花子" not in shown.out + shown.err


@pytest.mark.parametrize(
    ("name", "kinds", "more"),
    [
        ("Erp", "sellable", {}), ("erp", "sellables", {}), ("erp", "", {}), ("erp", "sellable", {"content": "all"}),
        ("erp", "sellable", {"at_once": 0}),
    ],
)  # fmt: skip
def test_what_cannot_be_a_subscriber(desk: Desk, name: str, kinds: str, more: dict[str, object]) -> None:
    with pytest.raises(SubscriberFault):
        desk.subscribe(name, kinds, **more)
    assert desk.rows("SELECT FROM subscriber") == []


def test_a_name_is_given_once(desk: Desk) -> None:
    desk.subscribe()
    with pytest.raises(SubscriberFault, match="already"):
        desk.subscribe()


def test_the_body_is_the_same_bytes_each_time() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    made = [
        body_of("order", "a/1", 1, changed_at=at, deleted=False, content={"b": 1, "a": "é"}) for _ in range(2)
    ]
    assert made[0] == made[1]
    assert json.loads(made[0])["timestamp"] == "2026-11-21T00:00:00Z"
