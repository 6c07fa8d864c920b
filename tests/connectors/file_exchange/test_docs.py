"""The examples of docs/file-exchange.md are what the connector takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from connectors.file_exchange import FileExchangeConfig
from connectors.files.layout import load_layout

PAGE = (Path(__file__).parents[3] / "docs" / "file-exchange.md").read_text("utf-8")
BLOCKS: list[Any] = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def test_the_layout_of_the_example_loads(tmp_path: Path) -> None:
    (tmp_path / "receipts.yaml").write_text(yaml.safe_dump(BLOCKS[0], allow_unicode=True), encoding="utf-8")
    assert load_layout("receipts", [tmp_path]).title.ja == "入荷実績CSV"


def test_the_settings_of_the_example_are_complete() -> None:
    settings = {**BLOCKS[1]["settings"], "user": "tsunagi", "password": "x"}
    config = FileExchangeConfig.model_validate(settings)
    flow = BLOCKS[1]["flows"]["receipts"]
    assert config.incoming(flow["params"]).layout == "receipts"


def test_the_outgoing_interface_of_the_example_is_one() -> None:
    config = FileExchangeConfig.model_validate({"interfaces": BLOCKS[2]})
    assert config.outgoing({"interface": "instructions"}).numbered_daily


def test_the_fixed_length_layout_of_the_example_loads(tmp_path: Path) -> None:
    layout = {"layout": "fixed", "title": {"ja": "固定長", "en": "Fixed"}, **BLOCKS[3]}
    (tmp_path / "fixed.yaml").write_text(yaml.safe_dump(layout, allow_unicode=True), encoding="utf-8")
    assert load_layout("fixed", [tmp_path]).format == "fixed"
