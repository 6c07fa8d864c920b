"""W1 by hand: csv, dicts, COPY, and a set-based diff; what one writes for one job.

python -m bench.w1.by_hand URL FILE NAME
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

from bench.w1.filling import Filling, run
from bench.w1.order_map import mapped
from bench.w1.store import CHANNEL


def take(filling: Filling, file: Path) -> None:
    raw = file.read_bytes()
    filling.intake(raw)
    text = raw.decode("cp932", "replace")
    del raw
    refused: list[str] = []

    def staged() -> Iterator[bytes]:
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        for number, position, content in mapped(text, CHANNEL):
            if content is None:
                refused.append(number)
                continue
            hashed = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), signed=True)
            writer.writerow((number, f"{CHANNEL}/{number}", position, content.decode(), hashed, hashed))
            if buffer.tell() > 1 << 18:
                yield buffer.getvalue().encode()
                buffer.seek(0)
                buffer.truncate()
        yield buffer.getvalue().encode()

    filling.stage(staged())
    filling.write(refused)


if __name__ == "__main__":
    run(take)
