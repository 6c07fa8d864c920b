"""`contract_tests`: the checks as one pytest function, run here in a pytest of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from connectors.contract import Connector, Cursor, Page, Title, Write
from connectors.testing import MemoryFiles, contract_checks, contract_tests
from connectors.transport.http import HttpSettings

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


@pytest.mark.parametrize("page", ["docs/connectors.md", "docs/ja/connectors.md"])
def test_the_docs_name_every_check_and_no_other(page: str, tmp_path: Path) -> None:
    class Position(Cursor):
        page: int = 1

    class Config(BaseModel):
        shop: str = "x"

    connector = Connector(
        "tiny_shop",
        config=Config,
        title=Title("店", "Shop"),
        http=lambda config: HttpSettings("https://x.example"),
        files=lambda config: MemoryFiles(),
    )
    connector.check(lambda call: "ok")
    connector.webhook(lambda headers, body, config: [])
    connector.source(
        "orders",
        key="id",
        cursor=Position,
        overlap=timedelta(1),
        decode=lambda stream, config, params: iter(()),
        acknowledge=lambda call, name, refused: None,
    )(lambda call, cursor: iter(()))
    connector.sink("stock", key="id", whole=True)(lambda call, batch: [])
    connector.sink("moves", key="id", write=Write.DELTA, ask=lambda call, batch: [])(lambda call, batch: [])
    for name in ("check", "orders", "stock", "moves"):
        (tmp_path / f"{name}.yaml").write_text("[]")
    checks = contract_checks(connector, config=Config(), recordings=tmp_path)
    wanted = {re.sub(":(orders|stock|moves):", ":…:", check.id) for check in checks}
    text = (REPOSITORY / page).read_text("utf-8")
    assert set(re.findall(r"`((?:connector|settings|check|source|sink|webhook):[a-z_…:]+)`", text)) == wanted
