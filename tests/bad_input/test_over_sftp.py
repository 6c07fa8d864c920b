"""The whole of it once over a real SFTP connection: a bad file, its answer, a replay, and the answer after it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sandbox.sftp_server import sftp_server
from tests.bad_input.desk import FIRST, ORDERS, Desk, file_of, number_of, order_rows, payable_of, spoiled


def test_bad_rows_over_sftp(opened: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    desk = opened(ORDERS, more={"protocol": "sftp", "root": "/"})
    first, second, third = orders = order_rows([1, 2, 3])
    orders[1] = [row | {"支払方法": "ツケ払い"} for row in second]
    content = desk.drop(spoiled(file_of(orders), 6, lambda row: row + b","))
    with sftp_server(desk.partner) as server:
        account = {
            "conn_type": "file_exchange", "login": server.user, "password": server.password, "host": server.host,
            "port": server.port, "extra": {"host_keys": [server.host_key]},
        }  # fmt: skip
        monkeypatch.setenv("AIRFLOW_CONN_CORE", json.dumps(account))
        desk.pull()
        assert desk.payable() == payable_of([first])
        assert list(desk.bodies().values()) == [content]
        told = desk.answer()
        assert f'"{FIRST}","3","{number_of(second)}","NG","unknown_code"' in told
        assert f'"{FIRST}","6","{number_of(third)}","NG","column_count"' in told
        desk.mend_table("payment_methods", "ツケ払い,invoice,")
        desk.mend_layout("general_orders", trailing_comma=True)
        assert desk.replay() == (3, 3, 0)
        assert desk.answer().endswith(f'"{FIRST}","","","OK","",""\r\n')
        assert (desk.payable(), desk.refused()) == (payable_of(orders), [])
        assert desk.pull().records == 0
    assert set(desk.versions().values()) == {1}
    (kept,) = (desk.partner / "orders" / "done").rglob("*.csv")
    assert kept.read_bytes() == content
