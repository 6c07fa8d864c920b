"""The stand-in holds a caller to what the vendor publishes; asked here without the connector."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.rakuten import Limits, Shop

JSON = "application/json; charset=utf-8"
Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(server: Any) -> Iterator[Ask]:
    """`ask("order/searchOrder/", {...})` with the shop's keys."""
    pair = f"{server.shop.service_secret}:{server.shop.license_key}".encode()
    usual = {"Authorization": f"ESA {base64.b64encode(pair).decode()}", "Content-Type": JSON}
    with httpx.Client(base_url=f"{server.url}/es/2.0/") as client:

        def post(path: str, body: Any = None, **headers: str) -> httpx.Response:
            method = "POST" if body is not None else "GET"
            return client.request(method, path, json=body, headers=usual | headers)

        yield post


def search(shop: Shop, **more: Any) -> dict[str, Any]:
    now = shop.clock()
    window = {"startDatetime": now - timedelta(days=2), "endDatetime": now}
    times = {name: moment.strftime("%Y-%m-%dT%H:%M:%S+0900") for name, moment in window.items()}
    return {
        "dateType": 1,
        **times,
        "PaginationRequestModel": {"requestRecordsAmount": 10, "requestPage": 1},
    } | more


def codes(answer: httpx.Response) -> set[str]:
    return {
        message["messageCode"].removeprefix("ORDER_EXT_API_") for message in answer.json()["MessageModelList"]
    }


def properties(answer: httpx.Response) -> set[tuple[str, str]]:
    return {(e["code"], e.get("metadata", {}).get("propertyPath", "")) for e in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"dateType": 7}, "SEARCH_ORDER_ERROR_011"),
        ({"startDatetime": "2026-11-01T00:00:00+09:00"}, "SEARCH_ORDER_ERROR_011"),
        ({"startDatetime": "2026-11-01T00:00:00+0000"}, "SEARCH_ORDER_ERROR_011"),
        ({"startDatetime": "2026-02-30T00:00:00+0900"}, "SEARCH_ORDER_ERROR_011"),
        ({"endDatetime": ""}, "SEARCH_ORDER_ERROR_010"),
        ({"orderProgressList": [150]}, "SEARCH_ORDER_ERROR_011"),
        ({"subStatusIdList": [-1]}, "SEARCH_ORDER_ERROR_009"),
        ({"paginationRequestModel": {}}, "SEARCH_ORDER_ERROR_011"),
        (
            {"PaginationRequestModel": {"requestRecordsAmount": 1001, "requestPage": 1}},
            "SEARCH_ORDER_ERROR_011",
        ),
        ({"PaginationRequestModel": {"requestRecordsAmount": 10}}, "SEARCH_ORDER_ERROR_009"),
    ],
)
def test_searches_that_break_a_rule(shop: Shop, ask: Ask, change: dict[str, Any], code: str) -> None:
    answer = ask("order/searchOrder/", search(shop, **change))

    assert answer.status_code == 400
    assert code in codes(answer)
    assert answer.json()["PaginationResponseModel"] is None


def test_search_spans_at_most_63_days_and_reaches_730_back(shop: Shop, ask: Ask) -> None:
    def since(days: int, length: int) -> httpx.Response:
        start = shop.clock() - timedelta(days=days)
        return ask(
            "order/searchOrder/",
            search(
                shop,
                startDatetime=start.strftime("%Y-%m-%dT%H:%M:%S+0900"),
                endDatetime=(start + timedelta(days=length)).strftime("%Y-%m-%dT%H:%M:%S+0900"),
            ),
        )

    assert since(63, 63).status_code == 200
    assert since(64, 64).status_code == 400
    assert since(729, 10).status_code == 200
    assert since(731, 10).status_code == 400


def test_no_hits_are_said_with_null_page_numbers(shop: Shop, ask: Ask) -> None:
    answer = ask("order/searchOrder/", search(shop)).json()

    assert answer["orderNumberList"] == []
    assert answer["MessageModelList"][0]["messageCode"] == "ORDER_EXT_API_SEARCH_ORDER_INFO_102"
    assert set(answer["PaginationResponseModel"].values()) == {None}


def test_missing_fields_are_all_named(ask: Ask) -> None:
    answer = ask("order/searchOrder/", {})

    assert [m["message"].partition("の")[0] for m in answer.json()["MessageModelList"]] == [
        "dateType", "startDatetime", "endDatetime",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"orderNumberList": ["1"]}, "GET_ORDER_ERROR_009"),
        ({"orderNumberList": ["1"], "version": 2}, "GET_ORDER_ERROR_011"),
        ({"version": 7}, "GET_ORDER_ERROR_009"),
        ({"orderNumberList": [str(n) for n in range(101)], "version": 7}, "GET_ORDER_ERROR_011"),
    ],
)
def test_get_order_rules(ask: Ask, body: dict[str, Any], code: str) -> None:
    answer = ask("order/getOrder/", body)

    assert (answer.status_code, codes(answer)) == (400, {code})


def test_paths_need_their_slash(shop: Shop, ask: Ask) -> None:
    assert ask("order/searchOrder", search(shop)).status_code == 404


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json; charset=shift_jis", "application/x-www-form-urlencoded"]
)
def test_other_media_types_are_refused(shop: Shop, ask: Ask, kind: str) -> None:
    answer = ask("order/searchOrder/", search(shop), **{"Content-Type": kind})

    assert (answer.status_code, answer.json()["Results"]["errorCode"]) == (415, "ES04-03")


def test_wrong_keys_are_refused_and_switches_are_looked_at(shop: Shop, ask: Ask) -> None:
    assert ask("order/searchOrder/", search(shop), Authorization="ESA eDp5").status_code == 401
    shop.functions.clear()
    assert ask("items/search").json()["Results"]["errorCode"] == "ES04-01"


