"""The road of the demo day: which flows run in which order, and what the other side does in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hub.demo.counterparts import Counterparts
from hub.words import Words

__all__ = ["ROAD", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """One flow, run through Airflow.

    before  what the other side does first; `scene` is how that is called
    during  what the other side does again and again while the flow runs: answering it
    """

    system: str
    flow: str
    before: Callable[[Counterparts], None] | None = None
    scene: Words | None = None
    during: Callable[[Counterparts], None] | None = None

    @property
    def dag_id(self) -> str:
        return f"{self.system}__{self.flow}"


ROAD = (
    Step(
        "core", "orders", Counterparts.core_exports_orders,
        Words("通販基幹が受注CSVをSFTPに置く", "the mail-order core drops order files on its SFTP server"),
    ),
    Step("rakuten-main", "listings"),
    Step("rakuten-main", "orders"),
    Step(
        "wms", "stock", Counterparts.warehouse_counts,
        Words("倉庫が在庫CSVを置く(朝)", "the warehouse writes its stock (morning)"),
    ),
    Step("rakuten-main", "stock"),
    Step("rakuten-main", "confirmations"),
    Step("rakuten-main", "orders"),
    Step("wms", "instructions"),
    Step(
        "wms", "results", Counterparts.warehouse_ships,
        Words("倉庫が出荷し、出荷実績CSVを置く", "the warehouse ships and writes its results"),
    ),
    Step("rakuten-main", "shipments"),
    Step("core", "shipping_report", during=Counterparts.core_reads_reports),
    Step(
        "wms", "stock", Counterparts.warehouse_counts,
        Words("倉庫が在庫CSVを置く(夕方)", "the warehouse writes its stock (evening)"),
    ),
    Step("rakuten-main", "stock"),
    Step("rakuten-main", "orders"),
)  # fmt: skip
"""Orders are read again after they were confirmed and after they were shipped, as they are on any day."""
