"""Detached RS256 signatures: the vector of RFC 7515, both payload forms, and the known ways to cheat."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from connectors.contract import Misconfigured, Refused
from connectors.webhooks import jws_detached

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
HEADER = "x-jws-signature"


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_url64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@cache
def key(number: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(private: Any) -> str:
    public = private.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signed(body: bytes, about: dict[str, Any], by: rsa.RSAPrivateKey | None = None) -> dict[str, str]:
    protected = url64(json.dumps(about).encode())
    payload = body if about.get("b64") is False else url64(body).encode()
    signature = (by or key()).sign(protected.encode() + b"." + payload, padding.PKCS1v15(), SHA256())
    return {HEADER: f"{protected}..{url64(signature)}"}


def test_the_rs256_example_of_rfc_7515_detached() -> None:
    modulus = (
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-"
        "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg"
        "665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWy"
        "uXpoQ"
    )
    signature = (
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1"
        "dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzD"
        "wusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe7"
        "7Rw"
    )
    payload = b'{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
    numbers = rsa.RSAPublicNumbers(65537, int.from_bytes(from_url64(modulus), "big"))
    public = numbers.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    about = jws_detached({HEADER: f"eyJhbGciOiJSUzI1NiJ9..{signature}"}, payload, [public], header=HEADER)

    assert about == {"alg": "RS256"}


@pytest.mark.parametrize("about", [{}, {"b64": True, "crit": ["b64"]}, {"b64": False, "crit": ["b64"]}])
def test_encoded_and_plain_payloads(about: dict[str, Any]) -> None:
    body = '{"注文": 1}.'.encode()
    jws_detached(signed(body, {"alg": "RS256", **about}), body, [pem(key())], header=HEADER)
    with pytest.raises(Refused):
        jws_detached(signed(body, {"alg": "RS256", **about}), body + b" ", [pem(key())], header=HEADER)


def test_keys_are_chosen_by_their_id_and_several_may_be_known() -> None:
    keys = {"old": pem(key(0)), "new": pem(key(1))}
    for kid, by in (("old", key(0)), ("new", key(1))):
        jws_detached(signed(b"x", {"alg": "RS256", "kid": kid}, by), b"x", keys, header=HEADER)
    jws_detached(signed(b"x", {"alg": "RS256"}, key(1)), b"x", list(keys.values()), header=HEADER)
    jws_detached(signed(b"x", {"alg": "RS256"}), b"x", {"only": pem(key())}, header=HEADER)
    for about, by in (
        ({"kid": "old"}, key(1)),
        ({"kid": "unknown"}, key(0)),
        ({"kid": 7}, key(0)),
        ({}, key(0)),
    ):
        with pytest.raises(Refused):
            jws_detached(signed(b"x", {"alg": "RS256", **about}, by), b"x", keys, header=HEADER)


@pytest.mark.parametrize(
    "about",
    [
        {"alg": "none"}, {"alg": "HS256"}, {"alg": "RS512"}, {"alg": ["RS256"]}, {},
        {"alg": "RS256", "b64": False}, {"alg": "RS256", "crit": ["b64"]}, {"alg": "RS256", "crit": ["exp"], "exp": 1},
        {"alg": "RS256", "crit": "b64", "b64": False}, {"alg": "RS256", "b64": 0, "crit": ["b64"]},
        {"alg": "RS256", "b64": True, "crit": []},
    ],
)  # fmt: skip
def test_the_caller_chooses_neither_algorithm_nor_rules(about: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        jws_detached(signed(b"x", about), b"x", [pem(key())], header=HEADER)
    assert refused.value.code == "bad_signature"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.b.c",
        "..",
        "a..",
        ".b.c",
        "eyJhbGciOiJSUzI1NiJ9..!!",
        "W10..AAAA",
        "あ..い",
        "{..}",
        "a..b..c",
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        jws_detached({HEADER: text}, b"x", [pem(key())], header=HEADER)


def test_a_signature_ages_where_a_window_is_set() -> None:
    fresh = signed(b"x", {"alg": "RS256", "iat": int(NOW.timestamp())})
    window = timedelta(minutes=1)
    jws_detached(fresh, b"x", [pem(key())], header=HEADER, window=window, now=lambda: NOW)
    for headers, clock in (
        (fresh, NOW + timedelta(minutes=2)),
        (signed(b"x", {"alg": "RS256"}), NOW),
        (signed(b"x", {"alg": "RS256", "iat": True}), NOW),
        (signed(b"x", {"alg": "RS256", "iat": 10**30}), NOW),
    ):
        with pytest.raises(Refused):
            jws_detached(headers, b"x", [pem(key())], header=HEADER, window=window, now=lambda at=clock: at)


def test_without_a_usable_key_the_door_is_shut() -> None:
    call = signed(b"x", {"alg": "RS256"})
    elliptic = pem(ec.generate_private_key(ec.SECP256R1()))
    torn = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    short = pem(rsa.generate_private_key(65537, 1024))
    for keys in (
        [],
        {},
        [""],
        ["no key"],
        [elliptic],
        [short],
        [torn],
    ):
        with pytest.raises(Misconfigured):
            jws_detached(call, b"x", keys, header=HEADER)
