"""Settings of one Rakuten Ichiba shop."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

__all__ = ["RakutenConfig"]

Days = Annotated[int, Field(ge=1)]


class RakutenConfig(BaseModel):
    """How to reach one shop, and how eagerly to look.

    Both keys come from RMS (店舗様向け情報・サービス → WEB APIサービス); the license key ends after 90 days.
    Limits that RMS does not publish, or that it may raise, are settings here and not constants in the code.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    service_secret: SecretStr = Field(title="serviceSecret (SP…)")
    license_key: SecretStr = Field(title="licenseKey (SL…)", json_schema_extra={"connection": "password"})
    base_url: str = "https://api.rms.rakuten.co.jp"
    content_type: str = "application/json; charset=utf-8"
    """Some shops reported HTTP 415 until the blank after the semicolon was left out."""
    requests_per_second: Annotated[float, Field(gt=0)] = 1.0
    """Of the slow calls (orders, stock writes); the fast ones may go at 2.5 times this rate."""
    get_order_version: Annotated[int, Field(ge=3)] = 10
    """Version of getOrder's answer; 10 brought social gifts. Versions 1 and 2 are refused by RMS."""

    first_days: Annotated[int, Field(ge=1, le=729)] = 30
    """How far back the very first pull looks. RMS shows 730 days."""
    window_days: Annotated[int, Field(ge=1, le=62)] = 7
    """Longest search window. RMS allows 63 days; a shorter one moves the cursor more often."""
    overlap: timedelta = timedelta(hours=1)
    """How far behind the cursor a pull starts again."""
    date_types: tuple[Annotated[int, Field(ge=1, le=6)], ...] = (1, 2, 3, 5)
    """Dates by which windows are searched: 1 ordered, 2 confirmed, 3 fixed, 4 shipped, 5 shipping reported, 6 paid."""
    open_progress: tuple[int, ...] = (100, 200, 300, 400, 800)
    """Orders still at one of these are read again at every pull: RMS has no "updated since"."""
    closed_progress: tuple[int, ...] = (900,)
    """Orders that came to one of these (cancellations carry no date of their own) are looked for now and then."""
    recheck_days: Annotated[int, Field(ge=1, le=62)] = 30
    """How old, by order date, an open or cancelled order may be to be read again."""
    recheck_every: timedelta = timedelta(hours=1)
    """How often the closed ones are looked for."""
    search_hits_limit: Annotated[int, Field(ge=2)] = 15_000
    """Where a search stops silently; windows with as many hits are split."""
    search_page_size: Annotated[int, Field(ge=1, le=1000)] = 1000

    report_in_bulk_from: Annotated[int, Field(ge=2)] | None = None
    """Shipping reports of at least so many orders go through updateOrderShippingAsync (100 orders a call).

    None: always one order a call. Then an answer that got lost is settled by one look at the order; an
    asynchronous request that got lost may still be carried out later.
    """
    result_wait: timedelta = timedelta(seconds=60)
    """How long to wait for the result of an asynchronous report."""
    result_poll: timedelta = timedelta(seconds=3)
    settle: timedelta = timedelta(minutes=10)
    """How long an asynchronous report that got lost is given until the orders are looked at again."""

    check_stock_rows: bool = True
    """Read written stock rows back: RMS takes rows for SKUs that do not exist without a word."""
    warn_days: Days = 14
    """The check says so when the license key ends within so many days."""

    @field_validator("closed_progress", "open_progress", "date_types")
    @classmethod
    def _no_repeats(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(value))
