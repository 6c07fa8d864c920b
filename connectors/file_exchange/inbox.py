"""Taking files in: when they are ready, in their order, each exactly once.

A file goes `folder` -> `processing` (our claim, a rename no other worker can win too) -> `done/yyyymmdd`. A crash
leaves it in `processing`; the next run takes it up from there. Whether the hub had stored it already is told by its
SHA-256, so a crash just before or just after storing ends the same way. The hub runs one pull of a flow at a time.
"""

from __future__ import annotations

import hashlib
import posixpath
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import BinaryIO

from connectors.contract import Call, Misconfigured, Page, Refused, Retry
from connectors.file_exchange.config import FileExchangeConfig, InInterface
from connectors.file_exchange.formats import layout_of, looks_complete
from connectors.file_exchange.patterns import NamePattern, ParsedName
from connectors.files.layout import CsvLayout
from connectors.transport.files import FileInfo, join

__all__ = ["Inbox"]

JST = timezone(timedelta(hours=9), "JST")
_MANY = 10_000
_BLANK = b"\r\n\x1a\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is to be done with a file: taken in, or moved to `place` without that; `note` for the operator."""

    take: bool
    note: str | None = None
    place: str = "done"


class Inbox:
    """The files of one interface, in order. Iterate `pages()`; each page is archived when the next is asked for."""

    def __init__(self, call: Call[FileExchangeConfig], interface: InInterface) -> None:
        self._call = call
        self._files = call.files
        self._interface = interface
        self._names: NamePattern = interface.names
        self._seen = call.files_seen
        self._media_type = (
            "text/csv" if isinstance(layout_of(call.config, interface.layout), CsvLayout) else "text/plain"
        )

    def pages(self) -> Iterator[Page]:
        """One page per file. Raises Retry at the end when a numbered file is missing and must be waited for."""
        released = self._call.params.get("release")
        if released is not None:
            yield from self._release(str(released))
            return
        folder = self._interface.folder
        try:
            waiting = self._ready(self._files.list(folder))
        except FileNotFoundError:
            raise Misconfigured(
                f"interface {self._interface.name}: there is no folder {folder!r} at {self._files.describe()}; "
                "create it or mend `folder`"
            ) from None
        for which in ("processing", "done"):
            self._files.make_folder(self._interface.place(which))
        for left in self._parsed(self._files.list(self._interface.place("processing"))):
            yield from self._one(left, leftover=True)
        for parsed in waiting:
            missing = self._gap(parsed)
            if (
                missing is not None
                and self._interface.gap == "wait"
                and not self._call.params.get("accept_gap")
            ):
                raise Retry(
                    f"{self._interface.name}: {parsed.name} waits because {missing} has not come "
                    f"({parsed.name} は {missing} の到着待ちです). Ask the sender for it, or run the flow with "
                    "accept_gap to go on without it"
                )
            if self._claim(parsed.name):
                yield from self._one(parsed, missing=missing)

    # ------------------------------------------------------------ which files, and when

    def _parsed(self, files: list[FileInfo]) -> list[ParsedName]:
        found = (self._names.parse(info.name) for info in files)
        return sorted((parsed for parsed in found if parsed is not None), key=lambda parsed: parsed.order)

    def _ready(self, files: list[FileInfo]) -> list[ParsedName]:
        ready = self._interface.ready
        parsed = self._parsed(files)
        if ready.rule == "trigger":
            there = {info.name for info in files}
            return [item for item in parsed if self._trigger(item.name) in there]
        if ready.rule == "stable":
            return self._stable(files, parsed)
        if ready.rule == "trailer":
            return [item for item in parsed if self._has_trailer(item.name)]
        return parsed

    def _trigger(self, name: str) -> str:
        ready = self._interface.ready
        return (posixpath.splitext(name)[0] if ready.replaces_extension else name) + ready.suffix

    def _stable(self, files: list[FileInfo], parsed: list[ParsedName]) -> list[ParsedName]:
        same = {info.name: (info.size, info.modified) for info in files}
        for _ in range(self._interface.ready.polls - 1):
            time.sleep(self._interface.ready.every)
            now = {info.name: (info.size, info.modified) for info in self._files.list(self._interface.folder)}
            same = {name: state for name, state in same.items() if now.get(name) == state}
        return [item for item in parsed if item.name in same]

    def _has_trailer(self, name: str) -> bool:
        layout = layout_of(self._call.config, self._interface.layout)
        with self._files.open_read(join(self._interface.folder, name)) as stream:
            return looks_complete(stream, layout)

    def _gap(self, parsed: ParsedName) -> str | None:
        """The number(s) that should have come before this file; None when it is the next one."""
        interface = self._interface
        if interface.sequence == "none" or self._seen is None or parsed.sequence is None:
            return None
        daily = interface.sequence == "daily"
        last = self._seen.last_sequence(parsed.before_sequence if daily else parsed.start)
        if last is None:
            if not daily:
                return None  # the first file ever: a running number may start anywhere
            last = 0
        if last == self._names.highest:
            return None  # 999 is followed by 001, and anything may be the next by now
        if last + 1 >= parsed.sequence:
            return None
        if parsed.sequence - last > _MANY:
            return f"{last + 1}..{parsed.sequence - 1}"
        missing = sorted(set(range(last + 1, parsed.sequence)) - self._put_away(parsed, daily))
        if not missing:
            return None
        return f"{missing[0]}" if len(missing) == 1 else f"{missing[0]}..{missing[-1]}"

    def _put_away(self, parsed: ParsedName, daily: bool) -> set[int]:
        """Numbers that came and were put away without being taken in: skipped as a repetition, held, rejected."""
        today = self._call.now().astimezone(JST)
        days = (f"{self._interface.place('done')}/{day:%Y%m%d}" for day in (today, today - timedelta(days=1)))
        numbers: set[int] = set()
        for folder in (*days, self._interface.place("held"), self._interface.place("error")):
            for other in self._parsed(self._listed(folder)):
                same = (
                    other.before_sequence == parsed.before_sequence if daily else other.start == parsed.start
                )
                if same and other.sequence is not None:
                    numbers.add(other.sequence)
        return numbers

    def _listed(self, folder: str) -> list[FileInfo]:
        try:
            return self._files.list(folder)
        except FileNotFoundError:
            return []

    # ------------------------------------------------------------ one file

    def _claim(self, name: str) -> bool:
        """Move a file to `processing`; false when another worker was faster."""
        source = join(self._interface.folder, name)
        target = join(self._interface.place("processing"), name)
        try:
            self._files.rename(source, target)
        except FileNotFoundError:
            return False
        except FileExistsError:
            # the same name is still in processing: it was just taken up as a leftover by another worker
            return False
        return True

    def _one(
        self, parsed: ParsedName, *, leftover: bool = False, missing: str | None = None
    ) -> Iterator[Page]:
        path = join(self._interface.place("processing"), parsed.name)
        try:
            with self._files.open_read(path) as stream:
                verdict = self._judge(parsed, stream, leftover, missing)
                if verdict.take:
                    stream.seek(0)
                    yield self._page(parsed, stream, verdict.note)
        except FileNotFoundError:
            return  # another worker has finished it
        self._archive(path, parsed.name, verdict)
        if not verdict.take and verdict.note is not None:
            yield Page(cursor=None, name=parsed.name, note=verdict.note)

    def _page(self, parsed: ParsedName, stream: BinaryIO, note: str | None) -> Page:
        return Page(
            cursor=None, raw=stream, name=parsed.name, media_type=self._media_type, sequence=parsed.sequence,
            complete=self._interface.snapshot, note=note,
        )  # fmt: skip

    def _judge(self, parsed: ParsedName, stream: BinaryIO, leftover: bool, missing: str | None) -> _Verdict:
        name = parsed.name
        digest, empty = _digest(stream)
        if self._seen is None:
            return _Verdict(take=True)
        before = self._seen.by_name(name)
        if empty:
            if leftover and before is not None and before.sha256 == digest:
                return _Verdict(take=False)
            return _Verdict(take=True, note=self._empty_note(name))
        same = self._seen.by_sha256(digest)
        if same is not None:
            if leftover:
                return _Verdict(take=False)  # stored before the crash, only the archiving was left to do
            when = f"{same.received_at.astimezone(JST):%Y-%m-%d %H:%M}"
            return _Verdict(
                take=False,
                note=f"{name}: skipped, its content was taken in as {same.name} on {when} / "
                f"{name}: {when} に {same.name} として取込済みの内容のため読み飛ばしました",
            )
        if before is not None and self._interface.changed != "replace":
            held = self._interface.changed == "hold"
            return _Verdict(
                take=False, note=self._changed_note(name, held), place="held" if held else "error"
            )
        return _Verdict(take=True, note=self._order_note(parsed, missing, replaces=before is not None))

    def _empty_note(self, name: str) -> str | None:
        if self._interface.empty == "error":
            return None  # decoding gives the fault
        return f"{name}: empty file, no data today / {name}: 空ファイル（本日データなし）"

    def _changed_note(self, name: str, held: bool) -> str:
        if held:
            return (
                f"{name}: a file of this name was taken in before with other content; this one is held in "
                f"{self._interface.place('held')}. Run the flow with release={name} to take it in / "
                f"{name}: 同名で内容の異なるファイルが取込済みのため保留しました（{self._interface.place('held')}）。"
                f"取り込むには release={name} を指定してフローを実行してください"
            )
        return (
            f"{name}: a file of this name was taken in before with other content; this one was rejected to "
            f"{self._interface.place('error')} / "
            f"{name}: 同名で内容の異なるファイルが取込済みのため拒否しました（{self._interface.place('error')}）"
        )

    def _order_note(self, parsed: ParsedName, missing: str | None, *, replaces: bool) -> str | None:
        name = parsed.name
        if replaces:
            return f"{name}: replaces the file of this name taken in before / {name}: 同名の取込済みファイルを置換"
        if missing is not None and self._interface.gap != "ignore":
            return f"{name}: number {missing} is missing before it / {name}: 連番 {missing} が届いていません"
        return None

    def _archive(self, path: str, name: str, verdict: _Verdict) -> None:
        interface = self._interface
        if verdict.place == "done":
            folder = f"{interface.place('done')}/{self._call.now().astimezone(JST):%Y%m%d}"
        else:
            folder = interface.place("held" if verdict.place == "held" else "error")
        self._files.make_folder(folder)
        kept = self._free_name(folder, name)
        if verdict.place != "done" and verdict.note is not None:
            self._files.write(
                join(folder, f"{kept}.reason.txt"), (verdict.note + "\n").encode(), overwrite=True
            )
        self._files.rename(path, join(folder, kept))
        if interface.ready.rule == "trigger":
            self._drop_trigger(name)

    def _drop_trigger(self, name: str) -> None:
        # data first, trigger last: a trigger alone takes nothing in, data alone would wait for ever
        try:
            self._files.delete(join(self._interface.folder, self._trigger(name)))
        except FileNotFoundError:
            return

    def _free_name(self, folder: str, name: str) -> str:
        stem, ending = posixpath.splitext(name)
        taken = {info.name for info in self._files.list(folder)}
        candidate, number = name, 2
        while candidate in taken:
            candidate, number = f"{stem}~{number}{ending}", number + 1
        return candidate

    # ------------------------------------------------------------ what a person decided

    def _release(self, name: str) -> Iterator[Page]:
        """Take in a held file after all: as the correction of the one that came before."""
        parsed = self._names.parse(name)
        held = join(self._interface.place("held"), name)
        if parsed is None or not self._files.exists(held):
            known = ", ".join(info.name for info in self._listed(self._interface.place("held")))
            raise Refused(f"{name} is not held; held are: {known or 'none'} ({name} は保留されていません)")
        self._files.make_folder(self._interface.place("processing"))
        self._files.rename(held, join(self._interface.place("processing"), name))
        self._interface = self._interface.model_copy(update={"changed": "replace"})
        yield from self._one(parsed)
        reason = join(self._interface.place("held"), f"{name}.reason.txt")
        if self._files.exists(reason):
            self._files.delete(reason)


def _digest(stream: BinaryIO) -> tuple[str, bool]:
    """SHA-256 of the rest of a stream, and whether it holds nothing but line ends."""
    digest, empty = hashlib.sha256(), True
    while part := stream.read(1 << 20):
        digest.update(part)
        empty = empty and not part.strip(_BLANK)
    return digest.hexdigest(), empty
