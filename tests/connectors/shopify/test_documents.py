"""Every query and mutation against the vendor's published schemas, both versions."""

from __future__ import annotations

import gzip
import json
import os
import re
from functools import cache
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_client_schema, parse, validate
from graphql.validation import NoDeprecatedCustomRule

from connectors.shopify.config import ShopifyConfig
from connectors.shopify.documents import document, operations

REPOSITORY = Path(__file__).parents[3]
SHARED = Path(os.environ.get("TSUNAGI_SHARED") or REPOSITORY.parent / "shared")
VERSIONS = ("2026-07", "2026-10")


@cache
def schema(version: str) -> GraphQLSchema:
    file = SHARED / "specs" / "shopify" / f"admin_{version}.json.gz"
    if not file.is_file():
        pytest.skip(f"the introspection of Shopify's Admin API is not at hand ({file}); set TSUNAGI_SHARED")
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        return build_client_schema(json.load(stream)["data"], assume_valid=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", sorted(operations()))
def test_a_document_is_valid_and_uses_nothing_deprecated(name: str, version: str) -> None:
    known, parsed = schema(version), parse(document(name))
    assert [error.message for error in validate(known, parsed)] == []
    assert [error.message for error in validate(known, parsed, [NoDeprecatedCustomRule])] == []


@pytest.mark.parametrize("name", sorted(operations()))
def test_a_document_holds_each_fragment_once_and_no_more(name: str) -> None:
    text = document(name)
    fragments = re.findall(r"^fragment (\w+)", text, re.MULTILINE)
    assert len(fragments) == len(set(fragments))
    assert set(re.findall(r"\.\.\.(\w+)", text)) == set(fragments)
    assert "#" not in text


def test_the_versions_of_the_settings_are_those_that_are_checked() -> None:
    offered = ShopifyConfig.model_json_schema()["properties"]["api_version"]["enum"]
    assert tuple(sorted(offered)) == VERSIONS


@pytest.mark.parametrize("name", ["SetStock", "StockItem"])
def test_stock_mutations_carry_an_idempotency_key(name: str) -> None:
    assert "@idempotent(key: $key)" in document(name)
