"""Erasing a customer: first a plan, then the files, then all of the database in one transaction.

A crash before the transaction's end leaves the database as it was and some files cleaned: running it again does the
whole. Meanwhile no flow runs, so that nothing brings back what was just taken out.
"""

from __future__ import annotations

import getpass
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from sqlalchemy import Connection, text

from connectors.contract import Retry
from hub.erasure import files, pages, records, rows
from hub.erasure.marks import Marks, erasure_key, marks_of_person, subject_of
from hub.erasure.person import Found, find
from hub.erasure.records import Work
from hub.erasure.values import clean_record
from hub.home import Home, Settings
from hub.intake import load_intake
from hub.store.database import lock_number

if TYPE_CHECKING:
    from hub.engine import Hub

__all__ = ["Erased", "Plan", "Step", "erase", "make_plan", "user_name"]

log = structlog.get_logger("tsunagi.erasure")

Step = Callable[[str], None]
"""Told the name of each step as it begins."""


@dataclass(slots=True)
class Plan:
    """What erasing a customer will do. Nothing in it is stored.

    held       place -> how many things are there
    pages      stored pages that may hold the person
    waiting    of those the ones still to be taken in: they are cleaned when they are
    files      files of the home and of archives on this machine that may hold the person
    unclean    files that hold the person and cannot be cleaned in place (packed, binary, too large)
    beyond     systems with copies: system, kind, id over there, and which of its flows could carry a deletion
    archives   archives of the other side: system and folder
    """

    found: Found
    with_alike: bool = False
    held: dict[str, int] = field(default_factory=dict)
    pages: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    unclean: list[Path] = field(default_factory=list)
    beyond: list[Beyond] = field(default_factory=list)
    archives: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Beyond:
    """A copy the hub cannot reach, and the flow that could carry a deletion there, if there is one."""

    system: str
    kind: str
    external_id: str
    flow: str | None


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done. `whole` are pages that had to go as a whole, `unclean` files a person must see to."""

    id: int
    places: dict[str, int]
    whole: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()
    unclean: tuple[Path, ...] = ()


_HELD = {
    "contribution": "SELECT count(*) FROM contribution WHERE entity_id = ANY(:ids)",
    "cross_reference": "SELECT count(*) FROM cross_reference WHERE entity_id = ANY(:customers)",
    "ledger": "SELECT count(*) FROM ledger WHERE entity_id = ANY(:ids)",
    "delivery_change": "SELECT count(*) FROM delivery_change WHERE entity_id = ANY(:ids)",
    "quarantine": "SELECT count(*) FROM quarantine WHERE entity_id = ANY(:ids) OR intake_id = ANY(:pages)",
}
_STATES = text("SELECT id FROM intake WHERE id = ANY(:ids) AND state = 'stored' ORDER BY id")
_RESERVE = text("SELECT nextval(pg_get_serial_sequence('erasure', 'id'))")
_CERTIFY = text("""
    INSERT INTO erasure (id, subject, requested_by, reason, places, systems, digest)
    OVERRIDING SYSTEM VALUE
    VALUES (:id, :subject, :by, :reason, CAST(:places AS jsonb), CAST(:systems AS text[]), :digest)
""")


def make_plan(hub: Hub, key: str, *, with_alike: bool = False, home: Home | None = None) -> Plan:
    """Find what is held where. Only reads. Raises NoSuchCustomer.

    with_alike  also erase the customers who look like the same person
    """
    home = home or Settings.from_env().home
    with hub.engine.connect() as connection:
        found = find(connection, key, with_alike=with_alike)
        plan = Plan(found, with_alike)
        for thing in [*found.own.values(), *found.mentions.values()]:
            place = f"entity:{thing.kind}"
            plan.held[place] = plan.held.get(place, 0) + 1
        plan.pages = rows.candidates(connection, found)
        plan.waiting = list(connection.scalars(_STATES, {"ids": plan.pages}))
        names = {
            "ids": [*found.own, *found.mentions],
            "customers": [thing.id for thing in found.of_kind("customer")],
            "pages": plan.pages,
        }
        for place, query in _HELD.items():
            if count := connection.scalar(text(query), names):
                plan.held[place] = count
    needles = files.Needles.of(found.person)
    plan.files = [path for path in _reach(hub, home) if files.holds(path, needles.every)]
    if plan.pages:
        plan.held["intake"] = len(plan.pages)
    if plan.files:
        plan.held["files"] = len(plan.files)
    plan.beyond = [
        Beyond(system, kind, external, _deleting_flow(hub, system, kind))
        for system, kind, external in found.systems
        if kind in ("customer", "order", "subscription")
    ]
    plan.archives = files.remote_archives(hub)
    return plan


def _reach(hub: Hub, home: Home) -> Iterator[Path]:
    yield from files.home_files(home)
    yield from files.archives(hub)


def _deleting_flow(hub: Hub, system: str, kind: str) -> str | None:
    """The flow that writes this kind there: its sink could carry a deletion. Nothing is sent by erasing."""
    known = hub.systems.systems.get(system)
    for name, flow in () if known is None else known.flows.items():
        if flow.push is not None and hub.mapping(flow.mapping_names[0]).entity == kind:
            return name
    return None


def user_name() -> str:
    """Who runs this process, for the register."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"


