"""Orders out of the stand-in: windows, paging, the silent stop, what changes later, what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from connectors.contract import Call, Misconfigured, Page, Refused, Retry
from connectors.rakuten_rms import connector
from connectors.rakuten_rms.orders import OrderCursor
from sandbox.rakuten import Fault, Shop

Opened = Callable[..., Call[Any]]
orders = connector.sources["orders"].run


def numbers(pages: list[Page]) -> list[str]:
    return [record["orderNumber"] for page in pages for record in page.records]


def test_first_pull_brings_every_order_of_the_last_days_once(shop: Shop, opened: Opened) -> None:
    made = shop.take_orders(25, spread=timedelta(days=20))

    pages = list(orders(opened(), None))

    assert sorted(numbers(pages)) == sorted(made)


def test_cursor_moves_only_with_the_last_page_of_a_window(shop: Shop, opened: Opened) -> None:
    shop.take_orders(230, spread=timedelta(hours=3))
    before = OrderCursor(until=shop.clock() - timedelta(hours=4), rechecked=shop.clock())

    pages = list(orders(opened(), before))

    assert [len(page.records) for page in pages] == [100, 100, 30]
    assert [page.cursor for page in pages[:2]] == [before.model_copy(update={"taken": n}) for n in (100, 200)]
    last = pages[2].cursor
    assert isinstance(last, OrderCursor)
    assert shop.clock() - last.until < timedelta(minutes=1)


def test_second_pull_reads_the_overlap_and_open_orders_again(shop: Shop, opened: Opened) -> None:
    shop.take_orders(3, scene="plain", until=shop.clock() - timedelta(days=3))
    shipped = shop.take_orders(1, scene="shipped", until=shop.clock() - timedelta(days=3))
    first = list(orders(opened(), None))
    cursor = first[-1].cursor

    again = list(orders(opened(), cursor))

    assert len(numbers(again)) == 3
    assert shipped[0] not in numbers(again)


def test_cancellation_of_an_old_order_is_seen(shop: Shop, opened: Opened) -> None:
    (number,) = shop.take_orders(1, scene="plain", until=shop.clock() - timedelta(days=5))
    cursor = list(orders(opened(), None))[-1].cursor
    shop.orders[number]["orderProgress"] = 900

    soon = list(orders(opened(), cursor))
    later = list(orders(opened(recheck_every=timedelta(0)), cursor))

    assert numbers(soon) == []
    assert [record["orderProgress"] for page in later for record in page.records] == [900]


def test_confirmation_elsewhere_is_seen_by_its_date(shop: Shop, opened: Opened) -> None:
    (number,) = shop.take_orders(1, scene="plain", until=shop.clock() - timedelta(days=40))
    cursor = OrderCursor(until=shop.clock() - timedelta(minutes=5), rechecked=shop.clock())
    order = shop.orders[number]
    order |= {"orderProgress": 300, "shopOrderCfmDatetime": _now(shop), "orderFixDatetime": _now(shop)}

    assert numbers(list(orders(opened(), cursor))) == [number]


def test_search_that_stops_silently_is_split_until_nothing_is_missing(shop: Shop, opened: Opened) -> None:
    shop.limits.hits = 20
    made = shop.take_orders(90, spread=timedelta(hours=6))

    pages = list(orders(opened(search_hits_limit=20, search_page_size=7), None))

    assert sorted(numbers(pages)) == sorted(made)


def test_more_orders_in_one_second_than_a_search_shows_are_an_error(shop: Shop, opened: Opened) -> None:
    shop.limits.hits = 5
    shop.take_orders(6, spread=timedelta(0))

    with pytest.raises(Refused, match="within the second") as refused:
        list(orders(opened(search_hits_limit=5), None))
    assert refused.value.code == "too_many_hits"


def test_a_shop_without_orders_moves_the_cursor_and_brings_nothing(opened: Opened) -> None:
    pages = list(orders(opened(), None))

    assert numbers(pages) == []
    assert pages[-1].cursor is not None


def test_a_cursor_older_than_rms_remembers_is_said(shop: Shop, opened: Opened) -> None:
    cursor = OrderCursor(until=shop.clock() - timedelta(days=800), rechecked=shop.clock())

    pages = list(orders(opened(window_days=62), cursor))

    assert "730" in (pages[0].note or "")


def test_params_fetch_single_orders_and_leave_the_cursor(shop: Shop, opened: Opened) -> None:
    made = shop.take_orders(5)

    pages = list(orders(opened(params={"order_numbers": made[1:3]}), None))

    assert numbers(pages) == made[1:3]
    assert [page.cursor for page in pages] == [None]


def test_params_read_a_time_again(shop: Shop, opened: Opened) -> None:
    made = shop.take_orders(5, scene="plain", spread=timedelta(days=4))
    since = (shop.clock() - timedelta(days=1, hours=12)).isoformat()

    pages = list(orders(opened(params={"since": since}), None))

    assert sorted(numbers(pages)) == sorted(made[3:])


def test_params_that_are_no_time_are_refused_in_words(opened: Opened) -> None:
    with pytest.raises(Refused, match="no date or time"):
        list(orders(opened(params={"since": "yesterday"}), None))


def test_version_says_which_fields_come(shop: Shop, opened: Opened) -> None:
    shop.take_orders(1, scene="social_gift")

    (old,) = [r for page in orders(opened(get_order_version=6), None) for r in page.records]
    (new,) = [r for page in orders(opened(), None) for r in page.records]

    assert "SkuModelList" not in old["PackageModelList"][0]["ItemModelList"][0]
    assert new["PackageModelList"][0]["SocialGiftModel"]["inputFlag"] == 0


def test_version_rms_does_not_know_is_refused_with_its_message(shop: Shop, opened: Opened) -> None:
    shop.take_orders(1)

    with pytest.raises(Refused, match="version") as refused:
        list(orders(opened(get_order_version=11), None))
    assert refused.value.code == "ORDER_EXT_API_GET_ORDER_ERROR_011"


def test_page_stored_before_a_failure_keeps_its_cursor(shop: Shop, opened: Opened) -> None:
    shop.take_orders(150, spread=timedelta(hours=3))
    call = opened(window_days=62)
    pages = orders(call, None)
    first = next(pages)
    shop.faults.append(Fault("getOrder", "500", times=10))

    with pytest.raises(Retry):
        next(pages)
    assert isinstance(first.cursor, OrderCursor)
    assert first.cursor.until < shop.clock() - timedelta(days=29)
    assert len(first.records) == 100


def test_throttling_and_a_cut_answer_are_got_over(shop: Shop, opened: Opened) -> None:
    made = shop.take_orders(3)
    shop.faults += [
        Fault("searchOrder", "429", times=2),
        Fault("getOrder", "cut_body"),
        Fault("getOrder", "500"),
    ]

    assert sorted(numbers(list(orders(opened(), None)))) == sorted(made)


def test_expired_license_key_says_what_to_do(shop: Shop, opened: Opened) -> None:
    shop.license_expires = shop.clock() - timedelta(days=1)

    with pytest.raises(Misconfigured, match="90日"):
        list(orders(opened(), None))


def test_function_that_is_switched_off_says_what_to_do(shop: Shop, opened: Opened) -> None:
    shop.functions.discard("order")

    with pytest.raises(Misconfigured, match="利用機能編集"):
        list(orders(opened(), None))


def test_content_type_is_a_setting(shop: Shop, opened: Opened) -> None:
    shop.refuse_space_in_content_type = True

    with pytest.raises(Misconfigured, match="content_type"):
        list(orders(opened(), None))
    assert list(orders(opened(content_type="application/json;charset=utf-8"), None))


def test_full_width_letters_in_a_key_are_named_without_showing_it(opened: Opened) -> None:
    with pytest.raises(Misconfigured, match="全角") as error:
        list(orders(opened(license_key="ＳＬ５０２７６３"), None))
    assert "ＳＬ" not in str(error.value)


def _now(shop: Shop) -> Any:
    return shop.clock().strftime("%Y-%m-%dT%H:%M:%S+0900")
