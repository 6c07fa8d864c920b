"""Singer, the tap: the orders of a file as RECORD messages, written with Meltano's SDK.

    python -m bench.w1.peers.singer_tap --config FILE      with `file`, `channel`, `contents`: text or objects

Set for speed as the SDK documents it: messages are encoded by msgspec, and records are not walked through to conform
their types.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import orjson
from singer_sdk import Stream, Tap, typing as th
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.helpers.conform import TypeConformanceLevel

from bench.w1.peers.entities import COLUMNS, KEYS, TABLE, entities


class Entities(Stream):
    """Orders as rows of the target's table."""

    name = TABLE
    primary_keys: ClassVar[list[str]] = [*KEYS]
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: Tap) -> None:
        text = tap.config["contents"] == "text"
        self._content = str if text else orjson.loads
        content = th.StringType if text else th.ObjectType(additional_properties=True)
        types = dict.fromkeys(COLUMNS, th.StringType) | {"content": content}
        columns = [th.Property(name, type_, required=True) for name, type_ in types.items()]
        super().__init__(tap, schema=th.PropertiesList(*columns).to_dict())

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:  # noqa: ARG002
        for kind, key, content in entities(Path(self.config["file"]), self.config["channel"]):
            yield {"kind": kind, "key": key, "content": self._content(content)}


class TapOrders(Tap):
    name = "tap-orders"
    message_writer_class = MsgSpecWriter
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        *(th.Property(name, th.StringType, required=True) for name in ("file", "channel", "contents"))
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        return [Entities(self)]


if __name__ == "__main__":
    TapOrders.cli()
