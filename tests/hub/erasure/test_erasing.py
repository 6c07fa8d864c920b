"""Erasing a customer: nothing is left anywhere, everything else stays as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from connectors.contract import Retry
from hub.engine import Hub
from hub.erasure.person import NoSuchCustomer
from hub.erasure.run import Erased, erase, make_plan
from hub.store.database import try_lock
from tests.hub.erasure.town import (
    HANAKO,
    MARKERS,
    NAMESAKE,
    TARO,
    drop,
    dump,
    files_below,
    first_day,
    order,
    traces,
)

SURE = tuple(one for one in MARKERS if "花子" not in one and "ハナコ" not in one and "ﾊﾅｺ" not in one)
"""Markers the namesake does not share."""


def erased(hub: Hub, key: str = "mailorder/C-77") -> Erased:
    return erase(hub, make_plan(hub, key, with_alike=True), reason="asked for by letter", by="test")


def rows(hub: Hub, query: str, **values: Any) -> list[Any]:
    with hub.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]


def others(hub: Hub) -> dict[str, Any]:
    """What the hub holds of everybody else."""
    theirs = "('mailorder/A-2', 'mailorder/A-4', 'mailorder/C-78', 'mailorder/C-79')"
    return {
        "entity": rows(hub, f"SELECT * FROM entity WHERE key IN {theirs} ORDER BY id"),
        "record": rows(
            hub,
            f"SELECT r.* FROM record r JOIN entity e ON e.id = entity_id WHERE key IN {theirs} ORDER BY 1,2,3",
        ),
        "ledger": rows(
            hub,
            f"SELECT l.* FROM ledger l JOIN entity e ON e.id = entity_id WHERE e.key IN {theirs} ORDER BY 1,2,3",
        ),
        "sent": rows(
            hub,
            f"SELECT d.* FROM delivery_change d JOIN entity e ON e.id = entity_id WHERE e.key IN {theirs} ORDER BY 1,2",
        ),
    }


def the_page(hub: Hub) -> bytes:
    return bytes(rows(hub, "SELECT body FROM intake_body ORDER BY intake_id, part")[0][0])


@pytest.fixture
def day(hub: Hub, tmp_path: Path) -> Hub:
    first_day(hub, tmp_path)
    return hub


def test_nothing_is_left_in_database_or_home_or_archive(
    day: Hub, database_url: str, home: Path, tmp_path: Path
) -> None:
    (home / "logs/worker.log").write_text("refused: 川嶋 花子 / hanako.k@example.jp / 090\nfine\n", "utf-8")
    (home / "reports/found.html").write_bytes("<td>ｶﾜｼﾏ ﾊﾅｺ</td><td>03-0123-4567</td>".encode("cp932"))
    before = traces(dump(database_url), MARKERS)
    assert {place for place, _ in before} >= {
        "entity.content", "entity.key", "intake_body.body", "quarantine.record", "quarantine.faults", "ledger.record",
        "delivery_change.record", "cross_reference.external_id", "record.record_id",
    }  # fmt: skip
    assert traces(files_below(tmp_path / "core", tmp_path / "wms/sent"), SURE)
    erased(day)
    assert traces(dump(database_url), SURE) == []
    assert traces(files_below(home, tmp_path / "core/orders", tmp_path / "wms/sent"), SURE) == []
    assert (home / "logs/worker.log").read_text("utf-8").splitlines()[1] == "fine"
    # the namesake's rows alone still hold the name
    left = {place for place, _ in traces(dump(database_url), MARKERS)}
    assert left <= {"entity.content", "intake_body.body", "ledger.record", "delivery_change.record"}


def test_everybody_else_is_as_before_byte_for_byte(day: Hub) -> None:
    before, page = others(day), the_page(day)
    erased(day)
    assert others(day) == before
    after = the_page(day)
    assert len(after) == len(page)
    lines, were = after.split(b"\r\n"), page.split(b"\r\n")
    changed = [number for number, (a, b) in enumerate(zip(lines, were, strict=True), start=1) if a != b]
    assert changed == [2, 4, 6, 7]  # whole; of the gift A-5 of somebody else only the recipient
    assert lines[1].strip() == b""
    assert "山田 太郎".encode("cp932") in lines[5]


def test_amounts_numbers_and_goods_stay(day: Hub) -> None:
    sums = """SELECT key, content -> 'totals', content -> 'lines' -> 0 -> 'sku', content ->> 'ordered_at',
                     content -> 'payment' FROM entity WHERE kind = 'order' ORDER BY key"""
    before = rows(day, sums)
    erased(day)
    assert rows(day, sums) == before
    content = rows(day, "SELECT content FROM entity WHERE key = 'mailorder/A-1'")[0][0]
    assert content["buyer"] == {"name": {"full": "（消去済み）"}}
    assert "note" not in content
    customer = rows(
        day, "SELECT key, content FROM entity WHERE kind = 'customer' AND deleted_at IS NOT NULL ORDER BY key"
    )
    assert [key for key, _ in customer] == [content["customer_key"], "mailorder/erased-1.2"]
    assert customer[0][1] == {
        "key": content["customer_key"], "name": {"full": "（消去済み）"}, "status": "archived"
    }  # fmt: skip


def test_hashes_of_the_person_are_gone(day: Hub) -> None:
    ids = "entity_id IN (SELECT id FROM entity WHERE key IN ('mailorder/A-1', 'mailorder/A-5'))"
    before = rows(day, f"SELECT hash FROM ledger WHERE {ids}") + rows(
        day, f"SELECT hash FROM record WHERE {ids}"
    )
    before += rows(
        day, "SELECT hash FROM entity WHERE key IN ('mailorder/A-1', 'mailorder/A-5', 'mailorder/C-77')"
    )
    erased(day)
    held = {one for (one,) in rows(day, "SELECT hash FROM ledger UNION SELECT hash FROM record "
                                   "UNION SELECT hash FROM entity UNION SELECT hash FROM delivery_change")}  # fmt: skip
    assert held.isdisjoint({one for (one,) in before})


def test_nothing_is_sent_to_anybody_by_erasing(day: Hub, tmp_path: Path) -> None:
    erased(day)
    files = sorted(path.name for path in (tmp_path / "wms/in").iterdir())
    report = day.push("wms", "instructions")
    assert (report.sent, report.quarantined) == (0, 0)
    assert sorted(path.name for path in (tmp_path / "wms/in").iterdir()) == files


def test_a_full_listing_does_not_bring_the_person_back(day: Hub, database_url: str, tmp_path: Path) -> None:
    erased(day)
    before = rows(day, "SELECT id, key, version, content, hash FROM entity ORDER BY id")
    drop(
        tmp_path,
        2,
        [
            order("A-1", HANAKO, "C-77"),
            order("A-2", TARO, "C-78"),
            order("A-3", HANAKO, "C-77", 受注メールアドレス="hanako.k@example.jp@"),
        ],
    )
    report = day.pull("core", "orders")
    assert report.skipped >= 1
    assert rows(day, "SELECT id, key, version, content, hash FROM entity ORDER BY id") == before
    held = dump(database_url)
    kept = {place for place, _ in traces(held, SURE)}
    assert kept <= {"quarantine.record", "quarantine.faults", "intake_body.body"}  # the row nobody can date
    drop(tmp_path, 3, [order("A-1", HANAKO, "C-77", 商品計="9999"), order("A-2", TARO, "C-78")])
    day.pull("core", "orders")
    assert rows(
        day, "SELECT content -> 'totals' -> 'goods' -> 'amount' FROM entity WHERE key = 'mailorder/A-1'"
    ) == [(9999,)]


def test_an_old_order_the_hub_never_saw_comes_without_its_buyer(
    day: Hub, database_url: str, tmp_path: Path
) -> None:
    erased(day)
    drop(tmp_path, 2, [order("A-0", HANAKO, "C-77", 受注日="2024/01/02 03:04:05")])
    day.pull("core", "orders")
    assert rows(day, "SELECT content -> 'buyer' FROM entity WHERE key = 'mailorder/A-0'") == [
        ({"name": {"full": "（消去済み）"}},)
    ]
    assert traces(dump(database_url), SURE) == []


def test_a_new_order_is_a_new_beginning(day: Hub, tmp_path: Path) -> None:
    erased(day)
    drop(tmp_path, 2, [order("A-9", HANAKO, "C-77", 受注日="2099/01/02 03:04:05")])
    report = day.pull("core", "orders")
    assert any("ordered anew" in note for note in report.notes)
    assert rows(day, "SELECT content -> 'name' ->> 'full' FROM entity WHERE key = 'mailorder/C-77'") == [
        ("川嶋 花子",)
    ]
    # the old order stays as it is
    drop(tmp_path, 3, [order("A-1", HANAKO, "C-77")])
    day.pull("core", "orders")
    assert rows(day, "SELECT content -> 'buyer' FROM entity WHERE key = 'mailorder/A-1'") == [
        ({"name": {"full": "（消去済み）"}},)
    ]
    # and can be erased again
    assert erased(day).places["entity:order"] == 1


def test_the_namesake_is_told_apart(day: Hub, tmp_path: Path) -> None:
    erased(day)
    drop(tmp_path, 2, [order("A-4", NAMESAKE, "C-79", 商品計="1"), order("A-40", NAMESAKE)])
    day.pull("core", "orders")
    assert rows(day, "SELECT content -> 'name' ->> 'full' FROM entity WHERE key = 'mailorder/C-79'") == [
        ("川嶋 花子",)
    ]
    assert rows(day, "SELECT content -> 'buyer' ->> 'email' FROM entity WHERE key = 'mailorder/A-40'") == [
        ("other.hanako@example.net",)
    ]


def test_matching_messages_and_comparisons_forget_too(day: Hub, database_url: str) -> None:
    from hub.people.rules import load_rules
    from hub.people.turn import match_people

    match_people(day.engine, day.systems, load_rules())
    with day.engine.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO subscriber (name, url, kinds) VALUES ('erp', 'https://erp.example/', '{customer}');
            INSERT INTO subscriber_message (subscriber_id, event_id, entity_id, kind, content)
            SELECT s.id, 'e1', e.id, 'customer', e.content FROM subscriber s, entity e WHERE e.key = 'mailorder/C-77';
            INSERT INTO reconcile_run (system, subject) VALUES ('core', 'customer');
            INSERT INTO reconcile_difference (run_id, n, flow, direction, kind, key, state, remedy)
            SELECT r.id, 1, 'orders', 'in', 'customer', 'mailorder/hanako.k@example.jp', 'differ', 'none'
            FROM reconcile_run r
        """)
        )
    held = {place.partition(".")[0] for place, _ in traces(dump(database_url), SURE)}
    assert {"people_customer", "subscriber_message", "reconcile_difference"} <= held
    done = erased(day)
    assert {"people", "subscriber_message", "reconcile_difference"} <= set(done.places)
    assert traces(dump(database_url), SURE) == []
    match_people(day.engine, day.systems, load_rules())
    assert traces(dump(database_url), SURE) == []


