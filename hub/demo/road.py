"""The road of the demo day: which flows run in which order, and what the other side does in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hub.demo.counterparts import Counterparts
from hub.words import Words

__all__ = ["ROAD", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """One flow, run through Airflow. `before` is what the other side does first, and how that is called."""

    system: str
    flow: str
    before: Callable[[Counterparts], None] | None = None
    scene: Words | None = None

    @property
    def dag_id(self) -> str:
        return f"{self.system}__{self.flow}"


ROAD = (
    Step(
        "core", "orders", Counterparts.core_exports_orders,
        Words("通販基幹が受注CSVをSFTPに置きます", "The mail-order core puts order files on its SFTP server"),
    ),
    Step("rakuten-main", "listings"),
    Step("rakuten-main", "orders"),
    Step(
        "wms", "stock", Counterparts.warehouse_counts,
        Words("倉庫が在庫CSVを置きます", "The warehouse writes its stock"),
    ),
    Step("rakuten-main", "stock"),
    Step("rakuten-main", "confirmations"),
    Step("wms", "instructions"),
    Step(
        "wms", "results", Counterparts.warehouse_ships,
        Words("倉庫が出荷指示を処理し、出荷実績CSVを置きます", "The warehouse ships and writes its results"),
    ),
    Step("rakuten-main", "shipments"),
    Step("core", "shipping_report"),
    Step(
        "core", "shipping_report", Counterparts.core_reads_reports,
        Words("通販基幹が出荷報告を読み、受領応答を返します", "The core reads the report and answers it"),
    ),
)  # fmt: skip
"""The second look at the core's reports takes its answers in: until then these rows wait."""