# ---------------------------------------------------------------- doing it


def erase(
    hub: Hub, plan: Plan, *, reason: str = "", by: str | None = None, home: Home | None = None,
    step: Step = lambda _: None, patience: timedelta = timedelta(minutes=5),
) -> Erased:  # fmt: skip
    """Erase the customer of the plan. Raises Retry when a flow does not come to its end in time.

    What came since the plan was made is found again.
    """
    home = home or Settings.from_env().home
    step("wait")
    with _flows_still(hub, patience):
        with hub.engine.connect() as connection:
            found = find(connection, plan.found.key, with_alike=plan.with_alike)
            step("search")
            newest = max(plan.pages, default=0)
            ids = {*plan.pages, *rows.candidates(connection, found, after=newest)}
            looked = _look(hub, connection, found, sorted(ids))
        step("files")
        places: dict[str, int] = {}
        unclean = _clean_files(hub, home, found, looked, places)
        step("database")
        with hub.engine.begin() as connection:
            done = _erase_rows(connection, found, looked, places, reason=reason, by=by, step=step)
        step("done")
    log.info("erased", erasure=done.id, **{name.replace(":", "_"): n for name, n in done.places.items()})
    return Erased(done.id, done.places, done.whole, done.waiting, tuple(unclean))


@dataclass(slots=True)
class _Looked:
    """Pages with rows of the person, and what reads them."""

    pages: list[tuple[rows.PageRows, rows.Reader]] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)


def _look(hub: Hub, connection: Connection, found: Found, ids: Sequence[int]) -> _Looked:
    looked = _Looked()
    readers: dict[tuple[str, str], rows.Reader] = {}
    needles = files.Needles.of(found.person)
    for intake_id in ids:
        item = load_intake(connection, intake_id)
        if item.state == "stored":
            looked.waiting.append(intake_id)
            continue
        place = item.system, item.flow
        if place not in readers:
            readers[place] = rows.reader_of(hub, *place)
        page = rows.rows_of(hub, connection, found, intake_id, readers[place])
        if not page.readable:
            body = b"".join(pages.body_of(connection, intake_id))
            if not needles.meant(body):
                continue
        if page.own or page.others or not page.readable:
            looked.pages.append((page, readers[place]))
    return looked


@contextmanager
def _flows_still(hub: Hub, patience: timedelta) -> Iterator[None]:
    """No flow runs meanwhile, here or elsewhere: each is waited for, and starts no more until we are done."""
    names = [
        f"flow:{system.system}:{flow}"
        for system in hub.systems.systems.values()
        for flow in sorted(system.flows)
    ]
    milliseconds = int(patience.total_seconds() * 1000)
    with hub.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"SET lock_timeout = {milliseconds}"))
        try:
            for name in sorted(names):
                _wait_for(connection, name)
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock_all()"))
            connection.execute(text("RESET lock_timeout"))


def _wait_for(connection: Connection, name: str) -> None:
    from sqlalchemy.exc import OperationalError

    try:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": lock_number(name)})
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == "55P03":
            flow = name.removeprefix("flow:").replace(":", "/")
            raise Retry(
                f"{flow} is still running; erase when it has ended", after=timedelta(minutes=5)
            ) from None
        raise


