"""PyAirbyte, the source: a connector of Airbyte's own kit that reads the orders of a file.

python -m bench.w1.peers.airbyte_source spec | check | discover | read ...      as the protocol says
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.models import ConnectorSpecification
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream

from bench.w1.peers.entities import COLUMNS, KEYS, TABLE, entities

_TEXTS = {"type": "object", "required": ["file", "channel"],
          "properties": {"file": {"type": "string"}, "channel": {"type": "string"}}}  # fmt: skip


class Entities(Stream):
    """Orders as rows of the cache's table."""

    name = TABLE
    primary_key = [*KEYS]  # noqa: RUF012  (as the kit declares it)

    def __init__(self, file: Path, channel: str) -> None:
        self._file, self._channel = file, channel
        super().__init__()

    def get_json_schema(self) -> Mapping[str, Any]:
        return {"type": "object", "properties": {name: {"type": "string"} for name in COLUMNS}}

    def read_records(self, *_args: Any, **_more: Any) -> Iterable[Mapping[str, Any]]:
        for row in entities(self._file, self._channel):
            yield dict(zip(COLUMNS, row, strict=True))


class Orders(AbstractSource):
    def spec(self, *_args: Any) -> ConnectorSpecification:
        return ConnectorSpecification(connectionSpecification=_TEXTS)

    def check_connection(self, _logger: Any, config: Mapping[str, Any]) -> tuple[bool, Any]:
        return Path(config["file"]).is_file(), None

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        return [Entities(Path(config["file"]), config["channel"])]


if __name__ == "__main__":
    launch(Orders(), sys.argv[1:])
