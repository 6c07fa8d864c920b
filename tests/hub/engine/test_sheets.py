"""Files that are told apart into runs leave the same store as files that are read row by row."""

from __future__ import annotations

import csv
import gc
import io
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from house import STORE
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import text

from connectors.contract import Connector
from connectors.file_exchange.exchange import connector
from connectors.registry import Connectors
from hub import mappers, takein_sheet
from hub.drafting import make
from hub.engine import Hub
from hub.reports import PullReport
from hub.store.database import open_engine
from hub.systems import load_systems
from mappings import RecordFaults, Unit
from sandbox.mail_order_core import COLUMNS, host_bytes, orders_of

SYSTEM = """
system: core
connector: file_exchange
title: {{ja: 基幹, en: Core}}
settings:
  root: "{root}"
  interfaces:
    - {{name: orders, folder: orders, pattern: "O_{{seq:06d}}.csv", layout: general_orders}}
    - {{name: stock, folder: stock, pattern: "S_{{seq:06d}}.csv", layout: flat, snapshot: true}}
  layouts: ["{root}/layouts"]
constants: {{channel: core}}
flows:
  orders:
    pull: files
    params: {{interface: orders}}
    mappings: [file_exchange/general_orders.in, file_exchange/general_customers.in]
  stock: {{pull: files, params: {{interface: stock}}, mappings: [file_exchange/flat.in]}}
"""
LAYOUT = """
layout: flat
title: {ja: 在庫, en: Stock}
format: csv
columns: [{name: sku, kind: code}, units]
"""
MAPPING = """
version: 1
direction: in
entity: stock_position
title: {ja: 在庫, en: Stock}
external_id: sku
fields:
  key: {join: [sku, {value: W}], with: "@"}
  sku: {from: sku, required: true}
  location: {value: W}
  on_hand: {from: units, as: integer, required: true}
"""
# What a store holds, without the hashes: the two ways take them over different things. Of a record that comes again
# in other bytes (quotes, line ends) only one way keeps the newer place, so not the place counts but what stands there.
HELD = {
    **STORE,
    "record": "SELECT r.system, mapping, record_id, e.key, i.name, position FROM record r "
    "LEFT JOIN entity e ON e.id = r.entity_id JOIN intake i ON i.id = r.intake_id ORDER BY 1, 2, 3",
    "quarantine": "SELECT system, flow, mapping, subject, code, state, positions, faults, record, raw FROM quarantine "
    "ORDER BY 1, 2, 3, 4, id",
}
ORDERS = orders_of(date(2026, 11, 21), 6)


class House:
    """A hub over a folder, by the one way or the other."""

    def __init__(self, url: str, base: Path, *, sheets: bool) -> None:
        self.base = base
        (base / "systems").mkdir(parents=True)
        for folder in ("orders", "stock", "layouts", "mappings/file_exchange"):
            (base / folder).mkdir(parents=True)
        (base / "layouts" / "flat.yaml").write_text(LAYOUT, "utf-8")
        (base / "mappings" / "file_exchange" / "flat.in.yaml").write_text(MAPPING, "utf-8")
        (base / "systems" / "core.yaml").write_text(SYSTEM.format(root=base), "utf-8")
        loaded = load_systems([base / "systems"])
        assert loaded.faults == []
        connectors = Connectors(file_exchange=connector if sheets else _row_by_row())
        self.hub = Hub(open_engine(url), loaded, connectors, mapping_roots=[base / "mappings"])
        self.files: dict[str, bytes] = {}

    def take(self, flow: str, raw: bytes) -> PullReport:
        name = f"{flow[0].upper()}_{len(self.files) + 1:06d}.csv"
        self.files[name] = raw
        (self.base / flow / name).write_bytes(raw)
        return self.hub.pull("core", flow)

    def held(self) -> dict[str, list[tuple[Any, ...]]]:
        with self.hub.engine.connect() as connection:
            held = {name: [tuple(row) for row in connection.execute(text(sql))] for name, sql in HELD.items()}
        held["record"] = [(*row, self._line(name, position)) for *row, name, position in held["record"]]
        return held

    def _line(self, name: str, position: int) -> list[str]:
        line = self.files[name].split(b"\n")[position - 1].decode("cp932", "backslashreplace")
        return next(csv.reader([line.rstrip("\r")]))

    def empty(self) -> None:
        with self.hub.engine.begin() as connection:
            connection.exec_driver_sql(
                "TRUNCATE intake, intake_body, entity, record, cross_reference, change_feed, contribution, quarantine, "
                "flow_state, flow_run RESTART IDENTITY CASCADE"
            )


