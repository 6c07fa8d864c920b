"""Standard Webhooks: the vector of its reference libraries, and all that must not open the door."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from connectors.contract import Misconfigured, Refused
from connectors.webhooks import clock_at, standard_webhooks

SECRET = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
BODY = b'{"test": 2432232314}'
SIGNED_AT = datetime.fromtimestamp(1614265330, UTC)
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def verify(
    headers: Mapping[str, str] = HEADERS, body: bytes = BODY, secret: SecretStr | None = SECRET
) -> str:
    return standard_webhooks(headers, body, [secret], now=lambda: SIGNED_AT)


def test_the_published_vector_opens_the_door() -> None:
    assert verify() == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert verify({name.title(): value for name, value in HEADERS.items()}) == HEADERS["webhook-id"]


def test_one_fitting_signature_of_several_is_enough() -> None:
    other = base64.b64encode(bytes(32)).decode()
    several = f"v1a,{other} v2,{other} v1,{other} {HEADERS['webhook-signature']} v1,"
    assert verify({**HEADERS, "webhook-signature": several})


def test_a_secret_that_is_no_whsec_is_its_own_key() -> None:
    digest = hmac.digest(b"plain text key", b"m.1614265330." + BODY, "sha256")
    signature = "v1," + base64.b64encode(digest).decode()
    headers = {"webhook-id": "m", "webhook-timestamp": "1614265330", "webhook-signature": signature}
    assert verify(headers, secret=SecretStr("plain text key")) == "m"


@pytest.mark.parametrize(
    "change",
    [
        lambda h: {},
        lambda h: {**h, "webhook-id": ""},
        lambda h: {**h, "webhook-id": "msg_other"},
        lambda h: {**h, "webhook-timestamp": "1614265331"},
        lambda h: {**h, "webhook-timestamp": "１６１４２６５３３０"},
        lambda h: {**h, "webhook-timestamp": "9" * 30},
        lambda h: {**h, "webhook-signature": h["webhook-signature"].removeprefix("v1,")},
        lambda h: {**h, "webhook-signature": h["webhook-signature"].replace("v1,", "v2,")},
        lambda h: {**h, "webhook-signature": h["webhook-signature"][:-2]},
        lambda h: {**h, "webhook-signature": "v1," + "あ" * 10},
    ],
)
def test_what_is_not_signed_as_a_whole_is_refused(
    change: Callable[[dict[str, str]], dict[str, str]],
) -> None:
    with pytest.raises(Refused) as refused:
        verify(change(dict(HEADERS)))
    assert refused.value.code == "bad_signature"


def test_another_body_or_secret_is_refused() -> None:
    for body, secret in ((BODY + b" ", SECRET), (BODY, SecretStr("whsec_AAAA"))):
        with pytest.raises(Refused, match="wrong"):
            verify(body=body, secret=secret)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_call_of_another_time_is_outside_the_window(minutes: int) -> None:
    with clock_at(SIGNED_AT + timedelta(minutes=minutes)), pytest.raises(Refused) as refused:
        standard_webhooks(HEADERS, BODY, [SECRET])
    assert refused.value.code == "outside_window"
    with clock_at(SIGNED_AT + timedelta(minutes=minutes / 2)):
        assert standard_webhooks(HEADERS, BODY, [SECRET])


@pytest.mark.parametrize("secret", [None, SecretStr(""), SecretStr("whsec_"), SecretStr("whsec_no base64!")])
def test_without_a_usable_secret_the_door_is_shut(secret: SecretStr | None) -> None:
    with pytest.raises(Misconfigured):
        verify(secret=secret)
