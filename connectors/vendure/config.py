"""The settings of a Vendure account."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

__all__ = ["CustomFields", "VendureConfig"]

FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""A GraphQL name; it becomes part of a query, so nothing else may stand in it."""


class CustomFields(BaseModel):
    """Custom fields of the shop's own configuration that are read and may be written, per kind of thing.

    What is not named here is neither asked for nor sent, because Vendure refuses a field it does not know.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    product: tuple[FieldName, ...] = ()
    variant: tuple[FieldName, ...] = ()
    order: tuple[FieldName, ...] = ()
    customer: tuple[FieldName, ...] = ()
    address: tuple[FieldName, ...] = ()

    def names(self, kind: str) -> tuple[str, ...]:
        """The fields of `product`, `variant`, `order`, `customer` or `address`."""
        return tuple(getattr(self, kind))


def _about(title_ja: str, description_ja: str, **more: Any) -> dict[str, Any]:
    return {"title_ja": title_ja, "description_ja": description_ja, **more}


class VendureConfig(BaseModel):
    """One channel of one Vendure server, reached through its Admin API."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = Field(
        title="Server",
        description="Scheme and host of the server, https://shop.example.jp",
        json_schema_extra=_about(
            "サーバー", "サーバーのURL（例: https://shop.example.jp）", connection="host"
        ),
    )
    admin_api_path: Annotated[str, StringConstraints(pattern=r"^/?[A-Za-z0-9._/-]+$")] = Field(
        "/admin-api",
        title="Admin API path",
        description="apiOptions.adminApiPath of the server",
        json_schema_extra=_about("Admin APIのパス", "サーバー設定 apiOptions.adminApiPath"),
    )
    username: Annotated[str, StringConstraints(min_length=1)] = Field(
        title="Administrator",
        description="An administrator with the permissions of docs/connectors/vendure.md",
        json_schema_extra=_about(
            "管理者", "docs/ja/connectors/vendure.md の権限を持つ管理者", connection="login"
        ),
    )
    password: SecretStr = Field(
        title="Password",
        json_schema_extra=_about("パスワード", "管理者のパスワード", connection="password"),
    )
    channel_token: str | None = Field(
        None,
        title="Channel token",
        description="The channel to work in; the server's default channel when empty",
        json_schema_extra=_about("チャネルトークン", "対象のチャネル。空なら既定のチャネル", secret=False),
    )
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(_[A-Za-z]{2,4})?$")] | None = Field(
        None,
        title="Language",
        description="Language of names (ja); the channel's default when empty",
        json_schema_extra=_about("言語", "名称の言語（ja）。空ならチャネルの既定"),
    )
    page_size: Annotated[int, Field(ge=10, le=1000)] = Field(
        100,
        title="Page size",
        description="Rows of one page; the server refuses more than its adminListQueryLimit (1000)",
        json_schema_extra=_about("1ページの件数", "サーバーの adminListQueryLimit（1000）を超えられない"),
    )
    stock_location: str | None = Field(
        None,
        title="Stock location",
        description="Name or id of the stock location to write to when a record names none",
        json_schema_extra=_about(
            "在庫ロケーション", "レコードに指定がないときに書き込むロケーションの名前かID"
        ),
    )
    watch_days: Annotated[int, Field(ge=0, le=730)] = Field(
        30,
        title="Days to watch orders",
        description="How long an order is watched for changes that leave its updatedAt as it is",
        json_schema_extra=_about("受注の監視日数", "updatedAt が変わらない変更（入金・出荷）を見張る日数"),
    )
    custom_fields: CustomFields = Field(
        CustomFields(),
        title="Custom fields",
        description='Custom fields to read and write: {"customer": ["lastNameKana"], "variant": ["gtin"]}',
        json_schema_extra=_about("カスタムフィールド", "読み書きするカスタムフィールド"),
    )
    order_reference_field: FieldName | None = Field(
        None,
        title="Order reference field",
        description="Custom field of Order for the number of an order placed by the hub; needed to place orders",
        json_schema_extra=_about(
            "外部受注番号のフィールド", "受注を登録するときに必要なOrderのカスタムフィールド"
        ),
    )
    settle_on_shipping: bool = Field(
        False,
        title="Capture at shipping",
        description="Settle authorised payments before a fulfilment is made",
        json_schema_extra=_about("出荷時に売上確定", "出荷の登録前に与信済みの支払いを売上確定する"),
    )
    fulfilment_handler: str = Field(
        "manual-fulfillment",
        title="Fulfilment handler",
        description="Code of the fulfilment handler",
        json_schema_extra=_about("出荷ハンドラー", "fulfillment handler のコード"),
    )
    amounts_in_minor_units: bool = Field(
        False,
        title="Amounts in minor units",
        description="The shop stores amounts in the currency's minor unit although its money strategy tells another "
        "number of decimals",
        json_schema_extra=_about(
            "金額は最小単位", "moneyStrategy の桁数と違い、金額が通貨の最小単位で保存されている"
        ),
    )
    webhook_secret: SecretStr | None = Field(
        None,
        title="Webhook secret",
        description="Secret of the signed events plugin; without it the webhook door is shut",
        json_schema_extra=_about("Webhookの秘密鍵", "署名付きイベントの秘密鍵。無ければ受け付けない"),
    )
    plain_http: bool = Field(
        False,
        title="Allow http://",
        description="Allow http:// to a host other than this machine",
        json_schema_extra=_about("http:// を許す", "他のホストへの暗号化しない通信を許す"),
    )
