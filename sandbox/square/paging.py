"""Cursors: opaque, good for one query only, and for a while."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.square.answers import no

__all__ = ["Pages"]


@dataclass
class Pages:
    """The lists somebody is reading: each as it was when its first page was given."""

    lifetime: timedelta = timedelta(minutes=5)
    _open: dict[str, tuple[str, list[str], datetime]] = field(default_factory=dict)

    def cut(
        self, query: Mapping[str, Any], rows: Sequence[str], limit: int, now: datetime
    ) -> tuple[list[str], str | None]:
        """The ids of one page and the cursor of the next. `rows` is the whole list, read for a first page only.

        Raises `Refusal` (INVALID_CURSOR) for a cursor of another query, one never given, or one that is too old.
        """
        asked = {name: value for name, value in query.items() if name not in ("cursor", "limit")}
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        cursor = query.get("cursor")
        if cursor:
            kept = self._open.get(cursor)
            if kept is None or kept[0] != digest or now - kept[2] > self.lifetime:
                raise no("INVALID_CURSOR", "The pagination cursor is invalid.", "cursor")
            left = kept[1]
        else:
            left = list(rows)
        page, rest = left[:limit], left[limit:]
        if not rest:
            return page, None
        following = hashlib.sha256(f"{digest}{rest}".encode()).hexdigest()[:40]
        self._open[following] = (digest, rest, now)
        return page, following
