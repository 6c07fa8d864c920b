"""Channel policies: what they show, what the system file may say, and what it is told when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hub.stock.policy import ALL, NO_LIMIT, Allocation, Cut, Rule
from hub.systems import load_systems

cuts = st.builds(
    Cut,
    buffer=st.integers(0, 50),
    share=st.integers(0, ALL),
    leave=st.integers(0, 50),
    at_most=st.one_of(st.just(NO_LIMIT), st.integers(0, 50)),
)


@given(cuts, st.integers(-100, 200))
def test_a_channel_never_shows_more_than_is_free_and_every_unit_is_accounted_for(cut: Cut, free: int) -> None:
    offer = cut.offer(free)
    assert min(offer) >= 0
    assert sum(offer) == max(free, 0)


@given(cuts, st.integers(-100, 200))
def test_more_stock_never_makes_a_channel_show_less(cut: Cut, free: int) -> None:
    assert cut.offer(free).quantity <= cut.offer(free + 1).quantity


@pytest.mark.parametrize(
    ("said", "free", "quantity"),
    [
        ({}, 7, 7),
        ({}, -2, 0),
        ({"buffer": 2}, 7, 5),
        ({"policy": "share", "share": "30%"}, 10, 3),
        ({"policy": "share", "share": 30}, 9, 2),
        ({"policy": "share", "share": "12.5%"}, 80, 10),
        ({"policy": "priority"}, 1, 1),
        ({"policy": "priority", "rank": 2}, 4, 4),
        ({"policy": "priority", "rank": 2}, 3, 0),
        ({"policy": "priority", "rank": 3, "last_units": 5}, 10, 0),
        ({"at_most": 5}, 40, 5),
        ({"stop": True}, 40, 0),
        ({"policy": "share", "share": "50%", "buffer": 4, "at_most": 2}, 10, 2),
    ],
)
def test_strategies(said: dict[str, object], free: int, quantity: int) -> None:
    assert Rule.model_validate(said).cut().offer(free).quantity == quantity


def test_an_override_changes_only_what_it_says() -> None:
    channel = Allocation.model_validate(
        {
            "policy": "share",
            "share": "30%",
            "buffer": 2,
            "skus": {"A": {"buffer": 0}, "B": {"policy": "shared"}},
        }
    )
    assert channel.with_changes(channel.skus["A"]).cut() == Cut("share", 0, 3000)
    assert channel.with_changes(channel.skus["B"]).cut() == Cut("shared", 2)


SHOP = """\
system: {name}
connector: shop
title: {name}
{more}
"""


def faults(folder: Path, **files: str) -> list[str]:
    for name, more in files.items():
        (folder / f"{name}.yaml").write_text(SHOP.format(name=name, more=more), "utf-8")
    return [fault.words.en.removeprefix(f"{folder}/") for fault in load_systems([folder]).faults]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("allocation: {buffer: 1}", "Write channel: under constants; this does not say whose share it is."),
        ("allocation: {buffer: -1}", "Must be 0 or more (found -1)."),
        ("allocation: {policy: share}", "Write the share, such as share: 30%."),
        ("allocation: {share: 30%}", "For a share, write policy: share."),
        (
            "allocation: {policy: share, share: 130%}",
            "A share is written 30%, from 0% to 100% (found '130%').",
        ),
        ("allocation: {counts: {books: instructions}}", "There is no flow 'instructions' that pushes."),
        (
            "allocation: {counts: {books_after: soon}}",
            "A duration is written 30m, 2h, 1h30m or 1d (found 'soon').",
        ),
        ("constants: {channel: c}\nallocation: {skus: {A: {bufer: 1}}}", "There is no key 'bufer' here."),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, more: str, told: str) -> None:
    (found,) = faults(tmp_path, shop=more)
    assert told in found


def test_one_channel_is_shared_out_by_one_file(tmp_path: Path) -> None:
    more = "constants: {channel: c}\nallocation: {buffer: 1}"
    assert faults(tmp_path, a=more, b=more) == [
        "b.yaml:5: allocation: a.yaml shares out for channel c too. Keep one of the two."
    ]


def test_systems_that_only_count_need_no_channel(tmp_path: Path) -> None:
    assert faults(tmp_path, wms="allocation: {counts: {books: shipment, age: 1h}}") == []
