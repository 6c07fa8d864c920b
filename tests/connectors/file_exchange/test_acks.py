"""The answers we give to files."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.file_exchange import connector
from connectors.file_exchange.acks import write_ack
from tests.connectors.file_exchange.conftest import Desk, incoming

BAD: dict[str, Any] = {
    "line": 3,
    "key": "A-1",
    "code": "table_unknown",
    "message": "支払方法「ペイペイ」は表にありません",
}
FILE = "A_20261121_001.csv"


def test_a_result_file_lists_the_refused_rows(desk: Desk) -> None:
    desk.interfaces = [incoming(ack={"kind": "result_csv", "folder": "in/ack"})]
    for _ in range(2):
        assert write_ack(desk.call(), FILE, [BAD]) == "A_20261121_001_result.csv"
    assert (desk.root / "in/ack/A_20261121_001_result.csv").read_bytes().decode("cp932") == (
        '"ファイル名","行番号","キー","結果","コード","メッセージ"\r\n'
        f'"{FILE}","3","A-1","NG","table_unknown","支払方法「ペイペイ」は表にありません"\r\n'
    )


def test_a_file_without_faults_is_answered_ok(desk: Desk) -> None:
    desk.interfaces = [incoming(ack={"kind": "result_csv", "folder": "in/ack"})]
    write_ack(desk.call(), FILE, [])
    text = (desk.root / "in/ack/A_20261121_001_result.csv").read_bytes().decode("cp932")
    assert text.splitlines()[1] == f'"{FILE}","","","OK","",""'


@pytest.mark.parametrize(
    ("rows", "name", "content"),
    [([], f"{FILE}.ok", b""), ([BAD], f"{FILE}.ng", f"3\tA-1\ttable_unknown\t{BAD['message']}\r\n".encode("cp932"))],
)  # fmt: skip
def test_ok_and_ng_files(desk: Desk, rows: list[dict[str, Any]], name: str, content: bytes) -> None:
    desk.interfaces = [incoming(ack={"kind": "ok_ng", "folder": "in/ack"})]
    assert write_ack(desk.call(), FILE, rows) == name
    assert (desk.root / "in/ack" / name).read_bytes() == content


def test_no_answer_where_none_was_agreed(desk: Desk) -> None:
    assert write_ack(desk.call(), FILE, [BAD]) is None
    assert desk.tree() == []


def test_a_mended_file_is_answered_anew(desk: Desk) -> None:
    desk.interfaces = [incoming(ack={"kind": "ok_ng", "folder": "in/ack"})]
    write_ack(desk.call(), FILE, [BAD])
    write_ack(desk.call(), FILE, [])
    assert desk.tree() == [f"in/ack/{FILE}.ok"]


def test_the_hub_finds_the_answer_at_the_source(desk: Desk) -> None:
    desk.interfaces = [incoming(ack={"kind": "ok_ng", "folder": "in/ack"}), incoming(name="other")]
    acknowledge = connector.sources["files"].acknowledge
    assert acknowledge is not None
    acknowledge(desk.call(interface="orders"), FILE, [])
    acknowledge(desk.call(interface="other"), FILE, [])
    assert desk.tree() == [f"in/ack/{FILE}.ok"]
