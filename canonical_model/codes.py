"""Code lists. Every member has a Japanese and an English label (`label_ja`, `label_en`).

Payment, route, credit and return codes follow what mail-order packages in Japan tell apart.
"""

from __future__ import annotations

import enum
from typing import Self

__all__ = [
    "AfterSalesStatus",
    "BorneBy",
    "Carrier",
    "ChargeKind",
    "CodeList",
    "Confirmation",
    "DiscountKind",
    "FulfilmentStatus",
    "OrderRoute",
    "PaymentMethod",
    "PaymentStatus",
    "StockQuality",
    "TemperatureZone",
]


class CodeList(enum.StrEnum):
    """A code with its labels: `CARD = "card", "クレジットカード", "Credit card"`."""

    label_ja: str
    label_en: str

    def __new__(cls, code: str, ja: str, en: str) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.label_ja = ja
        member.label_en = en
        return member


class OrderRoute(CodeList):
    WEB = "web", "WEB", "Web"
    TEL = "tel", "電話", "Telephone"
    POSTCARD = "postcard", "はがき", "Postcard"
    FAX = "fax", "FAX", "Fax"
    STORE = "store", "店舗", "Store"
    MALL = "mall", "モール", "Marketplace"
    SALES = "sales", "外商", "Sales visit"


class Confirmation(CodeList):
    """Whether the order stands, as its own system says."""

    PENDING = "pending", "確認待ち", "Waiting for confirmation"
    HELD = "held", "保留", "Held"
    CONFIRMED = "confirmed", "確定", "Confirmed"
    CANCELLED = "cancelled", "キャンセル", "Cancelled"


class PaymentMethod(CodeList):
    CARD = "card", "クレジットカード", "Credit card"
    COD = "cod", "代金引換", "Cash on delivery"
    DEFERRED = "deferred", "後払い", "Deferred payment"
    CVS_PREPAY = "cvs_prepay", "コンビニ前払い", "Convenience store, prepaid"
    CVS_POST = "cvs_post", "払込票", "Payment slip"
    BANK_TRANSFER = "bank_transfer", "銀行振込", "Bank transfer"
    DIRECT_DEBIT = "direct_debit", "口座振替", "Direct debit"
    CARRIER_BILLING = "carrier_billing", "キャリア決済", "Carrier billing"
    PAY_APP = "pay_app", "スマホ決済", "Payment app"
    POINTS = "points", "全額ポイント", "Points only"
    GIFT_CARD = "gift_card", "ギフトカード", "Gift card"
    CASH = "cash", "現金", "Cash"
    INVOICE = "invoice", "請求書払い", "Invoice"
    OTHER = "other", "その他", "Other"


class PaymentStatus(CodeList):
    NONE = "none", "未入金", "Unpaid"
    AUTHORIZED = "authorized", "与信済", "Authorized"
    PROVISIONAL = "provisional", "速報", "Provisional"
    PARTIAL = "partial", "一部入金", "Partly paid"
    PAID = "paid", "入金済", "Paid"
    OVERPAID = "overpaid", "過入金", "Overpaid"
    PARTLY_REFUNDED = "partly_refunded", "一部返金", "Partly refunded"
    REFUNDED = "refunded", "返金済", "Refunded"


class FulfilmentStatus(CodeList):
    NONE = "none", "未出荷", "Not shipped"
    ALLOCATED = "allocated", "引当済", "Allocated"
    PARTIAL = "partial", "一部出荷", "Partly shipped"
    SHIPPED = "shipped", "出荷済", "Shipped"
    DELIVERED = "delivered", "配達完了", "Delivered"
    CANCELLED = "cancelled", "キャンセル", "Cancelled"


class AfterSalesStatus(CodeList):
    NONE = "none", "なし", "None"
    REQUESTED = "requested", "返品受付", "Return requested"
    PARTIAL = "partial", "一部返品", "Partly returned"
    RETURNED = "returned", "返品済", "Returned"


class ChargeKind(CodeList):
    SHIPPING = "shipping", "送料", "Shipping"
    COD_FEE = "cod_fee", "代引手数料", "Cash-on-delivery fee"
    PAYMENT_FEE = "payment_fee", "決済手数料", "Payment fee"
    WRAPPING = "wrapping", "ラッピング料", "Wrapping"
    COOL = "cool", "クール料", "Cool delivery"
    HANDLING = "handling", "手数料", "Handling"
    TAX = "tax", "消費税", "Consumption tax"
    OTHER = "other", "その他", "Other"


class DiscountKind(CodeList):
    COUPON = "coupon", "クーポン", "Coupon"
    CAMPAIGN = "campaign", "キャンペーン", "Campaign"
    MANUAL = "manual", "手動値引", "Manual"
    OTHER = "other", "その他", "Other"


class BorneBy(CodeList):
    """Who pays for a discount or for points."""

    SHOP = "shop", "店舗負担", "Shop"
    PLATFORM = "platform", "モール負担", "Marketplace"
    MAKER = "maker", "メーカー負担", "Maker"
    UNKNOWN = "unknown", "不明", "Unknown"


class Carrier(CodeList):
    YAMATO = "yamato", "ヤマト運輸", "Yamato Transport"
    SAGAWA = "sagawa", "佐川急便", "Sagawa Express"
    JAPAN_POST = "japan_post", "日本郵便", "Japan Post"
    SEINO = "seino", "西濃運輸", "Seino Transportation"
    FUKUYAMA = "fukuyama", "福山通運", "Fukuyama Transporting"
    OTHER = "other", "その他", "Other"


class TemperatureZone(CodeList):
    AMBIENT = "ambient", "常温", "Ambient"
    CHILLED = "chilled", "冷蔵", "Chilled"
    FROZEN = "frozen", "冷凍", "Frozen"


class StockQuality(CodeList):
    GOOD = "good", "良品", "Good"
    DEFECTIVE = "defective", "不良品", "Defective"
    HELD = "held", "保留", "Held"
