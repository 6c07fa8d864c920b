"""Rows that belong together, brought together: for files whose sender does not sort them.

Records wait in a temporary file; only their keys and places are held in memory (about 150 bytes a row).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence

from connectors.contract import Fault, Record

__all__ = ["bring_together"]


def bring_together(items: Iterable[Record | Fault], columns: Sequence[str]) -> Iterator[Record | Fault]:
    """The same items, those with equal values in `columns` next to each other, in the order of their first ones.

    A fault goes where its hint says it belongs; one without a hint comes before all others.
    """
    order: dict[tuple[str, ...], int] = {}
    index: list[tuple[int, int, int]] = []
    faults: list[Fault] = []
    with tempfile.TemporaryFile() as store:
        for number, item in enumerate(items):
            data = item.data if isinstance(item, Record) else item.hint
            if isinstance(item, Fault):
                if data is None or columns[0] not in data:
                    yield item
                    continue
                faults.append(item)
                place = -len(faults)
            else:
                place = store.tell()
                store.write(json.dumps([dict(item.data), item.position, item.notes]).encode() + b"\n")
            assert data is not None
            key = tuple(str(data.get(column, "")) for column in columns)
            index.append((order.setdefault(key, len(order)), number, place))
        for _, _, place in sorted(index):
            if place < 0:
                yield faults[-place - 1]
                continue
            store.seek(place)
            data, position, notes = json.loads(store.readline())
            yield Record(data, position, tuple(notes))
