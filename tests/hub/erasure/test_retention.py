"""What is old goes, by the rules of the home; what somebody still needs stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from hub.engine import Hub
from hub.erasure import retention
from hub.erasure.retention import Retention, RetentionFault, load_retention, tidy_up
from hub.home import Home
from tests.hub.erasure.town import first_day


def test_the_usual_rules_keep_a_fresh_day(hub: Hub, tmp_path: Path) -> None:
    first_day(hub, tmp_path)
    assert set(hub.housekeeping().values()) == {0}


def test_old_things_go_and_open_ones_stay(
    hub: Hub, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PORTION", 2)
    first_day(hub, tmp_path)
    for _ in range(5):
        hub.pull("core", "orders")
    with hub.engine.begin() as connection:
        connection.execute(text("UPDATE intake SET received_at = now() - interval '40 days'"))
        connection.execute(text("UPDATE delivery SET finished_at = now() - interval '40 days'"))
        connection.execute(text("UPDATE flow_run SET finished_at = now() - interval '40 days'"))
    old = home / "logs/worker.log.3"
    old.write_text("old")
    os.utime(old, (time.time() - 40 * 86400,) * 2)
    (home / "logs/worker.log").write_text("fresh")
    (home / "retention.yaml").write_text("received: 30d\ndeliveries: 30d\nruns: 30d\nlogs: 30d\n")
    removed = hub.housekeeping()
    assert removed["intakes_erased"] == 0  # a refused record still needs its page
    assert removed["deliveries_removed"] == 1
    assert removed["runs_removed"] == 5  # the newest of each flow stays
    assert removed["logs_removed"] == 1
    assert (home / "logs/worker.log").exists()
    rows = hub.quarantine_list()
    hub.quarantine_discard([row.id for row in rows], "done")
    with hub.engine.begin() as connection:
        connection.execute(text("UPDATE quarantine SET resolved_at = now() - interval '200 days'"))
    removed = hub.housekeeping()
    assert (removed["intakes_erased"], removed["quarantine_removed"]) == (1, len(rows))
    with hub.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM intake_body")) == 0
        assert connection.scalar(text("SELECT count(*) FROM entity WHERE kind = 'order'")) == 5


def test_zero_days_removes_at_once(hub: Hub, tmp_path: Path, home: Path) -> None:
    first_day(hub, tmp_path)
    hub.quarantine_discard([row.id for row in hub.quarantine_list()], "done")
    removed = tidy_up(hub, Home(home), Retention.model_validate({"received": "0d", "quarantine": "0d"}))
    assert (removed["intakes_erased"], removed["quarantine_removed"]) == (1, 2)


@pytest.mark.parametrize(
    ("said", "named"),
    [("received: soon", "received"), ("recieved: 90d", "recieved"), ("- 90d", "?"), ("a: [", "retention")],
)
def test_a_wrong_rule_removes_nothing_and_is_named(
    hub: Hub, tmp_path: Path, home: Path, said: str, named: str
) -> None:
    first_day(hub, tmp_path)
    (home / "retention.yaml").write_text(said)
    with pytest.raises(RetentionFault, match=r"retention\.yaml") as raised:
        hub.housekeeping()
    assert named in str(raised.value)
    with hub.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM intake_body")) == 1


def test_without_a_file_the_usual_rules_hold(home: Path) -> None:
    assert load_retention(Home(home)) == Retention()
