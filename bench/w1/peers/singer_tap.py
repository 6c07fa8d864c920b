"""Singer, the tap: the orders of a file as RECORD messages, written with Meltano's SDK.

    python -m bench.w1.peers.singer_tap --config FILE      with `file` and `channel`

Set for speed as the SDK documents it: messages are encoded by msgspec, and records, which are three strings each, are
not walked through to conform their types.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from singer_sdk import Stream, Tap, typing as th
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.helpers.conform import TypeConformanceLevel

from bench.w1.peers.entities import COLUMNS, KEYS, TABLE, entities


class Entities(Stream):
    """Orders as rows of the target's table."""

    name = TABLE
    primary_keys: ClassVar[list[str]] = [*KEYS]
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        *(th.Property(name, th.StringType, required=True) for name in COLUMNS)
    ).to_dict()
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:  # noqa: ARG002
        for row in entities(Path(self.config["file"]), self.config["channel"]):
            yield dict(zip(COLUMNS, row, strict=True))


class TapOrders(Tap):
    name = "tap-orders"
    message_writer_class = MsgSpecWriter
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("file", th.StringType, required=True),
        th.Property("channel", th.StringType, required=True),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        return [Entities(self)]


if __name__ == "__main__":
    TapOrders.cli()
