"""Cursors: opaque to the caller, checked by us. They grant nothing, so they are not signed."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import orjson

from hub.api.problems import Problem
from hub.feed import FeedPosition
from hub.words import Words

__all__ = ["feed_cursor", "feed_position", "key_behind", "search_cursor"]

_HIGHEST = 2**63 - 1


def search_cursor(kind: str, wanted: Mapping[str, Any], behind: str) -> str:
    """Where a search goes on: behind this key."""
    return _pack(["k", _digest(kind, wanted), behind])


def key_behind(kind: str, wanted: Mapping[str, Any], cursor: str) -> str:
    """The key behind which the search goes on. Raises a Problem (400) for the cursor of another search."""
    match _unpack(cursor):
        case ["k", str(digest), str(behind)] if "\0" not in behind:
            if digest != _digest(kind, wanted):
                raise Problem(
                    "bad_cursor",
                    Words(
                        "このカーソルは別の検索のものです。最初と同じ条件を送ってください。",
                        "This cursor belongs to another search: send the same filters as at first.",
                    ),
                )
            return behind
    raise Problem("bad_cursor")


def feed_cursor(position: FeedPosition) -> str:
    """Where the change feed goes on."""
    return _pack(["f", position.xid, position.seq])


def feed_position(cursor: str) -> FeedPosition:
    """The position a cursor stands for. Raises a Problem (400)."""
    match _unpack(cursor):
        case ["f", int(xid), int(seq)] if 0 <= xid <= _HIGHEST and 0 <= seq <= _HIGHEST:
            return FeedPosition(xid, seq)
    raise Problem("bad_cursor")


def _digest(kind: str, wanted: Mapping[str, Any]) -> str:
    content = orjson.dumps([kind, dict(wanted)], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _pack(parts: list[Any]) -> str:
    return urlsafe_b64encode(orjson.dumps(parts)).rstrip(b"=").decode()


def _unpack(cursor: str) -> Any:
    try:
        return orjson.loads(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except ValueError:  # no ASCII, no base64, no JSON
        return None
