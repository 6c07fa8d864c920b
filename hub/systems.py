"""Contract 4: the system files. One YAML file is one account of an outside system, with its flows.

    system: rakuten-main                  # the name of the file, of the connection and of the DAGs
    connector: rakuten_rms
    title: {ja: 楽天市場 本店, en: Rakuten Ichiba main shop}
    settings: {base_url: "http://127.0.0.1:8801"}     # never a secret: those come through hub/secrets.py
    constants: {channel: rakuten}         # $system.channel in mappings
    flows:
      orders: {pull: orders, mapping: rakuten_rms/orders.in, schedule: "*/5 * * * *"}
      stock: {push: stock, mapping: rakuten_rms/stock.out}
    authority: {order: rakuten-main}

A file that is wrong gives faults (`Systems.faults`) and never hides the others; a flow that is wrong leaves its
system and the other flows standing. Values stand for themselves: nothing is taken from the environment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from canonical_model.entity import ENTITIES
from hub.calendar import BusinessTimes, Calendar, calendars
from hub.stock.checks import allocation_faults
from hub.system_faults import SystemFault, faults_of
from hub.system_file import Alerts, BusinessDays, Flow, System, UnknownName, system_schema
from hub.words import Words
from mappings.marks import BadYaml, Marks, read_yaml
from mappings.problems import TEXTS, suggestion

__all__ = [
    "Alerts",
    "BusinessDays",
    "Flow",
    "System",
    "SystemFault",
    "Systems",
    "UnknownName",
    "load_systems",
    "read_system",
    "system_schema",
]


@dataclass(slots=True)
class Systems:
    """Every system that could be read, by id, and what is wrong with the rest.

    authority  kind -> field ("*": every other) -> the system that owns it
    """

    systems: dict[str, System] = field(default_factory=dict)
    faults: list[SystemFault] = field(default_factory=list)
    calendars: dict[str, Calendar] = field(default_factory=dict)
    authority: dict[str, dict[str, str]] = field(default_factory=dict)

    def get(self, name: str) -> System:
        """Raises UnknownName with the nearest names, or with what is wrong with the file of that name."""
        if name in self.systems:
            return self.systems[name]
        own = [fault.words for fault in self.faults if name in (fault.system, fault.file.stem)]
        if own:
            raise UnknownName("\n".join(w.ja for w in own), "\n".join(w.en for w in own))
        ja, en = suggestion(name, self.systems)
        raise UnknownName(f"「{name}」というシステムはありません。{ja}", f"There is no system {name!r}.{en}")

    def schedule(self, system: str, flow: str) -> str | BusinessTimes | None:
        """When a flow is due, as `hub.calendar.next_run` takes it; None: never by itself."""
        schedule = self.get(system).flow(flow).schedule
        return schedule.times(self.calendars) if isinstance(schedule, BusinessDays) else schedule


# ---------------------------------------------------------------- reading


def load_systems(folders: Iterable[Path]) -> Systems:
    """Read every `*.yaml` of the folders. Of two files with one name the first folder's counts."""
    folders = tuple(folders)
    result = Systems()
    result.calendars, wrong = calendars(folders)
    result.faults += [SystemFault(None, Path(), 0, "", fault.words) for fault in wrong]
    for folder in folders:
        if not folder.is_dir():
            words = Words(
                "フォルダがありません。TSUNAGI_SYSTEMSを確認してください。",
                "There is no such folder. See TSUNAGI_SYSTEMS.",
            )
            result.faults.append(SystemFault(None, folder, 0, "", words))
            continue
        for path in sorted(folder.glob("*.y*ml")):
            _take(path, result)
    for system in result.systems.values():
        _check_names(system, result)
    return result


def _take(path: Path, result: Systems) -> None:
    if path.suffix != ".yaml":
        words = Words("ファイル名の最後を .yaml にしてください。", "Rename it: the name must end in .yaml.")
        result.faults.append(SystemFault(None, path, 0, "", words))
        return
    system, faults = read_system(path)
    result.faults += faults
    if system is None:
        return
    if (first := result.systems.get(system.system)) is not None:
        result.faults.append(
            system.fault(
                ("system",), f"{first.path} にも同じ名前があります。", f"{first.path} has the same name."
            )
        )
        return
    result.systems[system.system] = system