def _clean_files(hub: Hub, home: Home, found: Found, looked: _Looked, places: dict[str, int]) -> list[Path]:
    needles = files.Needles.of(found.person)
    known: dict[bytes, bytes] = {}
    with hub.engine.connect() as connection:
        for page, reader in looked.pages:
            source = reader.source
            if source is None or source.decode is None or page.item.name is None:
                continue
            body = b"".join(pages.body_of(connection, page.item.id))
            blanked = pages.without_rows(body, page.item, source, reader.config, page.own)
            if blanked is not None:
                known[page.item.sha256] = pages.without_values(blanked, page.others, needles.every)
    unclean = []
    for path in _reach(hub, home):
        cleaned = files.clean_file(path, needles, known)
        if cleaned is None:
            unclean.append(path)
        elif cleaned:
            places["files"] = places.get("files", 0) + 1
    return unclean


def _erase_rows(
    connection: Connection, found: Found, looked: _Looked, places: dict[str, int], *, reason: str,
    by: str | None, step: Step,
) -> Erased:  # fmt: skip
    marks = Marks.open(connection) or Marks(erasure_key())
    places.update(_other_rooms(connection, found))
    erasure: int = connection.scalar(_RESERVE) or 0
    work = Work(erasure, found, places=places)
    customers = {
        (system, one) for (system, kind), ids in found.ids.items() if kind == "customer" for one in ids
    }
    needles = files.Needles.of(found.person)
    certificate: dict[str, Any] = {
        "id": erasure, "subject": subject_of(marks, found.key), "by": by or user_name(), "reason": reason,
        "systems": sorted({system for system, _, _ in found.systems}),
    }  # fmt: skip
    connection.execute(_CERTIFY, {**certificate, "places": "{}", "digest": b""})
    marks.put(connection, erasure, marks_of_person(marks, found.person, sorted(customers)))
    whole = _blank_pages(connection, work, looked, needles)
    step("pages")
    blanked = {page.item.id: page.own for page, _ in looked.pages}
    records.erase_quarantine(connection, work, blanked, needles)
    step("quarantine")
    records.erase_sent(connection, work)
    step("sent")
    records.erase_entities(connection, work)
    step("entities")
    records.sweep_texts(connection, work)
    step("texts")
    certificate["places"] = orjson.dumps(work.places, option=orjson.OPT_SORT_KEYS).decode()
    seal = hashlib.sha256(
        orjson.dumps(certificate, default=lambda one: bytes(one).hex(), option=orjson.OPT_SORT_KEYS)
    )
    connection.execute(
        text("UPDATE erasure SET places = CAST(:places AS jsonb), digest = :digest WHERE id = :id"),
        {"id": erasure, "places": certificate["places"], "digest": seal.digest()},
    )
    return Erased(erasure, dict(work.places), tuple(whole), tuple(looked.waiting))


def _other_rooms(connection: Connection, found: Found) -> dict[str, int]:
    """What matching, comparisons and outgoing webhooks hold. Matching writes to the feed, so it comes first."""
    from hub.people.decisions import forget as forget_matching
    from hub.reconcile.results import forget_keys
    from hub.subscribers.messages import forget as forget_messages

    customers = [thing.id for thing in found.of_kind("customer")]
    places = {"people": forget_matching(connection, customers)}
    things = [*found.own.values(), *found.mentions.values()]
    places["subscriber_message"] = forget_messages(connection, [thing.id for thing in things])
    for kind in sorted({thing.kind for thing in things}):
        removed = forget_keys(connection, kind, [thing.key for thing in things if thing.kind == kind])
        places["reconcile_difference"] = places.get("reconcile_difference", 0) + removed
    return {place: count for place, count in places.items() if count}


def _blank_pages(connection: Connection, work: Work, looked: _Looked, needles: files.Needles) -> list[int]:
    whole = []
    person = work.found.person
    for page, reader in looked.pages:
        source = reader.source
        if not page.readable or source is None:
            done = pages.erase_page(connection, page.item)
        else:
            done = pages.blank_rows(connection, page.item, source, reader.config, page.own)
            if done:
                pages.blank_values(
                    connection,
                    page.item,
                    source,
                    page.others,
                    lambda one: clean_record(one, person),
                    needles.every,
                )
        if not done:
            whole.append(page.item.id)
        work.count("intake")
        work.count("intake rows", len(page.own) + len(page.others))
    return whole
