"""Putting files out so that a repeated delivery never makes a second one, even when the partner has taken the first.

Order of the steps: the file is written to `sent/yyyymm` under a name of our own; then a note says which delivery it
is for and how it will be called; then it is renamed into the partner's folder. The rename is the moment it is sent.
A repeated delivery finds its note. If the file is still where it was made ready, it was not sent: it is renamed now.
If it is gone, it was sent, whether or not the partner has fetched it since. The trigger goes the same way, after it.

The notes stay: they are the record of what was sent, and tell which running number comes next.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import posixpath
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.contract import Batch, Call, Misconfigured, Retry
from connectors.file_exchange.config import FileExchangeConfig, OutInterface
from connectors.file_exchange.inbox import JST
from connectors.transport.files import join

__all__ = ["Outbox"]

_REST = re.compile(r"\.(rest)?\d+$")
_TRIES = 20


@dataclass(frozen=True, slots=True)
class _Note:
    """A file that was made ready: its name at the partner's, and the path without ending of our own copies."""

    name: str
    base: str


class Outbox:
    """The files of one outgoing interface."""

    def __init__(self, call: Call[FileExchangeConfig], interface: OutInterface) -> None:
        self._call = call
        self._files = call.files
        self._interface = interface
        self._now: datetime = call.now().astimezone(JST)

    def send(self, content: bytes, batch: Batch, rows: int) -> str:
        """Put the file out and return its name. The same batch with the same content never gives two files.

        Raises Retry when every name the pattern can make is taken.
        """
        token = _token(batch, content)
        note = self._find(token) or self._prepare(content, batch, rows, token)
        for _ in range(_TRIES):
            if self._publish(note):
                return note.name
            # the name was taken meanwhile: forget this note and take the next number
            self._files.delete(f"{note.base}.json")
            note = self._prepare(content, batch, rows, token, above=note.name)
        raise Retry(
            f"{note.name} is still in {self._interface.folder}: the partner has not fetched the file before"
        )

    def sent_folders(self) -> list[str]:
        """The folders notes of a running delivery may stand in: this month's and the last one's."""
        last = self._now.replace(day=1) - timedelta(days=1)
        return [f"{self._interface.sent_folder}/{month:%Y%m}" for month in (self._now, last)]

    # ------------------------------------------------------------ notes

    def _find(self, token: str) -> _Note | None:
        for folder in self.sent_folders():
            for name in self._names_in(folder, f"*.{token}.json"):
                stem = name.removesuffix(".json")
                return _Note(stem.removesuffix(f".{token}"), join(folder, stem))
        return None

    def _names_in(self, folder: str, pattern: str = "*") -> list[str]:
        try:
            return [info.name for info in self._files.list(folder, pattern)]
        except FileNotFoundError:
            return []

    def _prepare(
        self, content: bytes, batch: Batch, rows: int, token: str, above: str | None = None
    ) -> _Note:
        try:
            self._files.list(self._interface.folder)
        except FileNotFoundError:
            raise self._no_folder() from None  # making `sent` below it would make it, and nobody reads there
        name = self._next_name(batch, above)
        folder = self.sent_folders()[0]
        self._files.make_folder(folder)
        for left in self._names_in(folder, f"*.{token}.data"):
            self._files.delete(join(folder, left))
        note = _Note(name, join(folder, f"{name}.{token}"))
        self._files.write(f"{note.base}.data", content, overwrite=True)
        if self._interface.trigger is not None:
            self._files.write(f"{note.base}.trigger", b"", overwrite=True)
        about = {
            "file": name, "rows": rows, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(),
            "delivery": batch.idempotency_key, "made_at": self._now.isoformat(timespec="seconds"),
        }  # fmt: skip
        self._files.write(f"{note.base}.json", json.dumps(about, ensure_ascii=False).encode(), overwrite=True)
        return note

    def _no_folder(self) -> Misconfigured:
        interface = self._interface
        return Misconfigured(
            f"interface {interface.name}: there is no folder {interface.folder!r} at {self._files.describe()}; "
            "create it or mend `folder`"
        )

    def _next_name(self, batch: Batch, above: str | None) -> str:
        names, day = self._interface.names, batch.business_date or self._now.date()
        if not names.has("seq"):
            return names.write(self._now, day, 0)
        used = [above] if above is not None else []
        used += self._names_in(self._interface.folder)
        for folder in self.sent_folders():
            used += [name.rsplit(".", 2)[0] for name in self._names_in(folder, "*.json")]
        parsed = [found for name in used if (found := names.parse(name)) is not None]
        if self._interface.numbered_daily:
            parsed = [item for item in parsed if item.day == day]
        last = max((item.sequence or 0 for item in parsed), default=0)
        number = 1 if last == names.highest and not self._interface.numbered_daily else last + 1
        return names.write(self._now, day, number)

    # ------------------------------------------------------------ the moment of sending

    def _publish(self, note: _Note) -> bool:
        """Rename what is still here into the partner's folder; false when the name is taken there."""
        folder = self._interface.folder
        try:
            self._files.rename(f"{note.base}.data", join(folder, note.name))
        except FileNotFoundError:
            if self._files.exists(f"{note.base}.data"):
                raise self._no_folder() from None
            # else it was renamed by an earlier attempt: it is sent, whether or not the partner has fetched it
        except FileExistsError:
            return False
        if self._interface.trigger is not None:
            plain = self._interface.trigger_replaces_extension
            stem = posixpath.splitext(note.name)[0] if plain else note.name
            target = join(folder, stem + self._interface.trigger)
            with contextlib.suppress(FileNotFoundError):  # renamed by an earlier attempt as well
                self._files.rename(f"{note.base}.trigger", target, overwrite=True)
        return True


def _token(batch: Batch, content: bytes) -> str:
    """Names a delivery. The hub adds `.rest7` or `.2` to the key when it repeats a part of the batch; rows that were
    refused never were in the file, so the content is still the same.
    """
    key = _REST.sub("", batch.idempotency_key)
    return hashlib.sha256(key.encode() + b"\0" + content).hexdigest()[:16]
