"""The contract kit on answers recorded from the stand-in (`record.py`), and what is declared."""

from __future__ import annotations

from pathlib import Path

from connectors.registry import load_connectors
from connectors.shopify import ShopifyConfig, connector
from connectors.shopify.api import http_settings
from connectors.shopify.walk import OVERLAP
from connectors.testing import contract_tests

HERE = Path(__file__).parent
CONFIG = ShopifyConfig.model_validate(
    {
        "shop": "tsunagi-sandbox.myshopify.com",
        "access_token": "shpat_contract_token",
        "webhook_secret": "contract-webhook-secret",
        "page_size": 5,
        "location": "70000001",
        "metafields": {"product": ["custom.tax_rate"], "customer": ["custom.last_name_kana"]},
    }
)

test_contract = contract_tests(connector, config=CONFIG, recordings=HERE / "recordings")


def test_the_connector_is_installed_under_its_name() -> None:
    assert load_connectors()["shopify"] is connector


def test_every_source_reads_the_overlap_it_declares() -> None:
    assert {source.overlap for source in connector.sources.values()} == {OVERLAP}


def test_the_budget_counts_the_points_of_the_plan() -> None:
    plus = CONFIG.model_copy(update={"restore_rate": 1000.0, "bucket_size": 20_000})
    budget = http_settings(plus).budget
    assert budget is not None
    assert (budget.requests, budget.burst) == (1000.0, 20_000)
    assert http_settings(CONFIG).base_url == "https://tsunagi-sandbox.myshopify.com/admin/api/2026-10"


def test_only_a_shops_own_domain_is_taken() -> None:
    for wrong in (
        "shop.example.jp",
        "a.myshopify.com/x",
        "a.myshopify.com.evil.example",
        "",
        "-a.myshopify.com",
    ):
        try:
            ShopifyConfig.model_validate({"shop": wrong, "access_token": "t"})
        except ValueError:
            continue
        raise AssertionError(wrong)
