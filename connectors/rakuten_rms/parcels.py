"""What must be sent so that an order shows these parcels, compared with what it shows already. Pure.

A row without shippingDetailId is one more parcel, so nothing is sent before the order was read: a parcel that
stands there is left alone or updated by its id.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.contract import Change

__all__ = ["Refusal", "detail_ids", "plan"]

Row = Mapping[str, Any]
_TOLD = ("deliveryCompany", "shippingNumber", "shippingDate")
_CANCELLED = frozenset({800, 900})
_NOT_YET = frozenset({100, 200})


class Refusal(Exception):
    """The order cannot take this report."""

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.code = code


def plan(change: Change, order: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """BasketidModels still to be sent; empty when the order shows everything.

    `order` is getOrder's, None when RMS does not know the number. Raises `Refusal`.
    """
    record = change.record
    if order is None:
        raise Refusal(
            f"RMSに注文 {record.get('orderNumber')} がありません（730日より前の注文も返されません）。"
            f" / RMS does not know order {record.get('orderNumber')}",
            "order_not_found",
        )
    if change.deleted:
        raise Refusal(
            "発送報告の取消はRMSの画面で行ってください。 / a shipping report is taken back in RMS by hand",
            "cannot_take_back",
        )
    progress = order.get("orderProgress")
    if progress in _CANCELLED:
        raise Refusal("注文はキャンセルされています。 / the order is cancelled", "order_cancelled")
    if progress in _NOT_YET:
        raise Refusal(
            f"注文はまだ発送待ちになっていません（{progress}）。"
            f" / the order is at {progress}, not yet to be shipped (300)",
            "not_ready",
        )
    shown = {basket.get("basketId"): basket for basket in order.get("PackageModelList") or ()}
    before = {
        basket.get("basketId"): basket for basket in (change.previous or {}).get("BasketidModelList") or ()
    }
    baskets = []
    for basket in record.get("BasketidModelList") or ():
        number = basket.get("basketId")
        if number not in shown:
            raise Refusal(
                f"注文に送付先ID {number} がありません。 / the order has no basketId {number}",
                "basket_not_found",
            )
        rows = _rows(
            basket.get("ShippingModelList") or (),
            shown[number].get("ShippingModelList") or (),
            (before.get(number) or {}).get("ShippingModelList") or (),
        )
        if rows:
            baskets.append({"basketId": number, "ShippingModelList": rows})
    return baskets


def _rows(wanted: Sequence[Row], shown: Sequence[Row], before: Sequence[Row]) -> list[dict[str, Any]]:
    free = list(shown)
    rows: list[dict[str, Any]] = []
    unmatched: list[Row] = []
    for row in wanted:
        found = next((known for known in free if _number(known) == _number(row)), None)
        if found is None:
            unmatched.append(row)
            continue
        free.remove(found)
        if any(_differs(found, row, name) for name in _TOLD if name in row):
            rows.append(_told(row) | {"shippingDetailId": found["shippingDetailId"]})
    # what we told before and RMS still shows, but is no longer wanted: a number that was mended, or a parcel less
    ours = {_number(row) for row in before}
    stale = [known for known in free if _number(known) in ours]
    for row in unmatched:
        told = _told(row)
        if stale:
            told["shippingDetailId"] = stale.pop(0)["shippingDetailId"]
        rows.append(told)
    rows += [
        {"shippingDetailId": known["shippingDetailId"], "deliveryCompany": known["deliveryCompany"]}
        | {"shippingDeleteFlag": 1}
        for known in stale
    ]
    return rows


def _told(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in _TOLD if name in row}


def _differs(shown: Row, wanted: Row, name: str) -> bool:
    if name == "shippingNumber":
        return False
    return str(shown.get(name) or "") != str(wanted.get(name) or "")


def _number(row: Row) -> str:
    """A tracking number as it compares: RMS may show it with hyphens, or in full width."""
    text = unicodedata.normalize("NFKC", str(row.get("shippingNumber") or ""))
    return "".join(letter for letter in text if letter.isalnum()).upper()


def detail_ids(change: Change, order: Mapping[str, Any]) -> list[int]:
    """RMS' ids of the rows that carry this change's parcels."""
    wanted = {
        (basket.get("basketId"), _number(row))
        for basket in change.record.get("BasketidModelList") or ()
        for row in basket.get("ShippingModelList") or ()
    }
    return [int(row["shippingDetailId"]) for basket, row in _shown(order) if (basket, _number(row)) in wanted]


def _shown(order: Mapping[str, Any]) -> Iterable[tuple[Any, Row]]:
    for package in order.get("PackageModelList") or ():
        for row in package.get("ShippingModelList") or ():
            yield package.get("basketId"), row
