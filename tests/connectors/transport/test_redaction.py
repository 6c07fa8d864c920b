"""What must not be seen is masked, and what an operator needs is not."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given, strategies as st
from pydantic import BaseModel, SecretStr

from connectors.transport.redaction import MASK, Redactor, is_personal_key, is_secret_key, secret_values


@pytest.mark.parametrize(
    "key",
    [
        "Authorization",
        "X-Api-Key",
        "api_key",
        "apiKey",
        "licenseKey",
        "license_key",
        "serviceSecret",
        "X-Shopify-Access-Token",
        "password",
        "Set-Cookie",
        "Proxy-Authorization",
        "client_secret",
        "X-Line-Signature",
        "session_id",
        "private_key",
        "X-Hub-Signature-256",
    ],
)
def test_names_of_secrets(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key", ["key", "sku", "idempotency-key", "Content-Type", "author", "keyword", "order_key", "monkey"]
)
def test_names_that_are_no_secrets(key: str) -> None:
    assert not is_secret_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "email",
        "emailAddress",
        "phoneNumber1",
        "familyName",
        "first_name",
        "zipCode1",
        "postal_code",
        "subAddress",
        "birthYear",
        "受注名",
        "送付先氏名",
        "受注電話番号",
        "送付先住所",
        "受注名カナ",
        "ordererName",
        "受注メールアドレス",
    ],
)
def test_names_of_personal_data(key: str) -> None:
    assert is_personal_key(key)


@pytest.mark.parametrize(
    "key",
    ["name", "productName", "商品名", "商品コード", "file_name", "orderNumber", "支払方法名", "quantity"],
)
def test_names_that_are_not_personal(key: str) -> None:
    assert not is_personal_key(key)


@given(st.text(min_size=4, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_a_configured_secret_is_never_left_standing(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    assert secret not in redactor.text(before + secret + after).replace(MASK, "\0")
    assert secret not in str(redactor.data({"note": before + secret + after})["note"]).replace(MASK, "\0")


@pytest.mark.parametrize("secret", ["p@ss word/1", 'quo"te\\d', "秘密の鍵です"])
def test_a_secret_is_found_in_its_other_spellings(secret: str) -> None:
    redactor = Redactor([SecretStr(secret)])
    import json

    encoded = base64.b64encode(secret.encode()).decode()
    for spelling in (quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1], encoded):
        assert redactor.text(f"~ {spelling} ~") == f"~ {MASK} ~"


def test_a_short_secret_is_masked_as_a_word_only() -> None:
    assert Redactor(["ab"]).text("table ab") == f"table {MASK}"


def test_an_empty_secret_masks_nothing() -> None:
    assert Redactor(["", SecretStr("")]).text("text") == "text"


def test_only_the_newest_learned_values_are_kept_and_the_configured_ones_stay() -> None:
    redactor = Redactor(["configured"])
    redactor.learn(*[f"token-{number:03}" for number in range(100)])
    assert redactor.text("configured token-099 token-000") == f"{MASK} {MASK} token-000"


def test_text_of_json_forms_and_xml_is_masked_by_key() -> None:
    redactor = Redactor()
    text = redactor.text(
        '{"phone": "03-1234-5678", "sku": "A-1"} password=hunter2&page=2 <zip>100-0001</zip><sku>A</sku>'
    )
    assert text == f'{{"phone": "{MASK}", "sku": "A-1"}} password={MASK}&page=2 <zip>{MASK}</zip><sku>A</sku>'


def test_addresses_and_numbers_in_free_text_are_masked() -> None:
    text = Redactor().text(
        "mail hanako@example.co.jp or call 090-1234-5678 / 09012345678, order 0001234567 of 2026-01-15"
    )
    assert text == f"mail {MASK} or call {MASK} / {MASK}, order 0001234567 of 2026-01-15"


def test_a_url_keeps_what_an_operator_needs() -> None:
    redactor = Redactor(["s3cr3t-value"])
    url = redactor.url(
        "https://user:pw@shop.example:8443/v1/s3cr3t-value/orders?page=2&api_key=abc&q=s3cr3t-value#x"
    )
    assert url == f"https://shop.example:8443/v1/{MASK}/orders?page=2&api_key={MASK}&q={MASK}"


def test_headers_are_masked_by_name() -> None:
    masked = Redactor().headers({"Authorization": "ESA xyz", "Content-Type": "application/json"})
    assert masked == {"Authorization": MASK, "Content-Type": "application/json"}


def test_nested_data_is_masked_and_the_original_left_alone() -> None:
    record = {
        "sku": "A",
        "buyer": {"familyName": "山田", "kana": None},
        "tokens": [{"token": "x"}],
        "secret": SecretStr("s"),
    }
    masked = Redactor().data(record)
    assert masked == {
        "sku": "A",
        "buyer": {"familyName": MASK, "kana": None},
        "tokens": [{"token": MASK}],
        "secret": MASK,
    }
    assert record["buyer"] == {"familyName": "山田", "kana": None}


def test_an_excerpt_is_short_masked_and_on_one_line() -> None:
    redactor = Redactor(["s3cr3t-value"])
    assert redactor.excerpt(b'{"message": "no\\n s3cr3t-value", "email": "a@b.jp"}') == (
        f'{{"message": "no\\n {MASK}", "email": "{MASK}"}}'
    )
    assert redactor.excerpt(b"x\n" * 400) == ("x " * 150) + "…"
    assert redactor.excerpt(b"") == ""
    assert redactor.excerpt(b"\x83e\x83X\x83g") != ""


def test_secret_values_are_found_wherever_they_are_nested() -> None:
    class Inner(BaseModel):
        key: SecretStr

    class Config(BaseModel):
        password: SecretStr
        inner: Inner
        many: list[SecretStr]
        named: dict[str, SecretStr]
        optional: SecretStr | None = None
        empty: SecretStr = SecretStr("")
        shop: str = "plain"

    config = Config.model_validate(
        {"password": "one", "inner": {"key": "two"}, "many": ["three"], "named": {"x": "four"}}
    )
    assert secret_values(config) == ["one", "two", "three", "four"]


def test_the_structlog_processor_masks_an_event() -> None:
    redactor = Redactor(["s3cr3t-value"])
    with structlog.testing.capture_logs(processors=[redactor.processor]) as events:
        structlog.get_logger().info("sent s3cr3t-value", phone="03-1", sku="A", data={"password": "x"})
    assert events == [
        {"event": f"sent {MASK}", "phone": MASK, "sku": "A", "data": {"password": MASK}, "log_level": "info"}
    ]
