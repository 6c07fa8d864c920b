"""The seller's locations, taxes and goods: small, in yen, with 8 % and 10 % goods and Japanese names."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["CATEGORIES", "GOODS", "LOCATIONS", "OPTIONS", "TAXES", "Good", "Place"]


class Place(NamedTuple):
    """A location before it has an id."""

    name: str
    prefecture: str
    city: str
    line: str
    postal_code: str
    phone: str
    active: bool = True


LOCATIONS = (
    Place("渋谷店", "東京都", "渋谷区", "神南1-1-1", "150-0041", "+81312345678"),
    Place("梅田店", "大阪府", "大阪市北区", "梅田2-2-2", "530-0001", "+81661234567"),
    Place("旧横浜店", "神奈川県", "横浜市西区", "南幸3-3-3", "220-0005", "+81451234567", active=False),
)

TAXES: dict[str, dict[str, Any]] = {
    "in10": {"name": "消費税（内税10%）", "percentage": "10.0", "inclusion_type": "INCLUSIVE"},
    "in8": {"name": "軽減税率（内税8%）", "percentage": "8.0", "inclusion_type": "INCLUSIVE"},
    "ex10": {"name": "消費税（外税10%）", "percentage": "10.0", "inclusion_type": "ADDITIVE"},
    "ex8": {"name": "軽減税率（外税8%）", "percentage": "8.0", "inclusion_type": "ADDITIVE"},
}
CATEGORIES = {"tea": "お茶", "wear": "衣料", "pot": "器", "box": "詰合せ"}
OPTIONS = {"size": ("サイズ", ("S", "M", "L")), "colour": ("色", ("藍", "生成り"))}


class Good(NamedTuple):
    """An item and its variations (sku, name, price, JAN, option values)."""

    name: str
    kana: str
    category: str
    tax: str | None
    variations: tuple[tuple[str, str, int | None, str | None, tuple[str, ...]], ...]
    description: str = ""
    options: tuple[str, ...] = ()


GOODS = (
    Good("深蒸し煎茶", "フカムシセンチャ", "tea", "in8",
         (("TEA-100", "100g", 1080, "4901234567894", ()), ("TEA-200", "200g", 1980, "4901234567900", ()))),
    Good("抹茶ラテ（店内）", "マッチャラテ", "tea", "in10", (("LATTE", "レギュラー", 550, None, ()),)),
    Good("ほうじ茶 量り売り", "ホウジチャ", "tea", "in8", (("HOJI-G", "10g", 65, None, ()),)),
    Good("藍染Ｔシャツ", "アイゾメティーシャツ", "wear", "in10",
         (("TEE-AI-S", "S / 藍", 3300, "4901234567917", ("S", "藍")), ("TEE-AI-M", "M / 藍", 3300, "4901234567924",
          ("M", "藍")), ("TEE-KI-M", "M / 生成り", 3300, None, ("M", "生成り"))),
         "<p>一枚ずつ手で染めています。</p>", ("size", "colour")),
    Good("湯呑み① ㈱つなぎ窯", "ユノミ", "pot", "ex10", (("CUP-1", "", 1500, None, ()),)),
    Good("銘茶詰合せ【のし可】", "メイチャツメアワセ", "box", "in8", (("GIFT-A", "A", 5400, "4901234567931", ()),)),
    Good("ラッピング", "ラッピング", "box", None, (("WRAP", "", None, None, ()),)),
)  # fmt: skip
