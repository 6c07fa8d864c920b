"""The supervisor of background processes: what it starts it can find, prove ready and end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hub.home import Home
from hub.processes import NotReadyError, Processes

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""
STUBBORN = [sys.executable, "-c", DEAF]
FAMILY = """
import subprocess, sys, os, time
child = subprocess.Popen([sys.executable, "-c", "import os, time; os.setpgid(0, 0); time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(Home(tmp_path))
    yield processes
    processes.stop_all(grace=0)


def until(condition, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_started_process_is_found_by_another_supervisor_and_started_only_once(
    processes: Processes, tmp_path: Path
) -> None:
    first = processes.start("worker", SLEEPER)
    elsewhere = Processes(Home(tmp_path))
    assert elsewhere.find("worker") == first
    assert elsewhere.start("worker", SLEEPER).pid == first.pid
    assert elsewhere.names() == ["worker"]


def test_stop_ends_the_process_and_forgets_it(processes: Processes) -> None:
    running = processes.start("worker", SLEEPER)
    assert processes.stop("worker") is True
    assert gone(running.pid)
    assert processes.find("worker") is None
    assert processes.names() == []
    assert processes.stop("worker") is False


def test_one_that_ignores_term_is_killed_after_the_grace_time(processes: Processes) -> None:
    running = processes.start("deaf", STUBBORN)
    until(lambda: "deaf" in processes.log("deaf").read_text())
    began = time.monotonic()
    processes.stop("deaf", grace=0.5)
    assert gone(running.pid)
    assert 0.4 < time.monotonic() - began < 5


def test_children_in_a_process_group_of_their_own_end_with_their_parent(processes: Processes) -> None:
    processes.start("family", [sys.executable, "-c", FAMILY])
    until(lambda: processes.log("family").read_text().strip().isdigit())
    child = int(processes.log("family").read_text())
    processes.stop("family", grace=2)
    assert gone(child)


def test_children_whose_parent_was_killed_are_ended_before_the_next_start(processes: Processes) -> None:
    parent = processes.start("family", [sys.executable, "-c", FAMILY])
    until(lambda: processes.log("family").read_text().strip().isdigit())
    child = int(processes.log("family").read_text())
    os.kill(parent.pid, signal.SIGKILL)
    until(lambda: processes.find("family") is None)
    assert not gone(child)
    second = processes.start("family", SLEEPER)
    assert gone(child)
    assert second.pid != parent.pid


def test_a_process_id_given_to_somebody_else_is_neither_found_nor_stopped(processes: Processes) -> None:
    stranger = subprocess.Popen(SLEEPER, start_new_session=True)
    try:
        running = processes.start("worker", SLEEPER)
        processes.stop("worker")
        born = {"boot": running.born.boot, "ticks": running.born.ticks - 100}
        memory = {"name": "worker", "pid": stranger.pid, "born": born, "command": SLEEPER}
        (processes.run / "worker.json").write_text(json.dumps(memory))
        assert processes.find("worker") is None
        assert processes.stop("worker") is False
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.skipif(not Path("/proc").exists(), reason="elsewhere a start time does not move with the clock")
def test_a_process_is_ours_whatever_happens_to_the_clock(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = processes.start("worker", SLEEPER)
    genuine = psutil.Process.create_time
    # what a correction of the machine's clock by a second does to the time of day a process began at
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: genuine(self) + 1)
    assert processes.find("worker") == running
    assert processes.stop("worker") is True
    assert gone(running.pid)


def test_a_torn_memory_file_counts_as_not_running(processes: Processes) -> None:
    processes.run.mkdir()
    (processes.run / "worker.json").write_text('{"name": "wor')
    assert processes.find("worker") is None
    assert processes.stop("worker") is False
    assert processes.start("worker", SLEEPER).pid


def test_waiting_for_one_that_dies_shows_the_end_of_its_log_in_both_languages(processes: Processes) -> None:
    processes.start("broken", [sys.executable, "-c", "print('no such port: 99999'); raise SystemExit(3)"])
    with pytest.raises(NotReadyError) as caught:
        processes.wait_ready("broken", lambda: False)
    assert "no such port: 99999" in caught.value.en
    assert "終了しました" in caught.value.ja


def test_waiting_ends_when_the_time_is_over(processes: Processes) -> None:
    processes.start("slow", SLEEPER)
    with pytest.raises(NotReadyError, match=r"0\.|not ready|応答"):
        processes.wait_ready("slow", lambda: False, timeout=0.3)


def test_output_goes_to_a_log_that_is_set_aside_when_it_has_grown(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.processes.LOG_LIMIT", 3)
    for word in ("first", "second"):
        processes.start("talker", [sys.executable, "-c", f"print('{word}')"])
        until(lambda: processes.find("talker") is None)
    assert processes.log("talker").read_text() == "second\n"
    assert (processes.logs / "talker.log.1").read_text() == "first\n"


def test_stop_all_asks_everyone_before_waiting_for_anyone(processes: Processes) -> None:
    for name in ("one", "two", "three"):
        processes.start(name, STUBBORN)
        until(lambda name=name: "deaf" in processes.log(name).read_text())
    running = [processes.find(name) for name in processes.names()]
    assert processes.stop_all(grace=0.2) == ["one", "three", "two"]
    assert all(gone(one.pid) for one in running if one)


def test_stop_all_names_those_too_that_ended_while_it_waited_for_others(processes: Processes) -> None:
    processes.start("deaf", STUBBORN)
    until(lambda: "deaf" in processes.log("deaf").read_text())
    processes.start("polite", SLEEPER)
    assert processes.stop_all(grace=0.5) == ["deaf", "polite"]
