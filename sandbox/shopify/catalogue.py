"""The shop's goods: 8 % and 10 % goods, variants, a product without a SKU. Prices are yen, tax included."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sandbox.shopify.clock import gid, wire_time

__all__ = ["GOODS", "LOCATIONS", "Good", "locations", "product_of", "variant_of"]


class Good(NamedTuple):
    """One product: its handle, title, tax rate, option name, and variants (option value, SKU, price, JAN, units)."""

    handle: str
    title: str
    vendor: str
    rate: float
    option: str
    variants: tuple[tuple[str, str | None, int, str | None, int], ...]
    status: str = "ACTIVE"


GOODS: tuple[Good, ...] = (
    Good("sencha-100", "深蒸し煎茶 100g　静岡県産", "つなぎ茶舗", 0.08, "Title",
         (("Default Title", "TEA-100", 1080, "4901234567894", 60),)),
    Good("rice-koshi", "新潟県産コシヒカリ", "つなぎ米穀", 0.08, "容量",
         (("2kg", "RICE-2", 1598, "4901234567900", 40), ("5kg", "RICE-5", 3758, "4901234567917", 25),
          ("10kg", "RICE-10", 7214, "4901234567924", 8))),
    Good("shirt-01", "綿100%Tシャツ ～着心地のよい～", "TSUNAGI WEAR", 0.1, "サイズ",
         (("S", "SHIRT-01-S", 2750, None, 30), ("M", "SHIRT-01-M", 2750, None, 30),
          ("L", "SHIRT-01-L", 2750, None, 1))),
    Good("mug-01", "名入れマグカップ① ㈱つなぎ窯", "つなぎ窯", 0.1, "Title",
         (("Default Title", "MUG-1", 1650, None, 12),)),
    Good("gift-set-a", "銘茶詰合せ【のし・包装対応】", "つなぎ茶舗", 0.08, "Title",
         (("Default Title", "GIFT-A", 5400, "4901234567931", 15),)),
    Good("soap-old", "無添加せっけん 3個組", "つなぎ化粧品", 0.1, "Title",
         (("Default Title", None, 990, None, 5),), "ARCHIVED"),
)  # fmt: skip

LOCATIONS = (("東京倉庫", 1), ("渋谷店", 2))
"""Names and numbers of the shop's places; all goods lie in the first, the second keeps only some."""


def locations(now: datetime) -> dict[str, dict[str, Any]]:
    """The places by id."""
    found = {}
    for name, number in LOCATIONS:
        place = gid("Location", 70000000 + number)
        found[place] = {
            "__typename": "Location",
            "id": place,
            "name": name,
            "isActive": True,
            "fulfillsOnlineOrders": True,
            "createdAt": wire_time(now - timedelta(days=400)),
        }
    return found


def product_of(number: int, good: Good, created: datetime) -> dict[str, Any]:
    """The product without its variants."""
    return {
        "__typename": "Product",
        "id": gid("Product", 8000000 + number),
        "legacyResourceId": str(8000000 + number),
        "handle": good.handle,
        "title": good.title,
        "descriptionHtml": f"<p>{good.title}</p>",
        "vendor": good.vendor,
        "productType": "",
        "status": good.status,
        "tags": ["軽減税率"] if good.rate == 0.08 else [],
        "createdAt": wire_time(created),
        "updatedAt": wire_time(created),
        "publishedAt": wire_time(created) if good.status == "ACTIVE" else None,
        "options": [
            {
                "__typename": "ProductOption",
                "id": gid("ProductOption", 9000000 + number),
                "name": good.option,
                "position": 1,
                "optionValues": [
                    {"__typename": "ProductOptionValue", "id": gid("ProductOptionValue", 9100000 + 10 * number + n),
                     "name": value}
                    for n, (value, *_) in enumerate(good.variants)
                ],
            }
        ],
        "media": [
            {
                "__typename": "MediaImage",
                "id": gid("MediaImage", 9500000 + number),
                "alt": good.title,
                "mediaContentType": "IMAGE",
                "preview": {"image": {"url": f"https://cdn.example.jp/{good.handle}.jpg", "altText": good.title}},
            }
        ],
        "_metafields": {"custom.tax_rate": ("number_decimal", str(good.rate))},
    }  # fmt: skip


def variant_of(
    number: int, product: dict[str, Any], options: list[tuple[str, str]], sku: str | None, price: int,
    barcode: str | None, created: datetime,
) -> dict[str, Any]:  # fmt: skip
    """A variant with its inventory item."""
    title = " / ".join(value for _, value in options)
    item = {
        "__typename": "InventoryItem",
        "id": gid("InventoryItem", 45000000 + number),
        "legacyResourceId": str(45000000 + number),
        "sku": sku,
        "tracked": True,
        "requiresShipping": True,
        "unitCost": None,
        "updatedAt": wire_time(created),
    }
    return {
        "__typename": "ProductVariant",
        "id": gid("ProductVariant", 44000000 + number),
        "legacyResourceId": str(44000000 + number),
        "title": title,
        "displayName": product["title"] if title == "Default Title" else f"{product['title']} - {title}",
        "sku": sku,
        "barcode": barcode,
        "price": f"{price}",
        "compareAtPrice": None,
        "taxable": True,
        "position": 1,
        "inventoryPolicy": "DENY",
        "availableForSale": True,
        "createdAt": wire_time(created),
        "updatedAt": wire_time(created),
        "selectedOptions": [
            {"__typename": "SelectedOption", "name": name, "value": value} for name, value in options
        ],
        "inventoryItem": item,
        "product": product,
    }
