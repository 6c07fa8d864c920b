"""The pages quote the run that is kept, and no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.page import PAGES, TITLES, written

ROOT = Path(__file__).resolve().parents[2]
FOUND = json.loads((ROOT / "bench/results/latest.json").read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_its_table_is_that_of_the_kept_run(page: str) -> None:
    assert (ROOT / page).read_text("utf-8") == written(page, FOUND)


def test_every_work_has_a_title_and_its_figures() -> None:
    works = FOUND.keys() - {"machine"}
    assert works <= TITLES.keys()
    for work in works:
        assert {"ours", "limit", "ratio_to_limit", "goal", "goal_is", "met", "unit", "peers"} <= FOUND[
            work
        ].keys()