def _row_by_row() -> Connector[Any]:
    other = Connector("file_exchange", config=connector.config, title=connector.title, files=connector.files)
    other.sources = {name: replace(source, sheet=None) for name, source in connector.sources.items()}
    return other


@pytest.fixture
def houses(database_url: str, second_database_url: str, tmp_path: Path) -> Iterator[tuple[House, House]]:
    two = (
        House(database_url, tmp_path / "a", sheets=True),
        House(second_database_url, tmp_path / "b", sheets=False),
    )
    yield two
    for house in two:
        house.hub.close()


def csv_of(rows: Sequence[dict[str, str]], columns: Sequence[str] = COLUMNS) -> list[bytes]:
    """The rows as they stand in a file, each with its line end."""
    made = []
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow([row[name] for name in columns])
        made.append(host_bytes(line.getvalue()))
    return made


BAD = csv_of([ORDERS[0][0] | {"店舗伝票番号": "X1", "支払方法": "ツケ払い"}])[0] + b"X2,too,short\r\n"
HEAD = ",".join(COLUMNS).encode("cp932") + b"\r\n"
ROWS = [csv_of(rows) for rows in ORDERS]
BROKEN = st.sampled_from(
    [
        lambda row: row.replace(b",", b",,", 1),
        lambda row: row.replace(b"\r\n", b"\xfd\r\n", 1),
        lambda row: b"\xfd" + row,
        lambda row: row.replace(b",", b',"', 1),
        lambda row: row.replace(b"2026/11/21", b"2026/02/30"),
        lambda row: row[: len(row) // 2] + b"\r\n",
        lambda row: b"\r\n" + row,
        lambda row: b"," + row.split(b",", 1)[1],
        lambda row: row.replace(b"2026/11/21", b"2026/11/22"),
    ]
)
ORDER = st.tuples(
    st.integers(0, len(ROWS) - 1), st.one_of(st.none(), st.none(), st.tuples(BROKEN, st.integers(0, 3)))
)


def rows_of(order: tuple[int, tuple[Callable[[bytes], bytes], int] | None]) -> list[bytes]:
    index, harm = order
    rows = list(ROWS[index])
    if harm is not None:
        at = harm[1] % len(rows)
        rows[at] = harm[0](rows[at])
    return rows


# orders one after the other; sometimes rows anywhere, so that orders are torn; sometimes an order twice
FILE = st.one_of(
    st.lists(ORDER, max_size=6, unique_by=lambda order: order[0]).map(
        lambda o: [r for one in o for r in rows_of(one)]
    ),
    st.lists(ORDER, max_size=5).map(lambda o: [r for one in o for r in rows_of(one)]),
    st.lists(ORDER, max_size=3).flatmap(lambda o: st.permutations([r for one in o for r in rows_of(one)])),
).map(lambda rows: HEAD + b"".join(rows))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(FILE, min_size=1, max_size=3))
def test_files_of_orders_leave_the_same_store(houses: tuple[House, House], files: list[bytes]) -> None:
    for house in houses:
        house.empty()
    for raw in files:
        one, other = (house.take("orders", raw) for house in houses)
        assert replace(one, seconds=0) == replace(other, seconds=0)
        assert houses[0].held() == houses[1].held()


