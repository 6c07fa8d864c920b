"""PyAirbyte: a source of Airbyte's kit, read into PyAirbyte's cache in PostgreSQL, merged by key.

    python -m bench.w1.peers.airbyte_cache URL FILE FOLDER CHANNEL

Airbyte's registry of connectors is not asked, and no use is reported: the source is a program on this machine.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from bench.w1.peers.entities import SCHEMA
from bench.w1.peers.quiet import quiet


def _executable(folder: Path) -> Path:
    """The source as a program without arguments of its own, which is how PyAirbyte calls one."""
    file = folder / "source-orders"
    file.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bench.w1.peers.airbyte_source "$@"\n', "utf-8")
    file.chmod(0o755)
    return file


def main(url: str, file: str, folder: Path, channel: str) -> None:
    # read when the package is imported
    os.environ |= {
        "AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "AIRBYTE_LOGGING_ROOT": str(folder / "logs"),
        "AIRBYTE_PROJECT_DIR": str(folder), "AIRBYTE_CACHE_ROOT": str(folder / "cache"),
        "AIRBYTE_TEMP_DIR": str(folder),
    }  # fmt: skip
    with quiet(folder):
        _read(url, file, folder, channel)


def _read(url: str, file: str, folder: Path, channel: str) -> None:
    import airbyte
    from airbyte.caches import PostgresCache

    server = urlsplit(url)
    cache = PostgresCache(
        host=server.hostname, port=server.port, username=server.username, password=server.password,
        database=server.path[1:], schema_name=SCHEMA,
    )  # fmt: skip
    source = airbyte.get_source(
        "source-orders", {"file": file, "channel": channel}, local_executable=_executable(folder), streams="*"
    )
    source.read(cache, write_strategy="merge", force_full_refresh=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])
