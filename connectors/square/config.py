"""The settings of a Square account."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator

__all__ = ["SquareConfig"]

_Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


def _about(title_ja: str, description_ja: str, **more: Any) -> dict[str, Any]:
    return {"title_ja": title_ja, "description_ja": description_ja, **more}


class SquareConfig(BaseModel):
    """One seller at Square, with one or more locations (stores)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = Field(
        "https://connect.squareup.com",
        title="Server",
        description="Scheme and host of the API; the sandbox is https://connect.squareupsandbox.com",
        json_schema_extra=_about("サーバー", "APIのURL", connection="host"),
    )
    access_token: SecretStr = Field(
        title="Access token",
        description="Access token of the application for this seller",
        json_schema_extra=_about("アクセストークン", "この加盟店のアクセストークン", connection="password"),
    )
    square_version: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] = Field(
        "2025-08-20",
        title="Square-Version",
        description="The API version every request asks for; the connector was written against the default",
        json_schema_extra=_about("APIバージョン", "リクエストごとに指定する Square-Version"),
    )
    locations: dict[_Name, _Name] = Field(
        default_factory=dict,
        title="Locations",
        description='The hub\'s names of the stores and their ids at Square: {"store-shibuya": "L1ABC..."}. '
        "Only these are read and written. Empty: all active ones, named by their ids",
        json_schema_extra=_about(
            "店舗", 'ハブでの拠点名とSquareの店舗ID: {"store-shibuya": "L1ABC..."}。空なら全店舗をIDのまま'
        ),
    )
    page_size: Annotated[int, Field(ge=1, le=1000)] = Field(
        500,
        title="Page size",
        description="Rows of one page; Square gives at most 100 customers, payments or refunds at once",
        json_schema_extra=_about("1ページの件数", "顧客・支払・返金は1ページ100件まで"),
    )
    first_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        30,
        title="First days",
        description="How far back the very first read of orders, payments and refunds looks",
        json_schema_extra=_about("初回の日数", "受注・支払・返金を初回に何日前から読むか"),
    )
    requests_per_second: Annotated[float, Field(gt=0, le=1000)] = Field(
        8.0,
        title="Requests per second",
        description="Square does not publish its limits; it answers 429 above them",
        json_schema_extra=_about("1秒あたりのリクエスト数", "Squareは上限を公開していない"),
    )
    webhook_secret: SecretStr | None = Field(
        None,
        title="Webhook signature key",
        description="Signature key of the webhook subscription (not the access token); without it the door is shut",
        json_schema_extra=_about("Webhookの署名キー", "サブスクリプションの署名キー。無ければ受け付けない"),
    )
    notification_url: str | None = Field(
        None,
        title="Notification URL",
        description="The subscription's notification URL, letter by letter: it is part of what Square signs",
        json_schema_extra=_about("通知URL", "サブスクリプションの通知URL。署名の対象なので一字一句同じに"),
    )
    plain_http: bool = Field(
        False,
        title="Allow http://",
        description="Allow http:// to a host other than this machine",
        json_schema_extra=_about("http:// を許す", "他のホストへの暗号化しない通信を許す"),
    )

    @field_validator("locations")
    @classmethod
    def _one_name_each(cls, value: dict[str, str]) -> dict[str, str]:
        if len(set(value.values())) != len(value):
            # two names would write two counts of one shelf, and the later would win unseen
            raise ValueError("two names stand for one location; give each location one name")
        return value
