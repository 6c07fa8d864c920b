"""What is wrong with the `allocation` of a system file, beyond its shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mappings.problems import suggestion

if TYPE_CHECKING:
    from hub.system_faults import SystemFault
    from hub.system_file import System

__all__ = ["SHIPMENT", "allocation_faults"]

SHIPMENT = "shipment"
"""`counts.books`: the counts hold an order from when it ships."""


def allocation_faults(system: System, everyone: Iterable[System]) -> Iterator[SystemFault]:
    """A channel that is not named, two files for one channel, a flow that does not exist."""
    said = system.allocation
    if said is None:
        return
    channel = system.constants.get("channel")
    if not isinstance(channel, str):
        if said.model_fields_set - {"counts"}:
            yield system.fault(
                ("allocation",),
                "constants に channel: を書いてください。どのチャネルの配分か分かりません。",
                "Write channel: under constants; this does not say whose share it is.",
            )
    elif said.model_fields_set - {"counts"}:
        for other in everyone:
            theirs = other.allocation
            if (
                other.system < system.system
                and other.constants.get("channel") == channel
                and theirs is not None
                and theirs.model_fields_set - {"counts"}
            ):
                yield system.fault(
                    ("allocation",),
                    f"チャネル {channel} の配分は {other.path.name} にもあります。どちらかにしてください。",
                    f"{other.path.name} shares out for channel {channel} too. Keep one of the two.",
                )
    books = said.counts.books
    if books is not None and books != SHIPMENT:
        flow = system.flows.get(books)
        if flow is None or flow.push is None:
            pushes = [name for name, each in system.flows.items() if each.push]
            ja, en = suggestion(books, [*pushes, SHIPMENT])
            yield system.fault(
                ("allocation", "counts", "books"),
                f"「{books}」という送信フローはありません。{ja}",
                f"There is no flow {books!r} that pushes.{en}",
            )
