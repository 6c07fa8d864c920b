"""`kill -9` of senders at random moments: nothing is lost, of each entity the order is kept, ids stay."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from postroom import QUICK, Call, Desk, Reply

HERE = Path(__file__).parent
KEYS = [f"K{number}" for number in range(12)]


class Senders:
    """Processes that send to one subscriber for ever, until they are killed."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self._started = 0

    def start(self, name: str) -> None:
        self._started += 1
        ready = self._folder / f"ready-{self._started}"
        self._running.append(subprocess.Popen(
            [sys.executable, "-W", "ignore", str(HERE / "postroom.py"), self._url, name],
            env={**os.environ, "POSTROOM_READY": str(ready)}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ))  # fmt: skip
        end = time.monotonic() + 60
        while not ready.exists():
            assert time.monotonic() < end, "the sender did not start"
            time.sleep(0.02)

    def kill_oldest(self) -> None:
        process = self._running.pop(0)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def kill_all(self) -> None:
        while self._running:
            self.kill_oldest()


def misbehave(dice: random.Random) -> Callable[[Call], Reply]:
    """Refuses, hangs up, takes its time; mostly it answers as it should."""
    lock = threading.Lock()

    def answer(_call: Call) -> Reply:
        with lock:
            luck, wait = dice.random(), dice.uniform(0, 0.03)
        if luck < 0.08:
            return Reply(500, wait=wait)
        if luck < 0.12:
            return Reply(400, wait=wait)
        if luck < 0.16:
            return Reply(cut="before", wait=wait)
        if luck < 0.18:
            return Reply(429, {"retry-after": "0"})
        return Reply(wait=wait)

    return answer


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("content", ["thin", "full"])
def test_nothing_is_lost_and_the_order_is_kept(
    desk: Desk, database_url: str, tmp_path: Path, content: str, chaos_rounds: Callable[[int], int]
) -> None:
    seed = int(os.environ.get("TSUNAGI_TEST_SEED", random.randrange(10**6)))
    print(f"seed {seed}")
    dice = random.Random(seed)
    desk.receiver.answer = misbehave(random.Random(seed + 1))
    desk.subscribe(content=content)
    versions: dict[str, int] = defaultdict(int)

    def sell_some() -> None:
        for _ in range(dice.randrange(5, 30)):
            sku = dice.choice(KEYS)
            versions[f"rakuten/{sku}"] += 1
            desk.sell(sku, versions[f"rakuten/{sku}"])

    senders = Senders(database_url, tmp_path)
    try:
        for _ in range(chaos_rounds(4)):
            senders.start("erp")
            senders.start("erp")  # two that would both like to: one waits for the other's end
            sell_some()
            time.sleep(dice.uniform(0.0, 0.6))
            senders.kill_oldest()
            sell_some()
            time.sleep(dice.uniform(0.0, 0.3))
            senders.kill_all()
    finally:
        senders.kill_all()
    killed = desk.rows("SELECT FROM subscriber_attempt WHERE finished_at IS NULL")
    desk.receiver.answer = lambda call: Reply()
    desk.send_all(manner=QUICK, seconds=60)

    told: dict[str, list[int]] = defaultdict(list)
    ids: dict[tuple[str, int], set[str]] = defaultdict(set)
    for call in desk.receiver.calls:
        told[call.data["key"]].append(call.data["version"])
        ids[call.data["key"], call.data["version"]].add(call.event_id)
        if content == "full":
            assert call.data["content"]["quantity"] == call.data["version"]
    for key, newest in versions.items():
        assert told[key] == sorted(told[key]), f"{key} was told out of order"
        if content == "thin":
            assert sorted(set(told[key])) == list(range(1, newest + 1)), f"{key} was not told every version"
        else:
            assert told[key][-1] == newest, f"{key} was not told its last version"
    assert all(len(found) == 1 for found in ids.values()), "a message went out under two ids"
    assert set(desk.states()) == {"accepted"}
    print(
        f"{sum(versions.values())} versions, {len(desk.receiver.calls)} calls, {len(killed)} attempts cut short"
    )
