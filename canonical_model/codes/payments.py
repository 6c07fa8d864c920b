"""Codes of money: how it is paid, what happened to it, how it is booked."""

from __future__ import annotations

from canonical_model.codes.base import CodeList

__all__ = [
    "CreditStatus",
    "DocumentKind",
    "EntrySide",
    "PaymentEventKind",
    "PaymentMethod",
    "PointReason",
    "ReceiptStatus",
    "SettlementLineKind",
]


class PaymentMethod(CodeList, ja="支払方法", en="Payment method"):
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


class CreditStatus(CodeList, ja="与信状況", en="Credit check"):
    """The credit check of deferred payment and of cards."""

    PENDING = "pending", "審査待ち", "Pending"
    OK = "ok", "OK", "Passed"
    NG = "ng", "NG", "Refused"
    HOLD = "hold", "保留", "On hold"
    EXPIRED = "expired", "期限切れ", "Expired"


class PaymentEventKind(CodeList, ja="入金イベント", en="Payment event"):
    """One thing that happened to a payment.

    PROVISIONAL and CONFIRMED are the two reports of convenience-store collection (速報 may be taken back,
    確報 may not); SETTLED is the day the money reached our account (着金).
    """

    AUTHORIZED = "authorized", "与信取得", "Authorized"
    VOIDED = "voided", "与信取消", "Authorization released"
    CAPTURED = "captured", "売上確定", "Captured"
    PROVISIONAL = "provisional", "速報", "Provisional report"
    PROVISIONAL_REVOKED = "provisional_revoked", "速報取消", "Provisional report taken back"
    CONFIRMED = "confirmed", "確報", "Confirmed report"
    RECEIVED = "received", "入金", "Money received"
    SETTLED = "settled", "着金", "Reached our account"
    REFUNDED = "refunded", "返金", "Refunded"
    CHARGEBACK = "chargeback", "チャージバック", "Charged back"
    FAILED = "failed", "失敗", "Failed"


class ReceiptStatus(CodeList, ja="入金状態", en="Receipt of money"):
    NONE = "none", "未入金", "Nothing received"
    PROVISIONAL = "provisional", "速報", "Provisional"
    CONFIRMED = "confirmed", "確報", "Confirmed"
    SETTLED = "settled", "着金", "Settled"
    OVER = "over", "過入金", "Too much received"
    SHORT = "short", "不足", "Too little received"
    REFUNDED = "refunded", "返金済", "Refunded"


class SettlementLineKind(CodeList, ja="精算区分", en="Kind of settlement line"):
    SALE = "sale", "売上", "Sale"
    REFUND = "refund", "返金", "Refund"
    FEE = "fee", "手数料", "Fee"
    FEE_TAX = "fee_tax", "手数料消費税", "Tax on fees"
    SHIPPING = "shipping", "送料", "Shipping"
    POINTS = "points", "ポイント", "Points"
    COUPON = "coupon", "クーポン", "Coupon"
    ADVERTISING = "advertising", "広告費", "Advertising"
    CHARGEBACK = "chargeback", "チャージバック", "Chargeback"
    ADJUSTMENT = "adjustment", "調整", "Adjustment"
    OTHER = "other", "その他", "Other"


class EntrySide(CodeList, ja="貸借区分", en="Side of an entry"):
    DEBIT = "debit", "借方", "Debit"
    CREDIT = "credit", "貸方", "Credit"


class DocumentKind(CodeList, ja="書類種別", en="Kind of document"):
    INVOICE = "invoice", "適格請求書", "Qualified invoice"
    SIMPLE_INVOICE = "simple_invoice", "適格簡易請求書", "Simplified qualified invoice"
    CREDIT_NOTE = "credit_note", "適格返還請求書", "Qualified return invoice"
    STATEMENT = "statement", "請求書（締め）", "Periodic statement"
    DELIVERY_NOTE = "delivery_note", "納品書", "Delivery note"
    RECEIPT = "receipt", "領収書", "Receipt"
    QUOTATION = "quotation", "見積書", "Quotation"
    PAYMENT_SLIP = "payment_slip", "払込票", "Payment slip"
    SHIPPING_LABEL = "shipping_label", "送り状", "Shipping label"
    OTHER = "other", "その他", "Other"


class PointReason(CodeList, ja="ポイント区分", en="Movement of points"):
    GRANTED = "granted", "付与", "Granted"
    USED = "used", "利用", "Used"
    RETURNED = "returned", "利用取消", "Given back"
    TAKEN_BACK = "taken_back", "付与取消", "Taken back"
    EXPIRED = "expired", "失効", "Expired"
    ADJUSTED = "adjusted", "調整", "Adjusted"
