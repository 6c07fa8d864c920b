"""Stock into the stand-in, and items, SKUs and stock rows out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connectors.contract import Batch, Call, Change, Misconfigured, Outcome, Retry, Verdict
from connectors.rakuten_rms import connector
from sandbox.rakuten import Fault, Shop

Opened = Callable[..., Call[Any]]
stock = connector.sinks["stock"].run


def batch_of(*records: dict[str, Any]) -> Batch:
    return Batch([Change(f"k{n}", record, version=1) for n, record in enumerate(records)], "batch-1")


def row(variant: str, quantity: Any, number: str = "shirt-01") -> dict[str, Any]:
    return {"manageNumber": number, "variantId": variant, "quantity": quantity}


def by_key(outcomes: Any) -> dict[str, Outcome]:
    return {outcome.key: outcome for outcome in outcomes}


def test_quantities_are_written_absolutely(shop: Shop, opened: Opened) -> None:
    outcomes = by_key(stock(opened(), batch_of(row("S", 3), row("M", 0))))

    assert [o.verdict for o in outcomes.values()] == [Verdict.DONE, Verdict.DONE]
    assert shop.stock["shirt-01", "S"]["quantity"] == 3
    assert shop.stock["shirt-01", "M"]["quantity"] == 0


def test_names_rms_cannot_take_are_refused_and_the_others_written(shop: Shop, opened: Opened) -> None:
    with_lead_time = row("L", 5) | {"operationLeadTime": {"normalDeliveryTimeId": 1}, "shipFromIds": [1]}
    batch = batch_of(row("S", 1), row("x" * 33, 1), row("M", 2), with_lead_time, row("ＬＬ", 4))

    outcomes = by_key(stock(opened(), batch))

    assert {key: o.verdict for key, o in outcomes.items()} == {
        "k0": Verdict.DONE, "k1": Verdict.REFUSED, "k2": Verdict.DONE, "k3": Verdict.DONE, "k4": Verdict.REFUSED,
    }  # fmt: skip
    assert outcomes["k1"].code == "bad_sku_name"
    assert any("/es/2.1/" in path for path in shop.calls)


def test_rows_that_rms_names_in_its_error_are_dropped_one_by_one(
    shop: Shop, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox.rakuten import inventory_api

    honest = inventory_api._row_errors

    def subscription(shop: Shop, given: Any, path: str, seen: Any) -> list[dict[str, Any]]:
        if given["variantId"] in ("S", "L"):
            return [
                {
                    "code": "IE1102",
                    "message": "subscription item",
                    "metadata": {"propertyPath": f"{path}.variantId"},
                }
            ]
        return honest(shop, given, path, seen)

    monkeypatch.setattr(inventory_api, "_row_errors", subscription)

    outcomes = by_key(stock(opened(), batch_of(row("S", 1), row("M", 2), row("L", 3))))

    assert outcomes["k0"].code == outcomes["k2"].code == "IE1102"
    assert outcomes["k1"].verdict is Verdict.DONE
    assert shop.stock["shirt-01", "M"]["quantity"] == 2
    assert ("shirt-01", "S") not in shop.stock


def test_a_refusal_that_names_no_row_refuses_all(
    shop: Shop, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox.rakuten import inventory_api

    monkeypatch.setattr(inventory_api, "_row_errors", lambda *_: [{"code": "IE0105", "message": "no"}])

    outcomes = by_key(stock(opened(), batch_of(row("S", 1), row("M", 2))))

    assert {o.code for o in outcomes.values()} == {"IE0105"}


@pytest.mark.parametrize(("given", "sent"), [(-3, 0), (120_000, 99_999)])
def test_quantities_beyond_the_limits_are_cut_and_said(
    shop: Shop, opened: Opened, given: int, sent: int
) -> None:
    (outcome,) = stock(opened(), batch_of(row("S", given)))

    assert shop.stock["shirt-01", "S"]["quantity"] == sent
    assert str(given) in outcome.notes[0]


@pytest.mark.parametrize("quantity", [None, "3", 1.5, True])
def test_a_quantity_that_is_no_whole_number_is_refused(shop: Shop, opened: Opened, quantity: Any) -> None:
    (outcome,) = stock(opened(), batch_of(row("S", quantity)))

    assert (outcome.verdict, outcome.code) == (Verdict.REFUSED, "bad_quantity")
    assert shop.stock == {}


def test_a_relative_write_is_refused(opened: Opened) -> None:
    (outcome,) = stock(opened(), batch_of(row("S", 1) | {"mode": "RELATIVE"}))

    assert outcome.code == "relative_write"


def test_manage_numbers_that_differ_in_case_only_are_one_sku(shop: Shop, opened: Opened) -> None:
    outcomes = by_key(stock(opened(), batch_of(row("S", 1, "SHIRT-01"), row("S", 2, "shirt-01"))))

    assert outcomes["k0"].verdict is Verdict.DONE
    assert outcomes["k1"].code == "duplicate_sku"
    assert shop.stock["shirt-01", "S"]["quantity"] == 1


def test_a_sku_that_no_item_has_is_said(shop: Shop, opened: Opened) -> None:
    (outcome,) = stock(opened(), batch_of(row("S", 1, "no-such-item")))
    (silent,) = stock(opened(check_stock_rows=False), batch_of(row("S", 1, "no-such-item")))

    assert outcome.verdict is Verdict.DONE
    assert "no-such-item/S" in outcome.notes[0]
    assert silent.notes == ()


def test_a_variant_written_in_the_wrong_case_is_said(shop: Shop, opened: Opened) -> None:
    (outcome,) = stock(opened(), batch_of(row("s", 1)))

    assert outcome.notes


def test_a_whole_batch_goes_in_one_write(shop: Shop, opened: Opened) -> None:
    assert connector.sinks["stock"].batch_size == 400

    outcomes = list(stock(opened(), batch_of(*(row(f"v{n}", n) for n in range(400)))))

    assert len(outcomes) == 400
    assert [path.rsplit("/", 1)[1] for path in shop.calls] == ["bulk-upsert", "bulk-get"]


def test_an_answer_lost_after_the_write_is_repeated_without_harm(shop: Shop, opened: Opened) -> None:
    shop.faults.append(Fault("bulk-upsert", "cut_body", times=1))
    shop.faults.append(Fault("bulk-upsert", "500", times=1))

    (outcome,) = stock(opened(), batch_of(row("S", 7)))

    assert outcome.verdict is Verdict.DONE
    assert shop.stock["shirt-01", "S"]["quantity"] == 7


def test_a_shop_that_stays_down_is_a_retry(shop: Shop, opened: Opened) -> None:
    shop.faults.append(Fault("bulk-upsert", "500", times=99))

    with pytest.raises(Retry):
        list(stock(opened(), batch_of(row("S", 7))))


def test_a_switched_off_inventory_function_says_so(shop: Shop, opened: Opened) -> None:
    shop.functions.discard("inventory")

    with pytest.raises(Misconfigured, match="ES04-01"):
        list(stock(opened(), batch_of(row("S", 7))))


def test_items_come_with_their_variants_in_a_complete_listing(shop: Shop, opened: Opened) -> None:
    pages = list(connector.sources["items"].run(opened(), None))

    records = [record for page in pages for record in page.records]
    assert [record["manageNumber"] for record in records] == sorted(shop.items)
    assert [page.complete for page in pages][-1]
    assert not any(page.complete for page in pages[:-1])


def test_skus_come_one_by_one_with_their_item(shop: Shop, opened: Opened) -> None:
    records = [r for page in connector.sources["skus"].run(opened(), None) for r in page.records]

    large = next(r for r in records if (r["manageNumber"], r["variantId"]) == ("shirt-01", "L"))
    assert len({r["id"] for r in records}) == sum(len(item["variants"]) for item in shop.items.values())
    assert large["variant"]["standardPrice"] == "2750"
    assert large["item"]["payment"] == {
        "taxIncluded": True,
        "taxRate": "0.1",
        "cashOnDeliveryFeeIncluded": False,
    }


def test_stock_rows_can_be_read_back_for_comparison(shop: Shop, opened: Opened) -> None:
    list(stock(opened(), batch_of(row("S", 3), row("M", 9), row("S", 1, "no-such-item"))))

    records = [r for page in connector.sources["stock_levels"].run(opened(), None) for r in page.records]

    assert {(r["variantId"], r["quantity"]) for r in records} == {("S", 3), ("M", 9)}
