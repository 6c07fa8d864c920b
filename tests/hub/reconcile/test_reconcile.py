"""Planted differences between hub, marketplace and warehouse: found, told from what is in flight, put right."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from yard import Yard

from hub.reconcile import FixReport, NothingToCompare, apply_fix, plan_fix, run as run_module
from hub.reconcile.listing import NoListing
from hub.words import HubError


def lose(yard: Yard, kind: str, key: str) -> None:
    yard.sql("DELETE FROM entity WHERE kind = :kind AND key = :key", kind=kind, key=key)


def tamper(yard: Yard, kind: str, key: str, path: str, value: str) -> None:
    """The hub holds something the system never said."""
    yard.sql(
        "UPDATE entity SET content = jsonb_set(content, CAST(:path AS text[]), CAST(:value AS jsonb)), "
        "hash = decode(md5(CAST(:value AS text)), 'hex') WHERE kind = :kind AND key = :key",
        kind=kind, key=key, path=path, value=value,
    )  # fmt: skip


def age(yard: Yard) -> None:
    """Nothing was changed a moment ago."""
    yard.sql("UPDATE entity SET updated_at = now() - interval '2 hours'")
    yard.sql("UPDATE contribution SET updated_at = now() - interval '2 hours'")
    yard.sql("UPDATE change_feed SET at = now() - interval '2 hours'")


def fix(yard: Yard, run: int, **only: Any) -> FixReport:
    return apply_fix(yard.hub, run, reason="test", **only)


def test_where_nothing_was_planted_everything_is_equal_and_nothing_is_touched(yard: Yard) -> None:
    yard.everything()
    before = yard.stored()
    found = [
        yard.compare("rakuten", "order"),
        yard.compare("rakuten", "sellable"),
        yard.compare("rakuten", "listing"),
        yard.compare("wms", "stock_position"),
    ]
    for result in found:
        assert (result.outcome, yard.differences(result)) == ("equal", []), result.as_dict()
        assert result.counts["equal"] == result.counts["both"] > 0
    assert yard.stored() == before


def test_orders_that_were_lost_changed_or_never_there_are_told_with_their_sums_and_put_right(
    yard: Yard,
) -> None:
    yard.everything()
    lost, changed, typed = sorted(yard.shop.orders)[:3]
    amount = yard.sql(
        "SELECT content #>> '{totals,payable,amount}' AS n FROM entity WHERE key = :key",
        key=f"rakuten/{lost}",
    )
    lose(yard, "order", f"rakuten/{lost}")
    tamper(yard, "order", f"rakuten/{changed}", "{totals,payable,amount}", "1")
    yard.shop.orders[typed]["PackageModelList"][0]["postagePrice"] += 100
    age(yard)
    result = yard.compare("rakuten", "order")
    assert yard.differences(result) == [
        ("in", f"rakuten/{lost}", "only_system", "take_in"),
        ("in", f"rakuten/{changed}", "differ", "take_in"),
        ("in", f"rakuten/{typed}", "differ", "take_in"),
    ]
    assert result.counts["looked"] == 3
    sums = {
        (row["day"], row["measure"]): row["difference"]
        for row in result.parts[0].sums
        if row["measure"] in ("count", "payable")
    }
    day = f"{lost.split('-')[1][:4]}-{lost.split('-')[1][4:6]}-{lost.split('-')[1][6:]}"
    assert sums[day, "count"] == 1
    assert sum(value for (_, name), value in sums.items() if name == "count") == 1
    assert sum(value for (_, name), value in sums.items() if name == "payable") > int(amount[0].n)
    report = fix(yard, result.run)
    assert report.counts == {"fixed": 3, "vanished": 0, "still": 0, "left": 0}
    assert yard.sql("SELECT reason, counts FROM reconcile_fix") == [("test", report.counts)]
    again = yard.compare("rakuten", "order")
    assert (again.outcome, again.counts["in_flight"]) == ("equal", 0)


def test_an_order_the_shop_no_longer_shows_is_left_to_a_person(yard: Yard) -> None:
    yard.everything()
    gone = min(yard.shop.orders)
    del yard.shop.orders[gone]
    age(yard)
    result = yard.compare("rakuten", "order")
    assert yard.differences(result) == [("in", f"rakuten/{gone}", "only_hub", "none")]
    report = fix(yard, result.run)
    assert report.counts == {"fixed": 0, "vanished": 0, "still": 0, "left": 1}


def test_what_lies_outside_the_stretch_of_time_is_not_judged(yard: Yard) -> None:
    yard.everything()
    yard.shop.orders.clear()
    age(yard)
    day = datetime.now().astimezone()
    result = yard.compare("rakuten", "order", since=day - timedelta(hours=1))
    assert (result.outcome, result.counts["unjudged"]) == ("equal", 12)
    assert yard.compare("rakuten", "order", days=30).counts["only_hub"] == 12


def test_customers_that_came_with_orders_are_compared_but_their_absence_says_nothing(yard: Yard) -> None:
    yard.everything()
    first = min(yard.shop.orders)
    del yard.shop.orders[first]
    second = min(yard.shop.orders)
    yard.shop.orders[second]["OrdererModel"]["city"] = "港区"
    age(yard)
    result = yard.compare("rakuten", "customer")
    assert [(state, remedy) for _, _, state, remedy in yard.differences(result)] == [("differ", "take_in")]
    assert result.counts["unjudged"] == 1
    assert fix(yard, result.run).counts["fixed"] == 1


def test_a_quantity_off_by_one_and_a_missing_row_at_the_sink_are_sent_again(yard: Yard) -> None:
    yard.everything()
    off, missing = sorted(yard.shop.stock)[:2]
    yard.shop.stock[off]["quantity"] += 1
    del yard.shop.stock[missing]
    by_hand = {"manageNumber": "by-hand", "variantId": "x", "quantity": 9}
    yard.shop.stock["by-hand", "x"] = {**yard.shop.stock[off], **by_hand}
    age(yard)
    result = yard.compare("rakuten", "sellable")
    assert yard.differences(result) == [
        ("out", "/".join(missing), "only_hub", "send"),
        ("out", "/".join(off), "differ", "send"),
    ]
    reasons = yard.sql(
        "SELECT reason FROM reconcile_difference WHERE run_id = :run ORDER BY n", run=result.run
    )
    assert {row.reason for row in reasons} >= {"vanished_there", "changed_there"}
    units = next(row for row in result.parts[0].sums if row["measure"] == "units")
    assert units["hub"] != units["system"]
    assert fix(yard, result.run).counts == {"fixed": 2, "vanished": 0, "still": 0, "left": 0}
    assert yard.compare("rakuten", "sellable").outcome == "equal"


def test_a_sku_the_shop_took_off_is_deleted_by_the_ordinary_road_and_many_are_not(yard: Yard) -> None:
    yard.everything()
    taken_off = min(yard.shop.items)
    item = yard.shop.items.pop(taken_off)
    age(yard)
    result = yard.compare("rakuten", "listing")
    assert len(yard.differences(result)) == len(item["variants"])
    assert {row[2:] for row in yard.differences(result)} == {("only_hub", "take_in")}
    assert fix(yard, result.run).counts["fixed"] == len(item["variants"])
    assert yard.compare("rakuten", "listing").outcome == "equal"
    left = yard.sql("SELECT count(*) FROM entity WHERE kind = 'listing' AND deleted_at IS NULL")[0][0]
    yard.shop.items.clear()
    age(yard)
    braked = yard.compare("rakuten", "listing")
    report = fix(yard, braked.run)
    assert report.counts == {"fixed": 0, "vanished": 0, "still": left, "left": 0}
    assert any("accept_deletes" in note for note in report.notes)
    assert yard.sql("SELECT count(*) FROM entity WHERE kind = 'listing' AND deleted_at IS NULL")[0][0] == left


def test_the_newest_complete_file_is_read_again_and_its_rows_are_replayed(yard: Yard) -> None:
    yard.everything()
    keys = [row.key for row in yard.sql("SELECT key FROM entity WHERE kind = 'stock_position' ORDER BY key")]
    tamper(yard, "stock_position", keys[0], "{on_hand}", "1")
    lose(yard, "stock_position", keys[1])
    age(yard)
    yard.sql("UPDATE intake SET processed_at = now() - interval '1 hour'")
    files = sorted(yard.wms.rglob("*"))
    result = yard.compare("wms", "stock")
    assert yard.differences(result) == [
        ("in", keys[1], "only_system", "take_in"),
        ("in", keys[0], "differ", "take_in"),
    ]
    assert sorted(yard.wms.rglob("*")) == files
    assert fix(yard, result.run).counts["fixed"] == 2
    yard.sql("UPDATE entity SET updated_at = now() - interval '2 hours'")
    assert yard.compare("wms", "stock").outcome == "equal"


def test_a_file_that_was_given_is_compared_and_taken_in_by_nobody(yard: Yard) -> None:
    yard.everything()
    body = next((yard.wms / "out" / "done").rglob("*.csv")).read_bytes().decode("cp932").splitlines()
    sheet = yard.base / "all.csv"
    gone = body[1].split('","')
    key = f"{gone[6]}@{gone[1]}" if len(gone) > 10 else ""
    rows = [line for line in body if not (key and f'"{gone[6]}"' in line)]
    sheet.write_bytes("\r\n".join([*rows, ""]).encode("cp932"))
    age(yard)
    before = yard.stored()
    result = yard.compare("wms", "stock_position", file=sheet)
    assert result.parts[0].how == "file"
    assert {row[2:] for row in yard.differences(result)} == {("only_hub", "none")}
    assert len(yard.differences(result)) == 1
    assert yard.stored() == before


def test_files_without_a_complete_listing_say_what_is_missing(yard: Yard) -> None:
    with pytest.raises(NoListing, match="--file"):
        yard.compare("wms", "stock")


def test_what_cannot_be_compared_names_what_can(yard: Yard) -> None:
    with pytest.raises(NothingToCompare, match="listing, order, sellable") as caught:
        yard.compare("rakuten", "shipment")
    assert "customer" in str(caught.value)


# ---------------------------------------------------------------- in flight


def test_what_changes_in_the_hub_while_it_is_compared_is_in_flight(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.everything()
    one, two = sorted(yard.shop.orders)[:2]
    lose(yard, "order", f"rakuten/{one}")
    tamper(yard, "order", f"rakuten/{two}", "{note}", '"changed"')
    age(yard)
    look = run_module.look_at

    def pulled_meanwhile(*args: Any) -> None:
        yard.hub.fetch("rakuten", "orders", [one])
        tamper(yard, "order", f"rakuten/{two}", "{note}", '"and again"')
        yard.sql("UPDATE entity SET updated_at = now() WHERE key = :key", key=f"rakuten/{two}")
        look(*args)

    monkeypatch.setattr(run_module, "look_at", pulled_meanwhile)
    result = yard.compare("rakuten", "order")
    assert (result.outcome, result.counts["in_flight"]) == ("equal", 2)
    told = yard.sql("SELECT key, reason FROM reconcile_difference ORDER BY key")
    assert told == [(f"rakuten/{one}", "settled"), (f"rakuten/{two}", "hub_changed")]


def test_what_changes_at_the_system_while_it_is_compared_is_in_flight(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.everything()
    place = min(yard.shop.stock)
    yard.shop.stock[place]["quantity"] += 5
    age(yard)
    look = run_module.look_at

    def sold_meanwhile(*args: Any) -> None:
        yard.shop.stock[place]["quantity"] -= 1
        look(*args)

    monkeypatch.setattr(run_module, "look_at", sold_meanwhile)
    result = yard.compare("rakuten", "sellable")
    assert (result.outcome, result.counts["in_flight"]) == ("equal", 1)
    assert yard.sql("SELECT reason FROM reconcile_difference")[0].reason == "moving"


def test_an_order_of_a_minute_ago_is_on_its_way_and_one_of_an_hour_ago_is_lost(yard: Yard) -> None:
    yard.everything()
    now = datetime.now().astimezone()
    yard.shop.take_orders(1, until=now - timedelta(minutes=1))
    age(yard)
    young = yard.compare("rakuten", "order")
    assert (young.outcome, young.counts["in_flight"]) == ("equal", 1)
    assert yard.compare("rakuten", "order", grace=timedelta(0)).counts["only_system"] == 1
    yard.shop.take_orders(1, until=now - timedelta(hours=1))
    assert yard.compare("rakuten", "order").counts["only_system"] == 1


def test_a_change_that_waits_for_its_push_is_in_flight_until_it_waits_too_long(yard: Yard) -> None:
    yard.everything()
    age(yard)
    yard.sql("UPDATE entity SET content = jsonb_set(content, '{on_hand}', '3'), version = version + 1 "
             "WHERE kind = 'stock_position' AND key LIKE 'TEA%'")  # fmt: skip
    changed = yard.sql(
        "WITH w AS (UPDATE entity SET content = jsonb_set(content, '{quantity}', '1'), version = version + 1 "
        "WHERE id = (SELECT entity_id FROM ledger WHERE flow = 'stock' ORDER BY key LIMIT 1) RETURNING id, version) "
        "INSERT INTO change_feed (entity_id, kind, version, system) SELECT id, 'sellable', version, 'hub' FROM w "
        "RETURNING entity_id"
    )
    assert changed
    result = yard.compare("rakuten", "sellable")
    waiting = yard.sql("SELECT state, reason FROM reconcile_difference WHERE run_id = :run", run=result.run)
    assert ("in_flight", "waiting_to_be_sent") in waiting
    yard.sql("UPDATE change_feed SET at = now() - interval '2 hours'")
    late = yard.compare("rakuten", "sellable")
    assert late.outcome == "different"
    reasons = yard.sql("SELECT DISTINCT reason FROM reconcile_difference WHERE run_id = :run", run=late.run)
    assert [row.reason for row in reasons] == ["not_sent"]


# ---------------------------------------------------------------- fixing


def test_what_vanished_meanwhile_is_skipped_and_told_and_other_keys_are_left_alone(yard: Yard) -> None:
    yard.everything()
    one, two, three = sorted(yard.shop.orders)[:3]
    for number in (one, two, three):
        lose(yard, "order", f"rakuten/{number}")
    age(yard)
    result = yard.compare("rakuten", "order")
    plan = plan_fix(yard.hub, result.run)
    assert (len(plan.take_in), plan.send, plan.left, plan.newer) == (3, [], [], None)
    yard.hub.fetch("rakuten", "orders", [one])
    fetched = len(yard.sql("SELECT id FROM intake"))
    report = fix(yard, result.run, keys=[f"rakuten/{one}", f"rakuten/{two}"])
    assert [d.key for d in report.vanished] == [f"rakuten/{one}"]
    assert [d.key for d in report.fixed] == [f"rakuten/{two}"]
    assert len(yard.sql("SELECT id FROM intake")) == fetched + 1
    assert [d.key for d in plan_fix(yard.hub, result.run).take_in] == [f"rakuten/{three}"]
    assert plan_fix(yard.hub, result.run, only="hub").empty
    assert fix(yard, result.run, only="system").counts["fixed"] == 1


def test_a_fix_needs_a_reason(yard: Yard) -> None:
    yard.everything()
    lose(yard, "order", f"rakuten/{min(yard.shop.orders)}")
    result = yard.compare("rakuten", "order")
    with pytest.raises(HubError, match="reason"):
        apply_fix(yard.hub, result.run, reason="  ")
    assert yard.sql("SELECT count(*) FROM reconcile_fix")[0][0] == 0
    with pytest.raises(LookupError):
        plan_fix(yard.hub, result.run + 1)


def test_a_file_of_orders_is_judged_from_its_first_order_to_its_last(yard: Yard) -> None:
    yard.everything()
    numbers = sorted(yard.shop.orders, key=lambda number: yard.shop.orders[number]["orderDatetime"])
    sheet = yard.base / "orders.json"
    told = [yard.shop.orders[number] for number in numbers[1:] if number != numbers[5]]
    sheet.write_text(json.dumps(told, ensure_ascii=False), "utf-8")
    age(yard)
    result = yard.compare("rakuten", "order", file=sheet)
    assert yard.differences(result) == [("in", f"rakuten/{numbers[5]}", "only_hub", "none")]
    assert (result.counts["unjudged"], result.counts["equal"]) == (1, 10)
