"""What overtakes: changes after which somebody may sell, ship or charge what is no longer there.

Decided from the change itself, in the statement that writes it: `o` is the entity as it was, `s` as it is written.
A kind without a rule is never urgent and costs nothing.
"""

from __future__ import annotations

__all__ = ["RULES", "urgent_sql"]

_UNITS = (
    "coalesce(({0}.content ->> 'on_hand')::int, 0) - coalesce(({0}.content ->> 'allocated')::int, 0)"
    " - coalesce(({0}.content ->> 'safety_stock')::int, 0)"
)
_CANCELLED = (
    "({0}.content ->> 'confirmation' IS NOT DISTINCT FROM 'cancelled' OR {0}.content ? 'cancelled_at')"
)

RULES = {
    # fewer units can be sold, or what is missing can no longer be ordered
    "stock_position": f"({_UNITS.format('s')}) < ({_UNITS.format('o')})"
    " OR (o.content ? 'backorderable' AND NOT s.content ? 'backorderable')",
    "order": f"{_CANCELLED.format('s')} AND NOT {_CANCELLED.format('o')}",
}
"""Entity kind -> SQL condition over `o` (was) and `s` (is). Contents leave out defaults."""


def urgent_sql(kind: str) -> str | None:
    """The condition under which a new version of this kind is urgent; None: never."""
    rule = RULES.get(kind)
    return None if rule is None else f"coalesce({rule}, false)"
