"""The contract kit on answers recorded from the real server (`record.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.registry import load_connectors
from connectors.testing import Check, ContractBroken, UnmatchedRequest, contract_checks
from connectors.vendure import VendureConfig, connector
from connectors.vendure.sources import OVERLAP

HERE = Path(__file__).parent
CONFIG = VendureConfig.model_validate(
    {
        "base_url": "https://shop.example.jp",
        "username": "superadmin",
        "password": "contract-password",
        "language": "ja",
        "custom_fields": {
            "customer": ["lastNameKana", "firstNameKana"],
            "order": ["externalReference"],
            "variant": ["gtin"],
        },
        "order_reference_field": "externalReference",
        "webhook_secret": "contract-webhook-secret",
    }
)


def checks(of: str) -> Iterator[Check]:
    """A source and a sink of one name share a recording, but not a case."""
    found = contract_checks(
        connector, config=CONFIG, recordings=HERE / "recordings", cases=HERE / "cases" / of
    )
    return (check for check in found if check.id.startswith("sink:") is (of == "sinks"))


@pytest.mark.parametrize("check", [*checks("sources"), *checks("sinks")], ids=lambda check: check.id)
def test_contract(check: Check) -> None:
    try:
        check.run()
    except (ContractBroken, UnmatchedRequest) as finding:
        pytest.fail(str(finding), pytrace=False)


def test_the_connector_is_installed_under_its_name() -> None:
    assert load_connectors()["vendure"] is connector


def test_every_source_with_a_cursor_reads_the_overlap_it_declares() -> None:
    declared = {source.overlap for source in connector.sources.values() if source.cursor is not None}
    assert declared == {OVERLAP}