def test_a_second_request_within_the_second_is_too_many(ask: Ask, shop: Shop) -> None:
    shop.limits = Limits(pace=1)

    first, second = (ask("order/searchOrder/", search(shop)) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 429)
    assert second.headers["retry-after"] == "1"
    assert shop.refused == 1


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"quantity": -1}, ("IE0003", "inventories[1].quantity")),
        ({"quantity": 100_000}, ("IE0003", "inventories[1].quantity")),
        ({"quantity": "a"}, ("IE0002", "inventories[1].quantity")),
        ({"mode": None}, ("IE0002", "inventories[1].mode")),
        ({"mode": "RELATIVE"}, ("IE0105", "inventories[1].mode")),
        ({"manageNumber": "x" * 33}, ("IE0004", "inventories[1].manageNumber")),
        ({"manageNumber": "茶"}, ("IE0002", "inventories[1].manageNumber")),
        ({"stock": 1}, ("IE0002", "inventories[1].stock")),
    ],
)
def test_one_bad_row_refuses_the_whole_batch(
    shop: Shop, ask: Ask, row: dict[str, Any], error: tuple[str, str]
) -> None:
    good = {"manageNumber": "shirt-01", "variantId": "S", "mode": "ABSOLUTE", "quantity": 1}

    answer = ask("inventories/bulk-upsert", {"inventories": [good, good | {"variantId": "M"} | row]})

    assert (answer.status_code, properties(answer)) == (400, {error})
    assert shop.stock == {}


def test_stock_is_taken_without_a_body_and_numbers_are_lower_cased(shop: Shop, ask: Ask) -> None:
    row = {"manageNumber": "SHIRT-01", "variantId": "S", "mode": "ABSOLUTE", "quantity": 5}

    answer = ask("inventories/bulk-upsert", {"inventories": [row]})
    back = ask("inventories/bulk-get", {"inventories": [{"manageNumber": "shirt-01", "variantId": "S"}]})

    assert (answer.status_code, answer.content) == (204, b"")
    assert back.json()["inventories"][0]["quantity"] == 5
    assert back.json()["inventories"][0]["updated"].endswith("+09:00")


def test_stock_of_a_sku_that_does_not_exist_is_taken_and_vanishes_a_day_later(shop: Shop, ask: Ask) -> None:
    row = {"manageNumber": "nothing", "variantId": "S", "mode": "ABSOLUTE", "quantity": 5}

    assert ask("inventories/bulk-upsert", {"inventories": [row]}).status_code == 204
    assert ask(
        "inventories/bulk-get", {"inventories": [{"manageNumber": "nothing", "variantId": "S"}]}
    ).json() == {"inventories": []}
    assert ("nothing", "S") in shop.stock
    honest = shop.clock
    shop.clock = lambda: honest() + timedelta(hours=25)
    ask("items/search")
    assert ("nothing", "S") not in shop.stock


def test_items_are_walked_by_cursor_to_the_end(shop: Shop, ask: Ask) -> None:
    found, mark = [], "*"
    while True:
        page = ask(f"items/search?hits=2&cursorMark={mark}").json()
        found += [result["item"]["manageNumber"] for result in page["results"]]
        if page["nextCursorMark"] == mark:
            break
        mark = page["nextCursorMark"]

    assert found == sorted(shop.items)
    assert ask("items/search?cursorMark=*&offset=0").status_code == 400
    assert ask("items/search?hits=101").status_code == 400


def test_the_same_seed_makes_the_same_orders() -> None:
    until = Shop().clock()
    first, second = Shop(seed=3), Shop(seed=3)
    first.take_orders(20, until=until)
    second.take_orders(20, until=until)

    assert first.orders == second.orders
    assert Shop(seed=4).orders != first.orders


def test_every_peculiarity_comes_up_in_a_dozen_orders(shop: Shop) -> None:
    shop.take_orders(14)
    orders = list(shop.orders.values())
    packages = [package for order in orders for package in order["PackageModelList"]]
    coupons = [coupon for order in orders for coupon in order["CouponModelList"] or ()]

    assert any(order["requestPrice"] == -9999 for order in orders)
    assert any(len(order["PackageModelList"]) > 1 for order in orders)
    assert {coupon["couponCapitalCode"] for coupon in coupons} == {1, 2, 3}
    assert any(package["SenderModel"]["zipCode2"] == "9999" for package in packages)
    assert any(len(order["TaxSummaryModelList"]) == 2 for order in orders)
    assert any(package["noshi"] for package in packages)
    assert any(order["WrappingModel1"] for order in orders)
    assert any(order["deliveryPrice"] > 0 for order in orders)
    assert any(order["PointModel"]["usedPoint"] for order in orders)
    assert {order["orderProgress"] for order in orders} == {100, 500, 900}


def test_state_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "shop.sqlite"
    shop = Shop(file=file)
    made = shop.take_orders(5)
    shop.orders[made[0]]["orderProgress"] = 300
    shop.keep("order", made[0], shop.orders[made[0]])
    shop.close()

    again = Shop(file=file)

    assert list(again.orders) == made
    assert again.orders[made[0]]["orderProgress"] == 300
    assert again.take_orders(1)[0] not in made
    again.close()


def test_the_module_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox.rakuten", "--port", "0", "--print-port", "--orders", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            state = httpx.get(f"http://127.0.0.1:{port}/_sandbox/state").json()
            more = httpx.post(
                f"http://127.0.0.1:{port}/_sandbox/orders", json={"count": 2, "scene": "cod"}
            ).json()
        finally:
            process.terminate()
            process.wait(timeout=10)
    assert len(state["orders"]) == 3
    assert len(more["orderNumbers"]) == 2
    assert process.returncode == 0
