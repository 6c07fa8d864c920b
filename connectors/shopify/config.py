"""The settings of a Shopify shop."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

__all__ = ["MetafieldKeys", "ShopifyConfig"]

MetafieldKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_$:-]{1,255}\.[A-Za-z0-9_-]{1,64}$")]
"""namespace.key"""


class MetafieldKeys(BaseModel):
    """Metafields that are read, and that sinks may write, per kind of thing: "custom.tax_rate"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    product: tuple[MetafieldKey, ...] = Field((), max_length=20)
    customer: tuple[MetafieldKey, ...] = Field((), max_length=20)


def _about(title_ja: str, description_ja: str, **more: Any) -> dict[str, Any]:
    return {"title_ja": title_ja, "description_ja": description_ja, **more}


class ShopifyConfig(BaseModel):
    """One shop. The token comes from a custom app of the shop (設定 → アプリと販売チャネル → アプリを開発)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shop: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*\.myshopify\.com$", to_lower=True)
    ] = Field(
        title="Shop",
        description="The shop's own domain, example.myshopify.com (not the one customers see)",
        json_schema_extra=_about(
            "ショップ", "ショップの固有ドメイン（例: example.myshopify.com）", connection="host"
        ),
    )
    access_token: SecretStr = Field(
        title="Admin API access token",
        description="Access token of the app (shpat_...)",
        json_schema_extra=_about(
            "Admin APIアクセストークン", "アプリのアクセストークン（shpat_…）", connection="password"
        ),
    )
    webhook_secret: SecretStr | None = Field(
        None,
        title="Webhook secret",
        description="The app's client secret (API secret key), which signs webhooks; without it the door is shut",
        json_schema_extra=_about(
            "Webhookの秘密鍵", "アプリのAPIシークレットキー。無ければWebhookを受け付けない"
        ),
    )
    previous_webhook_secret: SecretStr | None = Field(
        None,
        title="Previous webhook secret",
        description="The secret before, while it is being replaced: Shopify goes on signing with it for a while",
        json_schema_extra=_about("以前のWebhookの秘密鍵", "秘密鍵の切り替え中だけ設定する"),
    )
    api_version: Literal["2026-07", "2026-10"] = Field(
        "2026-10",
        title="API version",
        description="Version of the Admin API; every query is checked against the schemas of these two",
        json_schema_extra=_about("APIバージョン", "Admin APIのバージョン。全クエリをこの二つで検証済み"),
    )
    page_size: Annotated[int, Field(ge=1, le=250)] = Field(
        50,
        title="Page size",
        description="Rows of one page; fewer by itself where a query would cost too much",
        json_schema_extra=_about("1ページの件数", "コスト上限を超えるときは自動で減らす"),
    )
    nested_size: Annotated[int, Field(ge=1, le=250)] = Field(
        10,
        title="Lines at once",
        description="Order lines and variants that come with their order or product; the rest is asked for after it",
        json_schema_extra=_about(
            "明細の同時取得数", "受注明細・バリエーションを一度に取る件数。残りは追って取る"
        ),
    )
    restore_rate: Annotated[float, Field(gt=0)] = Field(
        100.0,
        title="Points a second",
        description="Cost points the shop's plan gives back each second: 100 Standard, 200 Advanced, 1000 Plus",
        json_schema_extra=_about(
            "毎秒のポイント", "プランごとの回復量: スタンダード100、アドバンスド200、Plus 1000"
        ),
    )
    bucket_size: Annotated[int, Field(ge=100)] = Field(
        2000,
        title="Points at once",
        description="Cost points that may be used at once: twenty seconds' worth",
        json_schema_extra=_about("ポイントの上限", "一度に使えるポイント（20秒分）"),
    )
    locations: dict[str, str] = Field(
        default_factory=dict,
        title="Locations",
        description='The hub\'s names of places -> Shopify\'s location id or name: {"tokyo": "67890"}',
        json_schema_extra=_about("ロケーション", "ハブの拠点名 → ShopifyのロケーションIDまたは名前"),
    )
    location: str | None = Field(
        None,
        title="Default location",
        description="Where stock is written when a record names no place; not needed where there is only one",
        json_schema_extra=_about("既定のロケーション", "レコードに拠点がないときの書き込み先"),
    )
    metafields: MetafieldKeys = Field(
        MetafieldKeys(),
        title="Metafields",
        description='Metafields to read and write: {"product": ["custom.tax_rate"]}',
        json_schema_extra=_about("メタフィールド", "読み書きするメタフィールド"),
    )
    notify_customer: bool = Field(
        False,
        title="Tell the customer",
        description="Let Shopify send its mails on fulfilments and cancellations",
        json_schema_extra=_about("購入者へ通知", "出荷・キャンセル時にShopifyからメールを送る"),
    )
    restock_cancelled: bool = Field(
        False,
        title="Restock what is cancelled",
        description="Give the units of cancelled orders back at Shopify; leave it off where the hub writes the stock",
        json_schema_extra=_about(
            "キャンセル時に在庫を戻す", "Shopify側で在庫を戻す。ハブが在庫を書くなら不要"
        ),
    )
    base_url: str | None = Field(
        None,
        title="Address",
        description="Another address than https://<shop>, for a stand-in",
        json_schema_extra=_about("URL", "https://<ショップ> 以外のURL（スタンドイン用）"),
    )
