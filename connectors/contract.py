"""Contract 1: what a connector is.

A connector speaks to one *kind* of system. It moves records in the system's own shape; it knows neither the
canonical model nor the hub (mappings give records their meaning). It is a value with functions registered on
it, and everything the hub must know about a function is declared as data on its decorator:

    c = Connector("tiny_shop", config=TinyConfig, title=Title("タイニー", "Tiny shop"), http=http_settings)

    @c.source("orders", key="id", cursor=Since, overlap=timedelta(minutes=5))
    def orders(call: Call[TinyConfig], cursor: Since | None) -> Iterator[Page]: ...

    @c.sink("stock", key="sku", batch_size=100)
    def stock(call: Call[TinyConfig], batch: Batch) -> Iterable[Outcome]: ...

Three errors say what must happen next: `Retry`, `Refused`, `Misconfigured`. Everything here is synchronous.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from connectors.transport.files import FileStore
    from connectors.transport.http import Http, HttpSettings

__all__ = [
    "Batch",
    "Call",
    "Change",
    "Connector",
    "ConnectorError",
    "Cursor",
    "Deletes",
    "Event",
    "Fault",
    "Listed",
    "Misconfigured",
    "Outcome",
    "Page",
    "Piece",
    "Pieces",
    "Record",
    "Refused",
    "Retry",
    "Run",
    "Sheet",
    "Sink",
    "Source",
    "Standing",
    "Title",
    "Verdict",
    "Webhook",
    "Write",
]

ConfigT = TypeVar("ConfigT", bound=BaseModel)


# ---------------------------------------------------------------- errors, named by what must happen next


class ConnectorError(Exception):
    """Base of the three errors a connector may raise."""


class Retry(ConnectorError):
    """The other side cannot answer now; the same call may work later.

    `after` is the wait the other side asked for (`Retry-After`), if it asked.
    """

    def __init__(self, reason: str, *, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Refused(ConnectorError):
    """The other side understood and said no. Repeating the same call cannot help."""

    def __init__(self, reason: str, *, code: str | None = None) -> None:
        super().__init__(reason)
        self.code = code


class Misconfigured(ConnectorError):
    """This account cannot work until a person acts (key expired, host key changed, folder missing)."""


# ---------------------------------------------------------------- what moves


class Cursor(BaseModel):
    """Base of every source's cursor: small, frozen, saved as JSON by the hub after a page is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Record:
    """One row in the system's own shape.

    `position` says where it stood in its page or file: for files the 1-based line of its first byte,
    for pages the 0-based index. `notes` are what an operator should know though the record is good
    (a private character of the other side, a missing column filled).
    """

    data: Mapping[str, Any]
    position: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that could not even be read as a record (wrong column count, bytes that are no CP932, ...).

    `code` is a stable word such as `column_count`; `reason` is a sentence for the operator (English),
    `reason_ja` the same in Japanese; `raw` are the bytes as received, kept so that the row can be replayed.
    `hint` holds the columns that could be read all the same: it tells which document an unreadable row
    belongs to, so that an order is not taken in without one of its lines.
    `whole` says that nothing of the page could be read because of it (a header that does not fit): replaying it takes
    the whole page in, not one row.
    """

    position: int
    code: str
    reason: str
    raw: bytes
    column: str | None = None
    value: str | None = None
    hint: Mapping[str, Any] | None = None
    reason_ja: str | None = None
    whole: bool = False


class Run(NamedTuple):
    """Rows of a file that stand together and have one key: see `Sheet`.

    key     the value they share; None for a row that stands for itself, or whose key is not known
    values  of the columns that were asked for, in the first row; None when that row must be read first
    digest  of the bytes and of all that decides how they are read: equal digests, equal records
    begin, end, line, last   where it stands: in bytes from the file's start, and in 1-based lines
    """

    key: str | None
    values: Mapping[str, str] | None
    digest: bytes
    begin: int
    end: int
    line: int
    last: int


class Piece(NamedTuple):
    """Whole runs cut out of a file, to be read by `Sheet.pieces`; `faults` are those of its lines."""

    raw: bytes
    line: int
    faults: Mapping[int, Fault]


class Pieces(Protocol):
    """Reads pieces of one file; can be pickled."""

    def read(self, piece: Piece) -> Iterator[Record | Fault]: ...


class Sheet(Protocol):
    """A file told apart into runs of rows without reading them: what is known already need not be read.

    columns  what its rows have
    runs     `(key column or None, further columns, seed of the digests)`: the runs in the file's order, once
    faults   what could not be read, by line, once `runs` is through
    crowded  there are too many of those: read the file as a whole
    pieces   reads runs; all pieces in their order give what `Source.decode` gives
    """

    @property
    def columns(self) -> frozenset[str]: ...
    @property
    def crowded(self) -> bool: ...
    @property
    def pieces(self) -> Pieces: ...
    @property
    def faults(self) -> Mapping[int, Fault]: ...
    def runs(self, key: str | None, columns: Sequence[str], seed: bytes) -> Iterator[Run]: ...


@dataclass(frozen=True, slots=True)
class Page:
    """What a source yields: one page of an API or one file, and the cursor that lies behind it.

    Give `records` (mappings that JSON can carry), or give `raw` and declare a `decode` on the source: then the
    hub stores the bytes as they are and decodes them when it takes the records in, and again at each replay.

    name      file name or request, shown to the operator
    deleted   external ids the system says are gone
    complete  this page ends a complete listing (absence counts as deletion only then)
    sequence  the running number in the file's name, for the sequence guard
    note      something an operator should read though nothing failed (e.g. "empty file: no data today")
    """

    cursor: Cursor | None
    records: Sequence[Mapping[str, Any]] = ()
    raw: bytes | IO[bytes] | None = None
    name: str | None = None
    media_type: str = "application/json"
    deleted: Sequence[str] = ()
    complete: bool = False
    sequence: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One thing a sink must write.

    key        what the change is about in the other system (ledger key)
    record     the row(s) to write, made by the outgoing mapping
    version    the hub's version of the entity
    previous   the record this sink last accepted for the key, if any (base for compare-and-set or deltas)
    deleted    the thing is gone and `record` holds only its keys
    """

    key: str
    record: Mapping[str, Any]
    version: int
    previous: Mapping[str, Any] | None = None
    external_id: str | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Stored by the hub before the sink is called; a retry hands over the same batch with the same key."""

    changes: Sequence[Change]
    idempotency_key: str
    attempt: int = 1
    business_date: date | None = None

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)


class Verdict(enum.StrEnum):
    DONE = "done"
    RETRY = "retry"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change. Use the three constructors.

    `notes` are what happened to the change though it was written: substituted characters, cut values.
    """

    key: str
    verdict: Verdict
    reason: str | None = None
    code: str | None = None
    external_id: str | None = None
    external_version: str | None = None
    after: timedelta | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def done(
        cls,
        key: str,
        *,
        external_id: str | None = None,
        external_version: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> Outcome:
        """The other side has it now, whether by this call or an earlier one."""
        return cls(key, Verdict.DONE, external_id=external_id, external_version=external_version, notes=notes)

    @classmethod
    def retry(cls, key: str, reason: str, *, after: timedelta | None = None) -> Outcome:
        """Not written, may work later."""
        return cls(key, Verdict.RETRY, reason=reason, after=after)

    @classmethod
    def refused(cls, key: str, reason: str, *, code: str | None = None) -> Outcome:
        """Not written and never will be as it is; an operator sees `reason`."""
        return cls(key, Verdict.REFUSED, reason=reason, code=code)


@dataclass(frozen=True, slots=True)
class Event:
    """One verified event of a webhook call.

    source     which source's mapping takes the records in
    event_id   what makes a second delivery of the same event recognisable
    records    fat events carry records; thin ones only `fetch`, ids the hub then asks the source for
    """

    source: str
    event_id: str
    occurred_at: datetime | None = None
    records: Sequence[Mapping[str, Any]] = ()
    fetch: Sequence[str] = ()
    deleted: Sequence[str] = ()


# ---------------------------------------------------------------- what is declared


@dataclass(frozen=True, slots=True)
class Title:
    """A name for people, Japanese and English."""

    ja: str
    en: str


class Deletes(enum.StrEnum):
    """How a source lets us see that something is gone."""

    NONE = "none"
    EVENTS = "events"
    ABSENCE = "absence"


class Write(enum.StrEnum):
    """What a sink's write means. Only an absolute write may be repeated blindly."""

    ABSOLUTE = "absolute"
    DELTA = "delta"
    APPEND = "append"


@dataclass(frozen=True, slots=True)
class Budget:
    """How many requests an account may make: `requests` in each `per`, with `burst` at once."""

    requests: float
    per: timedelta = timedelta(seconds=1)
    burst: int = 1


@dataclass(slots=True)
class Call(Generic[ConfigT]):
    """What a connector function is handed: its settings and the only doors to the network.

    `params` are what an operator typed for this run (a date range to fetch again, ids to fetch).
    `files_seen` answers what this source stored of a file earlier, see `FileHistory`.
    """

    system: str
    config: ConfigT
    _http: Http | None = None
    _files: FileStore | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    now: Callable[[], datetime] = field(default=lambda: datetime.now().astimezone())
    files_seen: FileHistory | None = None

    @property
    def http(self) -> Http:
        if self._http is None:
            raise Misconfigured(f"{self.system}: this connector declares no HTTP settings")
        return self._http

    @property
    def files(self) -> FileStore:
        if self._files is None:
            raise Misconfigured(f"{self.system}: this connector declares no file settings")
        return self._files


class SeenFile(Protocol):
    """What the hub remembers of a file it took in."""

    name: str
    sha256: str
    received_at: datetime


class FileHistory(Protocol):
    """The hub's memory of files of this source; keeps the duplicate and sequence guards out of cursors."""

    def by_name(self, name: str) -> SeenFile | None: ...
    def by_sha256(self, digest: str) -> SeenFile | None: ...
    def last_sequence(self, name_prefix: str) -> int | None: ...


SourceFunction = Callable[[Call[Any], Any], Iterator[Page]]
SinkFunction = Callable[[Call[Any], Batch], Iterable[Outcome]]
AskFunction = Callable[[Call[Any], Batch], Iterable[Outcome]]
DecodeFunction = Callable[[IO[bytes], Any, Mapping[str, Any]], Iterator["Record | Fault"]]
SheetFunction = Callable[[IO[bytes], Any, Mapping[str, Any]], "Sheet | None"]
AcknowledgeFunction = Callable[[Call[Any], str, Sequence[Mapping[str, Any]]], object]
WebhookFunction = Callable[[Mapping[str, str], bytes, Any], Sequence[Event]]
CheckFunction = Callable[[Call[Any]], str]
F = TypeVar("F", bound=Callable[..., Any])


class Standing(NamedTuple):
    """What stands at one place of a system: for holding what was written against what is listed.

    place   what it is about and where, in one word that is the same however it was found out
    values  what stands there, as the system keeps it (cut, rounded, in its own spelling)
    id      what `params["ids"]` of the listing source takes to see this place again, if that is known
    """

    place: str
    values: Mapping[str, Any]
    id: str | None = None


StandingsFunction = Callable[[Mapping[str, Any]], "Sequence[Standing]"]
"""A record -> the places it speaks of; none where it is not of this sink's."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Where a system shows what a sink has written, so that the two can be compared.

    source  the connector's source that lists it
    open    `call` -> two functions: what a record of that source shows, and what a record handed to the sink must have
            become there. They may ask the system (for ids of places, say). The second raises Refused for a record the
            sink would refuse.
    """

    source: str
    open: Callable[[Call[Any]], tuple[StandingsFunction, StandingsFunction]]


@dataclass(frozen=True, slots=True)
class Source:
    """A source and the facts declared about it.

    key       field (or dotted path) of the record that is the external id; a mapping may override it
    cursor    model of the cursor; None for sources that always list everything
    overlap   how far behind the cursor a read must start, because late rows appear there
    deletes   how deletions are seen
    order     field that orders versions of the same key, if the system gives one
    decode    `(stream, config, params)` turns `Page.raw` into records; pure, runs again at each replay
    acknowledge  `(call, page name, refused)` tells the system what became of a page (an answer file); called after
              each taking in, replays included, with the refused rows as {"line", "key", "code", "message"}; calling
              it again must give the same answer again
    by_id     where `params["ids"]` fetches single things, and nothing else: the field (or dotted path) of the record
              that holds such an id, mostly the same as `key`
    sheet     `(stream, config, params)` opens `Page.raw` as a `Sheet`, or gives None where it must be decoded as a
              whole; beside `decode`, which gives the same records
    """

    name: str
    run: SourceFunction
    key: str
    title: Title
    cursor: type[Cursor] | None = None
    overlap: timedelta = timedelta(0)
    deletes: Deletes = Deletes.NONE
    order: str | None = None
    record: type[BaseModel] | None = None
    decode: DecodeFunction | None = None
    acknowledge: AcknowledgeFunction | None = None
    doc: str = ""
    by_id: str | None = None
    sheet: SheetFunction | None = None


@dataclass(frozen=True, slots=True)
class Sink:
    """A sink and the facts declared about it.

    batch_size  most changes one call takes
    write       absolute, delta or append; delta and append need `ask` or the other side's idempotency key
    ask         before a *second* attempt of a batch: outcomes for the changes the other side already has
    whole       the batch is one file or document: it is written as a whole or not at all
    answers     what is written answers the system's own data (an order's confirmation): the hub must not take
                such changes for echoes
    listed      which source shows what was written, and how to compare the two
    """

    name: str
    run: SinkFunction
    key: str
    title: Title
    batch_size: int = 100
    write: Write = Write.ABSOLUTE
    ask: AskFunction | None = None
    idempotent: bool = False
    whole: bool = False
    answers: bool = False
    record: type[BaseModel] | None = None
    doc: str = ""
    listed: Listed | None = None

    @property
    def repeatable(self) -> bool:
        """Whether the same batch may be sent twice without asking first."""
        return self.write is Write.ABSOLUTE or self.idempotent


@dataclass(frozen=True, slots=True)
class Webhook:
    run: WebhookFunction
    dedupe: str = "event_id"
    doc: str = ""


class Connector(Generic[ConfigT]):
    """One kind of system.

    config   pydantic model of the settings; secrets are `SecretStr`
    http     `config -> HttpSettings` (base URL, auth, budget) if it speaks HTTP
    files    `config -> FileStore` factory if it speaks files
    sunset   the day the API version stops, if known; the console warns ahead of it
    """

    def __init__(
        self,
        name: str,
        *,
        config: type[ConfigT],
        title: Title,
        http: Callable[[ConfigT], HttpSettings] | None = None,
        files: Callable[[ConfigT], FileStore] | None = None,
        budget: Budget | None = None,
        api_version: str | None = None,
        sunset: date | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self.title = title
        self.http = http
        self.files = files
        self.budget = budget
        self.api_version = api_version
        self.sunset = sunset
        self.sources: dict[str, Source] = {}
        self.sinks: dict[str, Sink] = {}
        self.webhook_door: Webhook | None = None
        self.check_function: CheckFunction | None = None

    def source(
        self,
        name: str,
        *,
        key: str,
        title: Title | None = None,
        cursor: type[Cursor] | None = None,
        overlap: timedelta = timedelta(0),
        deletes: Deletes = Deletes.NONE,
        order: str | None = None,
        record: type[BaseModel] | None = None,
        decode: DecodeFunction | None = None,
        acknowledge: AcknowledgeFunction | None = None,
        by_id: str | None = None,
        sheet: SheetFunction | None = None,
    ) -> Callable[[F], F]:
        """Register a generator `(call, cursor) -> Iterator[Page]`."""

        def register(run: F) -> F:
            self._unused(name, self.sources)
            self.sources[name] = Source(
                name, run, key, title or Title(name, name), cursor, overlap, deletes, order, record, decode,
                acknowledge, doc=(run.__doc__ or "").strip(), by_id=by_id, sheet=sheet,
            )  # fmt: skip
            return run

        return register

    def sink(
        self,
        name: str,
        *,
        key: str,
        title: Title | None = None,
        batch_size: int = 100,
        write: Write = Write.ABSOLUTE,
        ask: AskFunction | None = None,
        idempotent: bool = False,
        whole: bool = False,
        answers: bool = False,
        record: type[BaseModel] | None = None,
        listed: Listed | None = None,
    ) -> Callable[[F], F]:
        """Register a function `(call, batch) -> Iterable[Outcome]`, one outcome per change."""
        if write is not Write.ABSOLUTE and ask is None and not idempotent:
            raise TypeError(
                f"{self.name}.{name}: a {write} write cannot be repeated blindly; give ask= or idempotent="
            )

        def register(run: F) -> F:
            self._unused(name, self.sinks)
            self.sinks[name] = Sink(
                name, run, key, title or Title(name, name), batch_size, write, ask, idempotent, whole, answers, record,
                doc=(run.__doc__ or "").strip(), listed=listed,
            )  # fmt: skip
            return run

        return register

    def webhook(self, run: WebhookFunction) -> WebhookFunction:
        """Register the pure function `(headers, body, config) -> [Event]`; it verifies and parses, no I/O.

        Header names are handed over in lower case. It raises Refused for a wrong signature, and Misconfigured
        while no secret is configured.
        """
        if self.webhook_door is not None:
            raise TypeError(f"{self.name}: a connector has one webhook door")
        self.webhook_door = Webhook(run, doc=(run.__doc__ or "").strip())
        return run

    def check(self, run: CheckFunction) -> CheckFunction:
        """Register the function that proves the account works; it returns one line saying what it saw."""
        self.check_function = run
        return run

    def _unused(self, name: str, taken: Mapping[str, object]) -> None:
        if name in taken:
            raise TypeError(f"{self.name}: {name!r} is registered twice")

    def __repr__(self) -> str:
        return f"Connector({self.name!r}, sources={sorted(self.sources)}, sinks={sorted(self.sinks)})"
