"""From `systems/*.yaml` to DAGs: one for each flow, tied together by assets named after the canonical entities.

A pull has the kinds of entity it can change as outlets; a push wakes when a kind it looks at has changed. An asset
event only says "look": what is to be sent the change feed knows, so an event that got lost costs time, never data.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, AssetAny, AssetOrTimeSchedule, CronTriggerTimetable
from airflow.sdk.bases.timetable import BaseTimetable

from connectors.registry import load_connectors
from dags.decisions import FlowRetryPolicy
from dags.flow_docs import FlowText, flow_doc, reconcile_doc
from dags.forms import pull_form, push_form
from dags.operators import HousekeepingOperator, PullOperator, PushOperator, ReconcileOperator
from dags.people import PEOPLE, people_dag
from hub.calendar import BusinessTimes
from hub.derive import FACTS
from hub.home import Settings
from hub.stock import KINDS as STOCK_KINDS
from hub.system_check import validate
from hub.systems import Flow, System, SystemFault, Systems, load_systems
from hub.words import Language, Words
from mappings import load_mapping
from plugins.timetables import BusinessTimetable

__all__ = ["Built", "SystemFaults", "build", "kinds_of_flow"]

ZONE = "Asia/Tokyo"
START = datetime(2026, 1, 1, tzinfo=UTC)
"""Any moment in the past: nothing is caught up, the hub's own cursors say what is due."""

TASK = {
    "retries": 5,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=30),
    "execution_timeout": timedelta(hours=2),
}
HOUSEKEEPING = "tsunagi__housekeeping"


@dataclass(slots=True)
class Built:
    """What came of the system files.

    faults   what is wrong with a file, or with a flow that gave no DAG, and what to do
    """

    dags: dict[str, DAG] = field(default_factory=dict)
    faults: list[Words] = field(default_factory=list)


class SystemFaults(Exception):
    """System files that cannot be used; the flows of all others run."""

    def __init__(self, faults: Sequence[Words], lang: Language) -> None:
        super().__init__("\n\n" + "\n\n".join(fault.say(lang) for fault in faults))


def build(settings: Settings, only: str | None = None) -> Built:
    """Every flow's DAG, by its id. With `only` (a DAG id) no other is built: a task's process needs just one."""
    built = Built()
    loaded = load_systems(settings.systems)
    built.faults.extend(fault.words for fault in loaded.faults)
    roots = [settings.home.root / "mappings"]
    for system in loaded.systems.values():
        wrong = _faults(system, roots) if only is None else []
        built.faults.extend(fault.words for fault in wrong)
        _add_reconcile(built, system, wrong, only, settings.lang)
        for name, flow in system.flows.items():
            dag_id = f"{system.system}__{name}"
            if only not in (None, dag_id) or any(_stops(fault, name) for fault in wrong):
                continue
            try:
                kinds = kinds_of_flow(flow, roots)
                built.dags[dag_id] = _flow_dag(dag_id, loaded, system, name, kinds, settings.lang)
            except Exception as error:  # noqa: BLE001  one broken flow must not hide the others
                built.faults.append(_unexpected(system, error, "flows", name).words)
    brings_customers = any({"pull", "customer"} <= set(dag.tags) for dag in built.dags.values())
    if only == PEOPLE or (only is None and brings_customers):
        built.dags[PEOPLE] = people_dag(settings.lang, asset("customer"), TASK, START)
    if only in (None, HOUSEKEEPING):
        built.dags[HOUSEKEEPING] = _housekeeping(settings.lang)
    return built


def _faults(system: System, roots: Sequence[Path]) -> list[SystemFault]:
    try:
        return validate(system, load_connectors(), partial(load_mapping, roots=roots))
    except Exception as error:  # noqa: BLE001  nor may one broken system
        return [_unexpected(system, error)]


def _unexpected(system: System, error: Exception, *at: str) -> SystemFault:
    reason = f"{type(error).__name__}: {error}"
    return system.fault(at, reason, reason)


def _stops(fault: SystemFault, flow: str) -> bool:
    """A wrong setting does not: the run will say so, and a Connection may mend it."""
    return fault.field == "connector" or fault.field.startswith(f"flows.{flow}.")


def kinds_of_flow(flow: Flow, roots: Sequence[Path] = ()) -> tuple[str, ...]:
    """A pull: the kinds of entity it can change. A push: those it looks at, its own first."""
    mappings = [load_mapping(name, roots=roots) for name in flow.mapping_names]
    kinds = [mapping.entity for mapping in mappings]
    if flow.push:
        kinds += [related.entity for mapping in mappings for related in mapping.related.values()]
    else:
        if FACTS.intersection(kinds):
            kinds.append("order")  # its quantities and states follow from facts
        if set(STOCK_KINDS).intersection(kinds):
            kinds.append("sellable")
    return tuple(dict.fromkeys(kinds))


def asset(kind: str) -> Asset:
    """The asset that stands for all entities of one kind."""
    return Asset(name=kind, uri=f"tsunagi://{kind}", group="tsunagi")


