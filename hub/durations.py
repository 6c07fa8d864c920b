"""Durations as system files write them: 30m, 2h, 1h30m, 1d."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from hub.system_faults import refuse

__all__ = ["Duration"]

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    found = _DURATION.fullmatch(str(value).replace(" ", ""))
    if not value or found is None:
        raise refuse(
            f"長さは 30m、2h、1h30m、1d の形で書いてください({value})。",
            f"A duration is written 30m, 2h, 1h30m or 1d (found {value!r}).",
        )
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, Field(pattern=r"^(\d+[dhms])+$")]),
]
