"""dlt: a pipeline with one resource, merged by key into a table of its own.

    python -m bench.w1.peers.dlt_pipeline URL FILE FOLDER CHANNEL text | objects

Merged by `upsert`, without writing rows that did not change, both as dlt documents it. `text` goes its fastest way into
PostgreSQL, "fast loading with arrow tables and parquet": pages as arrow tables, which dlt does not walk through, and
parquet loaded by ADBC. `objects` is what most pipelines are: pages of dicts, normalized by dlt, and CSV loaded by COPY.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from bench.w1.peers.entities import COLUMNS, KEYS, SCHEMA, TABLE, entities, pages
from bench.w1.peers.quiet import quiet

PAGE = 5000


def _text(file: Path, channel: str) -> Iterator[Any]:
    import pyarrow as pa

    for page in pages(entities(file, channel), PAGE):
        yield pa.table(dict(zip(COLUMNS, map(list, zip(*page, strict=True)), strict=True)))


def _objects(file: Path, channel: str) -> Iterator[Any]:
    for page in pages(entities(file, channel), PAGE):
        yield [{"kind": kind, "key": key, "content": orjson.loads(content)} for kind, key, content in page]


def main(url: str, file: Path, folder: Path, channel: str, way: str) -> None:
    # read when the package is imported
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": str(folder)}
    import dlt

    read, file_format, content = {"text": (_text, "parquet", "text"), "objects": (_objects, "csv", "json")}[
        way
    ]
    types = dict.fromkeys(COLUMNS, "text") | {"content": content}
    pipeline = dlt.pipeline(
        "w1", pipelines_dir=str(folder), dataset_name=SCHEMA, destination=dlt.destinations.postgres(url)
    )
    resource = dlt.resource(
        read(file, channel), name=TABLE, primary_key=KEYS, file_format=file_format,
        write_disposition={"disposition": "merge", "strategy": "upsert", "skip_unchanged_rows": True},
        columns={name: {"data_type": data_type, "nullable": False} for name, data_type in types.items()},
    )  # fmt: skip
    with quiet(folder):
        pipeline.run(resource).raise_on_failed_jobs()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], sys.argv[5])