def _flow_dag(
    dag_id: str, systems: Systems, system: System, name: str, kinds: tuple[str, ...], lang: Language
) -> DAG:
    flow = system.flow(name)
    timetable = _timetable(dag_id, systems.schedule(system.system, name), pull=flow.pull is not None)
    text = _text(system, name, kinds, timetable)
    with DAG(
        dag_id,
        dag_display_name=text.title.say(lang),
        description=text.title.say("en" if lang == "ja" else "ja"),
        doc_md=flow_doc(text, lang),
        schedule=_schedule(text, timetable),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        tags=[system.system, system.connector, "pull" if text.pull else "push", *kinds, *flow.tags],
        params=pull_form(lang) if text.pull else push_form(lang),
        default_args=_task(system, flow),
        auto_register=False,  # two DAG files call this; only one of them gives Airflow the DAGs
    ) as dag:
        common: dict[str, Any] = {"system": system.system, "flow": name, "title": text.title}
        if text.pull:
            PullOperator(task_id="pull", outlets=[asset(kind) for kind in kinds], **common)
        else:
            PushOperator(task_id="push", **common)
    return dag


def _task(system: System, flow: Flow) -> dict[str, Any]:
    task: dict[str, Any] = {**TASK, "retry_policy": FlowRetryPolicy()}
    task["owner"] = flow.owner or system.owner or "tsunagi"
    if flow.retries is not None:
        task["retries"] = flow.retries
    if flow.timeout is not None:
        task["execution_timeout"] = flow.timeout
    return task


def _text(system: System, name: str, kinds: tuple[str, ...], timetable: Times | None) -> FlowText:
    flow, connector = system.flow(name), load_connectors().named(system.connector)
    end = connector.sources[flow.pull] if flow.pull else connector.sinks[flow.push or ""]
    title = flow.title
    return FlowText(
        system=system.system,
        system_title=Words(system.title.ja, system.title.en),
        flow=name,
        pull=flow.pull is not None,
        subject=Words(end.title.ja, end.title.en),
        own_title=None if title is None else Words(title.ja, title.en),
        connector=connector.name,
        connector_title=Words(connector.title.ja, connector.title.en),
        declared=end.doc,
        mappings=flow.mapping_names,
        kinds=kinds,
        schedule=_said(timetable),
        file=system.path.name,
    )


Times = CronTriggerTimetable | BusinessTimetable


def _timetable(dag_id: str, schedule: str | BusinessTimes | None, *, pull: bool) -> Times | None:
    """A push without a schedule is swept twice an hour, at minutes of its own so that not all start at once."""
    if isinstance(schedule, BusinessTimes):
        return BusinessTimetable(schedule)
    if schedule is None and not pull:
        minute = zlib.crc32(dag_id.encode()) % 30
        schedule = f"{minute},{minute + 30} * * * *"
    return None if schedule is None else CronTriggerTimetable(schedule, timezone=ZONE)


def _said(timetable: Times | None) -> str | None:
    if timetable is None:
        return None
    return timetable.summary if isinstance(timetable, BusinessTimetable) else timetable.expression


def _schedule(text: FlowText, timetable: Times | None) -> BaseTimetable | BusinessTimetable | None:
    if text.pull or timetable is None:
        return timetable
    assets = AssetAny(*(asset(kind) for kind in text.kinds))
    return AssetOrTimeSchedule(timetable=timetable, assets=assets)  # type: ignore[arg-type]


_HOUSEKEEPING = Words("つなぎ:保存期間の過ぎたデータの削除", "Tsunagi: delete what was kept long enough")


def _housekeeping(lang: Language) -> DAG:
    with DAG(
        HOUSEKEEPING,
        dag_display_name=_HOUSEKEEPING.say(lang),
        schedule=CronTriggerTimetable("40 3 * * *", timezone=ZONE),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        tags=["tsunagi"],
        default_args={**TASK, "owner": "tsunagi"},
        auto_register=False,
    ) as dag:
        HousekeepingOperator(task_id="housekeeping", title=_HOUSEKEEPING)
    return dag


RECONCILE = "reconcile__nightly"
"""No flow can have this name: two underscores stand in none."""


def _add_reconcile(
    built: Built, system: System, wrong: Sequence[SystemFault], only: str | None, lang: Language
) -> None:
    """The DAG that compares the system with its full listing each night, if its file asks for one."""
    dag_id = f"{system.system}__{RECONCILE}"
    stops = any(fault.field == "connector" or fault.field.startswith("reconcile") for fault in wrong)
    if system.reconcile is not None and only in (None, dag_id) and not stops:
        built.dags[dag_id] = _reconcile_dag(dag_id, system, lang)


def _reconcile_dag(dag_id: str, system: System, lang: Language) -> DAG:
    assert system.reconcile is not None
    hour, minute = system.reconcile.at.split(":")
    title = Words(f"{system.title.ja}:夜間の照合", f"{system.title.en}: nightly reconciliation")
    with DAG(
        dag_id,
        dag_display_name=title.say(lang),
        description=title.say("en" if lang == "ja" else "ja"),
        doc_md=reconcile_doc(system, lang),
        schedule=CronTriggerTimetable(f"{int(minute)} {int(hour)} * * *", timezone=ZONE),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        max_active_tasks=1,  # both would ask the same account
        tags=[system.system, system.connector, "reconcile", *system.reconcile.entities],
        default_args={**TASK, "retry_policy": FlowRetryPolicy(), "owner": system.owner or "tsunagi"},
        auto_register=False,
    ) as dag:
        for kind, how in system.reconcile.entities.items():
            ReconcileOperator(
                task_id=kind, system=system.system, entity=kind, days=how.days, limit=how.limit, title=title
            )
    return dag
