"""The checks of name, settings and `check`, on good and on broken connectors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from connectors.contract import Call, Connector, Title
from connectors.transport.auth import HeaderKey
from connectors.transport.http import HttpSettings

Judge = Callable[..., dict[str, str]]
FILES = {"recordings/check.yaml": "- request: {path: /shop}\n  response: {json: {name: shop}}\n"}


class Config(BaseModel):
    base_url: str = "https://shop.example"
    api_key: SecretStr = SecretStr("key-of-the-test-account")
    license_key: SecretStr = Field(
        SecretStr("license-of-the-test"), json_schema_extra={"connection": "password"}
    )
    sort_key: str = "id"
    page_token_name: str = Field("token", json_schema_extra={"secret": False})
    token_lifetime: int = 3600


def ask(call: Call[Any]) -> str:
    return f"shop {call.http.get('/shop').json()['name']}"


def shop(
    check: Any = ask, *, name: str = "tiny_shop", config: type[BaseModel] = Config, ja: str = "店"
) -> Connector[Any]:
    connector: Connector[Any] = Connector(
        name,
        config=config,
        title=Title(ja, "Shop"),
        http=lambda c: HttpSettings(
            "https://shop.example", auth=HeaderKey("X-Api-Key", SecretStr("key-on-the-wire"))
        ),
    )
    connector.webhook(lambda headers, body, config: [])
    if check is not None:
        connector.check(check)
    return connector


def judged(judge: Judge, connector: Connector[Any], files: dict[str, str] = FILES) -> dict[str, str]:
    found = judge(connector, files, connector.config())
    return {name: text for name, text in found.items() if not name.startswith("webhook")}


def test_a_good_connector_passes(judge: Judge) -> None:
    assert judged(judge, shop()) == {}


class PlainKey(BaseModel):
    api_key: str = "abc"


class PlainOptionalKey(BaseModel):
    client_secret: str | None = None


class UnmaskedKey(BaseModel):
    license_key: SecretStr = SecretStr("abc")


def swallow(call: Call[Any]) -> str:
    try:
        return ask(call)
    except Exception:  # noqa: BLE001
        return "not reachable"


def tell_the_key(call: Call[Any]) -> str:
    return f"{ask(call)} with {call.config.api_key.get_secret_value()}"


def crash(call: Call[Any]) -> str:
    try:
        return ask(call)
    except Exception as error:
        raise KeyError("shop") from error


@pytest.mark.parametrize(
    ("connector", "check", "text"),
    [
        (shop(name="Tiny-Shop"), "connector:name", "must be lower case"),
        (shop(ja=""), "connector:name", "title in Japanese and in English"),
        (
            Connector("empty", config=Config, title=Title("空", "Empty")),
            "connector:name",
            "no source, no sink and no webhook",
        ),
        (shop(config=PlainKey), "settings:secrets", "'api_key' looks like a secret but is plain text"),
        (shop(config=PlainOptionalKey), "settings:secrets", "'client_secret' looks like a secret"),
        (shop(config=UnmaskedKey), "settings:masked", "would show the setting 'license_key' in clear"),
        (shop(None), "check:there", "no @connector.check"),
        (shop(lambda call: ""), "check:answers", "must say in one line what it saw; it said ''"),
        (shop(lambda call: "a\nb"), "check:answers", "must say one line"),
        (shop(tell_the_key), "check:answers", "<SECRET>"),
        (shop(swallow), "check:locked_out", "should raise Misconfigured; it said 'not reachable'"),
        (shop(swallow), "check:down", "should raise Retry; it said 'not reachable'"),
        (shop(crash), "check:down", "should raise Retry; it raised KeyError"),
    ],
)
def test_a_broken_connector_is_found(judge: Judge, connector: Connector[Any], check: str, text: str) -> None:
    findings = judged(judge, connector)
    assert re.search(text, findings.get(check, f"nothing; other findings: {findings}"))


def test_a_check_without_a_recording_is_found(judge: Judge) -> None:
    assert "check.yaml is missing" in judged(judge, shop(), {})["check:recorded"]


def test_a_secret_as_a_default_is_found(judge: Judge) -> None:
    class Shipped(BaseModel):
        api_key: SecretStr = SecretStr("abcdefgh")
        shop: str = Field("x", description="try it with abcdefgh")

    assert (
        "a default of the settings is a secret" in judged(judge, shop(config=Shipped))["connector:describe"]
    )


@pytest.mark.airflow
def test_airflow_masks_what_the_kit_takes_for_masked() -> None:
    masker = pytest.importorskip(
        "airflow._shared.secrets_masker.secrets_masker", reason="Airflow is not installed"
    )
    from connectors.testing.settings_checks import _MASKED_BY_AIRFLOW

    assert set(_MASKED_BY_AIRFLOW.split()) <= set(masker.DEFAULT_SENSITIVE_FIELDS)