STOCK = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C", "D", '"D"', " A"]), st.sampled_from(["1", "2", "x", ""]),
        st.sampled_from(["\r\n", "\n", ",9\r\n"]),
    ), max_size=7,
)  # fmt: skip


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(STOCK, min_size=1, max_size=3))
def test_snapshots_of_single_rows_leave_the_same_store(houses: tuple[House, House], files: list[Any]) -> None:
    for house in houses:
        house.empty()
    for rows in files:
        raw = "sku,units\r\n" + "".join(f"{sku},{units}{end}" for sku, units, end in rows)
        one, other = (house.take("stock", raw.encode()) for house in houses)
        assert _told(one) == _told(other)
        assert houses[0].held() == houses[1].held()


def _told(report: PullReport) -> PullReport:
    """Of a record that stands twice in a file the first may count as unchanged or as superseded."""
    return replace(report, seconds=0, unchanged=report.unchanged + report.superseded, superseded=0)


def whole_file(orders: range, **changes: str) -> bytes:
    rows = [row | changes for n in orders for row in ORDERS[n]]
    return HEAD + b"".join(csv_of(rows))


def test_what_is_known_is_not_read_again(
    houses: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = houses[0]
    house.take("orders", whole_file(range(6)))

    def refuse(*_: Any) -> Any:
        raise AssertionError("a known order was read")

    monkeypatch.setattr(takein_sheet.Drafter, "run", refuse)
    again = house.take("orders", whole_file(range(5, -1, -1)))
    assert (again.records, again.unchanged, again.changed) == (12, 12, 0)


@contextmanager
def much(size: int, count: int) -> Iterator[None]:
    """Let files of this size be mapped by so many processes, two orders at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(takein_sheet, "MUCH", size)
        patch.setattr(takein_sheet, "CHUNK", 2)
        patch.setenv(mappers.PROCESSES, str(count))
        yield


def test_more_processes_leave_the_same_store(houses: tuple[House, House]) -> None:
    raw = whole_file(range(6)) + BAD
    with much(0, 2):
        one = houses[0].take("orders", raw)
    with much(0, 1):
        other = houses[1].take("orders", raw)
    assert replace(one, seconds=0) == replace(other, seconds=0)
    assert one.quarantined > 0
    assert houses[0].held() == houses[1].held()


def test_a_process_that_dies_costs_no_record(
    houses: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    genuine = subprocess.Popen

    def start(*words: Any, **names: Any) -> Any:
        started.append(genuine(*words, **names))
        os.kill(started[-1].pid, signal.SIGKILL)
        return started[-1]

    monkeypatch.setattr(mappers.subprocess, "Popen", start)
    raw = whole_file(range(6)) + BAD
    with much(0, 2):
        one = houses[0].take("orders", raw)
    other = houses[1].take("orders", raw)
    assert started
    assert replace(one, seconds=0) == replace(other, seconds=0)
    assert houses[0].held() == houses[1].held()


def test_a_mapping_changed_meanwhile_is_not_mixed_with_the_old_one(houses: tuple[House, House]) -> None:
    house = houses[0]
    mapping = house.hub.mapping("file_exchange/general_orders.in")
    drafter = takein_sheet.Drafter(mapping, {}, "key", None)  # type: ignore[arg-type]
    object.__setattr__(drafter, "mapping", _Renamed(mapping))
    with mappers.mappers(drafter, 2) as workers:
        job = takein_sheet.Job([], {})
        assert list(workers.run([job, job, job])) == [([], [], [])] * 3


def test_a_refused_record_keeps_nothing_of_what_was_worked_on_beside_it(houses: tuple[House, House]) -> None:
    mapping = houses[0].hub.mapping("file_exchange/general_orders.in")
    context = {"system": {"channel": "core"}}
    bad = ORDERS[0][0] | {"支払方法": "ツケ払い", "受注日": "2026/02/30"}
    unit = Unit("X1", {**bad, "rows": [bad]}, (2,), "X1")

    def chunk() -> None:
        beside = [make(mapping, context, unit)]
        assert isinstance(beside[0], RecordFaults)

    chunk()
    gc.collect()
    gc.disable()
    try:
        chunk()
        assert gc.collect() == 0  # no circle was left that would have kept `beside`
    finally:
        gc.enable()


class _Renamed:
    """A mapping of which the file says something else by now."""

    def __init__(self, mapping: Any) -> None:
        self._mapping = mapping
        self.digest = "another"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mapping, name)
