"""Signed events that are ready on the wire before a clock runs."""

from __future__ import annotations

import hmac

import orjson

from bench.w4.shop import HEADER, SECRET

__all__ = ["bodies", "signed"]

_LINES = [
    {"sku": f"TS-{n:04d}-BL", "name": f"オーガニックコットンTシャツ 半袖 モデル{n}", "bin": f"A-{n % 7}-{n % 13:02d}",
     "lot": f"L{20260000 + 37 * n}", "by": f"hall-{n % 3}", "at": f"2026-11-{1 + n % 28:02d}T09:{n:02d}:00+09:00"}
    for n in range(17)
]  # fmt: skip


def bodies(run: str, count: int) -> list[tuple[str, bytes]]:
    """So many events of about 3 kB: their ids, and what is sent."""
    note = orjson.dumps(_LINES).decode()
    return [
        (event_id, orjson.dumps({
            "id": event_id, "stock": {"sku": f"S{n % 500}", "location": "W1", "on_hand": n, "note": note}
        }))
        for n in range(count)
        for event_id in (f"{run}-{n}",)
    ]  # fmt: skip


def signed(body: bytes) -> bytes:
    """The call as bytes on the wire."""
    signature = hmac.digest(SECRET.encode(), body, "sha256").hex()
    head = (
        f"POST /webhooks/north HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\n{HEADER}: {signature}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
