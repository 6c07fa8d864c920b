"""Tests of one group run in one worker: the stand-ins of two demo days at once would race for ports."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("together")
def test_a_group_is_part_of_the_name_tests_are_handed_out_by(request: pytest.FixtureRequest) -> None:
    if not hasattr(request.config, "workerinput"):
        pytest.skip("only where several workers share the tests (make test)")
    assert request.node.nodeid.endswith("@together")
