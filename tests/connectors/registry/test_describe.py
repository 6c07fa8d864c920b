"""What is derived from a connector's declarations."""

from __future__ import annotations

import enum
from datetime import date, timedelta
from typing import Annotated

import jsonschema
import pytest
from pydantic import BaseModel, Field, SecretStr

from connectors.contract import Budget, Connector, Cursor, Deletes, Title, Write
from connectors.describe import capabilities, connection_form, docs_page, settings_schema


class Plan(enum.StrEnum):
    LIGHT = "light"
    STANDARD = "standard"


class Since(Cursor):
    page: int


class Config(BaseModel):
    base_url: str = Field(
        "https://api.example",
        title="API address",
        json_schema_extra={"title_ja": "接続先", "connection": "host"},
    )
    license_key: SecretStr = Field(
        title="License key", json_schema_extra={"title_ja": "ライセンスキー", "connection": "password"}
    )
    api_secret: SecretStr
    shop_id: Annotated[
        str,
        Field(
            pattern="^[a-z]+$",
            description="as in the URL",
            json_schema_extra={"description_ja": "URLの店舗名"},
        ),
    ]
    plan: Plan = Plan.STANDARD
    window: Annotated[int, Field(ge=1, le=62)] | None = 7
    tags: tuple[str, ...] = ()


def shop() -> Connector[Config]:
    connector = Connector(
        "tiny_shop",
        config=Config,
        title=Title("小さな店", "Tiny shop"),
        budget=Budget(30, timedelta(minutes=1), burst=5),
        api_version="v2",
        sunset=date(2027, 3, 31),
    )

    @connector.source(
        "orders", key="id", title=Title("受注", "Orders"), cursor=Since, overlap=timedelta(minutes=5)
    )
    def orders(call: object, cursor: object) -> object:
        """Orders changed since the last read."""
        return iter(())

    connector.source("items", key="sku", deletes=Deletes.ABSENCE)(lambda call, cursor: iter(()))
    connector.sink("stock", key="sku", title=Title("在庫", "Stock"), batch_size=400)(lambda call, batch: [])
    connector.sink("moves", key="id", write=Write.DELTA, ask=lambda call, batch: [])(lambda call, batch: [])
    connector.webhook(lambda headers, body, config: [])
    return connector


def test_the_schema_of_the_settings_marks_secrets() -> None:
    schema = settings_schema(shop())
    assert schema["properties"]["license_key"]["format"] == "password"
    assert schema["properties"]["license_key"]["writeOnly"] is True
    assert schema["required"] == ["license_key", "api_secret", "shop_id"]


def test_the_connection_form_is_what_airflow_draws() -> None:
    form = connection_form(shop(), hook_class="plugins.hooks.TinyShop")
    assert form["connection-type"] == "tiny_shop"
    assert form["hook-name"] == "小さな店 / Tiny shop"
    assert form["hook-class-name"] == "plugins.hooks.TinyShop"
    behaviour = form["ui-field-behaviour"]
    assert behaviour["hidden-fields"] == ["port", "schema", "login"]
    assert behaviour["relabeling"] == {
        "host": "接続先 / API address",
        "password": "ライセンスキー / License key",
    }
    assert behaviour["placeholders"] == {"host": "https://api.example"}
    assert form["conn-fields"] == {
        "api_secret": {"label": "api secret", "schema": {"type": "string", "format": "password"}},
        "shop_id": {
            "label": "shop id",
            "description": "URLの店舗名 / as in the URL",
            "schema": {"type": ["string", "null"], "pattern": "^[a-z]+$"},
        },
        "plan": {
            "label": "plan",
            "schema": {"type": ["string", "null"], "enum": ["light", "standard"], "default": "standard"},
        },
        "window": {
            "label": "window",
            "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 62, "default": 7},
        },
        "tags": {
            "label": "tags",
            "schema": {"type": ["array", "null"], "items": {"type": "string"}, "default": []},
        },
    }
    for field in form["conn-fields"].values():
        jsonschema.Draft202012Validator.check_schema(field["schema"])


def test_the_capabilities_are_plain_values() -> None:
    rows = {(row["kind"], row["name"]): row for row in capabilities(shop())}
    assert rows["source", "orders"]["overlap_seconds"] == 300.0
    assert rows["source", "orders"]["cursor"] == "Since"
    assert rows["source", "orders"]["doc"] == "Orders changed since the last read."
    assert rows["source", "items"]["deletes"] == "absence"
    assert rows["sink", "stock"]["repeatable"] is True
    assert rows["sink", "moves"]["repeatable"] is False
    assert rows["sink", "moves"]["asks"] is True
    assert ("webhook", "webhook") in rows


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        (
            "ja",
            [
                "# 小さな店 (`tiny_shop`)",
                "- 提供終了日: 2027-03-31",
                "- 呼び出しの上限: 30 / 1 min (一度に 5)",
                "| `orders` | 受注 | `id` | `page` | 5 min | 見えない |",
                "| `items` | items | `sku` | なし（全件） | - | 全件に無いもの |",
                "| `stock` | 在庫 | `sku` | 400 | 絶対値 | 可 |",
                "| `moves` | moves | `id` | 100 | 増減 | 確認してから |",
                "| `license_key` | ライセンスキー | はい |  | connection `password` |",
                "| `shop_id` | URLの店舗名 | はい |  | `settings.shop_id`, connection `extra.shop_id` |",
            ],
        ),
        (
            "en",
            [
                "# Tiny shop (`tiny_shop`)",
                "- API version: v2",
                "| `orders` | Orders | `id` | `page` | 5 min | not seen |",
                "| `moves` | moves | `id` | 100 | delta | after asking |",
                "| `base_url` | API address | - | `https://api.example` | `settings.base_url`, connection `host` |",
                "**orders**: Orders changed since the last read.",
            ],
        ),
    ],
)
def test_the_page_is_written_in_both_languages(language: str, lines: list[str]) -> None:
    page = docs_page(shop(), language)  # type: ignore[arg-type]
    for line in lines:
        assert line in page.splitlines()
