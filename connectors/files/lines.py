"""The lines of a file as text, read in chunks, with the bytes of the newest ones kept.

A parser that stumbles can ask for the bytes of a row, and start again at any line that is still kept: that is how
one bad row never stops the others. Memory stays at a few chunks however large the file is.
"""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO

from connectors.files.charset import may_hold_trouble

__all__ = ["CHUNK", "Chunk", "Lines"]

CHUNK = 1 << 20
"""Bytes read at once. Smaller costs time per row, larger only memory."""

_END_OF_FILE = b"\x1a"  # CP/M's and DOS's end of file, still written by old tools


@dataclass(slots=True)
class Chunk:
    """Whole lines of the file. `first` is the 1-based number of its first line, `count` how many they are; `offset`
    is where it stands in the stream. `text` is made when it is asked for.
    """

    first: int
    count: int
    offset: int
    raw: bytes
    text: str | None = None

    def lines(self, skip: int) -> Iterator[str]:
        # newline="\n": only LF ends a line; CR, VT, FS and U+0085 inside a value are left alone
        return islice(io.StringIO(self.text, newline="\n"), skip, None)

    def begin_of(self, line: int) -> int:
        """Where a line begins in `raw`: of one before the chunk its start, of one behind it its end."""
        before = line - self.first
        if before <= 0:
            return 0
        return (
            len(self.raw) - len(self.raw.split(b"\n", before)[-1]) if before < self.count else len(self.raw)
        )


class Lines:
    """Lines of `stream` decoded with `codec`, undecodable bytes as lone surrogates (U+DC80..U+DCFF).

    at        first line still needed; move it on, older chunks are dropped
    tainted   last line of a chunk in which something was found that needs a closer look; `sound` says of its lines
              whether it was in them
    last      number of the last line once its chunk was read, else None
    cut       the last line has no line end

    `first` is the number of the stream's first line; of a piece out of the midst of a file `whole` is false: a mark
    at its end is no end of the file.
    """

    def __init__(
        self, stream: IO[bytes], codec: str, first: int = 1, whole: bool = True, *, chunk_size: int = CHUNK
    ) -> None:
        self._stream = stream
        self._codec = codec
        self._chunk_size = chunk_size
        self._kept: deque[Chunk] = deque()
        self._next_line = first
        self._next_offset = 0
        self._whole = whole
        self._blocks = self._whole_lines()
        self.at = first
        self.tainted = 0
        self._suspects: set[int] = set()
        self.last: int | None = None
        self.cut = False
        self._ended = False

    def since(self, line: int) -> Iterator[str]:
        """The lines from `line` on. Only the newest iterator may be used."""
        return chain.from_iterable(self._chunks_since(line))

    def one_by_one(self, line: int) -> Iterator[str]:
        """The lines from `line` on, each decoded when it is asked for. `tainted` and `sound` hear nothing of them."""
        for chunk in self._chunks(line):
            begin = chunk.begin_of(line)
            while begin < len(chunk.raw):
                end = chunk.raw.find(b"\n", begin) + 1 or len(chunk.raw)
                yield chunk.raw[begin:end].decode(self._codec, "surrogateescape")
                begin = end
            line = chunk.first + chunk.count

    def raw(self, first: int, last: int) -> bytes:
        """The bytes of the lines `first` to `last`, as far as they are kept."""
        return b"".join(
            chunk.raw[chunk.begin_of(first) : chunk.begin_of(last + 1)]
            for chunk in self._kept
            if chunk.first <= last and chunk.first + chunk.count > first
        )

    def chunks(self) -> Iterator[Chunk]:
        """The chunks from `at` on, not decoded. Move `at` on to have those behind it dropped."""
        return self._chunks(self.at)

    def _chunks(self, line: int) -> Iterator[Chunk]:
        while (chunk := self._holding(line)) is not None:
            yield chunk
            line = chunk.first + chunk.count

    def _chunks_since(self, line: int) -> Iterator[Iterator[str]]:
        for chunk in self._chunks(line):
            if chunk.text is None:
                self._decode(chunk)
            yield chunk.lines(max(line - chunk.first, 0))

    def _holding(self, line: int) -> Chunk | None:
        for chunk in self._kept:
            if chunk.first <= line < chunk.first + chunk.count:
                return chunk
        return self._load()

    def _load(self) -> Chunk | None:
        raw = next(self._blocks, None)
        if raw is None:
            return None
        while self._kept and self._kept[0].first + self._kept[0].count <= self.at:
            self._kept.popleft()
            if self._suspects:
                self._suspects = {number for number in self._suspects if number >= self.at}
        count = raw.count(b"\n") + (not raw.endswith(b"\n"))
        chunk = Chunk(self._next_line, count, self._next_offset, raw)
        self._next_line += count
        self._next_offset += len(raw)
        if self._ended:
            self.last = self._next_line - 1
        self._kept.append(chunk)
        return chunk

    def sound(self, first: int, last: int) -> bool:
        """Whether nothing in these lines needs a closer look."""
        return self._suspects.isdisjoint(range(first, last + 1))

    def _decode(self, chunk: Chunk) -> None:
        try:
            chunk.text = chunk.raw.decode(self._codec)
        except UnicodeDecodeError:
            # line by line: a lead byte at a line's end must not swallow the line break of the next row
            chunk.text = "".join(line.decode(self._codec, "surrogateescape") for line in _split(chunk.raw))
        else:
            if not _is_suspect(chunk.text):
                return
        self.tainted = max(self.tainted, chunk.first + chunk.count - 1)
        lines = enumerate(io.StringIO(chunk.text, newline="\n"), chunk.first)
        self._suspects.update(number for number, line in lines if _is_suspect(line))

    def _whole_lines(self) -> Iterator[bytes]:
        """Blocks that end with a line end, save perhaps the last. A DOS end-of-file mark at the very end is dropped."""
        tail = b""
        ahead = self._stream.read(self._chunk_size)
        while ahead:
            block, ahead = ahead, self._stream.read(self._chunk_size)
            if not ahead:
                block = _without_end_mark(tail + block) if self._whole else tail + block
                self._ended = True
                self.cut = bool(block) and not block.endswith(b"\n")
                if block:
                    yield block
                return
            end = block.rfind(b"\n") + 1
            if end:
                yield tail + block[:end]
                tail = block[end:]
            else:
                tail += block


_UNDECODED = re.compile("[\udc80-\udcff]")


def _is_suspect(text: str) -> bool:
    # 4.90E+12 in an id column is what Excel leaves of a JAN
    return (
        may_hold_trouble(text) or "E+" in text or (not text.isascii() and _UNDECODED.search(text) is not None)
    )


def _split(raw: bytes) -> list[bytes]:
    """Lines with their LF; `bytes.splitlines` would also split at a lone CR."""
    lines = raw.split(b"\n")
    last = lines.pop()
    result = [line + b"\n" for line in lines]
    return [*result, last] if last else result


def _without_end_mark(block: bytes) -> bytes:
    bare = block.rstrip(b"\r\n")
    if bare.endswith(_END_OF_FILE):
        return bare.rstrip(_END_OF_FILE)
    return block
