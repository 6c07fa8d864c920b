"""How a channel shares the stock: strategies with defaults, written as data in the system file.

    allocation:
      policy: share             # shared (default) | share | priority
      share: 30%
      buffer: 2                 # units kept back in front of any policy
      at_most: 50               # never shows more
      locations: [EAST, S01]    # sells from here only; without it: from all that sell online
      offers: listed            # listed (default): SKUs with a listing | everything that is counted
      skus:
        SHIRT-01: {buffer: 0}   # the rest as above
        SHIRT-02: {stop: true}
      counts:                   # of a system that counts stock, see docs/stock.md
        books: instructions
        books_after: 30m
        age: 30m

Every strategy comes down to one `Cut`, so that PostgreSQL (`hub.stock.derive`, `hub.stock.reservations`) and Python
work out the same number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from hub.durations import Duration
from hub.system_faults import refuse

__all__ = [
    "ALL",
    "BOOKS_AFTER",
    "COUNT_AGE",
    "NO_LIMIT",
    "STRATEGIES",
    "Allocation",
    "Counts",
    "Cut",
    "Offer",
    "Rule",
]

ALL = 10_000
"""The whole, in ten-thousandths."""
NO_LIMIT = 2**53
BOOKS_AFTER = timedelta(minutes=30)
COUNT_AGE = timedelta(minutes=30)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)%?")


class Offer(NamedTuple):
    """What a channel shows of `free` units, and where the rest went."""

    quantity: int
    buffer: int
    withheld: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What every strategy comes down to. All in units but `share`, which is in ten-thousandths.

    leave  shows nothing while no more than so many are there
    """

    policy: str = "shared"
    buffer: int = 0
    share: int = ALL
    leave: int = 0
    at_most: int = NO_LIMIT

    def offer(self, free: int) -> Offer:
        """Never below zero, never above `free`, and never less when more is free."""
        there = max(free, 0)
        kept = min(self.buffer, there)
        left = there - kept
        shown = min(left * self.share // ALL, self.at_most) if left > self.leave else 0
        return Offer(shown, kept, left - shown)


def _percent(value: Any) -> Any:
    found = _PERCENT.fullmatch(str(value).strip())
    parts = None if found is None else round(float(found[1]) * 100)
    if parts is None or parts > ALL:
        raise refuse(
            f"割合は 30% のように 0% から 100% で書いてください({value})。",
            f"A share is written 30%, from 0% to 100% (found {value!r}).",
        )
    return parts


_Share = Annotated[
    int,
    BeforeValidator(
        _percent, json_schema_input_type=Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,2})?%$")] | float
    ),
]
_Units = Annotated[int, Field(ge=0)]
_Strict = ConfigDict(frozen=True, extra="forbid")


class Rule(BaseModel):
    """配分の決まり / how many of the free units are shown."""

    model_config = _Strict

    policy: Literal["shared", "share", "priority"] = Field(
        "shared",
        description="shared: 全数 / all; share: 割合 / a part; priority: 残りわずかなら上位に譲る / by rank",
    )
    share: _Share = Field(
        ALL, description="policy: share の割合 / the part, such as 30%", validate_default=False
    )
    rank: int = Field(1, ge=1, le=99, description="policy: priority の順位 / 1 sells to the last unit")
    last_units: _Units = Field(
        3, description="policy: priority。1順位ごとに譲る数 / units left to each rank before"
    )
    buffer: _Units = Field(0, description="このチャネルの予備 / units kept back")
    at_most: _Units | None = Field(None, description="表示の上限 / never shows more")
    stop: bool = Field(False, description="販売停止 / shows none")

    @model_validator(mode="after")
    def _fits(self) -> Rule:
        if "share" in self.model_fields_set and self.policy != "share":
            raise refuse(
                "share を使うには policy: share と書いてください。", "For a share, write policy: share."
            )
        if self.policy == "share" and "share" not in self.model_fields_set:
            raise refuse("share: 30% のように割合を書いてください。", "Write the share, such as share: 30%.")
        return self

    def cut(self) -> Cut:
        """The strategy worked out."""
        most = 0 if self.stop else NO_LIMIT if self.at_most is None else self.at_most
        share, leave = STRATEGIES[self.policy](self)
        return Cut("stop" if self.stop else self.policy, self.buffer, share, leave, most)

    def with_changes(self, changed: Rule) -> Rule:
        """This rule with what an override says for itself."""
        return self.model_copy(update={name: getattr(changed, name) for name in changed.model_fields_set})


STRATEGIES: Mapping[str, Callable[[Rule], tuple[int, int]]] = {
    "shared": lambda _: (ALL, 0),
    "share": lambda rule: (rule.share, 0),
    "priority": lambda rule: (ALL, rule.last_units * (rule.rank - 1)),
}
"""Policy -> (share in ten-thousandths, units to leave)."""


class Counts(BaseModel):
    """在庫を数えるシステム / of a system that counts stock: from when its counts hold an order."""

    model_config = _Strict

    books: str | None = Field(
        None,
        description="受注を渡すフロー名、または shipment(出荷時)。省略時は受注を送るフロー / the flow that tells it of "
        "orders, or shipment",
    )
    books_after: Duration = Field(
        BOOKS_AFTER, description="受理から計上まで / from accepting an order to holding it in its counts"
    )
    age: Duration = Field(
        COUNT_AGE,
        description="日時のない在庫が届いた時の古さ / how old a count without a time is when it comes",
    )


class Allocation(Rule):
    """在庫の配分 / how this system's channel shares the stock, and when its counts hold an order."""

    locations: list[str] = Field(
        default=[], description="販売元の拠点 / sells from these; default: all online ones"
    )
    offers: Literal["listed", "everything"] = Field(
        "listed", description="出品のあるSKUのみ、または全SKU / SKUs with a listing, or all that are counted"
    )
    skus: dict[str, Rule] = Field(default={}, description="SKUごとの例外 / per SKU")
    counts: Counts = Counts()
