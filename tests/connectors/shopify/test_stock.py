"""Stock into the stand-in: compared, never twice, one bad row never stopping the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connectors.contract import Batch, Call, Change, Misconfigured, Outcome, Retry, Verdict
from connectors.shopify import connector
from connectors.shopify.stock import StockRow
from sandbox.shopify import Fault, Shop

Opened = Callable[..., Call[Any]]
stock = connector.sinks["stock"].run


def item(shop: Shop, sku: str) -> str:
    return str(shop.variant_of_sku(sku)["inventoryItem"]["id"])


def row(shop: Shop, sku: str, available: int, **more: Any) -> dict[str, Any]:
    return {"inventoryItemId": item(shop, sku), "available": available, **more}


def change(key: str, record: dict[str, Any], **more: Any) -> Change:
    return Change(key, record, version=1, **more)


def send(call: Call[Any], *changes: Change, key: str = "batch-1", attempt: int = 1) -> dict[str, Outcome]:
    outcomes = list(stock(call, Batch(changes, key, attempt)))
    assert sorted(o.key for o in outcomes) == sorted(c.key for c in changes)
    return {outcome.key: outcome for outcome in outcomes}


def verdicts(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {key: outcome.verdict.value for key, outcome in outcomes.items()}


@pytest.mark.parametrize("version", ["2026-07", "2026-10"])
def test_a_batch_with_known_bases_is_one_call(version: str, shop: Shop, opened: Opened) -> None:
    skus = [v["sku"] for v in shop.variants.values() if v["sku"]]
    changes = [change(sku, row(shop, sku, 5), previous=row(shop, sku, shop.available(sku))) for sku in skus]

    outcomes = send(opened(api_version=version), *changes)

    assert set(verdicts(outcomes).values()) == {"done"}
    assert {shop.available(sku) for sku in skus} == {5}
    assert shop.calls == ["Locations", "SetStock"]


def test_with_ids_in_the_settings_no_place_is_asked_for(shop: Shop, opened: Opened) -> None:
    call = opened(locations={"tokyo": shop.main_place}, location="tokyo")
    first = change("a", row(shop, "TEA-100", 9), previous=row(shop, "TEA-100", 60))
    assert verdicts(send(call, first)) == {"a": "done"}
    assert shop.calls == ["SetStock"]


def test_without_a_base_the_shop_is_looked_at_first(shop: Shop, opened: Opened) -> None:
    outcomes = send(opened(), change("a", row(shop, "TEA-100", 9)), change("b", row(shop, "MUG-1", 12)))
    assert verdicts(outcomes) == {"a": "done", "b": "done"}
    assert (shop.available("TEA-100"), shop.available("MUG-1")) == (9, 12)
    assert shop.calls == ["Locations", "StockNow", "SetStock"]


def test_skus_are_looked_up_and_must_be_the_very_same(shop: Shop, opened: Opened) -> None:
    twin = shop.variant_of_sku("RICE-2")
    shop.variant_of_sku("RICE-5")["sku"] = "RICE-2"
    names = ("TEA-100", "tea-100", "TEA", "O'Brien", "RICE-2", "TEA' OR sku:'MUG-1")
    outcomes = send(opened(), *(change(name, {"sku": name, "available": 1}) for name in names))

    assert {key: o.code for key, o in outcomes.items() if o.verdict is Verdict.REFUSED} == {
        "tea-100": "unknown_sku", "TEA": "unknown_sku", "O'Brien": "unknown_sku", "RICE-2": "ambiguous_sku",
        "TEA' OR sku:'MUG-1": "unknown_sku",
    }  # fmt: skip
    assert shop.available("TEA-100") == 1
    assert shop.levels[twin["inventoryItem"]["id"], shop.main_place].available == 40


def test_a_sale_meanwhile_is_seen_and_the_row_written_once_more(shop: Shop, opened: Opened) -> None:
    shop.sell("TEA-100", 2)
    stale = change("tea", row(shop, "TEA-100", 50), previous=row(shop, "TEA-100", 60))
    fresh = change("mug", row(shop, "MUG-1", 3), previous=row(shop, "MUG-1", 12))

    outcomes = send(opened(), stale, fresh)

    assert verdicts(outcomes) == {"tea": "done", "mug": "done"}
    assert (shop.available("TEA-100"), shop.available("MUG-1")) == (50, 3)
    assert shop.calls == ["Locations", "SetStock", "StockNow", "SetStock"]


def test_a_sale_the_hub_has_not_seen_is_not_given_back(shop: Shop, opened: Opened) -> None:
    shop.sell("TEA-100", 2)
    unseen = change(
        "tea", row(shop, "TEA-100", 50, committed=0), previous=row(shop, "TEA-100", 60, committed=0)
    )
    (outcome,) = send(opened(), unseen).values()
    assert shop.available("TEA-100") == 48
    assert "2" in outcome.notes[0]
    assert outcome.external_version == "48"

    seen = change(
        "tea", row(shop, "TEA-100", 48, committed=2), previous=row(shop, "TEA-100", 50, committed=0)
    )
    send(opened(), seen, key="batch-2")
    assert shop.available("TEA-100") == 48


def test_what_is_as_wanted_is_left_alone(shop: Shop, opened: Opened) -> None:
    shop.sell("TEA-100", 2)
    told = change("tea", row(shop, "TEA-100", 58), previous=row(shop, "TEA-100", 60))
    assert verdicts(send(opened(), told)) == {"tea": "done"}
    assert shop.calls == ["Locations", "SetStock", "StockNow"]


def test_a_place_where_the_item_is_not_kept_gets_it(shop: Shop, opened: Opened) -> None:
    second = sorted(shop.places)[1]
    call = opened(locations={"shibuya": "渋谷店"})
    here = change("tea", row(shop, "TEA-100", 4, location="shibuya"))
    assert verdicts(send(call, here)) == {"tea": "done"}
    assert shop.available("TEA-100", second) == 4
    assert shop.available("TEA-100") == 60


def test_a_level_that_was_taken_away_is_stocked_again(shop: Shop, opened: Opened) -> None:
    del shop.levels[item(shop, "TEA-100"), shop.main_place]
    believed = change("tea", row(shop, "TEA-100", 4), previous=row(shop, "TEA-100", 60))
    for version in ("2026-07", "2026-10"):
        shop.levels.pop((item(shop, "TEA-100"), shop.main_place), None)
        assert verdicts(send(opened(api_version=version), believed, key=version)) == {"tea": "done"}
        assert shop.available("TEA-100") == 4


def test_a_lost_answer_is_repeated_without_a_second_effect(shop: Shop, opened: Opened) -> None:
    shop.faults.append(Fault("SetStock", "cut_body"))
    believed = change("tea", row(shop, "TEA-100", 4), previous=row(shop, "TEA-100", 60))
    assert verdicts(send(opened(), believed)) == {"tea": "done"}
    assert shop.available("TEA-100") == 4

    # the same batch again, as after a crash: compared, seen to be as wanted
    assert verdicts(send(opened(), believed, attempt=2)) == {"tea": "done"}
    assert shop.available("TEA-100") == 4


def test_five_four_five_is_written_each_time(shop: Shop, opened: Opened) -> None:
    for number, (before, wanted) in enumerate([(60, 5), (5, 4), (4, 5)]):
        step = change("tea", row(shop, "TEA-100", wanted), previous=row(shop, "TEA-100", before))
        send(opened(), step, key=f"batch-{number}")
        assert shop.available("TEA-100") == wanted


def test_a_key_that_a_failed_try_used_up_is_not_used_again(shop: Shop, opened: Opened) -> None:
    shop.sell("TEA-100")
    believed = change("tea", row(shop, "TEA-100", 4), previous=row(shop, "TEA-100", 60))
    send(opened(), believed)
    shop.set_available(item(shop, "TEA-100"), shop.main_place, 60)
    assert verdicts(send(opened(), believed, attempt=2)) == {"tea": "done"}
    assert shop.available("TEA-100") == 4


def test_one_bad_row_never_stops_the_others(shop: Shop, opened: Opened) -> None:
    good = change("good", row(shop, "MUG-1", 3), previous=row(shop, "MUG-1", 12))
    gone = {"inventoryItemId": "gid://shopify/InventoryItem/1", "available": 3}
    bad = (
        change("gone", gone, previous=gone),
        change("gone2", {"inventoryItemId": "2", "available": 3}),
        change("high", row(shop, "TEA-100", 2_000_000_000), previous=row(shop, "TEA-100", 60)),
        change("place", row(shop, "RICE-2", 3, location="名古屋")),
        change("text", {"inventoryItemId": "x", "available": 1}),
        change("number", {"inventoryItemId": "1", "available": "many"}),
        change("field", {"inventoryItemId": "1", "available": 1, "quantity": 2}),
        change("nobody", {"available": 1}),
        change("twice", row(shop, "MUG-1", 9)),
    )
    outcomes = send(opened(), good, *bad)

    assert outcomes["good"].verdict is Verdict.DONE
    assert {key: o.code for key, o in outcomes.items() if key != "good"} == {
        "gone": "invalid_inventory_item", "gone2": "unknown_item", "high": "invalid_quantity_too_high",
        "place": "unknown_location", "text": "bad_id", "number": "bad_record", "field": "bad_record",
        "nobody": "bad_record", "twice": "duplicate_row",
    }  # fmt: skip
    assert shop.available("MUG-1") == 3


def test_less_than_nothing_is_written_as_nothing_and_deleted_as_well(shop: Shop, opened: Opened) -> None:
    outcomes = send(
        opened(),
        change("a", row(shop, "TEA-100", -3)),
        Change("b", row(shop, "MUG-1", 7), version=2, deleted=True),
    )
    assert (shop.available("TEA-100"), shop.available("MUG-1")) == (0, 0)
    assert "-3" in outcomes["a"].notes[0]


def test_a_shop_that_keeps_changing_is_tried_again_later(
    shop: Shop, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox.shopify.stock_writing import StockWriting

    honest = StockWriting.set_quantities

    def racing(self: StockWriting, *args: Any, **kwargs: Any) -> Any:
        shop.sell("TEA-100")
        return honest(self, *args, **kwargs)

    monkeypatch.setattr(StockWriting, "set_quantities", racing)
    (outcome,) = send(opened(), change("tea", row(shop, "TEA-100", 4))).values()
    assert outcome.verdict is Verdict.RETRY
    assert outcome.after is not None


@pytest.mark.parametrize("kind", ["500", "internal", "throttled", "429"])
def test_trouble_passes(kind: str, shop: Shop, opened: Opened) -> None:
    shop.faults.append(Fault("Stock", kind, times=2))
    (outcome,) = send(opened(), change("tea", row(shop, "TEA-100", 4))).values()
    assert outcome.verdict is Verdict.DONE


def test_a_shop_that_stays_down_is_a_retry_for_each(shop: Shop, opened: Opened) -> None:
    shop.faults.append(Fault("Stock", "500", times=999))
    outcomes = send(opened(), change("tea", row(shop, "TEA-100", 4)), change("mug", row(shop, "MUG-1", 4)))
    assert set(verdicts(outcomes).values()) == {"retry"}
    shop.faults.append(Fault("Locations", "500", times=999))
    with pytest.raises(Retry):
        send(opened(), change("tea", row(shop, "TEA-100", 4)))


def test_a_missing_scope_stops_the_account(shop: Shop, opened: Opened) -> None:
    shop.scopes.discard("write_inventory")
    shop.scopes.add("read_inventory")
    with pytest.raises(Misconfigured, match="write_inventory"):
        send(opened(), change("tea", row(shop, "TEA-100", 4)))


def test_where_to_write_must_be_clear_when_there_are_several_places(shop: Shop, opened: Opened) -> None:
    with pytest.raises(Misconfigured, match=r"several locations.*東京倉庫"):
        send(opened(location=None), change("tea", row(shop, "TEA-100", 4)))


def test_two_hundred_and_fifty_rows_fit_one_call(shop: Shop, opened: Opened) -> None:
    product = next(iter(shop.products.values()))
    for n in range(250):
        variant = shop.add_variant(product, [("Title", f"{n}")], f"BULK-{n}", 100, None, shop.clock())
        shop.stock_item(variant["inventoryItem"]["id"], shop.main_place, 1)
    changes = [
        change(f"{n}", row(shop, f"BULK-{n}", n), previous=row(shop, f"BULK-{n}", 1)) for n in range(250)
    ]
    assert connector.sinks["stock"].batch_size == len(changes)
    assert set(verdicts(send(opened(), *changes)).values()) == {"done"}
    assert shop.calls.count("SetStock") == 1
    assert shop.available("BULK-249") == 249
    # and without bases, looked up by SKU
    unnamed = [change(f"{n}", {"sku": f"BULK-{n}", "available": 7}) for n in range(250)]
    assert set(verdicts(send(opened(), *unnamed, key="batch-2")).values()) == {"done"}
    assert shop.available("BULK-0") == 7


def test_the_row_names_its_item() -> None:
    assert StockRow(sku="A", available=1).inventoryItemId is None
    with pytest.raises(ValueError, match="inventoryItemId or sku"):
        StockRow(available=1)
