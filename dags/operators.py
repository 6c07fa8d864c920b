"""The tasks: one drains one flow. They call the hub and pass a small summary on; nothing else goes through Airflow."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator

from dags.decisions import failure
from dags.summaries import housekeeping_summary, pull_summary, push_summary, reconcile_summary
from hub.calendar import JST
from hub.logs import mask, mask_error
from hub.words import HubError, Words

if TYPE_CHECKING:
    from airflow.sdk import Context

    from hub.engine import Hub
    from hub.reports import PullReport, PushReport

__all__ = ["HousekeepingOperator", "HubOperator", "PullOperator", "PushOperator", "given"]

NOTES_SHOWN = 20
"""Notes of a run that go into its summary; all of them are in the log."""


class HubOperator(BaseOperator):
    """Opens the hub, runs, says in the operator's language what came of it or what to do."""

    title: Words
    system: str

    def execute(self, context: Context) -> dict[str, Any]:
        # imported here: a DAG file is parsed every half minute, and parsing needs no database
        from hub.engine import Hub
        from hub.memory import keep_what_is_loaded
        from plugins.connections import use_airflow_connections

        use_airflow_connections()
        logging.getLogger("alembic").setLevel(
            logging.WARNING
        )  # the schema's version is no news to an operator
        try:
            with Hub.open() as hub:
                keep_what_is_loaded()
                return self.run_with(hub, context)
        except Exception as error:
            mask_error(error)  # the other side may have named a person, and Airflow logs what is raised
            self.log.error("%s", failure(error, self.system, self.title).say())
            raise

    @abstractmethod
    def run_with(self, hub: Hub, context: Context) -> dict[str, Any]:
        """Call the hub; returns the summary."""


class _FlowOperator(HubOperator):
    def __init__(self, *, system: str, flow: str, title: Words, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.system = system
        self.flow = flow
        self.title = title


class PullOperator(_FlowOperator):
    """Pulls one flow. Its outlets are the kinds of entity the flow can change.

    A kind that this run did not change is taken from its outlets, so that an unchanged pull wakes nobody.
    """

    ui_color = "#dbeafe"

    def run_with(self, hub: Hub, context: Context) -> dict[str, Any]:
        report: PullReport = hub.pull(self.system, self.flow, params=given(context["params"]))
        changed = report.kinds
        self.outlets = [
            asset for asset in self.outlets if isinstance(asset, Asset) and changed.get(asset.name)
        ]
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {"changed": changed[asset.name], "from": self.system}
        _tell(self, pull_summary(report), report.notes, report.quarantined)
        return _small(report.as_dict())


class PushOperator(_FlowOperator):
    """Pushes one flow: all the change feed holds for it since its last push."""

    ui_color = "#dcfce7"

    def run_with(self, hub: Hub, context: Context) -> dict[str, Any]:
        report: PushReport = hub.push(self.system, self.flow, params=given(context["params"]))
        _tell(self, push_summary(report), report.notes, report.quarantined + report.refused)
        return _small(report.as_dict())


class HousekeepingOperator(HubOperator):
    """Deletes what has been kept long enough."""

    ui_color = "#f3f4f6"

    def __init__(self, *, title: Words, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.system = "tsunagi"
        self.title = title

    def run_with(self, hub: Hub, context: Context) -> dict[str, Any]:  # noqa: ARG002
        report: Mapping[str, Any] = hub.housekeeping()
        self.log.info("%s", housekeeping_summary(report).say())
        return dict(report)


class ReconcileOperator(HubOperator):
    """Compares one kind with the system's full listing, and writes the report. Fails above `limit` differences."""

    ui_color = "#fef3c7"

    def __init__(
        self, *, system: str, entity: str, days: int, limit: int, title: Words, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.system = system
        self.entity = entity
        self.days = days
        self.limit = limit
        self.title = title

    def run_with(self, hub: Hub, context: Context) -> dict[str, Any]:  # noqa: ARG002
        from hub.home import Settings
        from hub.reconcile import Options, TooDifferent, reconcile

        reports = Settings.from_env().home.root / "reports" / "reconcile"
        result = reconcile(hub, self.system, self.entity, reports=reports, options=Options(days=self.days))
        summary = reconcile_summary(result)
        if result.differences > self.limit:
            raise TooDifferent(result, self.limit)
        (self.log.warning if result.differences else self.log.info)("%s", summary.say())
        return {
            "run": result.run, "differences": result.differences, "counts": result.counts,
            "folder": str(result.folder),
        }  # fmt: skip


def given(params: Mapping[str, Any]) -> dict[str, Any]:
    """What the operator filled in of the form; an empty field says nothing. A time without a zone is Japan's."""
    given = {name: value for name, value in params.items() if value not in (None, False, "", [])}
    for name in ("since", "until"):
        if name in given:
            given[name] = _moment(name, given[name])
    return given


def _moment(name: str, value: str) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise HubError(
            f"「{name}」の日時 {value!r} が読めません。2026-11-21T09:00 の形で入力してください。",
            f"{name!r}: {value!r} is no date and time; write 2026-11-21T09:00.",
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=JST)).isoformat()


def _tell(operator: BaseOperator, summary: Words, notes: Sequence[str], refused: int) -> None:
    for note in notes:
        operator.log.info("%s", mask("said", note))
    (operator.log.warning if refused else operator.log.info)("%s", summary.say())


def _small(report: dict[str, Any]) -> dict[str, Any]:
    notes = report["notes"] = [mask("said", note) for note in report.get("notes", [])]
    if len(notes) > NOTES_SHOWN:
        report["notes"] = [*notes[:NOTES_SHOWN], f"... +{len(notes) - NOTES_SHOWN}"]
    return report