def read_system(path: Path) -> tuple[System | None, list[SystemFault]]:
    """One system file: the system with the flows that are right, and everything that is wrong."""
    name = path.stem
    try:
        data, marks = read_yaml(path.read_text("utf-8-sig"))
    except BadYaml as error:
        ja, en = TEXTS[error.code]
        return None, [
            SystemFault(name, path, error.line, "", Words(ja.format(**error.words), en.format(**error.words)))
        ]
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        words = Words("UTF-8で保存し直してください。", "This is not UTF-8; save it as UTF-8.")
        return None, [SystemFault(name, path, line, "", words)]
    except OSError as error:
        words = Words(f"読めません: {error.strerror}", f"Cannot be read: {error.strerror}")
        return None, [SystemFault(name, path, 0, "", words)]
    if not isinstance(data, dict):
        words = Words(
            "system: などのキーと値を書いてください。",
            "Write keys and values, such as system: and connector:.",
        )
        return None, [SystemFault(name, path, 1, "", words)]
    system, faults = _model(data, name, path, marks)
    if system is not None and system.system != name:
        faults.append(
            system.fault(
                ("system",),
                f"ファイル名 {path.name} と違います。{system.system}.yaml に変えるか、system: {name} にしてください。",
                f"Differs from the file's name {path.name}. Rename it {system.system}.yaml, or write system: {name}.",
            )
        )
        return None, faults
    return system, faults


def _model(
    data: dict[str, Any], name: str, path: Path, marks: Marks
) -> tuple[System | None, list[SystemFault]]:
    faults: list[SystemFault] = []
    try:
        system = System.model_validate(data)
    except ValidationError as error:
        faults = faults_of(error, System, system=name, file=path, marks=marks)
        places = [detail["loc"] for detail in error.errors(include_url=False)]
        wrong = {str(loc[1]) for loc in places if loc[0] == "flows" and len(loc) > 1}
        if not wrong or any(loc[0] != "flows" or len(loc) == 1 for loc in places):
            return None, faults
        kept = {key: value for key, value in data["flows"].items() if key not in wrong}
        system = System.model_validate({**data, "flows": kept})
    system._path, system._marks = path, marks
    return system, faults


def _check_names(system: System, result: Systems) -> None:
    """What a file says of other files: calendars and authority."""
    for name, flow in list(system.flows.items()):
        if isinstance(flow.schedule, BusinessDays) and flow.schedule.calendar not in result.calendars:
            asked = flow.schedule.calendar
            ja, en = suggestion(asked, result.calendars)
            at = ("flows", name, "schedule", "calendar")
            result.faults.append(
                system.fault(
                    at, f"カレンダー「{asked}」はありません。{ja}", f"There is no calendar {asked!r}.{en}"
                )
            )
            del system.flows[name]
    for kind, name, owner in system.owners():
        if fault := _authority_fault(system, result, kind, name, owner):
            result.faults.append(fault)
        else:
            result.authority.setdefault(kind, {})[name] = owner
    result.faults += allocation_faults(system, result.systems.values())


def _authority_fault(system: System, result: Systems, kind: str, name: str, owner: str) -> SystemFault | None:
    at = ("authority", kind) if name == "*" else ("authority", kind, name)
    if kind not in ENTITIES:
        ja, en = suggestion(kind, ENTITIES)
        return system.fault(
            at, f"「{kind}」という種類はありません。{ja}", f"There is no entity kind {kind!r}.{en}"
        )
    if name != "*" and name not in ENTITIES[kind].model_fields:
        ja, en = suggestion(name, ENTITIES[kind].model_fields)
        return system.fault(
            at, f"{kind} に「{name}」という項目はありません。{ja}", f"{kind} has no field {name!r}.{en}"
        )
    if owner not in result.systems:
        ja, en = suggestion(owner, result.systems)
        return system.fault(
            at, f"「{owner}」というシステムはありません。{ja}", f"There is no system {owner!r}.{en}"
        )
    said = result.authority.get(kind, {}).get(name, owner)
    if said != owner:
        return system.fault(
            at,
            f"{kind}.{name} は別のファイルで {said} が正とされています。どちらかにしてください。",
            f"Another file says {said} owns {kind}.{name}. Keep one of the two.",
        )
    return None
