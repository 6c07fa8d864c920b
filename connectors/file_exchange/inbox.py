"""Taking files in: when they are ready, in their order, each exactly once.

A file goes `folder` -> `processing` (our claim, a rename no other worker can win too) -> `done/yyyymmdd`. A crash
leaves it in `processing`; the next run takes it up from there. Whether the hub had stored it already is told by its
SHA-256, so a crash just before or just after storing ends the same way. The hub runs one pull of a flow at a time.

Small files are claimed, brought and archived many together, since over a real line each step is a round trip; they
are still given to the hub one by one, in their order. What is claimed and not taken in, because a file before it
must be waited for, stays in `processing` and keeps its place in the order.
"""

from __future__ import annotations

import hashlib
import posixpath
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import BinaryIO

from connectors.contract import Call, ConnectorError, Misconfigured, Page, Refused, Retry
from connectors.file_exchange.config import FileExchangeConfig, InInterface
from connectors.file_exchange.formats import layout_of, looks_complete
from connectors.file_exchange.patterns import NamePattern, ParsedName
from connectors.files.layout import CsvLayout
from connectors.transport.files import FileInfo, join

__all__ = ["Inbox"]

JST = timezone(timedelta(hours=9), "JST")
_MANY = 10_000
_GROUP = 100
"""Most files claimed together; after a crash so many are read again."""
_GROUP_BYTES = 16 * 1024 * 1024
"""Larger files are claimed one by one: none waits long for another one to be archived."""
_TRIES = 5
_BLANK = b"\r\n\x1a\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is to be done with a file: taken in, or moved to `place` without that; `note` for the operator."""

    take: bool
    note: str | None = None
    place: str = "done"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A file that is ready, or was claimed by an earlier run (`leftover`)."""

    parsed: ParsedName
    size: int
    leftover: bool = False

    @property
    def name(self) -> str:
        return self.parsed.name


class Inbox:
    """The files of one interface, in order. Iterate `pages()`; a page is done with when the next is asked for."""

    def __init__(self, call: Call[FileExchangeConfig], interface: InInterface) -> None:
        self._call = call
        self._files = call.files
        self._interface = interface
        self._names: NamePattern = interface.names
        self._seen = call.files_seen
        self._passed_over: list[ParsedName] = []
        self._taken: dict[str, set[str]] = {}  # names in the folders files were put away to
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
        left = self._waiting(self._files.list(self._interface.place("processing")), leftover=True)
        # the same name twice: the one that was claimed came first
        in_order = sorted((*left, *waiting), key=lambda item: (item.parsed.order, not item.leftover))
        for group in self._groups(in_order):
            yield from self._take(group)

    def _groups(self, waiting: list[_Waiting]) -> Iterator[list[_Waiting]]:
        """Files that may be claimed together, in their order."""
        group: list[_Waiting] = []
        size = 0
        for item in waiting:
            if group and (
                len(group) == _GROUP
                or size + item.size > _GROUP_BYTES
                or item.name == group[-1].name
                or self._may_have_to_wait(group[-1], item)
            ):
                yield group
                group, size = [], 0
            group.append(item)
            size += item.size
        if group:
            yield group

    def _may_have_to_wait(self, before: _Waiting, item: _Waiting) -> bool:
        """A file that must wait for a missing number is not claimed: whether it must, is known behind the others."""
        if self._interface.sequence == "none" or self._interface.gap != "wait":
            return False
        return item.parsed.sequence != (before.parsed.sequence or 0) + 1

    # ------------------------------------------------------------ which files, and when

    def _waiting(self, files: list[FileInfo], *, leftover: bool = False) -> list[_Waiting]:
        found = ((self._names.parse(info.name), info.size) for info in files)
        return [_Waiting(parsed, size, leftover) for parsed, size in found if parsed is not None]

    def _ready(self, files: list[FileInfo]) -> list[_Waiting]:
        ready = self._interface.ready
        waiting = self._waiting(files)
        if ready.rule == "trigger":
            there = {info.name for info in files}
            return [item for item in waiting if self._trigger(item.name) in there]
        if ready.rule == "stable":
            return self._stable(files, waiting)
        if ready.rule == "trailer":
            return self._with_trailer(waiting)
        return waiting

    def _trigger(self, name: str) -> str:
        ready = self._interface.ready
        return (posixpath.splitext(name)[0] if ready.replaces_extension else name) + ready.suffix

    def _stable(self, files: list[FileInfo], waiting: list[_Waiting]) -> list[_Waiting]:
        same = {info.name: (info.size, info.modified) for info in files}
        for _ in range(self._interface.ready.polls - 1):
            time.sleep(self._interface.ready.every)
            now = {info.name: (info.size, info.modified) for info in self._files.list(self._interface.folder)}
            same = {name: state for name, state in same.items() if now.get(name) == state}
        return [item for item in waiting if item.name in same]

    def _with_trailer(self, waiting: list[_Waiting]) -> list[_Waiting]:
        layout = layout_of(self._call.config, self._interface.layout)
        coming = self._files.fetch([join(self._interface.folder, item.name) for item in waiting])
        complete: list[_Waiting] = []
        for item, opened in zip(waiting, coming, strict=True):
            with opened as stream:
                if looks_complete(stream, layout):
                    complete.append(item)
        return complete

    def _gap(self, parsed: ParsedName) -> str | None:
        """The number(s) that should have come before this file; None when it is the next one."""
        interface = self._interface
        if (
            interface.sequence == "none"
            or interface.gap == "ignore"
            or self._seen is None
            or parsed.sequence is None
        ):
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
        others = list(self._passed_over)
        for folder in (*days, self._interface.place("held"), self._interface.place("error")):
            others += (item.parsed for item in self._waiting(self._listed(folder)))
        return {
            other.sequence
            for other in others
            if other.sequence is not None
            and (other.before_sequence == parsed.before_sequence if daily else other.start == parsed.start)
        }

    def _listed(self, folder: str) -> list[FileInfo]:
        try:
            return self._files.list(folder)
        except FileNotFoundError:
            return []

    # ------------------------------------------------------------ some files

    def _claim(self, group: list[_Waiting]) -> tuple[list[_Waiting], ConnectorError | None]:
        """Move files to `processing`. Which are ours now, up to the first that cannot be moved, and why it cannot."""
        new = [item.name for item in group if not item.leftover]
        processing = self._interface.place("processing")
        moves = [(join(self._interface.folder, name), join(processing, name)) for name in new]
        came = dict(zip(new, self._files.rename_each(moves), strict=True))
        ours: list[_Waiting] = []
        for item in group:
            trouble = None if item.leftover else came[item.name]
            if isinstance(trouble, ConnectorError):
                return ours, trouble
            # else another worker was faster, or takes up the same name as a leftover
            if trouble is None:
                ours.append(item)
        return ours, None

    def _take(self, group: list[_Waiting]) -> Iterator[Page]:
        if self._interface.gap == "wait":
            self._gap_before(group[0])
        yield from self._bring(*self._claim(group))

    def _bring(self, ours: list[_Waiting], trouble: ConnectorError | None = None) -> Iterator[Page]:
        """The pages of claimed files, one by one; then they are put away. Raises `trouble`, or what comes before it."""
        judged: list[tuple[ParsedName, _Verdict]] = []
        processing = self._interface.place("processing")
        coming = self._files.fetch([join(processing, item.name) for item in ours])
        try:
            for item, opened in zip(ours, coming, strict=True):
                try:
                    with opened as stream:
                        verdict = self._judge(item, stream, self._gap_before(item))
                        if verdict.take:
                            stream.seek(0)
                            yield self._page(item.parsed, stream, verdict.note)
                        else:
                            self._passed_over.append(item.parsed)
                except FileNotFoundError:
                    continue  # another worker has finished it
                if not verdict.take and verdict.note is not None:
                    yield Page(cursor=None, name=item.name, note=verdict.note)
                judged.append((item.parsed, verdict))
        except ConnectorError as error:
            trouble = error
        self._archive(judged)
        if trouble is not None:
            raise trouble

    def _gap_before(self, item: _Waiting) -> str | None:
        """The numbers missing before a file. Raises Retry when they must be waited for."""
        missing = self._gap(item.parsed)
        if missing is None or self._interface.gap != "wait" or self._call.params.get("accept_gap"):
            return missing
        raise Retry(
            f"{self._interface.name}: {item.name} waits because {missing} has not come "
            f"({item.name} は {missing} の到着待ちです). Ask the sender for it, or run the flow with "
            "accept_gap to go on without it"
        )

    def _page(self, parsed: ParsedName, stream: BinaryIO, note: str | None) -> Page:
        return Page(
            cursor=None, raw=stream, name=parsed.name, media_type=self._media_type, sequence=parsed.sequence,
            complete=self._interface.snapshot, note=note,
        )  # fmt: skip

    def _judge(self, item: _Waiting, stream: BinaryIO, missing: str | None) -> _Verdict:
        name, leftover = item.name, item.leftover
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
            if leftover and same.name == name:
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
        return _Verdict(take=True, note=self._order_note(item.name, missing, replaces=before is not None))

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

    def _order_note(self, name: str, missing: str | None, *, replaces: bool) -> str | None:
        if replaces:
            return f"{name}: replaces the file of this name taken in before / {name}: 同名の取込済みファイルを置換"
        if missing is not None and self._interface.gap != "ignore":
            return f"{name}: number {missing} is missing before it / {name}: 連番 {missing} が届いていません"
        return None

    # ------------------------------------------------------------ putting away

    def _archive(self, judged: list[tuple[ParsedName, _Verdict]]) -> None:
        """Move files from `processing` to where they belong, and drop the triggers of those that were moved."""
        for _ in range(_TRIES):
            moves = [self._move_of(parsed.name, verdict) for parsed, verdict in judged]
            came = self._files.rename_each(moves)
            ended = list(zip(judged, moves, came, strict=True))
            self._drop_triggers([parsed.name for (parsed, _), _, trouble in ended if trouble is None])
            judged = []
            for one, (source, _), trouble in ended:
                if isinstance(trouble, FileExistsError):
                    judged.append(one)  # somebody put a file of that name there since we looked
                elif isinstance(trouble, ConnectorError) or (
                    trouble is not None and self._files.exists(source)
                ):
                    raise trouble
            if not judged:
                return
            self._taken.clear()
        raise Retry(f"{self._interface.name}: {judged[0][0].name} finds no free name in its folder")

    def _move_of(self, name: str, verdict: _Verdict) -> tuple[str, str]:
        interface = self._interface
        if verdict.place == "done":
            folder = f"{interface.place('done')}/{self._call.now().astimezone(JST):%Y%m%d}"
        else:
            folder = interface.place("held" if verdict.place == "held" else "error")
        kept = self._free_name(folder, name)
        if verdict.place != "done" and verdict.note is not None:
            self._files.write(
                join(folder, f"{kept}.reason.txt"), (verdict.note + "\n").encode(), overwrite=True
            )
        return join(interface.place("processing"), name), join(folder, kept)

    def _drop_triggers(self, names: list[str]) -> None:
        if self._interface.ready.rule != "trigger":
            return
        # data first, trigger last: a trigger alone takes nothing in, data alone would wait for ever
        came = self._files.delete_each([join(self._interface.folder, self._trigger(name)) for name in names])
        for trouble in came:
            if isinstance(trouble, ConnectorError):
                raise trouble

    def _free_name(self, folder: str, name: str) -> str:
        if folder not in self._taken:
            self._files.make_folder(folder)
            self._taken[folder] = {info.name for info in self._files.list(folder)}
        taken = self._taken[folder]
        stem, ending = posixpath.splitext(name)
        candidate, number = name, 2
        while candidate in taken:
            candidate, number = f"{stem}~{number}{ending}", number + 1
        taken.add(candidate)
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
        self._interface = self._interface.model_copy(update={"changed": "replace", "gap": "ignore"})
        yield from self._bring([_Waiting(parsed, 0)])
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
