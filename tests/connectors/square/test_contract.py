"""The contract kit on answers recorded from the stand-in, and what is declared."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.contract import Batch, Change
from connectors.square import SquareConfig, connector
from connectors.square.api import idempotency_key
from connectors.testing import contract_tests
from sandbox.square import Seller

HERE = Path(__file__).parent
CONFIG = SquareConfig.model_validate(
    {
        "access_token": "EAAA-contract-token",
        "webhook_secret": "sandbox-signature-key",
        "notification_url": "https://hub.example.jp/webhooks/square-main",
        "page_size": 2,
        "locations": {"store-shibuya": Seller().location("渋谷店")},
        "requests_per_second": 1000,
    }
)

test_contract = contract_tests(connector, config=CONFIG, recordings=HERE / "recordings")


def test_two_names_for_one_location_are_refused() -> None:
    with pytest.raises(ValidationError, match="two names stand for one location"):
        SquareConfig.model_validate({"access_token": "t", "locations": {"a": "L1", "b": "L1"}})


def test_a_request_has_one_key_in_its_batch_and_another_in_any_other() -> None:
    change = [Change("k", {}, 1)]
    first, second = Batch(change, "b1"), Batch(change, "b2")

    assert idempotency_key(first, {"a": 1, "b": 2}) == idempotency_key(first, {"b": 2, "a": 1})
    assert idempotency_key(first, {"a": 1}) != idempotency_key(first, {"a": 2})
    assert idempotency_key(first, {"a": 1}) != idempotency_key(second, {"a": 1})
    assert len(idempotency_key(first, {})) <= 128
