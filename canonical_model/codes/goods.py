"""Codes of goods: products, places, stock, transport and promotions."""

from __future__ import annotations

from canonical_model.codes.base import CodeList

__all__ = [
    "Carrier",
    "ConsentChannel",
    "CouponStatus",
    "CustomerStatus",
    "LocationType",
    "MediaType",
    "MovementReason",
    "PromotionStatus",
    "PromotionTarget",
    "PurchaseStatus",
    "ShipmentStatus",
    "StockQuality",
    "TemperatureZone",
]


class Carrier(CodeList, ja="運送会社", en="Carrier"):
    YAMATO = "yamato", "ヤマト運輸", "Yamato Transport"
    SAGAWA = "sagawa", "佐川急便", "Sagawa Express"
    JAPAN_POST = "japan_post", "日本郵便", "Japan Post"
    SEINO = "seino", "西濃運輸", "Seino Transportation"
    FUKUYAMA = "fukuyama", "福山通運", "Fukuyama Transporting"
    OTHER = "other", "その他", "Other"


class TemperatureZone(CodeList, ja="温度帯", en="Temperature zone"):
    AMBIENT = "ambient", "常温", "Ambient"
    CHILLED = "chilled", "冷蔵", "Chilled"
    FROZEN = "frozen", "冷凍", "Frozen"


class StockQuality(CodeList, ja="品質区分", en="Stock quality"):
    GOOD = "good", "良品", "Good"
    DEFECTIVE = "defective", "不良品", "Defective"
    HELD = "held", "保留", "Held"


class MovementReason(CodeList, ja="在庫変動理由", en="Reason of a stock movement"):
    """The reasons warehouses in Japan report; `StockMovement.reason` may carry another system's own word."""

    SALE = "sale", "売上", "Sale"
    SHIPMENT = "shipment", "出荷", "Shipment"
    RECEIPT = "receipt", "入荷", "Goods receipt"
    RETURN = "return", "返品", "Return"
    TRANSFER = "transfer", "移動", "Transfer"
    STOCKTAKE = "stocktake", "棚卸差異", "Stocktake difference"
    DISPOSAL = "disposal", "廃棄", "Disposal"
    QUALITY = "quality", "品質変更", "Change of quality"
    KIT = "kit", "セット組・解体", "Kit made or taken apart"
    ADJUSTMENT = "adjustment", "調整", "Adjustment"


class LocationType(CodeList, ja="拠点区分", en="Location type"):
    WAREHOUSE = "warehouse", "倉庫", "Warehouse"
    STORE = "store", "店舗", "Store"
    POPUP = "popup", "催事", "Pop-up store"
    PARTNER = "partner", "提携先", "Partner"
    SUPPLIER = "supplier", "仕入先直送", "Supplier"


class ShipmentStatus(CodeList, ja="出荷進捗", en="Shipment status"):
    INSTRUCTED = "instructed", "出荷指示済", "Instructed"
    STARTED = "started", "作業中", "Work started"
    SHIPPED = "shipped", "出荷済", "Shipped"
    IN_TRANSIT = "in_transit", "輸送中", "In transit"
    OUT_FOR_DELIVERY = "out_for_delivery", "配達中", "Out for delivery"
    DELIVERED = "delivered", "配達完了", "Delivered"
    FAILED = "failed", "配達不能", "Delivery failed"
    RETURNED = "returned", "返送", "Returned to sender"
    CANCELLED = "cancelled", "取消", "Cancelled"


class PurchaseStatus(CodeList, ja="発注状況", en="Purchase order status"):
    DRAFT = "draft", "作成中", "Draft"
    ORDERED = "ordered", "発注済", "Ordered"
    PARTIAL = "partial", "一部入荷", "Partly received"
    RECEIVED = "received", "入荷済", "Received"
    CANCELLED = "cancelled", "取消", "Cancelled"


class MediaType(CodeList, ja="メディア区分", en="Media type"):
    IMAGE = "image", "画像", "Image"
    VIDEO = "video", "動画", "Video"
    DOCUMENT = "document", "文書", "Document"
    AUDIO = "audio", "音声", "Audio"
    MODEL_3D = "3d", "3Dモデル", "3D model"


class PromotionTarget(CodeList, ja="販促対象", en="Promotion target"):
    CART = "cart", "注文全体", "Whole order"
    PRODUCT = "product", "商品", "Products"
    SHIPPING = "shipping", "送料", "Shipping"


class PromotionStatus(CodeList, ja="販促状態", en="Promotion status"):
    DRAFT = "draft", "下書き", "Draft"
    SCHEDULED = "scheduled", "予定", "Scheduled"
    ACTIVE = "active", "実施中", "Active"
    PAUSED = "paused", "一時停止", "Paused"
    EXPIRED = "expired", "終了", "Expired"
    ARCHIVED = "archived", "保管", "Archived"


class CouponStatus(CodeList, ja="クーポン状態", en="Coupon status"):
    ACTIVE = "active", "有効", "Active"
    RESERVED = "reserved", "仮使用", "Reserved"
    USED = "used", "使用済", "Used"
    EXPIRED = "expired", "期限切れ", "Expired"
    DISABLED = "disabled", "無効", "Disabled"


class CustomerStatus(CodeList, ja="顧客状態", en="Customer status"):
    ACTIVE = "active", "有効", "Active"
    INACTIVE = "inactive", "休眠", "Inactive"
    SUSPENDED = "suspended", "停止", "Suspended"
    ARCHIVED = "archived", "退会", "Archived"


class ConsentChannel(CodeList, ja="連絡手段", en="Channel of contact"):
    MAIL = "mail", "メール", "E-mail"
    DM = "dm", "DM", "Direct mail"
    TEL = "tel", "電話", "Telephone"
    SMS = "sms", "SMS", "SMS"
    LINE = "line", "LINE", "LINE"
