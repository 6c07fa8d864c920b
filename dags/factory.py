"""From `systems/*.yaml` to DAGs: one for each flow, tied together by assets named after the canonical entities.

A pull has the kinds of entity it can change as outlets; a push wakes when a kind it looks at has changed. An asset
event only says "look": what is to be sent the change feed knows, so an event that got lost costs time, never data.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, AssetAny, AssetOrTimeSchedule, CronTriggerTimetable
from airflow.sdk.bases.timetable import BaseTimetable
from hub.systems import Flow, System, load_systems

from connectors.contract import Connector
from connectors.registry import load_connectors
from dags.decisions import FlowRetryPolicy
from dags.flow_docs import FlowText, flow_doc
from dags.forms import pull_form, push_form
from dags.operators import HousekeepingOperator, PullOperator, PushOperator
from hub.derive import FACTS
from hub.home import Settings
from hub.words import HubError, Words
from mappings import load_mapping

__all__ = ["Built", "build", "kinds_of_flow"]

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

    faults   one for each file, or flow, that gave no DAG: why, and what to do
    """

    dags: dict[str, DAG] = field(default_factory=dict)
    faults: list[Words] = field(default_factory=list)


def build(settings: Settings, only: str | None = None) -> Built:
    """Every flow's DAG, by its id. With `only` (a DAG id) no other is built: a task's process needs just one."""
    built = Built()
    loaded = load_systems(settings.systems)
    built.faults.extend(fault.words for fault in loaded.faults)
    for system in loaded.systems.values():
        for name, flow in system.flows.items():
            dag_id = f"{system.system}__{name}"
            if only not in (None, dag_id):
                continue
            try:
                built.dags[dag_id] = _flow_dag(dag_id, system, name, flow, settings)
            except Exception as error:  # noqa: BLE001  one broken flow must not hide the others
                built.faults.append(_fault(system, name, error))
    if only in (None, HOUSEKEEPING):
        built.dags[HOUSEKEEPING] = _housekeeping(settings)
    return built


def kinds_of_flow(flow: Flow, roots: Iterable[Path] = ()) -> tuple[str, ...]:
    """A pull: the kinds of entity it can change. A push: those it looks at, its own first."""
    mappings = [load_mapping(name, roots=tuple(roots)) for name in flow.mapping_names]
    kinds = [mapping.entity for mapping in mappings]
    if flow.push:
        kinds += [related.entity for mapping in mappings for related in mapping.related.values()]
    elif FACTS.intersection(kinds):
        kinds.append("order")  # its quantities and states follow from facts
    return tuple(dict.fromkeys(kinds))


def asset(kind: str) -> Asset:
    """The asset that stands for all entities of one kind."""
    return Asset(name=kind, uri=f"tsunagi://{kind}", group="tsunagi")


def _flow_dag(dag_id: str, system: System, name: str, flow: Flow, settings: Settings) -> DAG:
    connector = load_connectors().named(system.connector)
    text = _text(system, name, flow, connector, kinds_of_flow(flow, [settings.home.root / "mappings"]))
    title, lang = text.title, settings.lang
    with DAG(
        dag_id,
        dag_display_name=title.say(lang),
        description=title.say("en" if lang == "ja" else "ja"),
        doc_md=flow_doc(text, lang),
        schedule=_schedule(text),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        tags=[system.system, system.connector, "pull" if text.pull else "push", *text.kinds],
        params=pull_form(lang) if text.pull else push_form(lang),
        default_args={**TASK, "owner": system.owner or "tsunagi", "retry_policy": FlowRetryPolicy()},
    ) as dag:
        common: dict[str, Any] = {"system": system.system, "flow": name, "title": title}
        if text.pull:
            PullOperator(task_id="pull", outlets=[asset(kind) for kind in text.kinds], **common)
        else:
            PushOperator(task_id="push", **common)
    return dag


def _text(
    system: System, name: str, flow: Flow, connector: Connector[Any], kinds: tuple[str, ...]
) -> FlowText:
    end = connector.sources[flow.pull] if flow.pull else connector.sinks[flow.push or ""]
    title = flow.title or end.title
    schedule = flow.schedule or (None if flow.pull else _sweep(f"{system.system}__{name}"))
    return FlowText(
        system=system.system,
        system_title=Words(system.title.ja, system.title.en),
        flow=name,
        pull=bool(flow.pull),
        subject=Words(title.ja, title.en),
        connector=connector.name,
        connector_title=Words(connector.title.ja, connector.title.en),
        declared=end.doc,
        mappings=tuple(flow.mapping_names),
        kinds=kinds,
        schedule=schedule,
        file=system.path.name,
    )


def _sweep(dag_id: str) -> str:
    """Twice an hour, each flow at minutes of its own so that not all start at once."""
    minute = zlib.crc32(dag_id.encode()) % 30
    return f"{minute},{minute + 30} * * * *"


def _schedule(text: FlowText) -> BaseTimetable | None:
    timetable = None if text.schedule is None else CronTriggerTimetable(text.schedule, timezone=ZONE)
    if text.pull or timetable is None:
        return timetable
    return AssetOrTimeSchedule(timetable=timetable, assets=AssetAny(*(asset(kind) for kind in text.kinds)))


def _fault(system: System, flow: str, error: Exception) -> Words:
    ja, en = (error.ja, error.en) if isinstance(error, HubError) else (str(error), str(error))
    return Words(
        f"{system.path}: 連携 {flow} を読み込めません: {ja}",
        f"{system.path}: flow {flow} cannot be used: {en}",
    )


_HOUSEKEEPING = Words("つなぎ:保存期間の過ぎたデータの削除", "Tsunagi: delete what was kept long enough")


def _housekeeping(settings: Settings) -> DAG:
    with DAG(
        HOUSEKEEPING,
        dag_display_name=_HOUSEKEEPING.say(settings.lang),
        schedule=CronTriggerTimetable("40 3 * * *", timezone=ZONE),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        tags=["tsunagi"],
        default_args={**TASK, "owner": "tsunagi"},
    ) as dag:
        HousekeepingOperator(task_id="housekeeping", title=_HOUSEKEEPING)
    return dag
