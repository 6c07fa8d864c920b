"""What `tsunagi check` looks at, one finding a line: database, system files, mappings, schedules, accounts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.calls import open_call
from connectors.contract import ConnectorError
from connectors.registry import Connectors, load_connectors
from connectors.settings import settings_from_connection
from hub.calendar import JST, next_run
from hub.home import Settings
from hub.logs import mask
from hub.secrets import connection
from hub.system_check import validate
from hub.systems import System, Systems, load_systems
from hub.words import HubError, Words
from mappings import Mapping, MappingError, find_mappings, load_mapping

__all__ = ["Finding", "check_all"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    what  database, system_file, connector, mapping, schedule or account
    name  what it is called
    seen  one line of what was found, or of what is wrong
    """

    what: str
    name: str
    ok: bool
    seen: Words

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {"what": self.what, "name": self.name, "ok": self.ok, "seen": self.seen.say()}


def check_all(settings: Settings, only: str | None = None) -> Iterator[Finding]:
    """Look at everything, or at what belongs to the system `only`.

    What cannot be looked at because of an earlier fault is left out. Raises UnknownName when there is no such system.
    """
    systems = load_systems(settings.systems)
    connectors = load_connectors()
    chosen = dict(systems.systems)
    if only is not None:
        file_is_there = any(only in (fault.system, fault.file.stem) for fault in systems.faults)
        chosen = {only: systems.get(only)} if only in systems.systems or not file_is_there else {}
    checkup = _Checkup(settings, systems, connectors)
    if only is None:
        yield _database(settings)
    yield from checkup.files(chosen, only)
    if only is None:
        yield from checkup.broken_connectors()
    yield from checkup.mappings(chosen, only)
    for system in chosen.values():
        yield from checkup.schedules(system)
    for system in chosen.values():
        if system.connector in connectors:
            yield checkup.account(system)


def _database(settings: Settings) -> Finding:
    """Whether there is a database of the right schema; starts the embedded one."""
    # here and not above: the check of one system does without
    from sqlalchemy import text
    from sqlalchemy.exc import OperationalError

    from hub.postgres import database_url
    from hub.store.database import SchemaBehind, open_engine, schema_is_current

    name, engine = "PostgreSQL", None
    try:
        engine = open_engine(database_url(settings=settings))
        with engine.connect() as opened:
            version = opened.scalar(text("SHOW server_version"))
        if settings.database_url is not None and not schema_is_current(engine):
            raise SchemaBehind
    except HubError as error:
        return Finding("database", name, False, error.words)
    except OperationalError as error:
        detail = " ".join(str(error.orig).split())
        seen = Words(f"接続できません: {detail}", f"cannot be reached: {detail}")
        return Finding("database", name, False, seen)
    finally:
        if engine is not None:
            engine.dispose()
    return Finding("database", name, True, Words(f"版 {version}", f"version {version}"))


class _Checkup:
    def __init__(self, settings: Settings, systems: Systems, connectors: Connectors) -> None:
        self._systems = systems
        self._connectors = connectors
        self._own = settings.home.root / "mappings"

    def _mapping(self, name: str) -> Mapping:
        return load_mapping(name, roots=[self._own])

    def files(self, chosen: dict[str, System], only: str | None) -> Iterator[Finding]:
        """The system files: each that is right in one line, each fault of the others in one."""
        faults = [f for f in self._systems.faults if only is None or only in (f.system, f.file.stem)]
        for system in chosen.values():
            faults += validate(system, self._connectors, self._mapping)
        wrong = {fault.system for fault in faults}
        for fault in faults:
            yield Finding("system_file", fault.system or fault.file.name, False, fault.words)
        for name, system in chosen.items():
            if name not in wrong:
                count = len(system.flows)
                words = Words(f"{system.connector}、フロー {count} 個", f"{system.connector}, {count} flows")
                yield Finding("system_file", name, True, words)

    def broken_connectors(self) -> Iterator[Finding]:
        """Installed connectors that could not be loaded."""
        for fault in self._connectors.faults:
            yield Finding(
                "connector",
                fault.name,
                False,
                Words(f"読み込めません: {fault}", f"cannot be loaded: {fault}"),
            )

    def mappings(self, chosen: dict[str, System], only: str | None) -> Iterator[Finding]:
        """Every mapping the systems use; without `only` also those under the home that nothing uses yet."""
        names = {
            name
            for system in chosen.values()
            for flow in system.flows.values()
            for name in flow.mapping_names
        }
        if only is None:
            names |= set(find_mappings([self._own]))
        for name in sorted(names):
            try:
                mapping = self._mapping(name)
            except MappingError as error:
                for problem in error.problems:
                    where = f"{problem.file}:{problem.line} {problem.field}".strip()
                    words = Words(f"{where}: {problem.reason_ja}", f"{where}: {problem.reason_en}")
                    yield Finding("mapping", name, False, words)
                continue
            kind = mapping.entity
            ja, en = (f"{mapping.title.ja} ({kind} 版{mapping.version})",
                      f"{mapping.title.en} ({kind}, version {mapping.version})")  # fmt: skip
            yield Finding("mapping", name, True, Words(ja, en))

    def schedules(self, system: System) -> Iterator[Finding]:
        """When each flow with a schedule is due next. A faulty calendar stands among the faults of the files."""
        now = datetime.now(UTC)
        for name, flow in system.flows.items():
            if flow.schedule is None:
                continue
            where = f"{system.system}/{name}"
            try:
                schedule = self._systems.schedule(system.system, name)
                assert schedule is not None
                due = next_run(schedule, now).astimezone(JST).strftime("%Y-%m-%d %H:%M")
            except HubError as error:
                yield Finding("schedule", where, False, error.words)
                continue
            yield Finding(
                "schedule", where, True, Words(f"次回 {due} (日本時間)", f"next {due} (Japan time)")
            )

    def account(self, system: System) -> Finding:
        """Log in with the secrets of the connection and let the connector say what it sees."""
        connector = self._connectors[system.connector]
        try:
            config = settings_from_connection(
                connector.config, system.settings, connection(system.system), system=system.system
            )
            if connector.check_function is None:
                seen = Words("コネクタに確認機能がありません", "the connector has no check")
                return Finding("account", system.system, True, seen)
            with open_call(connector, system.system, config) as call:
                found = connector.check_function(call)
            return Finding("account", system.system, True, Words(found, found))
        except HubError as error:  # of the secrets
            return Finding("account", system.system, False, error.words)
        except ConnectorError as error:
            told = str(error).removeprefix(f"{system.system}: ")
            return Finding("account", system.system, False, Words(told, told))
        except Exception as error:  # noqa: BLE001  (a bug in one connector must not hide the other accounts)
            told = mask("error", f"{type(error).__name__}: {error}")
            return Finding("account", system.system, False, Words(told, told))
