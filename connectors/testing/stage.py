"""Where a check runs: a call whose network is a recording, whose time stands still, and whose traces are
kept.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import structlog
from pydantic import BaseModel

from connectors.calls import open_call
from connectors.contract import Call, Connector, Cursor, Fault, Page, Record, Source
from connectors.testing.cases import NOW, SinkCase, SourceCase, load_case
from connectors.testing.faults import Transform
from connectors.testing.findings import broken, hold
from connectors.testing.memory import MemoryFiles, MemoryHistory
from connectors.testing.playback import Playback, load_recording
from connectors.transport.budget import Unlimited
from connectors.transport.redaction import secret_values
from connectors.transport.tokens import shared_tokens
from connectors.transport.trace import Exchange, Pause

__all__ = ["PageRead", "Reading", "Rig", "Stage", "member"]

_MOST_PAGES = 1000


@dataclass
class Rig:
    """One call and what it left behind."""

    call: Call[Any]
    playback: Playback
    steps: list[Exchange | Pause]
    waits: list[float]
    logs: list[str]
    files: MemoryFiles | None
    history: MemoryHistory

    @property
    def requests(self) -> list[httpx.Request]:
        return self.playback.requests

    @property
    def answers(self) -> list[httpx.Response]:
        return self.playback.answers


@dataclass(frozen=True)
class PageRead:
    """A page as the hub would have it: bytes read, rows decoded."""

    page: Page
    records: list[Mapping[str, Any]]
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Reading:
    """A source, read to its end."""

    pages: list[PageRead]
    rig: Rig

    @property
    def records(self) -> list[Mapping[str, Any]]:
        return [record for page in self.pages for record in page.records]

    def keys(self, source: Source) -> list[Any]:
        return [member(record, source.key) for record in self.records]


@dataclass
class Stage:
    """A connector, settings for it, and the folders of its recordings and cases."""

    connector: Connector[Any]
    config: BaseModel
    recordings: Path
    cases: Path
    system: str = "contract"

    @property
    def secrets(self) -> list[str]:
        return [secret for secret in secret_values(self.config) if len(secret) >= 4]

    def recorded(self, name: str, kind: str = "") -> bool:
        """Whether there is a recording for this source, sink or check: answers, files or both."""
        return self._place(self.recordings, name, kind, ".yaml").exists() or self._folder(name, kind).is_dir()

    def source_case(self, name: str) -> SourceCase:
        return load_case(SourceCase, self._place(self.cases, name, "source", ".yaml")) or SourceCase()

    def sink_case(self, name: str) -> SinkCase:
        path = self._place(self.cases, name, "sink", ".yaml")
        case = load_case(SinkCase, path)
        if case is None:
            broken(f"{path} is missing: it says which `changes` the sink is given")
        return case

    def _folder(self, name: str, kind: str) -> Path:
        return self._place(self.recordings, name, kind, "")

    def _place(self, folder: Path, name: str, kind: str, ending: str) -> Path:
        """`stock.source.yaml` where a source and a sink have one name, else `stock.yaml`."""
        own = folder / f"{name}.{kind}{ending}"
        return own if kind and own.exists() else folder / f"{name}{ending}"

    @contextmanager
    def open(
        self,
        name: str,
        kind: str = "",
        *,
        through: Transform | None = None,
        params: Mapping[str, Any] | None = None,
        now: datetime = NOW,
        history: MemoryHistory | None = None,
    ) -> Iterator[Rig]:
        """A call on the recording `name`; `through` puts a fault on the wire."""
        answers = self._place(self.recordings, name, kind, ".yaml")
        playback = Playback(load_recording(answers) if answers.exists() else [], str(answers))
        files = None
        if self.connector.files is not None:
            files = MemoryFiles.of_folder(self._folder(name, kind), now=lambda: now)
        steps: list[Exchange | Pause] = []
        waits: list[float] = []
        history = history if history is not None else MemoryHistory()
        shared_tokens.keep_in(None)  # no token of another call: what is asked for must be in the recording
        with _listening() as logs, _no_sockets(self.connector.name), open_call(
            self.connector, self.system, self.config,
            params=params, files_seen=history, limiter=Unlimited(), trace=steps.append,
            transport=through(playback) if through else playback,
            files=files, sleep=waits.append, now=lambda: now,
        ) as call:  # fmt: skip
            yield Rig(call, playback, steps, waits, logs, files, history)

    def read(
        self,
        source: Source,
        cursor: Cursor | None = None,
        *,
        through: Transform | None = None,
        history: MemoryHistory | None = None,
    ) -> Reading:
        """Read a source to its end, as the hub does: each page stored before the next is asked for."""
        with self.open_for(source, through=through, history=history) as rig:
            return self.read_in(rig, source, cursor)

    def open_for(
        self, source: Source, *, through: Transform | None = None, history: MemoryHistory | None = None
    ) -> AbstractContextManager[Rig]:
        """A call as the source's case wants it."""
        case = self.source_case(source.name)
        return self.open(
            source.name, "source", through=through, params=case.params, now=case.now, history=history
        )

    def read_in(self, rig: Rig, source: Source, cursor: Cursor | None) -> Reading:
        """`read` within a call that is open already."""
        pages: list[PageRead] = []
        for page in source.run(rig.call, cursor):
            pages.append(self.stored(rig, source, page))
            hold(len(pages) < _MOST_PAGES, f"{source.name}: no end after {_MOST_PAGES} pages")
        return Reading(pages, rig)

    def stored(self, rig: Rig, source: Source, page: Page) -> PageRead:
        """A page as the hub has it once it is stored; its file is remembered."""
        hold(isinstance(page, Page), f"{source.name}: a source yields Page, not {type(page).__name__}")
        case = self.source_case(source.name)
        read = _stored(page, source, self.config, case.params)
        rig.history.add(read.page, case.now)
        return read

    def start(self, source: Source) -> Cursor | None:
        """The cursor a case begins with."""
        start = self.source_case(source.name).cursor
        if start is None:
            return None
        hold(source.cursor, f"{source.name}: its case gives a cursor, but the source declares none")
        assert source.cursor is not None
        return source.cursor.model_validate(start)


