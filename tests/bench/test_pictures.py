"""Pictures of a run: one for what its results hold, and the same bytes for the same figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.pictures import draw
from bench.result import Result, write

BULK = [
    Result("W1", "load", "s", 11.0, 6.0, 1.83, 2.0, peers={"by hand": 12.0, "dlt": 9.0}),
    Result("W1 again", "the same again", "s", 2.2, 1.5, 1.47, 1.5),
    Result("W4 at 64", "webhooks", "/s", 6000, 12000, 0.5, 0.7, floor=True),
    Result("Airflow", "of its own time", "s", 0.4, None, 0.4, 1.0),
]
GROWTH = Result(
    "W9", "growth", "s", 3.1, 2.9, 1.07, 1.2, details={"growth": {"1x": 2.9, "10x": 3.0, "30x": 3.1}}
)


def _drawn(results: list[Result], folder: Path) -> dict[str, str]:
    file = folder / "results.json"
    write(results, file)
    return {path.name: path.read_text("utf-8") for path in draw(file, folder / "pictures")}


def test_a_whole_run_gives_three_pictures_without_a_trace_of_the_machine(tmp_path: Path) -> None:
    pictures = _drawn([*BULK, GROWTH], tmp_path)
    assert list(pictures) == ["ratios.svg", "w1.svg", "growth.svg"]
    for picture in pictures.values():
        assert picture.rstrip().endswith("</svg>")
        assert str(Path.home()) not in picture
        assert "dc:date" not in picture


def test_the_same_figures_give_the_same_bytes(tmp_path: Path) -> None:
    assert _drawn([*BULK, GROWTH], tmp_path / "one") == _drawn([*BULK, GROWTH], tmp_path / "two")


def test_other_figures_give_another_picture(tmp_path: Path) -> None:
    missed = Result("W1", "load", "s", 11.0, 6.0, 2.5, 2.0)
    assert (
        _drawn(BULK, tmp_path / "one")["ratios.svg"]
        != _drawn([missed, *BULK[1:]], tmp_path / "two")["ratios.svg"]
    )


def test_a_picture_whose_figures_are_absent_is_left_out_and_its_old_one_deleted(tmp_path: Path) -> None:
    _drawn([*BULK, GROWTH], tmp_path)
    assert list(_drawn(BULK[2:], tmp_path)) == ["ratios.svg"]
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["ratios.svg"]


@pytest.mark.parametrize(
    "details",
    [
        {"x1": 2.9, "x10": 3.0},
        {"sizes": {"store x1": {"wall": 2.9}, "store x30": {"wall": 3.1}}},
    ],
)
def test_growth_is_found_however_the_sizes_are_named(tmp_path: Path, details: dict[str, Any]) -> None:
    grown = Result("W9", "growth", "s", 3.1, 2.9, 1.07, 1.2, details=details)
    assert "growth.svg" in _drawn([grown], tmp_path)


def test_results_without_works_give_nothing(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"machine": {}}), "utf-8")
    assert draw(file, tmp_path) == []
