"""The permissions the documentation names are enough for everything the connector does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Misconfigured
from connectors.vendure import connector

pytestmark = [pytest.mark.vendure, pytest.mark.timeout(900)]

DOCS = Path(__file__).parents[3] / "docs"
ROLE = "mutation($i: CreateRoleInput!) { createRole(input: $i) { id } }"
ADMINISTRATOR = "mutation($i: CreateAdministratorInput!) { createAdministrator(input: $i) { id } }"


def documented(page: str) -> list[str]:
    """The permissions in the table of a documentation page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| .* \| ((?:`[A-Z]\w+`(?:, )?)+) \|$", text, re.MULTILINE)
    return sorted({name for row in rows for name in re.findall(r"`(\w+)`", row)})


@pytest.fixture
def helper(opened: Any, admin: Any) -> Any:
    """`helper("hub", [...])`: the account of an administrator who has these permissions only."""

    def make(name: str, permissions: list[str]) -> Any:
        role = admin(ROLE, i={"code": name, "description": name, "permissions": permissions})["id"]
        login = {"emailAddress": f"{name}@example.jp", "password": "hub-password"}
        admin(ADMINISTRATOR, i={**login, "firstName": "つなぎ", "lastName": "係", "roleIds": [role]})
        return opened(username=login["emailAddress"], password=login["password"])

    return make


def test_both_pages_name_the_same_permissions() -> None:
    assert documented("connectors/vendure.md") == documented("ja/connectors/vendure.md") != []


def test_the_documented_permissions_are_enough(helper: Any, buy: Any) -> None:
    placed = buy("TEA-100", 2)
    hub = helper("hub-enough", documented("connectors/vendure.md"))
    assert connector.check_function is not None
    assert "JPY" in connector.check_function(hub.call)
    for name in connector.sources:
        assert hub.records(name), name
    person = {"emailAddress": "rights@example.jp", "lastName": "権利", "firstName": "者"}
    address = {"fullName": "権利 者", "streetLine1": "1-1"}
    line = {"sku": "TEA-100", "quantity": 1}
    pushed: dict[str, dict[str, Any]] = {
        "products": {
            "code": "RIGHTS",
            "name": "権利",
            "variants": [
                {"sku": "RIGHTS", "price": 110, "taxRate": 10, "options": [{"name": "色", "value": "赤"}]}
            ],
        },
        "stock": {"sku": "RIGHTS", "saleable": 3},
        "customers": {**person, "addresses": [address]},
        "orders": {
            "reference": "rights/1",
            "customer": person,
            "shippingAddress": address,
            "lines": [line],
            "paymentMethod": "bank-transfer",
        },
        "cancellations": {"orderCode": placed["code"], "lines": [line]},
        "fulfilments": {"orderCode": placed["code"], "lines": [line], "trackingCode": "R1"},
    }
    assert pushed.keys() == connector.sinks.keys()
    for sink, record in pushed.items():
        [outcome] = hub.push(sink, record)
        assert outcome.verdict.value == "done", (sink, outcome.reason)


def test_a_missing_permission_is_misconfigured(helper: Any) -> None:
    hub = helper("hub-catalogue", ["ReadCatalog"])
    with pytest.raises(Misconfigured, match="role"):
        hub.records("orders")
