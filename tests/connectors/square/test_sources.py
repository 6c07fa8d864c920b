"""Reading from the stand-in: nothing is lost between pages, runs and late rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.contract import Call, Misconfigured, Page, Refused, Retry
from connectors.square import connector
from connectors.square.walk import OVERLAP, Place
from sandbox.square import Fault, Limits, Seller, order_ahead, ring_up, sell, take_back
from sandbox.square.customer_api import bulk_create, delete

Opened = Callable[..., Call[Any]]


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def move(self, **time: float) -> None:
        self.time += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def seller(clock: Clock) -> Seller:
    seller = Seller(limits=Limits(pace=5000), clock=clock)
    clock.move(days=1)
    return seller


def read(call: Call[Any], name: str, cursor: Place | None = None) -> list[Page]:
    return list(connector.sources[name].run(call, cursor))


def ids(pages: list[Page]) -> list[str]:
    return [str(record["id"]) for page in pages for record in page.records]


def place(pages: list[Page]) -> Place:
    cursor = pages[-1].cursor
    assert isinstance(cursor, Place)
    return cursor


# ---------------------------------------------------------------- orders


def test_orders_of_all_stores_come_with_the_sku_of_each_line(
    seller: Seller, opened: Opened, clock: Clock
) -> None:
    sold = [sell(seller, store, [("TEA-100", 1)])["id"] for store in ("渋谷店", "梅田店")]

    pages = read(opened(), "orders")
    (shibuya, umeda) = [record for page in pages for record in page.records]

    assert [shibuya["id"], umeda["id"]] == sold
    assert [shibuya["location"], umeda["location"]] == ["store-shibuya", "store-umeda"]
    assert shibuya["line_items"][0]["catalog"]["sku"] == "TEA-100"


def test_the_next_read_brings_what_changed_since(seller: Seller, opened: Opened, clock: Clock) -> None:
    sell(seller, "渋谷店", [("TEA-100", 1)])
    clock.move(hours=1)
    last = sell(seller, "渋谷店", [("TEA-100", 1)])
    first = read(opened(), "orders")
    clock.move(hours=1)
    new = sell(seller, "渋谷店", [("TEA-100", 1)])
    clock.move(hours=1)

    second = read(opened(), "orders", place(first))

    assert ids(second) == [last["id"], new["id"]]  # the last one again: it lies within the overlap
    assert place(second).since == datetime.fromisoformat(new["updated_at"])


def test_a_receipt_taken_offline_comes_when_it_is_told(seller: Seller, opened: Opened, clock: Clock) -> None:
    sell(seller, "渋谷店", [("TEA-100", 1)])
    cursor = place(read(opened(), "orders"))
    clock.move(days=2)
    late = sell(seller, "渋谷店", [("TEA-100", 1)], at=clock() - timedelta(days=2))

    (_, record) = read(opened(), "orders", cursor)[0].records

    assert record["id"] == late["id"]
    assert record["created_at"] < record["updated_at"]


def test_rows_that_square_shows_late_are_not_jumped(seller: Seller, opened: Opened, clock: Clock) -> None:
    seller.lag = timedelta(seconds=30)
    hidden = sell(seller, "渋谷店", [("TEA-100", 1)])
    clock.move(seconds=20)
    cursor = place(read(opened(), "payments"))  # a walk that saw nothing keeps its place
    assert ids(read(opened(), "orders")) == []
    clock.move(seconds=20)
    later = sell(seller, "渋谷店", [("TEA-100", 1)])
    clock.move(minutes=1)

    assert ids(read(opened(), "orders")) == [hidden["id"], later["id"]]
    assert len(ids(read(opened(), "payments", cursor))) == 2


def test_what_changes_behind_the_reader_comes_with_the_next_read(
    seller: Seller, opened: Opened, clock: Clock
) -> None:
    seller.pages.lifetime = timedelta(hours=1)
    sales = []
    for _ in range(3):
        sales.append(ring_up(seller, "渋谷店", [("TEA-100", 1)]))
        clock.move(seconds=1)
    pages = connector.sources["orders"].run(opened(page_size=1), None)
    walked = [next(pages)]
    clock.move(minutes=10)
    sales[0] |= {"updated_at": seller.now(), "ticket_name": "behind"}
    clock.move(minutes=10)
    sales[2] |= {"updated_at": seller.now(), "ticket_name": "ahead"}
    walked += list(pages)

    again = [record for page in read(opened(), "orders", place(walked)) for record in page.records]

    assert walked[-1].records[0]["ticket_name"] == "ahead"
    assert "behind" in [record.get("ticket_name") for record in again]


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_read_that_broke_off_goes_on_where_it_stood(
    seller: Seller, opened: Opened, clock: Clock, stop: int
) -> None:
    for _ in range(7):
        sell(seller, "渋谷店", [("TEA-100", 1)])
        clock.move(seconds=1)
    call = opened(page_size=2)
    whole = read(call, "orders")
    cursor = Place.model_validate_json(whole[stop - 1].cursor.model_dump_json())  # type: ignore[union-attr]
    seller.calls.clear()

    rest = read(opened(page_size=2), "orders", cursor)

    assert ids(rest) == ids(whole)[2 * stop :]
    assert place(rest) == place(whole)


def test_a_page_square_forgot_is_read_from_the_beginning(
    seller: Seller, opened: Opened, clock: Clock
) -> None:
    for _ in range(5):
        sell(seller, "渋谷店", [("TEA-100", 1)])
    whole = read(opened(page_size=2), "orders")
    clock.move(hours=1)

    rest = read(opened(page_size=2), "orders", whole[0].cursor)  # type: ignore[arg-type]

    assert set(ids(rest)) == set(ids(whole))


def test_a_refusal_in_the_midst_of_a_fresh_read_is_no_reason_to_begin_again(
    seller: Seller, opened: Opened
) -> None:
    for _ in range(5):
        sell(seller, "渋谷店", [("TEA-100", 1)])
    pages = connector.sources["orders"].run(opened(page_size=2), None)
    next(pages)
    seller.pages.lifetime = timedelta(seconds=-1)

    with pytest.raises(Refused) as refused:
        list(pages)
    assert refused.value.code == "invalid_cursor"


def test_more_locations_than_a_search_takes(seller: Seller, opened: Opened, clock: Clock) -> None:
    model = dict(seller.locations[seller.location("渋谷店")])
    names = [f"催事{n}" for n in range(12)]
    for n, name in enumerate(names):
        seller.locations[f"LPOPUP{n:02d}"] = model | {"id": f"LPOPUP{n:02d}", "name": name}
    sold = {sell(seller, name, [("TEA-100", 1)])["id"] for name in names}
    config = {"locations": {f"popup-{n}": f"LPOPUP{n:02d}" for n in range(12)}}

    pages = read(opened(**config), "orders")
    again = read(opened(**config), "orders", pages[0].cursor)  # type: ignore[arg-type]

    assert set(ids(pages)) == sold
    assert ids(again) == ids(pages[1:])


def test_orders_and_returns_by_id(seller: Seller, opened: Opened) -> None:
    sale = sell(seller, "渋谷店", [("TEA-100", 2)])
    back = take_back(seller, sale["id"], [("TEA-100", 1)])

    (page,) = read(opened(params={"ids": [back["id"], "NOSUCHORDER"]}), "orders")

    assert page.records[0]["returns"][0]["return_line_items"][0]["catalog"]["sku"] == "TEA-100"
    assert len(page.records) == 1


def test_reading_again_from_a_time(seller: Seller, opened: Opened, clock: Clock) -> None:
    old = sell(seller, "渋谷店", [("TEA-100", 1)])
    clock.move(days=3)
    new = sell(seller, "渋谷店", [("TEA-100", 1)])
    cursor = place(read(opened(), "orders"))

    pages = read(opened(params={"since": (clock() - timedelta(days=4)).isoformat()}), "orders", cursor)

    assert ids(pages) == [old["id"], new["id"]]
    assert place(pages) == cursor


# ---------------------------------------------------------------- stock


def test_counts_carry_sku_and_the_hubs_name_of_the_place(seller: Seller, opened: Opened) -> None:
    seller.receive("TEA-100", "渋谷店", 5)
    seller.receive("TEA-100", "旧横浜店", 9)

    (record,) = [record for page in read(opened(), "inventory") for record in page.records]

    assert record["id"] == f"{seller.variation('TEA-100')}@{seller.location('渋谷店')}"
    assert (record["location"], record["catalog"]["sku"], record["quantity"]) == (
        "store-shibuya",
        "TEA-100",
        "5",
    )


def test_a_walk_of_counts_newest_first_moves_its_cursor_only_at_the_end(
    seller: Seller, opened: Opened, clock: Clock
) -> None:
    for sku in ("TEA-100", "TEA-200", "CUP-1"):
        seller.receive(sku, "渋谷店", 5)
        clock.move(minutes=10)

    pages = read(opened(page_size=1), "inventory")

    assert [record["catalog"]["sku"] for page in pages for record in page.records] == [
        "CUP-1",
        "TEA-200",
        "TEA-100",
    ]
    assert [page.cursor.since for page in pages[:-1]] == [None, None]  # type: ignore[union-attr]
    assert place(pages).since == clock() - timedelta(minutes=10)
    assert {
        record["catalog"]["sku"]
        for page in read(opened(), "inventory", place(pages))
        for record in page.records
    } == {"CUP-1"}


def test_only_the_asked_for_counts_are_fetched(seller: Seller, opened: Opened) -> None:
    for sku in ("TEA-100", "TEA-200"):
        for store in ("渋谷店", "梅田店"):
            seller.receive(sku, store, 5)
    one = f"{seller.variation('TEA-100')}@{seller.location('梅田店')}"

    assert ids(read(opened(params={"ids": [one]}), "inventory")) == [one]
    assert len(ids(read(opened(params={"ids": [one, seller.variation("TEA-200")]}), "inventory"))) == 3
    assert ids(read(opened(params={"ids": ["NOSUCH@NOWHERE"]}), "inventory")) == []


def test_without_named_locations_all_active_ones_are_read(seller: Seller, opened: Opened) -> None:
    seller.receive("TEA-100", "渋谷店", 5)
    seller.receive("TEA-100", "旧横浜店", 5)

    records = [record for page in read(opened(locations={}), "inventory") for record in page.records]

    assert [record["location"] for record in records] == [seller.location("渋谷店")]


# ---------------------------------------------------------------- catalogue


def upsert(seller: Seller, sku: str, **changes: Any) -> str:
    """Somebody changes a variation in the dashboard; its item stays as it is."""
    each = seller.variation(sku)
    seller.catalog[each]["item_variation_data"] |= changes
    seller.catalog[each] |= {"version": seller.new_version(), "updated_at": seller.now()}
    return each


def remove(seller: Seller, sku: str, *, item: bool = False) -> str:
    each = seller.variation(sku)
    parent = seller.catalog[seller.catalog[each]["item_variation_data"]["item_id"]]
    gone = [parent["id"], *parent["_variations"]] if item else [each]
    for one in gone:
        seller.catalog[one] |= {
            "is_deleted": True,
            "updated_at": seller.now(),
            "version": seller.new_version(),
        }
    if not item:
        parent["_variations"].remove(each)
    return str(parent["id"] if item else each)


def test_items_come_with_what_hangs_on_them(seller: Seller, opened: Opened) -> None:
    records = {
        record["item_data"]["name"]: record for page in read(opened(), "products") for record in page.records
    }

    tee = records["藍染Ｔシャツ"]
    assert len(records) == 7
    assert [tax["percentage"] for tax in tee["taxes"]] == ["10.0"]
    assert [category["name"] for category in tee["categories"]] == ["衣料"]
    assert tee["variations"][0]["options"] == [
        {"name": "サイズ", "value": "S"},
        {"name": "色", "value": "藍"},
    ]


def test_a_variation_that_changes_alone_brings_its_item(seller: Seller, opened: Opened, clock: Clock) -> None:
    upsert(seller, "GIFT-A")
    products, variations = place(read(opened(), "products")), place(read(opened(), "variations"))
    assert products.since is not None
    clock.move(hours=1)
    changed = upsert(seller, "TEE-AI-M", name="M / 藍（再入荷）")
    item = seller.catalog[changed]["item_variation_data"]["item_id"]

    assert item in ids(read(opened(), "products", products))
    assert len(ids(read(opened(), "products", products))) == 2  # and the one within the overlap
    assert set(ids(read(opened(), "variations", variations))) == {changed, seller.variation("GIFT-A")}


def test_what_is_deleted_is_told(seller: Seller, opened: Opened, clock: Clock) -> None:
    upsert(seller, "TEE-AI-M")
    products, variations = place(read(opened(), "products")), place(read(opened(), "variations"))
    clock.move(hours=1)
    single = remove(seller, "TEA-200")
    item = remove(seller, "CUP-1", item=True)

    first = read(opened(), "products", products)
    second = read(opened(), "variations", variations)

    assert [each for page in first for each in page.deleted] == [item]
    assert len(ids(first)) == 2  # the tea that lost a size, and the shirt within the overlap
    assert single in [each for page in second for each in page.deleted]
    assert len([each for page in second for each in page.deleted]) == 2


def test_everything_changed_since_a_time_can_be_asked_for(
    seller: Seller, opened: Opened, clock: Clock
) -> None:
    cursor = place(read(opened(), "variations"))
    clock.move(hours=1)
    changed = upsert(seller, "CUP-1", name="大")
    since = f"since:{clock().isoformat()}"

    pages = read(opened(params={"ids": [since]}), "variations", cursor)

    assert ids(pages) == [changed]
    assert pages[0].cursor == cursor


def test_variations_by_id_of_the_item_and_of_their_own(seller: Seller, opened: Opened) -> None:
    tee = seller.variation("TEE-AI-M")
    item = seller.catalog[tee]["item_variation_data"]["item_id"]

    assert ids(read(opened(params={"ids": [tee]}), "variations")) == [tee]
    assert len(ids(read(opened(params={"ids": [item]}), "variations"))) == 3


# ---------------------------------------------------------------- customers, money


def enrol(seller: Seller, *names: str) -> list[str]:
    made = bulk_create(seller, {"customers": {f"k{name}": {"family_name": name} for name in names}})
    return [answer["customer"]["id"] for answer in made["responses"].values()]


def test_customers_come_whole_and_then_by_change(seller: Seller, opened: Opened, clock: Clock) -> None:
    first = enrol(seller, "見本", "例")
    clock.move(hours=1)
    first += enrol(seller, "佐藤")
    whole = read(opened(page_size=2), "customers")
    clock.move(hours=1)
    (new,) = enrol(seller, "鈴木")
    changes = read(opened(), "customers", place(whole))
    delete(seller, first[0])

    assert set(ids(whole)) == set(first)
    assert [page.complete for page in whole] == [False, True]
    assert set(ids(changes)) == {first[2], new}
    assert not any(page.complete for page in changes)
    assert set(ids(read(opened(), "customers"))) == {*first[1:], new}
    assert ids(read(opened(params={"ids": [first[0], new]}), "customers")) == [new]


def test_payments_and_refunds_of_every_store(seller: Seller, opened: Opened, clock: Clock) -> None:
    sales = [sell(seller, store, [("TEA-100", 2)]) for store in ("渋谷店", "梅田店")]
    clock.move(hours=1)
    sell(seller, "渋谷店", [("TEA-100", 1)])
    cursor = place(read(opened(), "payments"))
    clock.move(hours=1)
    take_back(seller, sales[1]["id"], [("TEA-100", 1)])

    payments = [record for page in read(opened(), "payments", cursor) for record in page.records]
    refunds = [record for page in read(opened(), "refunds") for record in page.records]

    changed = sales[1]["tenders"][0]["id"]
    assert {p["location"]: p.get("refunded_money", {}).get("amount") for p in payments} == {
        "store-shibuya": None,  # within the overlap
        "store-umeda": 1080,
    }
    assert [refund["payment_id"] for refund in refunds] == [changed]
    assert ids(read(opened(params={"ids": [changed, "no/such"]}), "payments")) == [changed]


# ---------------------------------------------------------------- trouble


@pytest.mark.parametrize("kind", ["429", "500", "cut_body"])
def test_a_passing_trouble_changes_nothing(seller: Seller, opened: Opened, kind: str) -> None:
    order_ahead(seller, "渋谷店", [("TEA-100", 1)], recipient={"display_name": "見本"})
    seller.faults.append(Fault("orders/search", kind, times=2))

    assert len(ids(read(opened(), "orders"))) == 1


def test_a_lasting_trouble_is_told_as_such(seller: Seller, opened: Opened) -> None:
    seller.faults.append(Fault("orders/search", "500", times=99))

    with pytest.raises(Retry):
        read(opened(), "orders")


def test_a_list_that_does_not_move_on_is_not_read_for_ever(seller: Seller, opened: Opened) -> None:
    for _ in range(3):
        ring_up(seller, "渋谷店", [("TEA-100", 1)])
    seller.pages.cut = lambda query, rows, limit, now: (list(rows)[:1], "same")  # type: ignore[method-assign]

    with pytest.raises(Retry, match="does not move on"):
        read(opened(), "orders")


def test_the_check_names_the_stores_and_what_is_wrong_with_them(seller: Seller, opened: Opened) -> None:
    check = connector.check_function
    assert check is not None

    assert "渋谷店 = store-shibuya" in check(opened())
    with pytest.raises(Misconfigured, match="LNOWHERE"):
        check(opened(locations={"x": "LNOWHERE"}))
    with pytest.raises(Misconfigured, match="not active"):
        check(opened(locations={"x": seller.location("旧横浜店")}))


def test_reads_start_a_little_before_the_cursor(seller: Seller, opened: Opened, clock: Clock) -> None:
    sell(seller, "渋谷店", [("TEA-100", 1)])
    cursor = place(read(opened(), "orders"))
    seller.calls.clear()

    read(opened(), "orders", cursor)

    asked = next(body for path, body in seller.calls if path.endswith("orders/search"))
    start = asked["query"]["filter"]["date_time_filter"]["updated_at"]["start_at"]
    assert cursor.since is not None
    assert datetime.fromisoformat(start) == cursor.since - OVERLAP
