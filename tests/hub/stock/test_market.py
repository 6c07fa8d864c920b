"""A market simulated with the hub, and on the same demand with a poller of five minutes: who oversells?"""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from room import Room
from simulation import HubWay, Market, PollingWay, Result, run

from tests.conftest import create_database, drop_database, in_database

SEEDS = (11, 23, 47)


def played(url: str, folder: Path, market: Market) -> tuple[Result, Result]:
    with Room.open(url, folder) as room:
        return run(market, HubWay(room)), run(market, PollingWay())


@pytest.fixture(scope="module")
def days(
    postgres_url: str, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Result, Result]]:
    found = []
    for seed in SEEDS:
        name = f"market_{uuid4().hex[:16]}"
        create_database(postgres_url, name, template=database_template)
        market = Market.drawn(seed, channels=5, skus=14, buyers=300, minutes=240)
        found.append(played(in_database(postgres_url, name), tmp_path_factory.mktemp("market"), market))
        drop_database(postgres_url, name)
    for seed, (hub, poller) in zip(SEEDS, found, strict=True):
        print(
            f"seed {seed}: sold {hub.sold} / {poller.sold}, oversold {hub.oversold} / {poller.oversold} (hub / poller)"
        )
    return found


@pytest.mark.timeout(280)
def test_the_hub_oversells_a_fraction_of_what_a_poller_does(days: list[tuple[Result, Result]]) -> None:
    hub, poller = sum(day[0].oversold for day in days), sum(day[1].oversold for day in days)
    assert poller > 0
    assert hub * 4 <= poller


@pytest.mark.timeout(280)
def test_it_does_not_do_so_by_hiding_stock(days: list[tuple[Result, Result]]) -> None:
    for hub, poller in days:
        assert hub.sold - hub.oversold >= poller.sold - poller.oversold - 1


@pytest.mark.timeout(280)
def test_in_the_evening_every_channel_shows_what_is_left(days: list[tuple[Result, Result]]) -> None:
    for hub, _ in days:
        assert hub.wrong == {}


def test_a_day_is_the_same_day_each_time() -> None:
    first, again = (Market.drawn(5, channels=3, skus=5, buyers=40, minutes=60) for _ in range(2))
    assert first == again
    assert run(first, PollingWay()) == run(again, PollingWay())
