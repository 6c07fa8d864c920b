"""Records the answers the contract kit plays: `python tests/connectors/shopify/record.py`.

Starts the stand-in afresh for each recording, with its clock at the kit's moment, so that ids and amounts come out the
same each time. Read what was written before it is committed.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2]))

import yaml  # noqa: E402  (the repository's root must be on the path first)

from connectors.contract import Batch, Change  # noqa: E402
from connectors.shopify import ShopifyConfig, connector  # noqa: E402
from connectors.testing import record  # noqa: E402
from connectors.testing.cases import NOW  # noqa: E402
from connectors.testing.yaml_text import dump_yaml  # noqa: E402
from sandbox.shopify import Server, Shop  # noqa: E402
from sandbox.shopify.cost import Bucket  # noqa: E402

SETTINGS = {
    "shop": "tsunagi-sandbox.myshopify.com",
    "webhook_secret": "contract-webhook-secret",
    "page_size": 5,
    "location": "70000001",
    "metafields": {"product": ["custom.tax_rate"], "customer": ["custom.last_name_kana"]},
}


def main(wanted: list[str]) -> None:
    kinds = (
        [("check", "")] + [(n, "source") for n in connector.sources] + [(n, "sink") for n in connector.sinks]
    )
    twice = connector.sources.keys() & connector.sinks.keys()
    for name, kind in kinds:
        if wanted and name not in wanted:
            continue
        target = HERE / "recordings" / (f"{name}.{kind}.yaml" if name in twice else f"{name}.yaml")
        sys.stdout.write(f"{target.name}\n")
        shop = Shop(clock=lambda: NOW, bucket=Bucket(pace=100_000))
        shop.take_orders(6)
        shop.variant_of_sku("TEA-100")["updatedAt"] = (
            shop.now()
        )  # so that the next read's overlap brings it again
        with Server(shop) as server:
            config = ShopifyConfig.model_validate(
                SETTINGS | {"access_token": shop.access_token, "base_url": server.url}
            )
            with record(connector, config, target, now=NOW) as call:
                _play(call, name, kind, target)
        _shorten(target)


def _play(call: object, name: str, kind: str, target: Path) -> None:
    if kind == "source":
        run = connector.sources[name].run
        for page in list(run(call, None)):  # type: ignore[arg-type]
            list(run(call, page.cursor))  # type: ignore[arg-type]
    elif kind == "sink":
        case = yaml.safe_load((HERE / "cases" / target.name).read_text(encoding="utf-8"))
        changes = [Change(version=1, **change) for change in case["changes"]]
        sink = connector.sinks[name]
        for outcome in sink.run(call, Batch(changes, "contract-1")):  # type: ignore[arg-type]
            sys.stdout.write(f"  {outcome}\n")
        if sink.ask is not None:
            list(sink.ask(call, Batch(changes, "contract-1", attempt=2)))  # type: ignore[arg-type]
    else:
        assert connector.check_function is not None
        sys.stdout.write(f"  {connector.check_function(call)}\n")  # type: ignore[arg-type]


def _shorten(recording: Path) -> None:
    """The name of the operation tells enough of a request; that its text is valid, other tests hold."""
    exchanges = yaml.safe_load(recording.read_text(encoding="utf-8"))
    for exchange in exchanges:
        exchange["request"]["json"]["query"] = "*"
    dump_yaml(exchanges, recording)


if __name__ == "__main__":
    main(sys.argv[1:])
