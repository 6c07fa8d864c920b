"""`contract_tests`: the checks as one pytest function, run here in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from connectors.contract import Connector, Page, Title
from connectors.testing import contract_tests

REPOSITORY = Path(__file__).parents[3]

MODULE = """
from pathlib import Path
from pydantic import BaseModel
from connectors.contract import Connector, Page, Title
from connectors.testing import contract_tests


class Config(BaseModel):
    api_key: str = "plain"


connector = Connector("tiny_shop", config=Config, title=Title("店", "Shop"))
connector.check(lambda call: "ok")
connector.source("orders", key="id")(lambda call, cursor: iter([Page(None, [{"number": 1}])]))
test_contract = contract_tests(
    connector,
    config=Config(),
    recordings=Path(__file__).parent / "recordings",
    skip={"settings:secrets": "the stand-in has no key"},
)
"""


def test_findings_are_told_without_a_stack_and_skips_with_their_reason(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text(MODULE)
    (tmp_path / "recordings").mkdir()
    for name in ("check", "orders"):
        (tmp_path / "recordings" / f"{name}.yaml").write_text("[]")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-rfs", "-p", "no:cacheprovider", "-q"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 1, result.stdout + result.stderr
    assert "orders: record 0 has no 'id' (it is None; the record has number)" in result.stdout
    assert "source_checks.py" not in result.stdout
    assert "the stand-in has no key" in result.stdout
    assert "test_shop.py::test_contract[source:orders:keys]" in result.stdout


def test_skipping_a_check_that_does_not_exist_is_a_mistake(tmp_path: Path) -> None:
    class Config(BaseModel):
        shop: str = "x"

    connector = Connector("tiny_shop", config=Config, title=Title("店", "Shop"))
    connector.source("orders", key="id")(lambda call, cursor: iter([Page(None)]))
    with pytest.raises(ValueError, match=r"no such checks: source:orders:speed; there are connector:name"):
        contract_tests(connector, config=Config(), recordings=tmp_path, skip={"source:orders:speed": "slow"})
