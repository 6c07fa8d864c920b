from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from connectors.contract import Fault, Record
from connectors.files.csv_codec import read_csv
from connectors.files.layout import Column, CsvLayout, Titles

Read = Callable[..., tuple[list[Record], list[Fault]]]


def layout(*names: str | dict[str, Any], **options: Any) -> CsvLayout:
    columns = tuple(Column(name=n) if isinstance(n, str) else Column(**n) for n in names)
    return CsvLayout(
        layout="test", title=Titles(ja="試験", en="Test"), format="csv", columns=columns, **options
    )


def sorted_out(items: Iterable[Record | Fault]) -> tuple[list[Record], list[Fault]]:
    records: list[Record] = []
    faults: list[Fault] = []
    for item in items:
        if isinstance(item, Record):
            records.append(item)
        else:
            faults.append(item)
    return records, faults


@pytest.fixture
def read() -> Read:
    def run(raw: bytes | str, using: CsvLayout, **options: Any) -> tuple[list[Record], list[Fault]]:
        data = raw.encode("cp932") if isinstance(raw, str) else raw
        return sorted_out(read_csv(io.BytesIO(data), using, **options))

    return run
