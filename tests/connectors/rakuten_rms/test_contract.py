"""The contract kit on answers recorded from the stand-in, and what is declared."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from connectors.rakuten_rms import RakutenConfig, connector
from connectors.registry import load_connectors
from connectors.testing import contract_tests

HERE = Path(__file__).parent
CONFIG = RakutenConfig.model_validate(
    {
        "service_secret": "SP000000_contractsecret",
        "license_key": "SL000000_contractkey",
        "requests_per_second": 1000,
    }
)

test_contract = contract_tests(connector, config=CONFIG, recordings=HERE / "recordings")


def test_the_connector_is_installed_under_its_name() -> None:
    assert load_connectors()["rakuten_rms"] is connector


def test_declared_overlap_is_the_default_of_the_setting() -> None:
    assert connector.sources["orders"].overlap == CONFIG.overlap == timedelta(hours=1)
