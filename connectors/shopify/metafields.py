"""Writing metafields of products and customers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from connectors.outcomes import Row
from connectors.shopify.api import Api

__all__ = ["MetafieldRow", "put_metafields", "values_of"]

_AT_ONCE = 25
"""metafieldsSet takes no more in one call."""


class MetafieldRow(Row):
    """A metafield: `key` is "namespace.key"; `type` is only needed where the shop has no definition for it."""

    key: Annotated[str, Field(pattern=r"^[^.]+\.[^.]+$")]
    value: str
    type: str | None = None


def put_metafields(
    api: Api,
    owner: str,
    wanted: Iterable[MetafieldRow],
    allowed: Sequence[str],
    present: Mapping[str, str],
) -> None:
    """Write those metafields that the settings name and whose value is another; the others stay as they are."""
    changed = [row for row in wanted if row.key in allowed and present.get(row.key) != row.value]
    inputs: list[dict[str, Any]] = []
    for row in changed:
        namespace, _, key = row.key.partition(".")
        one = {"ownerId": owner, "namespace": namespace, "key": key, "value": row.value}
        inputs.append(one | {"type": row.type} if row.type else one)
    for start in range(0, len(inputs), _AT_ONCE):
        api.mutate("SetMetafields", repeatable=True, metafields=inputs[start : start + _AT_ONCE])


def values_of(node: Mapping[str, Any]) -> dict[str, str]:
    """namespace.key -> value of a thing that was read with its metafields."""
    found = (node.get("metafields") or {}).get("nodes") or ()
    return {f"{one['namespace']}.{one['key']}": one["value"] for one in found}
