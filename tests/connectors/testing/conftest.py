"""A bench for the kit: connectors made in a test, judged on recordings made in a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from connectors.contract import Connector
from connectors.testing import contract_checks

Judge = Callable[..., dict[str, str]]


class Config(BaseModel):
    base_url: str = "https://shop.example"
    api_key: SecretStr = SecretStr("key-of-the-test-account")
    webhook_secret: SecretStr | None = SecretStr("webhook-secret-of-the-test")


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """`judge(connector, {"recordings/orders.yaml": "..."})` -> {id of a check that failed: its text}."""

    def judge(
        connector: Connector[Any], files: dict[str, str | bytes], config: BaseModel | None = None
    ) -> dict[str, str]:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        findings: dict[str, str] = {}
        for check in contract_checks(
            connector, config=config or Config(), recordings=tmp_path / "recordings"
        ):
            try:
                check.run()
            except AssertionError as finding:
                findings[check.id] = str(finding)
            except Exception as crash:  # noqa: BLE001  (what a broken connector lets out)
                findings[check.id] = f"crashed with {crash!r}"
        return findings

    return judge
