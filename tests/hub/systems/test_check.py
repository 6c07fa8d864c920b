"""Does a system fit its connector and its mappings?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, SecretStr

from connectors.contract import Batch, Call, Connector, Outcome, Page, Title
from hub.system_check import validate
from hub.systems import load_systems
from mappings.problems import MappingError, Problem


class ShopConfig(BaseModel):
    token: SecretStr
    base_url: str
    rate: Annotated[float, Field(gt=0)] = 1.0


shop = Connector("shop", config=ShopConfig, title=Title("店", "Shop"))


@shop.source("orders", key="id")
def orders(call: Call[ShopConfig], cursor: None) -> Iterator[Page]:
    yield Page(cursor)


@shop.sink("stock", key="sku")
def stock(call: Call[ShopConfig], batch: Batch) -> Iterable[Outcome]:
    return [Outcome.done(change.key) for change in batch]


@dataclass
class Fake:
    direction: str


def load_mapping(name: str) -> Fake:
    if name == "shop/broken.in":
        problems = [Problem("broken.in.yaml", n, "fields.x", f"だめ {n}", f"bad {n}") for n in (3, 7)]
        raise MappingError(problems)
    return Fake(name.rpartition(".")[2])


GOOD = """\
system: shop-a
connector: shop
title: 店
settings: {base_url: "http://shop"}
flows:
  orders: {pull: orders, mapping: shop/orders.in}
  stock: {push: stock, mapping: shop/stock.out}
"""


def findings(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "shop-a.yaml").write_text(text, "utf-8")
    systems = load_systems([tmp_path])
    assert systems.faults == []
    faults = validate(systems.get("shop-a"), {"shop": shop}, load_mapping)
    assert all(fault.words.ja != fault.words.en for fault in faults)
    return [fault.words.en.replace(f"{tmp_path}/", "") for fault in faults]


def test_nothing_is_found_where_all_fits_and_a_missing_secret_is_not_asked_for(tmp_path: Path) -> None:
    assert findings(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("connector: shop", "connector: shp", "shop-a.yaml:2: connector: There is no connector 'shp'. Did you mean"),
        ("base_url:", "base_ur:", "shop-a.yaml:4: settings.base_ur: shop has no setting 'base_ur'. Did"),
        ('{base_url: "http://shop"}', '{base_url: a, token: abc}', "'token' is a secret. Remove it here"),
        ('{base_url: "http://shop"}', '{base_url: a, rate: 0}', "shop-a.yaml:4: settings.rate: This is not valid"),
        ("pull: orders", "pull: order", "shop-a.yaml:6: flows.orders.pull: shop has no source 'order'. Did"),
        ("pull: orders", "pull: stock", "flows.orders.pull: shop has no source 'stock'. It is a sink: write push."),
        ("push: stock", "push: orders", "flows.stock.push: shop has no sink 'orders'. It is a source: write pull."),
        ("shop/stock.out", "shop/stock.in", "flows.stock.mapping: shop/stock.in goes in; this flow takes"),
    ],
)  # fmt: skip
def test_what_does_not_fit(tmp_path: Path, old: str, new: str, said: str) -> None:
    found = findings(tmp_path, GOOD.replace(old, new, 1))
    assert any(said in text for text in found), found
    assert not any("abc" in text for text in found)


def test_all_problems_are_collected(tmp_path: Path) -> None:
    text = (
        GOOD.replace("shop/orders.in", "shop/broken.in")
        .replace("push: stock", "push: stok")
        .replace("base_url", "url")
    )
    assert findings(tmp_path, text) == [
        "shop-a.yaml:4: settings.url: shop has no setting 'url'. Known: base_url, rate, token",
        "shop-a.yaml:6: flows.orders.mapping: broken.in.yaml:3 fields.x: bad 3",
        "shop-a.yaml:6: flows.orders.mapping: broken.in.yaml:7 fields.x: bad 7",
        "shop-a.yaml:7: flows.stock.push: shop has no sink 'stok'. Did you mean 'stock'?",
    ]
