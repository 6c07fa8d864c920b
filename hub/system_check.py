"""Does a system file fit what it names: the connector, its sources and sinks, and the mappings?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from connectors.contract import Connector
from connectors.settings import is_secret
from hub.system_faults import SystemFault, faults_of
from hub.systems import Flow, System
from mappings.problems import MappingError, suggestion

__all__ = ["LoadedMapping", "validate"]


class LoadedMapping(Protocol):
    """What is asked of a mapping."""

    @property
    def direction(self) -> str: ...


def validate(
    system: System, connectors: Mapping[str, Connector[Any]], load_mapping: Callable[[str], LoadedMapping]
) -> list[SystemFault]:
    """Everything in a system that does not fit: connector, settings, sources, sinks and mappings.

    Secrets are not looked at: whether an account works is `Hub.check`'s question. `load_mapping` raises
    MappingError for what cannot be loaded.
    """
    connector = connectors.get(system.connector)
    if connector is None:
        ja, en = suggestion(system.connector, connectors)
        fault = system.fault(
            ("connector",),
            f"「{system.connector}」というコネクタはありません。{ja}",
            f"There is no connector {system.connector!r}.{en}",
        )
        return [fault]
    faults = list(_settings(system, connector))
    for name, flow in system.flows.items():
        faults += _end(system, name, flow, connector)
        faults += _mappings(system, name, flow, load_mapping)
    if system.reconcile is not None and not faults:
        faults += _reconcile(system, connector, load_mapping)
    return faults


def _reconcile(
    system: System, connector: Connector[Any], load_mapping: Callable[[str], LoadedMapping]
) -> Iterator[SystemFault]:
    # here and not above: the room of comparisons stands on this one
    from hub.reconcile.parts import comparable

    known = comparable(system, connector, load_mapping)
    for kind in system.reconcile.entities if system.reconcile else ():
        if kind not in known:
            ja, en = suggestion(kind, known)
            yield system.fault(
                ("reconcile", "entities", kind),
                f"「{kind}」は照合できません。取り込むフローも、送った内容を一覧できるフローもありません。{ja}",
                f"{kind!r} cannot be compared: no flow brings it, and none sends it to where it can be listed.{en}",
            )


def _settings(system: System, connector: Connector[Any]) -> Iterator[SystemFault]:
    fields = connector.config.model_fields
    for name in system.settings:
        at = ("settings", name)
        if name not in fields:
            ja, en = suggestion(name, fields)
            yield system.fault(
                at,
                f"{connector.name} に「{name}」という設定はありません。{ja}",
                f"{connector.name} has no setting {name!r}.{en}",
            )
        elif is_secret(fields[name]):
            yield system.fault(
                at,
                f"「{name}」は秘密情報です。ここから消し、接続(AIRFLOW_CONN_... など)に書いてください。",
                f"{name!r} is a secret. Remove it here and put it into the connection (AIRFLOW_CONN_...).",
            )
    try:
        connector.config.model_validate(
            {name: value for name, value in system.settings.items() if name in fields}
        )
    except ValidationError as error:
        for fault in faults_of(
            error,
            connector.config,
            system=system.system,
            file=system.path,
            marks=system.marks,
            at=("settings",),
        ):
            # what is not in the file may still come from the connection
            if fault.field.partition(".")[2].partition(".")[0].partition("[")[0] in system.settings:
                yield fault


def _end(system: System, name: str, flow: Flow, connector: Connector[Any]) -> Iterator[SystemFault]:
    asked, key = (flow.pull, "pull") if flow.pull else (flow.push or "", "push")
    known: Mapping[str, object] = connector.sources if flow.pull else connector.sinks
    if asked in known:
        return
    ja, en = suggestion(asked, known)
    other = connector.sinks if flow.pull else connector.sources
    if asked in other:
        ja, en = (" pull ではなく push です。", " It is a sink: write push.") if flow.pull else (
            " push ではなく pull です。", " It is a source: write pull.")  # fmt: skip
    what_ja, what_en = ("ソース", "source") if flow.pull else ("シンク", "sink")
    yield system.fault(
        ("flows", name, key),
        f"{connector.name} に「{asked}」という{what_ja}はありません。{ja}",
        f"{connector.name} has no {what_en} {asked!r}.{en}",
    )


def _mappings(
    system: System, name: str, flow: Flow, load_mapping: Callable[[str], LoadedMapping]
) -> Iterator[SystemFault]:
    wanted = "in" if flow.pull else "out"
    key = "mapping" if flow.mapping else "mappings"
    for asked in flow.mapping_names:
        at = ("flows", name, key)
        try:
            mapping = load_mapping(asked)
        except MappingError as error:
            for problem in error.problems:
                where = f"{problem.file}:{problem.line} {problem.field}".strip()
                yield system.fault(at, f"{where}: {problem.reason_ja}", f"{where}: {problem.reason_en}")
            continue
        if mapping.direction != wanted:
            yield system.fault(
                at,
                f"{asked} の向きは {mapping.direction} です。このフローには .{wanted} を使ってください。",
                f"{asked} goes {mapping.direction}; this flow takes a .{wanted} mapping.",
            )
