"""The shop's items: a small catalogue with 8 % and 10 % goods, variants, and prices with and without tax.

Shapes follow the Item API 2.0: `variants` is an object keyed by the SKU管理番号, prices are strings of yen,
`payment` says whether the price includes tax and at which rate.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sandbox.rakuten.clock import colon_time

__all__ = ["Sku", "catalogue", "skus"]


class Sku(NamedTuple):
    """One orderable SKU as an order line needs it."""

    item_id: int
    manage_number: str
    item_number: str
    title: str
    variant_id: str
    merchant_sku: str | None
    info: str | None
    price: int
    tax_included: bool
    rate: float
    postage_included: bool


_GOODS: tuple[dict[str, Any], ...] = (
    {
        "manageNumber": "tea-sencha-100", "itemNumber": "TEA-100", "title": "深蒸し煎茶 100g　静岡県産",
        "taxIncluded": True, "taxRate": "0.08", "genreId": "201184",
        "variants": [("normal-inventory", "TEA-100", None, "1080", "4901234567894")],
    },
    {
        "manageNumber": "rice-koshi", "itemNumber": "RICE-KOSHI", "title": "新潟県産コシヒカリ（令和８年産）",
        "taxIncluded": False, "taxRate": "0.08", "genreId": "201198",
        "selector": ("容量", ("2kg", "5kg", "10kg")),
        "variants": [
            ("2kg", "RICE-2", "2kg", "1480", "4901234567900"),
            ("5kg", "RICE-5", "5kg", "3480", "4901234567917"),
            ("10kg", "RICE-10", "10kg", "6680", "4901234567924"),
        ],
    },
    {
        "manageNumber": "shirt-01", "itemNumber": "SHIRT-01", "title": "綿１００％Ｔシャツ ～着心地のよい～",
        "taxIncluded": True, "taxRate": "0.1", "genreId": "206471",
        "selector": ("サイズ", ("Ｓ", "Ｍ", "Ｌ")),
        "variants": [
            ("S", "SHIRT-01-S", "Ｓ", "2750", None),
            ("M", "SHIRT-01-M", "Ｍ", "2750", None),
            ("L", None, "Ｌ", "2750", None),
        ],
    },
    {
        "manageNumber": "mug-01", "itemNumber": "MUG", "title": "名入れマグカップ① ㈱つなぎ窯",
        "taxIncluded": False, "taxRate": "0.1", "genreId": "215566",
        "variants": [("normal-inventory", "MUG-1", None, "1500", None)],
    },
    {
        "manageNumber": "gift-set-a", "itemNumber": "GIFT-A", "title": "銘茶詰合せ【のし・包装対応】送料無料",
        "taxIncluded": True, "taxRate": "0.08", "genreId": "201184", "postageIncluded": True,
        "variants": [("normal-inventory", "GIFT-A", None, "5400", "4901234567931")],
    },
    {
        "manageNumber": "soap_old", "itemNumber": "SOAP", "title": "無添加せっけん ３個組",
        "taxIncluded": True, "taxRate": None, "genreId": "216307", "hidden": True,
        "variants": [("normal-inventory", None, None, "990", None)],
    },
)  # fmt: skip


def catalogue(now: datetime) -> dict[str, dict[str, Any]]:
    """The items by manageNumber, as `items/search` gives them."""
    return {
        goods["manageNumber"]: _item(goods, now - timedelta(days=90 - n)) for n, goods in enumerate(_GOODS)
    }


def _item(goods: dict[str, Any], created: datetime) -> dict[str, Any]:
    label, values = goods.get("selector", (None, ()))
    item: dict[str, Any] = {
        "manageNumber": goods["manageNumber"],
        "itemNumber": goods["itemNumber"],
        "title": goods["title"],
        "tagline": "",
        "itemType": "NORMAL",
        "genreId": goods["genreId"],
        "hideItem": goods.get("hidden", False),
        "unlimitedInventoryFlag": False,
        "features": {
            "searchVisibility": "ALWAYS_VISIBLE",
            "displayNormalCartButton": True,
            "socialGiftFlag": True,
        },
        "payment": {
            "taxIncluded": goods["taxIncluded"],
            "taxRate": goods["taxRate"],
            "cashOnDeliveryFeeIncluded": False,
        },
        "itemDisplaySequence": 999999999,
        "variants": {},
        "created": colon_time(created),
        "updated": colon_time(created + timedelta(days=1)),
    }
    if label:
        item["variantSelectors"] = [
            {"key": "key0", "displayName": label, "values": [{"displayValue": value} for value in values]}
        ]
    for variant_id, merchant_sku, choice, price, jan in goods["variants"]:
        variant: dict[str, Any] = {
            "restockOnCancel": True,
            "backOrderFlag": False,
            "hidden": False,
            "standardPrice": price,
            "articleNumber": {"value": jan} if jan else {"exemptionReason": 5},
            "shipping": {
                "postageIncluded": goods.get("postageIncluded", False),
                "singleItemShipping": 0,
                "okihaiSetting": True,
            },
        }
        if merchant_sku:
            variant["merchantDefinedSkuId"] = merchant_sku
        if choice:
            variant["selectorValues"] = {"key0": choice}
        item["variants"][variant_id] = variant
    return item


def skus(items: dict[str, dict[str, Any]]) -> list[Sku]:
    """Everything that can be ordered; where the item says no rate, the shop's 10 % counts."""
    found: list[Sku] = []
    for number, item in enumerate(items.values()):
        labels = {selector["key"]: selector["displayName"] for selector in item.get("variantSelectors", ())}
        for variant_id, variant in item["variants"].items():
            chosen = variant.get("selectorValues", {})
            found.append(
                Sku(
                    item_id=10000001 + number,
                    manage_number=item["manageNumber"],
                    item_number=item["itemNumber"],
                    title=item["title"],
                    variant_id=variant_id,
                    merchant_sku=variant.get("merchantDefinedSkuId"),
                    info="\n".join(f"{labels[key]}:{value}" for key, value in chosen.items()) or None,
                    price=int(variant["standardPrice"]),
                    tax_included=item["payment"]["taxIncluded"],
                    rate=float(item["payment"]["taxRate"] or "0.1"),
                    postage_included=variant["shipping"]["postageIncluded"],
                )
            )
    return found
