"""Builders of small canonical things for the tests of this room."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from canonical_model import Order, Payment, Return, Shipment


def _yen(amount: int, rate: str | None = "0.1", *, included: bool = True) -> dict[str, Any]:
    return {"amount": amount, "tax_included": included, "tax_rate": rate}


def _order(**changes: Any) -> Order:
    base: dict[str, Any] = {
        "key": "rakuten/1",
        "number": "1",
        "channel": "rakuten",
        "ordered_at": "2026-11-21T10:00:00+09:00",
        "buyer": {
            "name": {"family": "髙﨑", "given": "太郎", "family_kana": "タカサキ", "given_kana": "タロウ"},
            "address": {
                "postal_code": "100-0001",
                "prefecture": "東京都",
                "city": "千代田区",
                "street": "千代田1-1",
            },
            "phone": "03-1234-5678",
            "email": "taro@Example.JP",
        },
        "recipients": [{"id": "1", "party": {"name": {"full": "髙﨑 太郎"}}}],
        "lines": [
            {"id": "1", "sku": "A", "name": "りんご", "quantity": {"ordered": 2}, "unit_price": _yen(1000)},
            {
                "id": "2",
                "sku": "B",
                "name": "みかん",
                "quantity": {"ordered": 1},
                "unit_price": _yen(500, "0.08"),
            },
        ],
        "charges": [{"kind": "shipping", "amount": _yen(600)}],
        "payment": {"method": "card"},
        "totals": {
            "goods": {"amount": 2500},
            "charges": {"amount": 600},
            "total": {"amount": 3100},
            "payable": {"amount": 3100},
        },
    }
    return Order.model_validate({**base, **changes})


def _shipment(key: str, lines: list[dict[str, Any]], **changes: Any) -> Shipment:
    base = {"key": key, "order_key": "rakuten/1", "lines": lines, "shipped_on": "2026-11-22"}
    return Shipment.model_validate({**base, **changes})


def _return(key: str, lines: list[dict[str, Any]], **changes: Any) -> Return:
    return Return.model_validate({"key": key, "order_key": "rakuten/1", "lines": lines, **changes})


def _payment(key: str, *events: tuple[str, int], **changes: Any) -> Payment:
    listed = [
        {"id": str(n), "kind": kind, "amount": {"amount": amount}, "at": f"2026-11-2{n}T00:00:00Z"}
        for n, (kind, amount) in enumerate(events)
    ]
    base = {
        "key": key,
        "order_key": "rakuten/1",
        "method": "card",
        "amount": {"amount": 3100},
        "events": listed,
    }
    return Payment.model_validate({**base, **changes})


@pytest.fixture
def order() -> Callable[..., Order]:
    return _order


@pytest.fixture
def shipment() -> Callable[..., Shipment]:
    return _shipment


@pytest.fixture
def goods_return() -> Callable[..., Return]:
    return _return


@pytest.fixture
def payment() -> Callable[..., Payment]:
    return _payment


def shared_folder() -> Path | None:
    """The folder of facts and specifications beside the checkout, where there is one."""
    named = os.environ.get("TSUNAGI_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared"
    return folder if folder.is_dir() else None


@pytest.fixture
def mach_samples() -> Path:
    """The folder of the standard's sample objects."""
    shared = shared_folder()
    if shared is None or not (shared / "specs" / "mach").is_dir():
        pytest.skip("the sample objects of the MACH Open Data Model are not here (set TSUNAGI_SHARED)")
    return shared / "specs" / "mach"
