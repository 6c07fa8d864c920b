"""What both channels sell and the warehouse keeps: the same SKUs, half of them scarce."""

from __future__ import annotations

import random
from dataclasses import dataclass

from sandbox.shopify.catalogue import Good as ShopGood
from sandbox.square.goods import Good as TillGood

__all__ = ["BUFFER", "CHANNELS", "LOCATION", "Sku", "goods", "shop_goods", "till_goods"]

CHANNELS = ("shop", "tills")
BUFFER = {"shop": 0, "tills": 1}
"""Units a channel's policy keeps back."""
LOCATION = "TYO1"
"""The warehouse's code, and the hub's name of the place."""


@dataclass(frozen=True, slots=True)
class Sku:
    """A SKU, its first price in yen, and the units that lie in the warehouse when it begins."""

    sku: str
    price: int
    units: int


def goods(seed: str, count: int = 12) -> list[Sku]:
    """Every second SKU is scarce: its last units are what is fought over."""
    dice = random.Random(f"{seed}/goods")
    return [
        Sku(f"CHA-{n:02d}", 100 * dice.randint(5, 60), dice.randint(2, 6) if n % 2 else dice.randint(25, 60))
        for n in range(1, count + 1)
    ]


def shop_goods(skus: list[Sku]) -> list[ShopGood]:
    """One product for each SKU; the shop begins with nothing to sell."""
    return [
        ShopGood(one.sku.lower(), f"銘茶 {one.sku}", "つなぎ茶舗", 0.08, "Title",
                 (("Default Title", one.sku, one.price, None, 0),))
        for one in skus
    ]  # fmt: skip


def till_goods(skus: list[Sku]) -> list[TillGood]:
    return [
        TillGood(f"銘茶 {one.sku}", "メイチャ", "tea", "in8", ((one.sku, "", one.price, None, ()),))
        for one in skus
    ]
