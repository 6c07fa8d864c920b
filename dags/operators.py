"""The tasks: one drains one flow. They call the hub and pass a small summary on; nothing else goes through Airflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator

from dags.decisions import failure
from dags.summaries import housekeeping_summary, pull_summary, push_summary
from hub.words import Words

if TYPE_CHECKING:
    from airflow.sdk import Context

    from hub.engine import Hub
    from hub.reports import PullReport, PushReport

__all__ = ["HousekeepingOperator", "PullOperator", "PushOperator"]

NOTES_SHOWN = 20
"""Notes of a run that go into its summary; all of them are in the log."""


class _HubOperator(BaseOperator):
    """Opens the hub, runs, says in the operator's language what came of it or what to do."""

    title: Words
    system: str

    def execute(self, context: Context) -> dict[str, Any]:
        # imported here: a DAG file is parsed every half minute, and parsing needs no database
        from hub.engine import Hub

        try:
            with Hub.open() as hub:
                return self.run_with(hub, context)
        except Exception as error:
            self.log.error("%s", failure(error, self.system, self.title).say())
            raise

    def run_with(self, hub: Hub, context: Context) -> dict[str, Any]:
        raise NotImplementedError


class _FlowOperator(_HubOperator):
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
        report: PullReport = hub.pull(self.system, self.flow, params=_given(context["params"]))
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
        report: PushReport = hub.push(self.system, self.flow, params=_given(context["params"]))
        _tell(self, push_summary(report), report.notes, report.quarantined + report.refused)
        return _small(report.as_dict())


class HousekeepingOperator(_HubOperator):
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


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    """What the operator filled in of the form; an empty field says nothing."""
    return {name: value for name, value in params.items() if value not in (None, False, "", [])}


def _tell(operator: BaseOperator, summary: Words, notes: Sequence[str], refused: int) -> None:
    for note in notes:
        operator.log.info("%s", note)
    (operator.log.warning if refused else operator.log.info)("%s", summary.say())


def _small(report: dict[str, Any]) -> dict[str, Any]:
    notes = report.get("notes", [])
    if len(notes) > NOTES_SHOWN:
        report["notes"] = [*notes[:NOTES_SHOWN], f"... +{len(notes) - NOTES_SHOWN}"]
    return report
