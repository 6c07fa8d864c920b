"""What a log line shows, and what it never shows."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from hub import logs
from hub.home import Home, LogFormat, Settings
from hub.logs import configure_logging, hide, mask, mask_record
from hub.secrets import connection

HOME = Home(Path("/nowhere"))


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr(logs, "_hidden", set())
    logs._redactor.cache_clear()
    yield
    logs._redactor.cache_clear()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def start(log_format: LogFormat = "json") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(Settings(home=HOME, log_format=log_format), stream=stream)
    return stream


def test_a_line_for_machines_is_json_with_its_context() -> None:
    stream = start()
    structlog.contextvars.bind_contextvars(system="rakuten-main")
    structlog.get_logger("tsunagi.hub").info("run", flow="orders", taken=3, path=Path("/x"))
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "run", "flow": "orders", "taken": 3, "path": "/x", "level": "info", "logger": "tsunagi.hub",
        "system": "rakuten-main",
    }  # fmt: skip


def test_a_line_for_people_is_plain_text() -> None:
    stream = start("console")
    structlog.get_logger("tsunagi.hub").warning("late", flow="orders", buyer_name="山田太郎")
    text = stream.getvalue()
    assert "warning" in text
    assert "flow=orders" in text
    assert "山*" in text
    assert "\x1b[" not in text


def test_the_standard_library_goes_the_same_way() -> None:
    stream = start()
    logging.getLogger("some.library").warning("mail to %s", "taro@example.jp", extra={"api_key": "abcdef"})
    (line,) = lines(stream)
    assert line["event"] == "mail to ***"
    assert (line["level"], line["logger"], line["api_key"]) == ("warning", "some.library", "***")


def test_warnings_become_log_lines() -> None:
    stream = start()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old call", UserWarning, stacklevel=1)
    assert "old call" in lines(stream)[0]["event"]


@pytest.mark.parametrize("name", ["httpx", "httpcore.http11", "asyncssh.sftp", "alembic.runtime.migration"])
def test_chatty_libraries_are_quiet_but_their_warnings_are_heard(name: str) -> None:
    stream = start()
    logging.getLogger(name).info("HTTP Request: GET http://shop/?token=abc")
    logging.getLogger(name).warning("trouble")
    assert [line["event"] for line in lines(stream)] == ["trouble"]


def test_debug_lines_are_left_out() -> None:
    stream = start()
    structlog.get_logger().debug("detail")
    assert stream.getvalue() == ""


def test_a_second_call_does_not_double_the_lines() -> None:
    start()
    stream = start()
    structlog.get_logger("x").info("once")
    assert len(lines(stream)) == 1


def test_secrets_are_hidden_by_key_by_type_and_by_value() -> None:
    hide(["p4ssw0rd/of+the shop"])
    stream = start()
    structlog.get_logger("x").info(
        "login with p4ssw0rd/of+the shop",
        password="other", license_key="SL1", headers={"Authorization": "ESA abc"}, any=SecretStr("typed"),
        url="https://h/?q=p4ssw0rd%2Fof%2Bthe%20shop", nested=[{"note": "p4ssw0rd/of+the shop!"}],
    )  # fmt: skip
    text = stream.getvalue()
    for secret in ("p4ssw0rd", "other", "SL1", "ESA", "typed"):
        assert secret not in text
    assert lines(stream)[0]["event"] == "login with ***"


def test_a_connection_hides_its_secrets_from_then_on() -> None:
    typed = {"login": "shop-a", "password": "hush-hush", "extra": {"api_key": "key-9", "plan": "gold"}}
    env = {"AIRFLOW_CONN_SHOP": json.dumps(typed)}
    found = connection("shop", settings=Settings(home=HOME), env=env)
    stream = start()
    structlog.get_logger("x").info("using hush-hush and key-9 for shop-a (gold)", connection=str(found))
    assert lines(stream)[0]["event"] == "using *** and *** for shop-a (gold)"


def test_a_traceback_shows_no_local_variables_and_no_secret() -> None:
    hide(["hush-hush"])
    for log_format in ("json", "console"):
        stream = start(log_format)  # type: ignore[arg-type]
        try:
            phone = "090-1234-5678"
            raise ValueError(f"cannot call {phone} with hush-hush, mail taro@example.jp")
        except ValueError:
            structlog.get_logger("x").exception("failed")
        text = stream.getvalue()
        assert "ValueError: cannot call" in text
        for hidden in ("1234-5678", "hush-hush", "taro@", "phone ="):
            assert hidden not in text


def test_personal_data_is_masked_in_nested_events() -> None:
    stream = start()
    structlog.get_logger("x").info(
        "refused",
        buyer={"name": {"full": "髙﨑 花子", "full_kana": "タカサキ ハナコ"}, "phone": "09012345678"},
        row={"送付先住所": "東京都千代田区千代田1-1", "商品名": "山田錦 720ml", "郵便番号": "1000001"},
        error=ValueError("no mail to hanako@example.jp"),
    )
    (line,) = lines(stream)
    assert line["buyer"] == {"name": {"full": "髙*", "full_kana": "タ*"}, "phone": "090****5678"}
    assert line["row"] == {"送付先住所": "東京都***", "商品名": "山田錦 720ml", "郵便番号": "100-****"}
    assert line["error"] == "ValueError: no mail to ***"


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("受注名", "山田 太郎", "山*"),
        ("buyer.name.full", "Yamada Taro", "Y*"),
        ("電話番号", "03-1234-5678", "031****5678"),
        ("phone", "090-1234-5678", "090****5678"),
        ("phone", "110", "***"),
        ("メールアドレス", "taro@example.jp", "t***@example.jp"),
        ("email", "not an address", "n*"),
        ("zipCode", "100-0001", "100-****"),
        ("郵便番号", "10000", "***"),
        ("address", "神奈川県横浜市西区1", "神奈川県***"),
        ("address", "横浜市西区1", "***"),
        ("birthday", "1980-01-02", "***"),
        ("password", "abc", "***"),
        ("licenseKey", "", ""),
        ("支払方法", "銀行振込(前払い)", "銀行振込(前払い)"),
        ("商品コード", "0312345678", "0312345678"),  # a number is no phone number
        ("配送状況", "連絡先 090-1111-2222 まで", "連絡先 *** まで"),
        ("配送状況", "a.b@example.jp へ", "*** へ"),
        ("受注数量", 3, "3"),
        ("受注名", None, ""),
        ("phone", 9012345678, "901****5678"),
        ("受注名", "山田".encode(), "山*"),
    ],
)
def test_what_an_operator_sees_of_a_value(key: str, value: object, shown: str) -> None:
    assert mask(key, value) == shown


def test_a_record_keeps_its_shape_and_what_is_not_personal() -> None:
    record = {
        "buyer": {"name": "山田", "member": True, "age": None},
        "item": {"name": "山田錦", "price": 1200},
        "phone": ["090-1234-5678", "03-1234-5678"],
        "token": 12345,
    }
    assert mask_record(record) == {
        "buyer": {"name": "山*", "member": True, "age": None},
        "item": {"name": "山田錦", "price": 1200},
        "phone": ["090****5678", "031****5678"],
        "token": "***",
    }
    assert mask_record(None) is None
