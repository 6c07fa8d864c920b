"""Records the answers the contract kit plays: `python tests/connectors/vendure/record.py`.

Starts the sandbox's Vendure afresh for each recording, so that ids and amounts come out the same each time. Read what
was written before it is committed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2]))

import httpx  # noqa: E402  (the repository's root must be on the path first)
import yaml  # noqa: E402

from connectors.contract import Batch, Call, Change  # noqa: E402
from connectors.testing import record  # noqa: E402
from connectors.testing.cases import NOW  # noqa: E402
from connectors.testing.yaml_text import dump_yaml  # noqa: E402
from connectors.vendure import VendureConfig, connector  # noqa: E402
from sandbox.vendure import Shop, start  # noqa: E402

CODE = "ORDER00000000001"
"""Stands in cases and recordings for the code of the order that is bought, which is another one each time."""
CUSTOM = {"customer": ["lastNameKana", "firstNameKana"], "order": ["externalReference"], "variant": ["gtin"]}
BUYING = (
    ("mutation { addItemToOrder(productVariantId: 4, quantity: 2) { __typename } }", {}),
    (
        "mutation($i: CreateCustomerInput!) { setCustomerForOrder(input: $i) { __typename } }",
        {"i": {"emailAddress": "mihon@example.jp", "lastName": "見本", "firstName": "花子"}},
    ),
    (
        "mutation($a: CreateAddressInput!) { setOrderShippingAddress(input: $a) { __typename } }",
        {"a": {"fullName": "見本 花子", "streetLine1": "見本町1-1", "countryCode": "JP"}},
    ),
    ('mutation { setOrderShippingMethod(shippingMethodId: ["1"]) { __typename } }', {}),
    ('mutation { transitionOrderToState(state: "ArrangingPayment") { __typename } }', {}),
    (
        'mutation { addPaymentToOrder(input: {method: "bank-transfer", metadata: {}}) { ... on Order { code } } }',
        {},
    ),
)


def config(shop: Shop) -> VendureConfig:
    return VendureConfig.model_validate(
        {
            "base_url": shop.url,
            "username": shop.username,
            "password": shop.password,
            "channel_token": "tsunagi-sandbox-channel",
            "language": "ja",
            "custom_fields": CUSTOM,
            "order_reference_field": "externalReference",
        }
    )


def buy(shop: Shop) -> str:
    """Place an order; its code."""
    with httpx.Client(timeout=30) as client:
        for query, variables in BUYING:
            answer = client.post(f"{shop.url}/shop-api", json={"query": query, "variables": variables})
            if token := answer.headers.get("vendure-auth-token"):
                client.headers["Authorization"] = f"Bearer {token}"
            assert "errors" not in answer.json(), answer.text
        return str(answer.json()["data"]["addPaymentToOrder"]["code"])


def source(name: str) -> Callable[[Call[Any]], None]:
    """Read it whole, then again from the cursor of each page: the kit resumes there."""

    def run(call: Call[Any]) -> None:
        read = connector.sources[name].run
        for page in list(read(call, None)):
            if page.cursor is not None:
                list(read(call, page.cursor))

    return run


def sink(name: str, code: str) -> Callable[[Call[Any]], None]:
    """Send the changes of the case; where the sink can be asked, ask after it."""

    def run(call: Call[Any]) -> None:
        text = (HERE / "cases" / "sinks" / f"{name}.yaml").read_text(encoding="utf-8")
        case = yaml.safe_load(text.replace(CODE, code))
        changes = [Change(version=1, **change) for change in case["changes"]]
        declared = connector.sinks[name]
        outcomes = list(declared.run(call, Batch(changes, "contract-1")))
        sys.stdout.write("".join(f"  {outcome}\n" for outcome in outcomes))
        if declared.ask is not None:
            list(declared.ask(call, Batch(changes, "contract-1", attempt=2)))

    return run


def main(wanted: list[str]) -> None:
    assert connector.check_function is not None
    for name in wanted or ["check", *connector.sources.keys() | connector.sinks.keys()]:
        sys.stdout.write(f"{name}\n")
        target = HERE / "recordings" / f"{name}.yaml"
        with tempfile.TemporaryDirectory() as folder, start(Path(folder)) as shop:
            code = buy(shop)
            with record(connector, config(shop), target, now=NOW) as call:
                if name == "check":
                    connector.check_function(call)
                # A source and a sink of one name share a recording: what is read comes first.
                if name in connector.sources:
                    source(name)(call)
                if name in connector.sinks:
                    sink(name, code)(call)
        _shorten(target, code)


def _shorten(recording: Path, code: str) -> None:
    """The name of the operation tells enough of a request; that the server knows its text, other tests hold."""
    exchanges = yaml.safe_load(recording.read_text(encoding="utf-8").replace(code, CODE))
    for exchange in exchanges:
        exchange["request"]["json"]["query"] = "*"
    dump_yaml(exchanges, recording)


if __name__ == "__main__":
    main(sys.argv[1:])
