"""Stock into RMS: absolute quantities by inventories/bulk-upsert.

RMS refuses the whole batch for one bad row and says which (`inventories[3].quantity`). That row is refused, the
others are sent again in the same call. Rows for a SKU no item has are taken silently and swept away a day later;
reading back shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import httpx

from connectors.contract import Batch, Call, Change, Outcome, Retry
from connectors.rakuten_rms.config import RakutenConfig
from connectors.rakuten_rms.gateway import post
from connectors.rakuten_rms.items import read_stock
from connectors.transport.http import Intent

__all__ = ["HIGHEST", "stock"]

HIGHEST = 99_999
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_ROW = re.compile(r"inventories\[(\d+)\]")
_EXTRAS = ("operationLeadTime", "shipFromIds")

_Key = tuple[str, str]


def stock(call: Call[RakutenConfig], batch: Batch) -> Iterable[Outcome]:
    """Write `{manageNumber, variantId, quantity}`. Quantities outside 0 to 99,999 are cut to it, with a note."""
    rows: dict[_Key, tuple[Change, dict[str, Any], tuple[str, ...]]] = {}
    for change in batch:
        row, notes, refusal = _row(change)
        if refusal is not None:
            yield refusal
            continue
        key = (row["manageNumber"], row["variantId"])
        if key in rows:
            yield Outcome.refused(
                change.key,
                f"同じSKU（{'/'.join(key)}）が2回あります。商品管理番号の大文字・小文字は区別されません。"
                f" / {'/'.join(key)} stands twice in this batch (also as {rows[key][0].key});"
                " RMS ignores upper and lower case in manageNumber",
                code="duplicate_sku",
            )
        else:
            rows[key] = (change, row, notes)
    refused = _send(call, {key: row for key, (_, row, _) in rows.items()})
    written = [key for key in rows if key not in refused]
    unseen = _unseen(call, written) if call.config.check_stock_rows else frozenset()
    for key, (change, _, notes) in rows.items():
        if key in refused:
            code, reason = refused[key]
            yield Outcome.refused(change.key, reason, code=code)
        else:
            orphan = (_ORPHAN.format("/".join(key)),) if key in unseen else ()
            yield Outcome.done(change.key, notes=notes + orphan)


_ORPHAN = (
    "RMSにSKU {0} が見当たりません。在庫は受け付けられましたが、商品がなければ24時間後に消えます。"
    " / RMS does not show the SKU {0}: it took the quantity, but without an item the row vanishes after 24 hours"
)


def _row(change: Change) -> tuple[dict[str, Any], tuple[str, ...], Outcome | None]:
    record = change.record
    names = {name: record.get(name) for name in ("manageNumber", "variantId")}
    for name, value in names.items():
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            reason = (
                f"{name} {value!r} は使えません（半角英数字と - _ で32文字まで）。"
                f" / {name} {value!r}: RMS takes 1 to 32 of A-Z a-z 0-9 - _"
            )
            return {}, (), Outcome.refused(change.key, reason, code="bad_sku_name")
    quantity = 0 if change.deleted else record.get("quantity")
    if not isinstance(quantity, int) or isinstance(quantity, bool):
        reason = f"在庫数 {quantity!r} は整数ではありません。 / quantity {quantity!r} is no whole number"
        return {}, (), Outcome.refused(change.key, reason, code="bad_quantity")
    if record.get("mode", "ABSOLUTE") != "ABSOLUTE":
        reason = (
            "在庫は絶対値でのみ更新します。 / stock is written as ABSOLUTE only: RELATIVE cannot be repeated"
        )
        return {}, (), Outcome.refused(change.key, reason, code="relative_write")
    cut = min(max(quantity, 0), HIGHEST)
    notes = (
        ()
        if cut == quantity
        else (f"在庫数 {quantity} を {cut} として送信 / quantity {quantity} sent as {cut}",)
    )
    row = {
        # the server lower-cases it; here already, so that what we send and what we read back are the same word
        "manageNumber": str(names["manageNumber"]).lower(),
        "variantId": names["variantId"],
        "mode": "ABSOLUTE",
        "quantity": cut,
    }
    return row | {name: record[name] for name in _EXTRAS if name in record}, notes, None


def _send(call: Call[RakutenConfig], rows: dict[_Key, dict[str, Any]]) -> dict[_Key, tuple[str, str]]:
    """Send until RMS takes what is left; the refused keys with code and reason. Each round drops a row."""
    version = "2.1" if any(name in row for row in rows.values() for name in _EXTRAS) else "2.0"
    refused: dict[_Key, tuple[str, str]] = {}
    left = dict(rows)
    while left:
        body = {"inventories": list(left.values())}
        answer = post(call, f"/es/{version}/inventories/bulk-upsert", body, intent=Intent.REPEATABLE)
        if answer.status_code == httpx.codes.NO_CONTENT:
            break
        if answer.is_success:
            raise Retry(f"RMS bulk-upsert: HTTP {answer.status_code} where 204 was to come: {answer.excerpt}")
        keys = list(left)
        bad = dict(_bad_rows(answer.json().get("errors") or (), len(keys)))
        for n, said in bad.items():
            refused[keys[n]] = said
            del left[keys[n]]
    return refused


def _bad_rows(errors: Iterable[Mapping[str, Any]], count: int) -> Iterator[tuple[int, tuple[str, str]]]:
    """Index, code and reason of each row named; all rows where RMS names none."""
    named = False
    first: tuple[str, str] = ("400", "RMS refused the batch without a reason")
    for error in errors:
        code = str(error.get("code"))
        said = code, f"RMS {code}: {error.get('message')}"
        place = _ROW.search(str((error.get("metadata") or {}).get("propertyPath", "")))
        if place is not None and int(place[1]) < count:
            named = True
            yield int(place[1]), said
        else:
            first = said
    if not named:
        yield from ((n, first) for n in range(count))


def _unseen(call: Call[RakutenConfig], keys: list[_Key]) -> frozenset[_Key]:
    if not keys:
        return frozenset()
    found = read_stock(call, [{"manageNumber": number, "variantId": variant} for number, variant in keys])
    return frozenset(keys) - {(str(row.get("manageNumber")).lower(), row.get("variantId")) for row in found}