def member(record: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None where a step is missing."""
    value: Any = record
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _stored(page: Page, source: Source, config: BaseModel, params: Mapping[str, Any]) -> PageRead:
    if page.raw is None:
        return PageRead(page, list(page.records))
    hold(not page.records, f"{source.name}: page {page.name!r} gives both `records` and `raw`; give one")
    hold(source.decode, f"{source.name}: page {page.name!r} gives `raw`, but the source declares no `decode`")
    assert source.decode is not None
    raw = page.raw if isinstance(page.raw, bytes) else page.raw.read()
    records: list[Mapping[str, Any]] = []
    faults: list[Fault] = []
    for row in source.decode(BytesIO(raw), config, params):
        if isinstance(row, Record):
            records.append(row.data)
        else:
            hold(
                isinstance(row, Fault),
                f"{source.name}: decode yields Record or Fault, not {type(row).__name__}",
            )
            faults.append(row)
    return PageRead(replace(page, raw=raw), records, faults)


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Everything that is logged meanwhile, as text."""
    lines: list[str] = []

    class Ear(logging.Handler):
        def emit(self, entry: logging.LogRecord) -> None:
            lines.append(entry.getMessage())

    root, ear = logging.getLogger(), Ear()
    root.addHandler(ear)
    try:
        with structlog.testing.capture_logs() as events:
            yield lines
            lines += [repr(event) for event in events]
    finally:
        root.removeHandler(ear)


@contextmanager
def _no_sockets(name: str) -> Iterator[None]:
    """`call.http` and `call.files` are the only doors: a connection of its own is a broken contract."""

    def connect(opened: socket.socket, address: Any) -> None:
        opened.close()  # who called expects an OSError and would leave it open
        broken(
            f"{name} opens a connection of its own to {address!r}; call.http and call.files are the only doors"
        )

    kept = socket.socket.connect
    socket.socket.connect = connect  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        socket.socket.connect = kept  # type: ignore[method-assign]
