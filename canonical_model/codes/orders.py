"""Codes of orders: where they come from, how far they have come, what is charged and taken off."""

from __future__ import annotations

from canonical_model.codes.base import CodeList

__all__ = [
    "AfterSalesStatus",
    "BorneBy",
    "CartStatus",
    "ChannelType",
    "ChargeKind",
    "Confirmation",
    "DiscountKind",
    "FulfilmentStatus",
    "OrderRoute",
    "PaymentStatus",
    "RefundStatus",
    "ReturnReason",
    "ReturnStatus",
    "SubscriptionCycle",
    "SubscriptionStatus",
]


class OrderRoute(CodeList, ja="受注経路", en="Order route"):
    WEB = "web", "WEB", "Web"
    TEL = "tel", "電話", "Telephone"
    POSTCARD = "postcard", "はがき", "Postcard"
    FAX = "fax", "FAX", "Fax"
    STORE = "store", "店舗", "Store"
    MALL = "mall", "モール", "Marketplace"
    SALES = "sales", "外商", "Sales visit"


class ChannelType(CodeList, ja="チャネル区分", en="Channel type"):
    """The sales channels of the MACH Open Data Model and the two that mail order in Japan adds."""

    WEB = "web", "自社EC", "Own web shop"
    MOBILE = "mobile", "アプリ", "Mobile app"
    STORE = "store", "実店舗", "Physical store"
    MARKETPLACE = "marketplace", "モール", "Marketplace"
    MAIL_ORDER = "mail_order", "通販", "Mail order"
    WHOLESALE = "wholesale", "卸", "Wholesale"
    SOCIAL = "social", "ソーシャル", "Social commerce"
    VOICE = "voice", "音声", "Voice commerce"
    API = "api", "API", "Programmatic"
    OTHER = "other", "その他", "Other"


class Confirmation(CodeList, ja="受注確定", en="Confirmation"):
    """Whether the order stands, as its own system says."""

    PENDING = "pending", "確認待ち", "Waiting for confirmation"
    HELD = "held", "保留", "Held"
    CONFIRMED = "confirmed", "確定", "Confirmed"
    CANCELLED = "cancelled", "キャンセル", "Cancelled"


class PaymentStatus(CodeList, ja="入金状況", en="Payment status"):
    """The payment axis of an order."""

    NONE = "none", "未入金", "Unpaid"
    AUTHORIZED = "authorized", "与信済", "Authorized"
    PROVISIONAL = "provisional", "速報", "Provisional"
    PARTIAL = "partial", "一部入金", "Partly paid"
    PAID = "paid", "入金済", "Paid"
    OVERPAID = "overpaid", "過入金", "Overpaid"
    PARTLY_REFUNDED = "partly_refunded", "一部返金", "Partly refunded"
    REFUNDED = "refunded", "返金済", "Refunded"


class FulfilmentStatus(CodeList, ja="出荷状況", en="Fulfilment status"):
    """The fulfilment axis of an order."""

    NONE = "none", "未出荷", "Not shipped"
    ALLOCATED = "allocated", "引当済", "Allocated"
    PARTIAL = "partial", "一部出荷", "Partly shipped"
    SHIPPED = "shipped", "出荷済", "Shipped"
    DELIVERED = "delivered", "配達完了", "Delivered"
    CANCELLED = "cancelled", "キャンセル", "Cancelled"


class AfterSalesStatus(CodeList, ja="返品状況", en="After-sales status"):
    """The after-sales axis of an order."""

    NONE = "none", "なし", "None"
    REQUESTED = "requested", "返品受付", "Return requested"
    PARTIAL = "partial", "一部返品", "Partly returned"
    RETURNED = "returned", "返品済", "Returned"


class ChargeKind(CodeList, ja="料金区分", en="Kind of charge"):
    SHIPPING = "shipping", "送料", "Shipping"
    COD_FEE = "cod_fee", "代引手数料", "Cash-on-delivery fee"
    PAYMENT_FEE = "payment_fee", "決済手数料", "Payment fee"
    WRAPPING = "wrapping", "ラッピング料", "Wrapping"
    COOL = "cool", "クール料", "Cool delivery"
    HANDLING = "handling", "手数料", "Handling"
    TAX = "tax", "消費税", "Consumption tax"
    OTHER = "other", "その他", "Other"


class DiscountKind(CodeList, ja="値引区分", en="Kind of discount"):
    COUPON = "coupon", "クーポン", "Coupon"
    CAMPAIGN = "campaign", "キャンペーン", "Campaign"
    MANUAL = "manual", "手動値引", "Manual"
    OTHER = "other", "その他", "Other"


class BorneBy(CodeList, ja="負担者", en="Borne by"):
    """Who pays for a discount or for points."""

    SHOP = "shop", "店舗負担", "Shop"
    PLATFORM = "platform", "モール負担", "Marketplace"
    MAKER = "maker", "メーカー負担", "Maker"
    UNKNOWN = "unknown", "不明", "Unknown"


class CartStatus(CodeList, ja="カート状態", en="Cart status"):
    ACTIVE = "active", "買物中", "Active"
    PENDING_APPROVAL = "pending_approval", "承認待ち", "Waiting for approval"
    APPROVED = "approved", "承認済", "Approved"
    REJECTED = "rejected", "却下", "Rejected"
    COMPLETED = "completed", "注文済", "Completed"
    ABANDONED = "abandoned", "カゴ落ち", "Abandoned"


class ReturnStatus(CodeList, ja="返品進捗", en="Return status"):
    REQUESTED = "requested", "返品受付", "Requested"
    APPROVED = "approved", "返品承認", "Approved"
    REFUSED = "refused", "返品不可", "Refused"
    IN_TRANSIT = "in_transit", "返送中", "On its way back"
    RECEIVED = "received", "返品着荷", "Received"
    INSPECTED = "inspected", "検品済", "Inspected"
    CLOSED = "closed", "完了", "Closed"
    CANCELLED = "cancelled", "取消", "Cancelled"


class ReturnReason(CodeList, ja="返品理由", en="Reason for return"):
    DEFECTIVE = "defective", "初期不良", "Defective on arrival"
    WRONG_ITEM = "wrong_item", "誤出荷", "Wrong item shipped"
    NOT_AS_EXPECTED = "not_as_expected", "イメージ違い", "Not as expected"
    REFUSED = "refused", "受取拒否", "Delivery refused"
    ABSENT = "absent", "長期不在", "Nobody at home"
    ADDRESS_UNKNOWN = "address_unknown", "住所不明", "Address unknown"
    DAMAGED = "damaged", "破損", "Damaged"
    OTHER = "other", "その他", "Other"


class RefundStatus(CodeList, ja="返金状況", en="Refund status"):
    PENDING = "pending", "返金予定", "To be paid out"
    DONE = "done", "返金済", "Paid out"
    FAILED = "failed", "返金失敗", "Failed"
    CANCELLED = "cancelled", "取消", "Cancelled"


class SubscriptionStatus(CodeList, ja="定期状態", en="Subscription status"):
    ACTIVE = "active", "継続中", "Active"
    PAUSED = "paused", "休止", "Paused"
    SUSPENDED = "suspended", "未入金停止", "Suspended for non-payment"
    CANCELLED = "cancelled", "解約", "Cancelled"
    COMPLETED = "completed", "満了", "Completed"


class SubscriptionCycle(CodeList, ja="定期周期", en="Subscription cycle"):
    DAYS = "days", "日数ごと", "Every n days"
    MONTH_DAY = "month_day", "毎月n日", "Day n of the month"
    MONTH_WEEKDAY = "month_weekday", "毎月第n曜日", "nth weekday of the month"
