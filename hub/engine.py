"""The engine's front: what the CLI, the DAGs, the gateway and the tests call."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import structlog
from sqlalchemy import Engine, text

from connectors.calls import open_call
from connectors.contract import Call, Connector, Deletes, Misconfigured, Refused, Retry, Sink, Source
from connectors.registry import Connectors, load_connectors
from connectors.settings import settings_from_connection
from connectors.transport.tokens import shared_tokens
from hub import intake as intakes, quarantine, status
from hub.budget import AccountLane, Budgets, BudgetStatus, budget_statuses
from hub.deletes import Listing, Origin, delete_absent, delete_told
from hub.delivery import Sender
from hub.feed import horizon, load_position, more_behind, urgent_behind
from hub.home import Settings
from hub.jobs.queue import JobStatus, job_statuses
from hub.logs import mask, mask_record
from hub.memory import give_large_blocks_back
from hub.outgoing import OutgoingFlow, queue_entities, queue_round, queue_urgent
from hub.postgres import database_url
from hub.progress import Counter, Watch
from hub.reports import FlowStatus, PullReport, PushReport, QuarantineRow, ReplayReport
from hub.secrets import connection
from hub.stock import KINDS as STOCK_KINDS, Oversold, Turned, open_oversold, refresh
from hub.stock.explain import StockExplanation, explain_stock
from hub.store.database import SchemaBehind, migrate, open_engine, reading, schema_is_current, try_lock
from hub.system_check import validate
from hub.systems import Flow, System, SystemFault, Systems, load_systems
from hub.takein import TakenIn, take_in
from hub.takein_events import take_in_events
from hub.tokens import PostgresTokens, token_key
from mappings import Mapping as RecordMapping, load_mapping

__all__ = ["BoundFlow", "FlowBusy", "Hub"]

PATIENCE = 600
"""How often a push looks again, every 50 ms, for changes that a running transaction holds back."""

T = TypeVar("T")

log = structlog.get_logger("tsunagi.hub")


class FlowBusy(Retry):
    """The flow runs in another process or thread; it never runs twice at once."""

    def __init__(self, system: str, flow: str) -> None:
        super().__init__(f"{system}/{flow} is running elsewhere", after=timedelta(seconds=30))


@dataclass(frozen=True, slots=True)
class BoundFlow:
    """A flow with everything it is made of looked up."""

    system: System
    flow: Flow
    name: str
    connector: Connector[Any]
    mappings: tuple[RecordMapping, ...]
    context: Mapping[str, Any]

    @property
    def source(self) -> Source:
        return _named(self, "source", self.connector.sources, self.flow.pull)

    @property
    def sink(self) -> Sink:
        return _named(self, "sink", self.connector.sinks, self.flow.push)

    @property
    def outgoing(self) -> OutgoingFlow:
        return OutgoingFlow(
            self.system.system,
            self.name,
            self.mappings[0],
            self.context,
            self.sink.batch_size,
            self.sink.answers,
        )


def _named(bound: BoundFlow, what: str, known: Mapping[str, T], name: str | None) -> T:
    if name is None or name not in known:
        there = ", ".join(sorted(known)) or "none"
        where = f"{bound.system.system}/{bound.name}"
        raise Misconfigured(f"{where}: {bound.connector.name} has no {what} {name!r}; it has: {there}")
    return known[name]


class Hub:
    """An open hub: a store, the systems, and the connectors that speak to them.

    Open with `Hub.open()` and close it, or use it as a context manager. One process may hold several.
    """

    def __init__(
        self,
        engine: Engine,
        systems: Systems,
        connectors: Connectors,
        *,
        mapping_roots: Sequence[Path] = (),
        folders: Sequence[Path] = (),
    ) -> None:
        give_large_blocks_back()
        self.engine = engine
        self.systems = systems
        self.connectors = connectors
        self.budgets = Budgets(engine)
        self.stopping = threading.Event()
        """Set when this process is to end: a push stops behind the delivery at hand, and raises Retry."""
        self._roots = tuple(mapping_roots)
        self._folders = tuple(folders)

    @classmethod
    def open(cls, settings: Settings | None = None, *, threads: int = 1) -> Self:
        """Open the hub the environment describes; starts the embedded PostgreSQL if that is what is used.

        `threads` of this process will run flows at once.

        Raises SchemaBehind when an outside database has not been brought up by `tsunagi init`.
        """
        settings = settings or Settings.from_env()
        engine = open_engine(database_url(settings=settings), threads=threads)
        try:
            if not schema_is_current(engine):
                if settings.database_url is not None:
                    raise SchemaBehind
                migrate(engine)
        except Exception:
            engine.dispose()
            raise
        shared_tokens.keep_in(PostgresTokens(engine, partial(token_key, settings.home)))
        return cls(
            engine,
            load_systems(settings.systems),
            load_connectors(),
            mapping_roots=[settings.home.root / "mappings"],
            folders=settings.systems,
        )

    def reload(self) -> None:
        """Read the system files again, for processes that live long; one that was given its systems keeps them."""
        if self._folders:
            self.systems = load_systems(self._folders)

    def close(self) -> None:
        shared_tokens.keep_in(None)
        self.budgets.close()
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ pull

    def pull(
        self,
        system: str,
        flow: str,
        params: Mapping[str, Any] | None = None,
        *,
        watch: Watch | None = None,
    ) -> PullReport:
        """Read what is new in the system and take it in, page by page; `watch` is told of records taken in.

        Raises Retry, Refused or Misconfigured as the source did; pages stored before that are taken in.
        """
        bound = self.bind(system, flow)
        report = PullReport(system=system, flow=flow)
        with self.run(bound, "pull", report), self.call(bound, params) as call:
            listing, counter = self._listing(bound), Counter(watch)
            report.recovered = self._take_in_waiting(bound, call, report, counter, listing)
            source = bound.source
            pages = source.run(call, self._cursor(bound))
            for page in pages:
                with self.engine.begin() as connection:
                    stored = intakes.store_page(
                        connection,
                        system=system,
                        flow=bound.name,
                        source=source.name,
                        page=page,
                        params=call.params,
                    )
                if page.note:
                    report.notes.append(page.note)
                if stored is not None:
                    report.pages += 1
                    self.take_in_page(bound, stored, call, report, counter, listing=listing)
                # webhooks that came meanwhile do not wait for the last page
                self._take_in_waiting(bound, call, report, counter, listing)
        return report

    def fetch(self, system: str, flow: str, ids: Sequence[str]) -> PullReport:
        """Ask the source for these ids and take in what it gives; the flow's cursor stays where it is.

        Raises Retry, Refused or Misconfigured.
        """
        bound = self.bind(system, flow)
        report = PullReport(system=system, flow=flow)
        with self.run(bound, "pull", report), self.call(bound, None) as call:
            self.fetch_pages(bound, ids, call, report, Counter(None), Listing(whole=False))
        return report

    def fetch_pages(
        self,
        bound: BoundFlow,
        ids: Sequence[str],
        call: Call[Any],
        report: PullReport,
        counter: Counter,
        listing: Listing,
    ) -> None:
        """`fetch` inside a run. What is no longer there gives no page; that it is gone, an event or a listing tells."""
        asked = replace(call, params={**call.params, "ids": list(ids)})
        for page in bound.source.run(asked, None):
            with self.engine.begin() as connection:
                stored = intakes.store_page(
                    connection,
                    system=bound.system.system,
                    flow=bound.name,
                    source=bound.source.name,
                    page=replace(page, cursor=None, complete=False),
                    params=asked.params,
                )
            if stored is not None:
                report.pages += 1
                self.take_in_page(bound, stored, asked, report, counter, listing=listing)

    def _take_in_waiting(
        self, bound: BoundFlow, call: Call[Any], report: PullReport, counter: Counter, listing: Listing
    ) -> int:
        """Take in what is stored and was not: webhooks, and pages of a run that was interrupted."""
        waiting = self._leftovers(bound)
        for intake_id in waiting:
            self.take_in_page(bound, intake_id, call, report, counter, listing=listing)
        return len(waiting)

    def _listing(self, bound: BoundFlow) -> Listing:
        """A listing is whole when the pages before it ended one."""
        with self.engine.connect() as connection:
            ended = intakes.ended_listing(connection, bound.system.system, bound.name)
        return Listing(whole=ended)

    def _leftovers(self, bound: BoundFlow) -> list[int]:
        with self.engine.connect() as connection:
            return intakes.unprocessed(connection, bound.system.system, bound.name)

    def _cursor(self, bound: BoundFlow) -> Any:
        model = bound.source.cursor
        if model is None:
            return None
        with self.engine.connect() as connection:
            saved = intakes.load_cursor(connection, bound.system.system, bound.name)
        return None if saved is None else model.model_validate(saved)

    def take_in_page(
        self,
        bound: BoundFlow,
        intake_id: int,
        call: Call[Any],
        report: PullReport,
        counter: Counter,
        only: frozenset[int] | None = None,
        listing: Listing | None = None,
        fetched: bool = False,
    ) -> None:
        """Take a stored page in, answer it where the system wants an answer, and only then mark it as finished.

        Without a `listing` it is a replay: of the whole page, or of `only` these positions. What a thin event names is
        fetched first, unless that was done (`fetched`). Only inside a run of the flow.
        """
        with self.engine.connect() as connection:
            item = intakes.load_intake(connection, intake_id)
        counter.at(item.name or f"{item.source} #{item.id}")
        if item.fetch_ids and listing is not None and not fetched:
            self.fetch_pages(bound, item.fetch_ids, call, report, counter, listing)
        replay = listing is None or item.state == "failed"
        taken = take_in(
            self.engine, item, bound.source, call.config, mappings=bound.mappings, context=bound.context,
            authority=self.systems.authority, replay=replay, only=only, counter=counter,
        )  # fmt: skip
        if bound.source.acknowledge is not None and item.name is not None:
            with self.engine.connect() as connection:
                refused = quarantine.refused_of(connection, intake_id)
            bound.source.acknowledge(call, item.name, refused)
        if listing is not None:
            self._delete(bound, item, taken, listing, report)
            with self.engine.begin() as connection:
                intakes.finish(connection, intake_id, taken.counts())
        report.add(taken)
        for kind, count in taken.kinds.items():
            report.kinds[kind] = report.kinds.get(kind, 0) + count
        report.notes.extend(taken.notes)

    def take_in_events(self, bound: BoundFlow, intake_ids: Sequence[int], report: PullReport) -> None:
        """Take in many stored events as if they were one page, oldest first. Only inside a run of the flow.

        For events that carry records and nothing else; see `together` for which flows allow it.
        """
        taken = take_in_events(
            self.engine, intake_ids, bound.source, system=bound.system.system, flow=bound.name,
            mappings=bound.mappings, context=bound.context, authority=self.systems.authority,
        )  # fmt: skip
        report.add(taken)
        for kind, count in taken.kinds.items():
            report.kinds[kind] = report.kinds.get(kind, 0) + count

    def _delete(
        self, bound: BoundFlow, item: intakes.Intake, taken: TakenIn, listing: Listing, report: PullReport
    ) -> None:
        """What the page says is gone: told by id, or absent from the listing it ends."""
        mapping = bound.mappings[0]
        origin = Origin(bound.system.system, bound.name, mapping.name, mapping.entity)
        owners = self.systems.authority.get(mapping.entity, {})
        listing.seen |= taken.seen
        listing.doubtful = listing.doubtful or taken.unreadable > 0
        removed = []
        if item.deleted:
            with self.engine.begin() as connection:
                removed.append(delete_told(connection, origin, item.deleted, owners))
        if item.complete and bound.source.deletes is Deletes.ABSENCE:
            accepted = str(item.params.get("accept_deletes", "")).lower() == "true"
            with self.engine.begin() as connection:
                removed.append(delete_absent(connection, origin, listing, owners, accepted=accepted))
            listing.begin_again()
        for one in removed:
            report.deleted += one.count
            report.notes.extend(one.notes)
            for kind, count in ((mapping.entity, one.count), ("order", one.orders)):
                if count:
                    report.kinds[kind] = report.kinds.get(kind, 0) + count

    # ------------------------------------------------------------------ push

    def push(
        self,
        system: str,
        flow: str,
        params: Mapping[str, Any] | None = None,
        *,
        watch: Watch | None = None,
        job: bool = False,
    ) -> PushReport:
        """Send what changed: unfinished deliveries first, then the change feed up to this moment.

        `params`: {"keys": [...]} looks at these entities wherever the feed stands; {"all": true} at every entity.
        What the ledger already holds is never sent again. `watch` is told of changes the sink was handed. `job`: who
        writes has the stock worked out and asks for a push, so the run does neither that nor wait for changes that a
        running transaction holds back; and it is remembered only if it sent something or failed.
        Raises Retry, Refused or Misconfigured.
        """
        bound = self.bind(system, flow)
        report = PushReport(system=system, flow=flow)
        lane = AccountLane(self.budgets, system)
        with self.run(bound, "push", report, quiet=job), self.call(bound, params, lane) as call:
            if "sellable" in bound.outgoing.kinds and not job:
                self.refresh_stock()
            sender = self.sender(bound, call, report, Counter(watch), lane)
            report.resumed = sender.send_open()
            wanted = dict(params or {})
            if wanted.get("keys") or wanted.get("all"):
                self._queue_again(bound, wanted, report)
                sender.send_open()
            for below in self._horizons(bound, once=job):
                more = True
                while more:
                    more = self._queue(bound, below, report)
                    sender.send_open(more_follows=more)
            sender.finish()
        return report

    def more_to_push(self, bound: BoundFlow) -> bool:
        """Whether changes wait behind the flow's position, those held back by a running transaction included."""
        with reading(self.engine) as connection:
            position = load_position(connection, bound.system.system, bound.name)
            return more_behind(connection, position=position, kinds=bound.outgoing.kinds)

    def _horizons(self, bound: BoundFlow, *, once: bool) -> Iterator[int]:
        """How far the feed may be read: once, or again while a running transaction holds back rows that are there."""
        for _ in range(PATIENCE):
            with reading(self.engine) as connection:
                below = horizon(connection)
            yield below
            if once or not self.more_to_push(bound):
                return
            time.sleep(0.05)
        where = f"{bound.system.system}/{bound.name}"
        raise Retry(f"{where}: a long transaction holds back newer changes", after=timedelta(minutes=1))

    def _queue(self, bound: BoundFlow, below: int, report: PushReport) -> bool:
        with self.engine.begin() as connection:
            return queue_round(connection, bound.outgoing, below=below, report=report)

    def _queue_urgent(self, bound: BoundFlow, report: PushReport) -> None:
        """Store what became urgent since somebody looked: it need not wait until a worker comes to it.

        A sink that writes whole files keeps to its timetable.
        """
        outgoing = bound.outgoing
        if bound.sink.whole:
            return
        with reading(self.engine) as connection:
            behind = urgent_behind(
                connection, system=outgoing.system, flow=outgoing.flow, kinds=outgoing.kinds
            )
        if behind:
            with self.engine.begin() as connection:
                queue_urgent(connection, outgoing, report)

    def _queue_again(self, bound: BoundFlow, wanted: Mapping[str, Any], report: PushReport) -> None:
        query = "SELECT id FROM entity WHERE kind = :kind AND deleted_at IS NULL"
        names: dict[str, Any] = {"kind": bound.mappings[0].entity}
        if wanted.get("keys"):
            query += " AND key = ANY(:keys)"
            names["keys"] = list(wanted["keys"])
        with self.engine.begin() as connection:
            ids = list(connection.scalars(text(f"{query} ORDER BY id"), names))
            report.read += len(ids)
            queue_entities(connection, bound.outgoing, ids, report)

    def sender(
        self, bound: BoundFlow, call: Call[Any], report: PushReport, counter: Counter, lane: AccountLane
    ) -> Sender:
        """What sends the flow's deliveries; only inside a run of the flow."""
        mapping = bound.mappings[0]
        return Sender(
            self.engine,
            call,
            bound.sink,
            flow=bound.name,
            mapping=mapping.name,
            kind=mapping.entity,
            report=report,
            counter=counter,
            lane=lane,
            queue_urgent=lambda: self._queue_urgent(bound, report),
            stopping=self.stopping.is_set,
        )

    # ------------------------------------------------------------------ quarantine

    def quarantine_list(
        self,
        system: str | None = None,
        flow: str | None = None,
        state: str | None = "open",
        limit: int = 1000,
    ) -> list[QuarantineRow]:
        """Refused records, oldest first; values are masked."""
        with self.engine.connect() as connection:
            return quarantine.list_rows(connection, system=system, flow=flow, state=state, limit=limit)

    def quarantine_show(self, row_id: int) -> dict[str, Any]:
        """Everything kept of one row, with its bytes. Raises LookupError."""
        with self.engine.connect() as connection:
            return quarantine.show_row(connection, row_id)

    def quarantine_discard(self, ids: Sequence[int], reason: str) -> int:
        """Close rows for good; returns how many were open."""
        with self.engine.begin() as connection:
            return quarantine.discard(connection, ids, reason)

    def quarantine_replay(self, ids: Sequence[int], *, watch: Watch | None = None) -> ReplayReport:
        """Try refused records again with today's mappings, tables and layouts.

        Incoming rows are read again from the page they came in; outgoing ones are mapped and sent anew.
        `watch` is told of rows tried.
        """
        report = ReplayReport()
        counter = Counter(watch)
        with self.engine.connect() as connection:
            rows = {row.id: row for row in quarantine.list_rows(connection, ids=ids, limit=len(ids))}
            details = [quarantine.show_row(connection, row_id) for row_id in rows]
        report.tried = len(rows)
        counter.expect(len(rows))
        pages: dict[int, list[dict[str, Any]]] = {}
        outgoing: dict[tuple[str, str], list[int]] = {}
        for row in details:
            if row["direction"] == "in":
                pages.setdefault(row["intake_id"], []).append(row)
            else:
                outgoing.setdefault((row["system"], row["flow"]), []).append(row["entity_id"])
        for intake_id, group in sorted(pages.items()):
            self._replay_page(intake_id, group, report)
            counter.add(len(group))
        for (system, flow), entity_ids in outgoing.items():
            self._replay_entities(system, flow, entity_ids)
            counter.add(len(entity_ids))
        with self.engine.begin() as connection:
            connection.execute(
                text("UPDATE quarantine SET replays = replays + 1 WHERE id = ANY(:ids)"), {"ids": list(rows)}
            )
            still, report.superseded = quarantine.after_replay(connection, list(rows))
        report.still_refused = still - report.missing
        report.through = report.tried - report.superseded - report.still_refused - report.missing
        return report

    def _replay_page(self, intake_id: int, rows: Sequence[Mapping[str, Any]], report: ReplayReport) -> None:
        bound = self.bind(rows[0]["system"], rows[0]["flow"])
        with self.engine.connect() as connection:
            item = intakes.load_intake(connection, intake_id)
        if item.state == "erased":
            report.missing += len(rows)
            return
        whole = any(fault.get("whole") for row in rows for fault in row["faults"])
        positions = None if whole else frozenset(place for row in rows for place in row["positions"])
        pulled = PullReport(system=bound.system.system, flow=bound.name)
        # a page or an event that was given up begins anew, as if it had just come
        listing = Listing(whole=False) if item.state == "failed" and whole else None
        with self.run(bound, "replay", pulled), self.call(bound, None) as call:
            self.take_in_page(bound, intake_id, call, pulled, Counter(None), only=positions, listing=listing)

    def _replay_entities(self, system: str, flow: str, entity_ids: Sequence[int]) -> None:
        bound = self.bind(system, flow)
        report = PushReport(system=system, flow=flow)
        lane = AccountLane(self.budgets, system)
        with self.run(bound, "replay", report), self.call(bound, None, lane) as call:
            with self.engine.begin() as connection:
                queue_entities(connection, bound.outgoing, entity_ids, report)
            sender = self.sender(bound, call, report, Counter(None), lane)
            sender.send_open()
            sender.finish()

    # ------------------------------------------------------------------ the rest of the front

    def status(self, now: datetime | None = None) -> list[FlowStatus]:
        """Every flow of every system: last run, lateness, what waits."""
        with self.engine.connect() as connection:
            return status.flow_statuses(connection, self.systems, now or datetime.now(UTC))

    def budget_statuses(self) -> list[BudgetStatus]:
        """The rate budget of every account that was ever called."""
        with self.engine.connect() as connection:
            return budget_statuses(connection)

    def job_statuses(self) -> list[JobStatus]:
        """Every job that waits, runs or failed."""
        with self.engine.connect() as connection:
            return job_statuses(connection)

    def check(self, system: str) -> str:
        """Prove that the account works; one line of what was seen. Raises one of the three errors."""
        found = self.systems.get(system)
        connector = self._connector(found)
        if connector.check_function is None:
            return "the connector has no check"
        limit = AccountLane(self.budgets, system).limit
        with open_call(connector, system, self.settings_of(system), limit=limit) as call:
            return connector.check_function(call)

    def validate(self) -> list[SystemFault]:
        """Everything in the system files that does not fit connectors or mappings, and files that cannot be read."""
        faults = list(self.systems.faults)
        for system in self.systems.systems.values():
            faults += validate(system, self.connectors, self.mapping)
        return faults

    def refresh_stock(self) -> Turned:
        """Bring what channels may sell up to date. Pulls that may change it, and pushes of it, do so by themselves."""
        return refresh(self.engine, self.systems, self.mapping)

    def explain_stock(self, sku: str, channel: str | None = None) -> StockExplanation:
        """Why channels show so many of a SKU, at this moment. Raises LookupError for a SKU nobody counts."""
        self.refresh_stock()
        return explain_stock(self.engine, self.systems, self.mapping, sku, channel)

    def oversold(self) -> list[Oversold]:
        """What was sold and is not there, oldest first, and who to call."""
        self.refresh_stock()
        with self.engine.connect() as connection:
            return open_oversold(connection, self.systems)

    def _turn_stock(self, bound: BoundFlow, report: PullReport | PushReport) -> None:
        concerned = any(mapping.entity in STOCK_KINDS for mapping in bound.mappings)
        if (
            concerned
            and isinstance(report, PullReport)
            and (report.records or report.pages or report.deleted)
        ):
            turned = self.refresh_stock()
            if turned.changed:
                report.kinds["sellable"] = report.kinds.get("sellable", 0) + turned.changed

    def housekeeping(self) -> dict[str, int]:
        """Remove what the rules in the home (retention.yaml) no longer keep; returns how many of each."""
        from hub.erasure.retention import tidy_up

        return tidy_up(self, Settings.from_env().home)

    def mapping(self, name: str) -> RecordMapping:
        """A mapping by name, from the shipped ones and those under the home folder."""
        return load_mapping(name, roots=self._roots)

    # ------------------------------------------------------------------ inside

    def _connector(self, system: System) -> Connector[Any]:
        return self.connectors.named(system.connector)

    def settings_of(self, system_id: str) -> Any:
        """The connector's settings for an account, secrets put in. Raises Misconfigured."""
        system = self.systems.get(system_id)
        model = self._connector(system).config
        return settings_from_connection(model, system.settings, connection(system_id), system=system_id)

    def bind(self, system_id: str, flow_name: str) -> BoundFlow:
        system = self.systems.get(system_id)
        flow = system.flow(flow_name)
        return BoundFlow(
            system=system,
            flow=flow,
            name=flow_name,
            connector=self._connector(system),
            mappings=tuple(self.mapping(name) for name in flow.mapping_names),
            context={"system": {"id": system_id, **system.constants}},
        )

    @contextmanager
    def call(
        self, bound: BoundFlow, params: Mapping[str, Any] | None, lane: AccountLane | None = None
    ) -> Iterator[Call[Any]]:
        """What the flow's source or sink is handed; calls go on `lane`, the bulk one when there is none."""
        lane = lane or AccountLane(self.budgets, bound.system.system)
        history = intakes.IntakeHistory(self.engine, bound.system.system, bound.name)
        merged = {**bound.flow.params, **(params or {})}
        config = self.settings_of(bound.system.system)
        with open_call(
            bound.connector, bound.system.system, config, params=merged, files_seen=history, limit=lane.limit
        ) as call:
            yield call

    def _begin_run(self, names: Mapping[str, str], direction: str) -> int:
        with self.engine.begin() as connection:
            return status.begin_run(connection, **names, direction=direction)

    @contextmanager
    def run(
        self, bound: BoundFlow, direction: str, report: PullReport | PushReport, *, quiet: bool = False
    ) -> Iterator[None]:
        """One run of a flow: alone, timed, logged, and remembered with how it ended.

        `quiet` remembers it only if it sent something or failed. Raises FlowBusy when the flow runs elsewhere.
        """
        names = {"system": bound.system.system, "flow": bound.name}
        with try_lock(self.engine, f"flow:{names['system']}:{names['flow']}") as mine:
            if not mine:
                raise FlowBusy(names["system"], names["flow"])
            began = datetime.now(UTC)
            run_id = None if quiet else self._begin_run(names, direction)
            started, outcome, error = time.monotonic(), "crashed", None
            try:
                yield
                self._turn_stock(bound, report)
                outcome = "ok"
            except (Retry, Refused, Misconfigured) as raised:
                outcome, error = type(raised).__name__.lower(), str(raised)
                self._turn_stock(bound, report)  # what was taken in before counts
                raise
            except Exception as raised:
                error = f"{type(raised).__name__}: {raised}"
                raise
            finally:
                report.seconds = round(time.monotonic() - started, 3)
                with self.engine.begin() as connection:
                    if run_id is not None:
                        status.end_run(connection, run_id, outcome, report.as_dict(), error)
                    elif outcome != "ok" or (isinstance(report, PushReport) and report.sent):
                        status.note_run(connection, **names, direction=direction, started_at=began,
                                        outcome=outcome, counts=report.as_dict(), error=error)  # fmt: skip
                told = None if error is None else mask("", error)  # inside Airflow nobody else masks it
                tell = log.debug if quiet and outcome == "ok" else log.info
                tell("run", direction=direction, outcome=outcome, error=told, **_counts(report))


def _counts(report: PullReport | PushReport) -> dict[str, Any]:
    counts: dict[str, Any] = mask_record(report.as_dict())
    return {name: value for name, value in counts.items() if value not in (0, [], {})}
