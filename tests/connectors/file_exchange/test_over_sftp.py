"""The whole exchange over a real SFTP connection, settings put together as the hub does it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from connectors.calls import open_call
from connectors.contract import Batch, Misconfigured
from connectors.file_exchange import FileExchangeConfig, connector
from connectors.settings import settings_from_connection
from connectors.testing.memory import MemoryHistory
from sandbox.sftp_server import sftp_server
from tests.connectors.file_exchange.conftest import COLUMNS, change, incoming, outgoing


@pytest.fixture
def layouts(tmp_path: Path) -> Path:
    (tmp_path / "layouts").mkdir()
    (tmp_path / "layouts" / "small.yaml").write_text(COLUMNS, encoding="utf-8")
    return tmp_path / "layouts"


def test_files_go_both_ways(tmp_path: Path, layouts: Path) -> None:
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (root / "out").mkdir()
    (root / "in" / "A_20261121_001.csv").write_bytes("番号,名前\r\n1,髙\r\n".encode("cp932"))
    with sftp_server(root) as server:
        config = settings_from_connection(
            FileExchangeConfig,
            {"protocol": "sftp", "layouts": [str(layouts)], "interfaces": [incoming(), outgoing()],
             "host_keys": [server.host_key]},
            {"login": server.user, "password": server.password, "host": server.host, "port": server.port},
            system="core",
        )  # fmt: skip
        with open_call(connector, "core", config, files_seen=MemoryHistory()) as call:
            assert connector.check_function is not None
            assert connector.check_function(call).endswith("orders: 1 waiting; report: may write")
            decode = connector.sources["files"].decode
            assert decode is not None
            for page in connector.sources["files"].run(call, None):
                assert not isinstance(page.raw, bytes | None)
                assert page.raw is not None
                rows = list(decode(io.BytesIO(page.raw.read()), config, {}))
            assert [getattr(row, "data", None) for row in rows] == [{"番号": "1", "名前": "髙"}]
            batch = Batch([change("a", {"番号": "1", "名前": "髙"})], idempotency_key="one")
            outcomes = [
                *connector.sinks["files"].run(call, batch),
                *connector.sinks["files"].run(call, batch),
            ]
    assert {outcome.verdict for outcome in outcomes} == {"done"}
    assert len(list((root / "out").glob("*.csv"))) == 1
    assert [p.name for p in (root / "in" / "done").rglob("*.csv")] == ["A_20261121_001.csv"]


def test_settings_that_cannot_work_are_refused(layouts: Path) -> None:
    for settings, said in (
        ({"protocol": "sftp", "interfaces": [incoming()]}, "sftp needs a host and a user"),
        ({"interfaces": [incoming(), incoming()]}, "two interfaces have the same name"),
        ({"interfaces": [outgoing(pattern="B_*.csv")]}, "needs a name without"),
        ({"interfaces": []}, "at least 1 item"),
        (
            {"interfaces": [incoming()], "password": "x"},
            "password .* is a secret and must not stand in the system file",
        ),
    ):
        with pytest.raises(Misconfigured, match=said):
            settings_from_connection(FileExchangeConfig, settings, {}, system="core")
