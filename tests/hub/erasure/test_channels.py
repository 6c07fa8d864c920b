"""Erasing customers of a marketplace and of an own shop, whose pages are JSON with names and numbers in parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hub.engine import Hub
from hub.erasure.run import erase, make_plan
from sandbox.rakuten import Limits, Server as RakutenServer, Shop as RakutenShop
from sandbox.shopify import Server as ShopServer, Shop
from sandbox.shopify.cost import Bucket
from tests.hub.erasure.town import build, dump, traces

MAIL = "hanako-relay@pc.fw.rakuten.ne.jp"
MARKERS = ("川嶋", "花子", "カワシマ", "ハナコ", "9丁目8番7号", "つなぎ荘305", MAIL, "玄関先に置いて")


@pytest.fixture(scope="module")
def marketplace() -> Iterator[tuple[RakutenShop, str]]:
    shop = RakutenShop(limits=Limits(pace=5000))
    with RakutenServer(shop) as running:
        yield shop, running.url


@pytest.fixture(scope="module")
def own_shop() -> Iterator[tuple[Shop, str]]:
    shop = Shop(bucket=Bucket(pace=100_000))
    with ShopServer(shop) as running:
        yield shop, running.url


@pytest.fixture
def channels(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marketplace: tuple[RakutenShop, str],
    own_shop: tuple[Shop, str],
) -> Iterator[Hub]:  # fmt: skip
    rakuten, shop = marketplace[0], own_shop[0]
    keys = {"service_secret": rakuten.service_secret, "license_key": rakuten.license_key}
    monkeypatch.setenv("AIRFLOW_CONN_RAKUTEN", json.dumps({"conn_type": "rakuten_rms", "extra": keys}))
    monkeypatch.setenv(
        "AIRFLOW_CONN_SHOP",
        json.dumps({"conn_type": "shopify", "extra": {"access_token": shop.access_token}}),
    )
    with build(database_url, tmp_path, rakuten=marketplace[1], shop=own_shop[1], domain=shop.domain) as hub:
        yield hub


def test_a_buyer_of_the_marketplace(
    channels: Hub, database_url: str, marketplace: tuple[RakutenShop, str]
) -> None:
    shop = marketplace[0]
    numbers = shop.take_orders(5)
    hers, gift = shop.orders[numbers[1]], shop.orders[numbers[2]]
    hers["OrdererModel"] |= _person() | {"emailAddress": MAIL}
    hers["PackageModelList"][0]["SenderModel"] |= _person()
    hers["remarks"] = "玄関先に置いてください"
    gift["PackageModelList"][0]["SenderModel"] |= _person()
    channels.pull("rakuten", "orders")
    assert traces(dump(database_url), MARKERS)
    before = _entities(channels, [f"rakuten/{numbers[1]}", f"rakuten/{numbers[2]}", f"rakuten/{MAIL}"])
    erase(channels, make_plan(channels, f"rakuten/{MAIL}"))
    assert traces(dump(database_url), MARKERS) == []
    assert (
        _entities(channels, [f"rakuten/{numbers[1]}", f"rakuten/{numbers[2]}", "rakuten/erased-1.1"])
        == before
    )
    stays = _content(channels, f"rakuten/{numbers[2]}")
    assert stays["buyer"]["name"]["full"] != "（消去済み）"
    assert stays["recipients"][0]["party"] == {"name": {"full": "（消去済み）"}}
    # it is listed again, with another change of its own
    hers["memo"] = "changed over there"
    was = _entities(channels, [])
    channels.fetch("rakuten", "orders", [numbers[1], numbers[2]])
    assert traces(dump(database_url), MARKERS) == []
    assert _entities(channels, []) == was


def _person() -> dict[str, str]:
    return {
        "familyName": "川嶋", "firstName": "花子", "familyNameKana": "カワシマ", "firstNameKana": "ハナコ",
        "zipCode1": "150", "zipCode2": "0002", "prefecture": "東京都", "city": "渋谷区",
        "subAddress": "渋谷9丁目8番7号つなぎ荘305",
        "phoneNumber1": "03", "phoneNumber2": "0123", "phoneNumber3": "4567",
    }  # fmt: skip


def test_a_customer_of_the_shop(channels: Hub, database_url: str, own_shop: tuple[Shop, str]) -> None:
    shop = own_shop[0]
    shop.take_orders(4, scene="plain")
    order = next(one for one in shop.orders.values() if one["customer"])
    customer = order["customer"]
    address = order["shippingAddress"] | {
        "firstName": "花子", "lastName": "川嶋", "name": "川嶋 花子", "address1": "渋谷9丁目8番7号",
        "address2": "つなぎ荘305", "phone": "+81301234567",
    }  # fmt: skip
    order |= {
        "email": MAIL,
        "shippingAddress": address,
        "billingAddress": address,
        "note": "玄関先に置いてください",
    }
    customer |= {
        "firstName": "花子", "lastName": "川嶋", "displayName": "川嶋 花子", "addressesV2": [address],
        "defaultAddress": address, "note": "カワシマ",
    }  # fmt: skip
    customer["defaultEmailAddress"]["emailAddress"] = MAIL
    channels.pull("shop", "orders")
    channels.pull("shop", "customers")
    key = f"shop/{customer['legacyResourceId']}"
    assert traces(dump(database_url), MARKERS)
    others = _others(channels, key)
    done = erase(channels, make_plan(channels, key))
    assert traces(dump(database_url), MARKERS) == []
    assert _others(channels, "shop/erased-1.1") == others
    assert done.whole == ()
    channels.fetch("shop", "customers", [customer["id"]])
    channels.fetch("shop", "orders", [order["id"]])
    assert traces(dump(database_url), MARKERS) == []


def _entities(hub: Hub, keys: list[str]) -> Any:
    """Everybody else's entities, byte for byte; and the sums of these orders."""
    with hub.engine.connect() as connection:
        others = connection.execute(
            text("SELECT * FROM entity WHERE key <> ALL(:keys) ORDER BY id"), {"keys": keys}
        ).all()
        sums = connection.execute(
            text(
                "SELECT key, content -> 'totals', content -> 'lines' FROM entity "
                "WHERE kind = 'order' AND key = ANY(:keys) ORDER BY key"
            ),
            {"keys": keys},
        ).all()
    return [tuple(row) for row in others], [
        (row[0], row[1], [line["sku"] for line in row[2]]) for row in sums
    ]


def _others(hub: Hub, key: str) -> list[Any]:
    with hub.engine.connect() as connection:
        query = text(
            "SELECT * FROM entity WHERE key <> :key AND coalesce(content ->> 'customer_key', '') <> :key ORDER BY id"
        )
        return [tuple(row) for row in connection.execute(query, {"key": key})]


def _content(hub: Hub, key: str) -> dict[str, Any]:
    with hub.engine.connect() as connection:
        found: dict[str, Any] = (
            connection.scalar(text("SELECT content FROM entity WHERE key = :key"), {"key": key}) or {}
        )
    return found
