"""The contract kit on the connector of files: one interface in, one out, a store in memory."""

from __future__ import annotations

from pathlib import Path

from connectors.file_exchange import FileExchangeConfig, connector
from connectors.testing import contract_tests

HERE = Path(__file__).parent / "file_exchange"
INCOMING = {
    "name": "stock_in", "folder": "in", "pattern": "S_{seq:03d}.csv", "layout": "small", "snapshot": True,
    "sequence": "running", "ack": {"kind": "ok_ng", "folder": "out"},
}  # fmt: skip
OUTGOING = {
    "name": "out",
    "direction": "out",
    "folder": "out",
    "pattern": "O_{seq:03d}.csv",
    "layout": "small",
}
CONFIG = FileExchangeConfig.model_validate(
    {"layouts": [HERE / "layouts"], "password": "password-of-the-partner", "interfaces": [INCOMING, OUTGOING]}
)

test_contract = contract_tests(connector, config=CONFIG, recordings=HERE / "recordings")