def test_a_flow_that_runs_is_waited_for(day: Hub) -> None:
    with try_lock(day.engine, "flow:core:orders") as mine:
        assert mine
        with pytest.raises(Retry, match="core/orders"):
            erase(day, make_plan(day, "mailorder/C-77"), patience=timedelta(milliseconds=50))
    assert rows(day, "SELECT count(*) FROM erasure") == [(0,)]


def test_another_run_finds_nobody_and_changes_nothing(day: Hub, database_url: str) -> None:
    erased(day)
    before = dump(database_url)
    with pytest.raises(NoSuchCustomer):
        make_plan(day, "mailorder/C-77")
    assert dump(database_url) == before


@pytest.mark.chaos
@pytest.mark.parametrize("step", ["files", "database", "pages", "sent", "entities", "texts"])
def test_killed_in_the_midst_and_run_again(
    day: Hub, step: str, database_url: str, tmp_path: Path, home: Path
) -> None:
    town = str(Path(__file__).with_name("town.py"))
    command = [sys.executable, town, database_url, str(tmp_path), "mailorder/C-77"]
    env = {**os.environ, "TSUNAGI_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[3])}
    died = subprocess.run([*command, step], env=env, timeout=60, check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert rows(day, "SELECT count(*) FROM erasure") == [(0,)]
    finished = subprocess.run([*command, "never"], env=env, timeout=60, check=False, capture_output=True)
    assert finished.returncode == 0, finished.stderr.decode()
    assert traces(dump(database_url), SURE) == []
    assert traces(files_below(home, tmp_path / "core/orders", tmp_path / "wms/sent"), SURE) == []
