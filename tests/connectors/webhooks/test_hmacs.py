"""Signatures by HMAC: published vectors, every system's form, and what shuts the door."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import SecretStr

from connectors.contract import Misconfigured, Refused
from connectors.webhooks import (
    ec_cube,
    github,
    header_token,
    hmac_header,
    line,
    shopify,
    smaregi,
    square,
    stripe,
    within_window,
    woocommerce,
)

SECRET = SecretStr("hush-of-the-shop")
URL = "https://hub.example.jp/webhooks/square-main"
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)

Verify = Callable[[Mapping[str, str], bytes, list[Any]], object]


def digest(body: bytes, key: str = "hush-of-the-shop") -> bytes:
    return hmac.new(key.encode(), body, hashlib.sha256).digest()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def stripe_at(headers: Mapping[str, str], body: bytes, secrets: list[Any]) -> object:
    return stripe(headers, body, secrets, now=lambda: NOW)


def square_here(headers: Mapping[str, str], body: bytes, secrets: list[Any]) -> object:
    square(headers, body, secrets, notification_url=URL)
    return None


STAMP = str(int(NOW.timestamp()))
SCHEMES: dict[str, tuple[Verify, Callable[[bytes, str], dict[str, str]]]] = {
    "shopify": (shopify, lambda body, key: {"x-shopify-hmac-sha256": b64(digest(body, key))}),
    "woocommerce": (woocommerce, lambda body, key: {"x-wc-webhook-signature": b64(digest(body, key))}),
    "line": (line, lambda body, key: {"x-line-signature": b64(digest(body, key))}),
    "square": (
        square_here,
        lambda body, key: {"x-square-hmacsha256-signature": b64(digest(URL.encode() + body, key))},
    ),
    "ec_cube": (ec_cube, lambda body, key: {"x-eccube-signature": digest(body, key).hex()}),
    "github": (github, lambda body, key: {"x-hub-signature-256": f"sha256={digest(body, key).hex()}"}),
    "stripe": (
        stripe_at,
        lambda body, key: {
            "stripe-signature": f"t={STAMP},v1={digest(STAMP.encode() + b'.' + body, key).hex()},v0=ab"
        },
    ),
}
every_scheme = pytest.mark.parametrize(("verify", "sign"), SCHEMES.values(), ids=SCHEMES.keys())


# ---------------------------------------------------------------- published vectors


def test_rfc_4231_case_2() -> None:
    known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    hmac_header(
        {"x-signature": known},
        b"what do ya want for nothing?",
        [SecretStr("Jefe")],
        header="X-Signature",
        encoding="hex",
    )


def test_the_example_of_githubs_documentation() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    github({"x-hub-signature-256": signature}, b"Hello, World!", [SecretStr("It's a Secret to Everybody")])


# ---------------------------------------------------------------- every scheme


@every_scheme
def test_a_genuine_call_passes_whatever_the_case_of_its_header_names(verify: Verify, sign: Any) -> None:
    headers = sign(b'{"id": 1}', "hush-of-the-shop")
    verify(headers, b'{"id": 1}', [SECRET])
    verify({name.title(): value for name, value in headers.items()}, b'{"id": 1}', [SECRET])


@every_scheme
def test_either_secret_opens_while_one_is_replaced(verify: Verify, sign: Any) -> None:
    for key in ("hush-of-the-shop", "the-next-hush"):
        verify(sign(b"body", key), b"body", [SecretStr("the-next-hush"), None, SECRET])


@every_scheme
def test_a_wrong_secret_a_changed_body_and_a_missing_header_are_refused(verify: Verify, sign: Any) -> None:
    headers = sign(b"body", "hush-of-the-shop")
    for given_headers, body, secret in (
        (headers, b"body", SecretStr("another")),
        (headers, b"body ", SECRET),
        (headers, b"", SECRET),
        ({}, b"body", SECRET),
        (dict.fromkeys(headers, " "), b"body", SECRET),
    ):
        with pytest.raises(Refused) as refused:
            verify(given_headers, body, [secret])
        assert refused.value.code == "bad_signature"


@every_scheme
@pytest.mark.parametrize("nothing", [[], [None], [SecretStr("")], [SecretStr("  "), None]], ids=str)
def test_without_a_secret_the_door_is_shut_even_to_a_signature_made_with_an_empty_key(
    verify: Verify, sign: Any, nothing: list[Any]
) -> None:
    for headers in (sign(b"body", ""), {}):
        with pytest.raises(Misconfigured, match="shut"):
            verify(headers, b"body", nothing)


@every_scheme
def test_messages_hold_neither_secret_nor_signature(verify: Verify, sign: Any) -> None:
    headers = sign(b"body", "another-secret")
    with pytest.raises(Refused) as refused:
        verify(headers, b"body", [SECRET])
    said = repr(refused.value) + repr(refused.value.__context__)
    assert "hush-of-the-shop" not in said
    assert not any(value in said for value in headers.values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256=",
        "zz",
        "あ",
        "AAAA",
        "=" * 44,
        "\n",
        b64(b"x" * 31),
        b64(b"x" * 33),
        "00" * 31,
        "0x" + "00" * 31,
    ],
)
@every_scheme
def test_nonsense_in_place_of_a_signature_is_refused(verify: Verify, sign: Any, text: str) -> None:
    for name, genuine in sign(b"body", "hush-of-the-shop").items():
        for value in (text, genuine[: len(genuine) // 2] + text, f"t={text},v1={text}"):
            with pytest.raises(Refused):
                verify({name: value}, b"body", [SECRET])


@given(
    body=st.binary(max_size=200), key=st.text(min_size=1, max_size=40).filter(str.strip), flip=st.integers(0)
)
def test_one_changed_bit_of_any_body_is_seen(body: bytes, key: str, flip: int) -> None:
    headers = {"x-shopify-hmac-sha256": b64(digest(body, key))}
    shopify(headers, body, [SecretStr(key)])
    if body:
        place, bit = flip // 8 % len(body), flip % 8
        changed = bytearray(body)
        changed[place] ^= 1 << bit
        with pytest.raises(Refused):
            shopify(headers, bytes(changed), [SecretStr(key)])


@given(header=st.text(max_size=120))
def test_any_text_as_a_header_is_refused_and_never_crashes(header: str) -> None:
    for verify, sign in SCHEMES.values():
        (name,) = sign(b"", "k")
        with pytest.raises(Refused):
            verify({name: header}, b"body", [SECRET])


def test_base64_is_taken_in_one_spelling_only() -> None:
    signature = b64(digest(b"body"))
    for other in (
        signature.rstrip("="),
        signature + "\n=",
        signature[:10] + "\n" + signature[10:],
        "%" + signature,
    ):
        with pytest.raises(Refused):
            shopify({"x-shopify-hmac-sha256": other}, b"body", [SECRET])


# ---------------------------------------------------------------- Square


def test_squares_url_is_part_of_what_is_signed() -> None:
    headers = SCHEMES["square"][1](b"body", "hush-of-the-shop")
    with pytest.raises(Refused):
        square(headers, b"body", [SECRET], notification_url=URL + "/")
    with pytest.raises(Misconfigured, match="notification URL"):
        square(headers, b"body", [SECRET], notification_url="")


# ---------------------------------------------------------------- Stripe


def test_stripe_gives_the_signed_time_and_takes_any_of_several_signatures() -> None:
    good = digest(STAMP.encode() + b".body").hex()
    headers = {"stripe-signature": f"t={STAMP}, v1={'0' * 64}, v1={good}"}
    assert stripe(headers, b"body", [SECRET], now=lambda: NOW) == NOW


@pytest.mark.parametrize(("late", "passes"), [(300, True), (301, False), (-300, True), (-301, False)])
def test_stripes_time_may_differ_by_the_tolerance(late: int, passes: bool) -> None:
    headers = SCHEMES["stripe"][1](b"body", "hush-of-the-shop")
    clock = NOW + timedelta(seconds=late)
    if passes:
        stripe(headers, b"body", [SECRET], now=lambda: clock)
        return
    with pytest.raises(Refused) as refused:
        stripe(headers, b"body", [SECRET], now=lambda: clock)
    assert refused.value.code == "outside_window"


def test_a_forger_is_told_of_the_signature_and_not_of_the_clock() -> None:
    headers = {"stripe-signature": f"t=1,v1={'0' * 64}"}
    with pytest.raises(Refused) as refused:
        stripe(headers, b"body", [SECRET], now=lambda: NOW)
    assert refused.value.code == "bad_signature"


def test_a_signed_time_beyond_all_calendars_is_refused() -> None:
    stamp = "9" * 30
    signature = digest(stamp.encode() + b".body").hex()
    with pytest.raises(Refused):
        stripe({"stripe-signature": f"t={stamp},v1={signature}"}, b"body", [SECRET], now=lambda: NOW)


def test_the_window_can_be_any() -> None:
    within_window(NOW, window=timedelta(days=1), now=lambda: NOW + timedelta(hours=23))
    with pytest.raises(Refused):
        within_window(NOW, window=timedelta(seconds=1), now=lambda: NOW + timedelta(seconds=2))


# ---------------------------------------------------------------- tokens


def test_a_token_in_a_header_must_be_equal() -> None:
    header_token({"x-own": "hush-of-the-shop"}, [SECRET], header="X-Own")
    header_token(
        {"authorization": "Bearer hush-of-the-shop"}, [SECRET], header="authorization", prefix="Bearer "
    )
    for headers in ({"x-own": "hush-of-the-shoq"}, {"x-own": "hush"}, {"x-own": "ü"}, {}):
        with pytest.raises(Refused):
            header_token(headers, [SECRET], header="x-own")
    with pytest.raises(Refused, match="Bearer"):
        header_token(
            {"authorization": "hush-of-the-shop"}, [SECRET], header="authorization", prefix="Bearer "
        )


def test_smaregi_needs_the_token_and_the_contract() -> None:
    headers = {"x-hub-token": "hush-of-the-shop", "smaregi-contract-id": "sb_abc123"}
    smaregi(headers, [SECRET], header="x-hub-token", contract_id="sb_abc123")
    with pytest.raises(Refused) as refused:
        smaregi(headers, [SECRET], header="x-hub-token", contract_id="sb_other")
    assert refused.value.code == "other_account"
    with pytest.raises(Refused):
        smaregi(headers | {"x-hub-token": "no"}, [SECRET], header="x-hub-token", contract_id="sb_abc123")
    with pytest.raises(Misconfigured):
        smaregi(headers, [None], header="x-hub-token", contract_id="sb_abc123")
