"""What the mapping files of file exchange cannot say: sums over rows, and looking one thing up in another.

Pure functions of the record or entity; a wrong number in a row raises TransformFault naming it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mappings.faults import TransformFault
from mappings.transforms.numbers import to_integer

__all__ = [
    "first_of_parcel",
    "of_recipient",
    "open_lines",
    "open_units",
    "shipped_lines",
    "street_of_recipient",
    "to_ship",
    "units",
]

Row = Mapping[str, Any]
_GOOD = ("1", "01", "良品", "")
_HELD = ("3", "03", "保留", "検品待ち", "隔離")


def _whole(row: Row, column: str) -> int:
    try:
        return to_integer(row.get(column)) or 0
    except TransformFault:
        raise TransformFault("not_an_integer", value=row.get(column), column=column) from None


def _quality(row: Row) -> str:
    code = str(row.get("品質区分ID") or "").strip()
    return "good" if code in _GOOD else "held" if code in _HELD else "defective"


def units(rows: Sequence[Row], column: str, quality: str) -> int:
    """Sum of `column` over the rows of one quality: good (1), held (3), defective (all others)."""
    return sum(_whole(row, column) for row in rows if _quality(row) == quality)


# ---------------------------------------------------------------- orders out


def _recipient(order: Mapping[str, Any], recipient_id: str | None) -> Mapping[str, Any]:
    wanted = recipient_id or "1"
    found: Mapping[str, Any]
    for found in order.get("recipients", ()):
        if found.get("id") == wanted:
            return found
    return {}


def of_recipient(order: Mapping[str, Any], recipient_id: str | None, path: str) -> Any:
    """What stands at a dotted path of the recipient with this id; None when a step is missing."""
    found: Any = _recipient(order, recipient_id)
    for step in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return found


def street_of_recipient(order: Mapping[str, Any], recipient_id: str | None) -> str | None:
    """City, town and street in one; an address that could not be divided, as it came."""
    address = of_recipient(order, recipient_id, "party.address") or {}
    parts = [address.get(part) for part in ("city", "town", "street")]
    return "".join(part for part in (*parts, *address.get("lines", ())) if part) or None


def open_units(line: Mapping[str, Any]) -> int:
    """Units of an order line still to be shipped."""
    quantity = line.get("quantity") or {}
    left: int = quantity.get("ordered", 0) - quantity.get("cancelled", 0) - quantity.get("shipped", 0)
    return max(left, 0)


def to_ship(order: Mapping[str, Any], line: Mapping[str, Any]) -> bool | None:
    """True for a line with units left that goes to a recipient who is named, else None."""
    ready = _recipient(order, line.get("recipient_id")).get("ready", True)
    return True if ready and open_units(line) else None


def open_lines(order: Mapping[str, Any]) -> int | None:
    """How many lines of an order can be shipped now; None for none."""
    return sum(to_ship(order, line) is not None for line in order.get("lines", ())) or None


# ---------------------------------------------------------------- shipments in


def shipped_lines(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows of one instruction as shipment lines: shipped units summed per line, missing units as told."""
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        sku, line = str(row.get("商品コード") or "").strip(), str(row.get("行番号") or "").strip()
        if not sku:
            raise TransformFault("required", column="商品コード")
        found = lines.setdefault(
            (line, sku), {"line_id": line or None, "sku": sku, "quantity": 0, "short": 0}
        )
        found["quantity"] += _whole(row, "出荷数")
        # told again on the row of each parcel, so the largest counts and not the sum
        found["short"] = max(found["short"], _whole(row, "欠品数"))
    return list(lines.values())


def first_of_parcel(rows: Sequence[Row], index: int) -> bool | None:
    """True for the first row that names a parcel, None for its other rows and for rows without one."""
    number = str(rows[index].get("送り状番号") or "").replace("-", "").strip()
    earlier = {str(row.get("送り状番号") or "").replace("-", "").strip() for row in rows[:index]}
    return True if number and number not in earlier else None
