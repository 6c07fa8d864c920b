"""What comes out of the stand-in: whole listings, deltas, pages, ids, costs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from connectors.contract import Call, Misconfigured, Page, Refused, Retry
from connectors.shopify import connector
from connectors.shopify.api import TooCostly
from connectors.shopify.walk import Position
from sandbox.shopify import Fault, Shop

Opened = Callable[..., Call[Any]]
SOURCES = ("products", "variants", "inventory", "orders", "customers")


def read(name: str, call: Call[Any], cursor: Any = None) -> list[Page]:
    return list(connector.sources[name].run(call, cursor))


def records(pages: list[Page]) -> list[dict[str, Any]]:
    return [dict(record) for page in pages for record in page.records]


def ids(pages: list[Page]) -> list[str]:
    return [record["id"] for record in records(pages)]


def filled(shop: Shop) -> Shop:
    shop.take_orders(12)
    return shop


def everything(shop: Shop) -> dict[str, set[str]]:
    return {
        "products": set(shop.products),
        "variants": set(shop.variants),
        "orders": set(shop.orders),
        "customers": set(shop.customers),
    }


@pytest.mark.parametrize("version", ["2026-07", "2026-10"])
@pytest.mark.parametrize("page_size", [1, 3, 50])
@pytest.mark.parametrize("name", SOURCES)
def test_a_first_read_brings_everything_once(
    name: str, page_size: int, version: str, shop: Shop, opened: Opened
) -> None:
    filled(shop)
    pages = read(name, opened(page_size=page_size, api_version=version))

    came = ids(pages)
    assert len(came) == len(set(came))
    if name == "inventory":
        assert len(came) == len(shop.levels)
    else:
        assert set(came) == everything(shop)[name]
    assert [page.complete for page in pages] == [False] * (len(pages) - 1) + [name != "orders"]


@pytest.mark.parametrize("name", SOURCES)
def test_a_second_read_brings_what_changed(name: str, shop: Shop, opened: Opened, clock: Any) -> None:
    filled(shop)
    clock.pass_(hours=1)
    cursor = read(name, opened())[-1].cursor
    clock.pass_(hours=1)
    shop.sell("SHIRT-01-M")
    shop.touch_product(next(iter(shop.products.values())))

    pages = read(name, opened(), cursor)

    assert 0 < len(ids(pages)) < 6
    assert not any(page.complete for page in pages)
    assert read(name, opened(), pages[-1].cursor) != []  # the overlap comes again
    clock.pass_(hours=1)
    later = read(name, opened(), pages[-1].cursor)
    assert set(ids(later)) <= set(ids(pages))


@pytest.mark.parametrize("name", SOURCES)
def test_a_killed_read_goes_on_behind_its_page(name: str, shop: Shop, opened: Opened) -> None:
    filled(shop)
    pages = read(name, opened(page_size=2))
    assert len(pages) > 2
    for number in range(1, len(pages)):
        rest = read(name, opened(page_size=2), pages[number - 1].cursor)
        assert ids(rest) == ids(pages[number:])
        assert not any(page.complete for page in rest)
        assert rest[-1].cursor == pages[-1].cursor


@pytest.mark.parametrize("name", SOURCES)
def test_a_place_that_shopify_no_longer_knows_is_left(name: str, shop: Shop, opened: Opened) -> None:
    filled(shop)
    under_way = read(name, opened(page_size=2))[0].cursor
    assert isinstance(under_way, Position)
    lost = under_way.model_copy(update={"after": "not-a-cursor"})

    assert set(ids(read(name, opened(), lost))) == set(ids(read(name, opened())))


def test_stock_of_several_places_is_read_place_by_place(shop: Shop, opened: Opened) -> None:
    second = sorted(shop.places)[1]
    for item, _ in list(shop.levels)[:4]:
        shop.stock_item(item, second, 3)
    pages = read("inventory", opened(page_size=3))

    places = [record["location"]["name"] for record in records(pages)]
    assert places == ["東京倉庫"] * (len(shop.levels) - 4) + ["渋谷店"] * 4
    for number in range(1, len(pages)):
        rest = read("inventory", opened(page_size=3), pages[number - 1].cursor)
        assert ids(rest) == ids(pages[number:])
    only = read("inventory", opened(locations={"shibuya": "渋谷店"}))
    assert len(ids(only)) == 4


def test_a_location_of_the_settings_that_is_not_there_is_said(opened: Opened) -> None:
    for wrong in ("名古屋店", "12345"):
        with pytest.raises(Misconfigured, match=r"locations|東京倉庫"):
            read("inventory", opened(locations={"x": wrong}))


def test_an_order_of_many_lines_comes_whole(shop: Shop, opened: Opened) -> None:
    shop.take_orders(1, scene="many_lines")
    (order,) = records(read("orders", opened(nested_size=2)))

    assert len(order["lineItems"]["nodes"]) == 13
    assert list(order["lineItems"]) == ["nodes"]
    assert len({line["id"] for line in order["lineItems"]["nodes"]}) == 13


def test_a_product_of_many_variants_comes_whole(shop: Shop, opened: Opened) -> None:
    product = next(p for p in shop.products.values() if p["handle"] == "mug-01")
    for n in range(30):
        shop.add_variant(product, [("Title", f"{n}")], f"MUG-{n + 2}", 100, None, shop.clock())
    mug = next(r for r in records(read("products", opened())) if r["handle"] == "mug-01")
    by_product = read("variants", opened(params={"ids": [product["id"]]}))

    assert len(mug["variants"]["nodes"]) == 31
    assert len(ids(by_product)) == 31
    assert {record["product"]["handle"] for record in records(by_product)} == {"mug-01"}


@pytest.mark.parametrize("name", ["products", "variants", "orders", "customers", "inventory"])
def test_ids_fetch_just_those(name: str, shop: Shop, opened: Opened) -> None:
    filled(shop)
    whole = read(name, opened())
    asked = [r["item"]["id"] if name == "inventory" else r["id"] for r in records(whole)][:2]
    numbers = [one.rsplit("/", 1)[1] for one in asked]
    kind = asked[0].split("/")[3]

    for given in (asked, numbers, ", ".join(numbers)):
        pages = read(name, opened(params={"ids": given}), whole[-1].cursor)
        came = [r["item"]["id"] if name == "inventory" else r["id"] for r in records(pages)]
        assert came == asked
        assert {page.cursor for page in pages} == {whole[-1].cursor}
        assert records(pages) == [
            r for r in records(whole) if (r["item"]["id"] if name == "inventory" else r["id"]) in asked
        ]
    (missing,) = read(name, opened(params={"ids": [f"gid://shopify/{kind}/1"]}))
    assert missing.records == []
    assert f"{kind}/1" in (missing.note or "")


def test_ids_that_are_none_are_refused(opened: Opened) -> None:
    for bad in ("abc", "gid://shopify/Order/1 OR 1", "gid://other/Order/1"):
        with pytest.raises(Refused):
            read("orders", opened(params={"ids": [bad]}))


def test_a_time_can_be_read_again(shop: Shop, opened: Opened, clock: Any) -> None:
    shop.take_orders(3, until=clock() - timedelta(days=3), spread=timedelta(0))
    shop.take_orders(2)
    last = read("orders", opened())[-1].cursor

    again = read("orders", opened(params={"since": "2026-11-20T12:00:00+09:00"}), last)

    assert len(ids(again)) == 2
    with pytest.raises(Refused, match="offset"):
        read("orders", opened(params={"since": "2026-11-20T12:00:00"}))


def test_without_the_scope_only_sixty_days_are_seen(shop: Shop, opened: Opened, clock: Any) -> None:
    shop.scopes.discard("read_all_orders")
    shop.take_orders(1, until=clock() - timedelta(days=61))
    shop.take_orders(1)
    assert len(ids(read("orders", opened()))) == 1


# ---------------------------------------------------------------- cost


def test_pages_that_cost_too_much_are_asked_for_smaller(shop: Shop, opened: Opened) -> None:
    filled(shop)
    pages = read("orders", opened(page_size=250, nested_size=20))
    assert set(ids(pages)) == set(shop.orders)
    assert len(pages) > 3


def test_a_query_that_costs_too_much_however_small_is_said(
    shop: Shop, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(shop)
    monkeypatch.setattr("sandbox.shopify.server.DEAREST", 20)
    with pytest.raises(TooCostly):
        read("orders", opened())


def test_throttling_waits_exactly_until_there_are_points_enough(
    shop: Shop, opened: Opened, waits: list[float]
) -> None:
    filled(shop)
    shop.bucket.pace = 1.0
    shop.bucket.empty()
    monotonic = [1000.0]
    shop.bucket.clock = lambda: monotonic[0]
    shop.bucket.empty()

    def wait(seconds: float) -> None:
        waits.append(seconds)
        monotonic[0] += seconds

    call = opened()
    call.http._sleep = wait  # the shop's clock passes while the connector waits
    pages = read("customers", call)

    assert set(ids(pages)) == set(shop.customers)
    # 50 customers with ten addresses each: the first try asks for too much, the second for what one query may have
    assert len(waits) == 1
    assert 9.0 < waits[0] < 10.5
    assert shop.calls == ["Customers"]


def test_a_shop_that_stays_throttled_is_a_retry_that_says_when(shop: Shop, opened: Opened) -> None:
    shop.faults.append(Fault("Customers", "throttled", times=99))
    shop.bucket.pace = 0.0001
    with pytest.raises(Retry) as raised:
        read("customers", opened())
    assert raised.value.after is not None
    assert raised.value.after > timedelta(seconds=60)


@pytest.mark.parametrize("kind", ["500", "internal", "cut_body", "429"])
def test_reads_are_repeated(kind: str, shop: Shop, opened: Opened) -> None:
    filled(shop)
    shop.faults.append(Fault("Orders", kind, times=2))
    assert set(ids(read("orders", opened()))) == set(shop.orders)


def test_a_missing_scope_is_a_misconfiguration_that_names_it(shop: Shop, opened: Opened) -> None:
    shop.scopes.discard("write_customers")
    with pytest.raises(Misconfigured, match="read_customers"):
        read("customers", opened())


def test_check_says_shop_scopes_and_version(shop: Shop, opened: Opened) -> None:
    assert connector.check_function is not None
    said = connector.check_function(opened())
    assert "つなぎ見本店" in said
    assert "JPY" in said
    assert "missing" not in said
    shop.scopes -= {"write_inventory", "read_all_orders"}
    shop.versions = ("2026-10",)
    said = connector.check_function(opened(api_version="2026-07"))
    assert "write_inventory" in said
    assert "60" in said
    assert "2026-10" in said
    with pytest.raises(Misconfigured):
        connector.check_function(opened(access_token="wrong"))
