"""Reservations over HTTP: never more than there is, and the same answer to the same call."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from desk import PREFIX, Desk, at_key
from sqlalchemy import text

from hub.jobs import road


def stocked(desk: Desk, units: int, *, location: str = "EAST") -> str:
    """A SKU of its own that both channels offer, with so many units."""
    sku = f"S-{uuid4().hex[:8]}"
    desk.room.count(sku, units, location=location)
    desk.room.offer(sku)
    desk.room.turn()
    return sku


def take(
    desk: Desk, key: str, sku: str, quantity: int = 1, *, idempotency: str | None = None, **more: Any
) -> httpx.Response:
    return desk.post(
        "/reservations", key, json={"sku": sku, "quantity": quantity, "channel": "shop", **more},
        headers={"idempotency-key": idempotency or uuid4().hex},
    )  # fmt: skip


def left(desk: Desk, sku: str) -> int:
    with desk.hub.engine.connect() as connection:
        return int(
            connection.execute(
                text("SELECT min(free) FROM stock_free WHERE sku = :sku"), {"sku": sku}
            ).scalar_one()
        )


def test_units_are_held_and_come_back(desk: Desk) -> None:
    key, sku = desk.key("reserve"), stocked(desk, 5)
    held = take(desk, key, sku, 2, idempotency="cart/81", expires_in=60)
    assert held.status_code == 200
    assert held.json()["state"] == "open"
    assert desk.get(at_key("reservations", "cart/81"), key).json() == held.json()
    assert left(desk, sku) == 3
    given = desk.post("/reservations/cart%2F81/release", key)
    assert given.json()["state"] == "released"
    assert desk.post("/reservations/cart/81/release", key).json() == given.json()
    desk.room.turn()
    assert left(desk, sku) == 5
    again = take(desk, key, sku, 2, idempotency="cart/81")
    assert (again.status_code, again.json()["code"]) == (409, "reservation_ended")
    assert again.json()["reservation"]["state"] == "released"


def test_too_many_are_refused_with_what_there_is(desk: Desk) -> None:
    key, sku = desk.key("reserve"), stocked(desk, 3)
    answer = take(desk, key, sku, 4)
    assert (answer.status_code, answer.json()["code"], answer.json()["available"]) == (409, "not_enough", 3)
    japanese = desk.post("/reservations", key, json={"sku": sku, "quantity": 9, "channel": "shop"},
                         headers={"idempotency-key": "x", "accept-language": "ja"}).json()  # fmt: skip
    assert japanese["title"] == "在庫が足りない"
    assert "残りは 3 個" in japanese["detail"]
    unknown = take(desk, key, "NOBODY-COUNTS")
    assert (unknown.status_code, unknown.json()["code"]) == (422, "not_reservable")
    nowhere = take(desk, key, sku, location="NOWHERE")
    assert (nowhere.status_code, nowhere.json()["code"]) == (422, "not_reservable")


def test_units_that_ran_out_can_be_had_again_at_once(desk: Desk) -> None:
    key, sku = desk.key("reserve"), stocked(desk, 1)
    first = take(desk, key, sku, expires_in=1)
    time.sleep(1.1)
    assert take(desk, key, sku).status_code == 200
    ended = desk.post(f"/reservations/{first.json()['key']}/confirm", key, json={"order_key": "shop/9"})
    assert (ended.status_code, ended.json()["reservation"]["state"]) == (409, "expired")
    assert desk.post(f"/reservations/{first.json()['key']}/release", key).status_code == 409


def test_a_confirmed_reservation_becomes_its_order(desk: Desk) -> None:
    key, sku = desk.key("reserve"), stocked(desk, 5)
    held = take(desk, key, sku, 2).json()["key"]
    order = f"shop/{uuid4().hex[:6]}"
    for _ in range(2):
        done = desk.post(f"/reservations/{held}/confirm", key, json={"order_key": order})
        assert (done.json()["state"], done.json()["order_key"], done.json()["expires_at"]) == (
            "confirmed",
            order,
            None,
        )
    other = desk.post(f"/reservations/{held}/confirm", key, json={"order_key": "shop/another"})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    desk.room.order(order, {sku: 2})
    desk.room.turn()
    assert desk.get(f"/reservations/{held}", key).json()["state"] == "ordered"
    assert (
        desk.post(f"/reservations/{held}/confirm", key, json={"order_key": order}).json()["state"]
        == "ordered"
    )
    assert desk.post(f"/reservations/{held}/release", key).status_code == 409
    assert left(desk, sku) == 3


def test_an_order_may_be_named_at_once(desk: Desk) -> None:
    key, sku = desk.key("reserve"), stocked(desk, 5)
    order = f"shop/{uuid4().hex[:6]}"
    for _ in range(2):
        held = take(desk, key, sku, order_key=order, idempotency=f"now-{sku}").json()
        assert (held["state"], held["order_key"]) == ("confirmed", order)
    assert left(desk, sku) == 4
    assert (
        take(desk, key, sku, order_key="shop/else", idempotency=f"now-{sku}").json()["code"] == "key_reused"
    )


@pytest.mark.parametrize(
    "change", [{"quantity": 2}, {"channel": "mall"}, {"sku": "OTHER"}, {"location": "EAST"}]
)
def test_a_key_used_for_something_else_is_refused(desk: Desk, change: dict[str, Any]) -> None:
    key, sku = desk.key("reserve"), stocked(desk, 5)
    body = {"sku": sku, "quantity": 1, "channel": "shop"}
    name = {"idempotency-key": f"same-{sku}"}
    assert desk.post("/reservations", key, json=body, headers=name).status_code == 200
    answer = desk.post("/reservations", key, json={**body, **change}, headers=name)
    assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")
    assert left(desk, sku) == 4


def test_quotes_around_the_key_do_not_count(desk: Desk) -> None:
    key, sku = desk.key("reserve"), stocked(desk, 5)
    assert take(desk, key, sku, idempotency=f'"q-{sku}"').json()["key"] == f"q-{sku}"
    assert take(desk, key, sku, idempotency=f"q-{sku}").status_code == 200
    assert left(desk, sku) == 4


def test_a_key_for_one_channel_cannot_touch_the_others(desk: Desk) -> None:
    shop, mall, sku = desk.key("reserve:shop"), desk.key("reserve:mall"), stocked(desk, 5)
    held = take(desk, shop, sku).json()["key"]
    assert take(desk, mall, sku).json()["scopes"] == ["reserve:shop"]
    assert desk.get(f"/reservations/{held}", mall).status_code == 404
    for verb, body in (("release", None), ("confirm", {"order_key": "mall/1"})):
        assert desk.post(f"/reservations/{held}/{verb}", mall, json=body).status_code == 404
    assert desk.get(f"/reservations/{held}", shop).json()["state"] == "open"
    assert desk.get(f"/reservations/{held}", desk.key("read:*")).status_code == 403
    assert desk.get("/reservations/none", shop).status_code == 404


def test_sixteen_at_once_never_take_more_than_there_is(desk: Desk) -> None:
    """Each of 16 threads wants 5 units one by one, each call twice at the same moment; 50 are there."""
    key, units, threads = desk.key("reserve:shop"), 50, 16
    sku = stocked(desk, units)
    gate = threading.Barrier(threads)
    headers = {"authorization": f"Bearer {key}"}
    address = str(desk.client.base_url)

    def buyer(number: int) -> list[tuple[str, int]]:
        said = []
        with httpx.Client(base_url=address, timeout=60, headers=headers) as client:
            gate.wait(30)
            for turn in range(5):
                # two threads share each key: one of them repeats the other's call
                name = f"{sku}-{number // 2}-{turn}"
                answer = client.post(f"{PREFIX}/reservations", json={"sku": sku, "quantity": 1, "channel": "shop"},
                                     headers={"idempotency-key": name})  # fmt: skip
                said.append((name, answer.status_code))
        return said

    with ThreadPoolExecutor(threads) as pool:
        said = [one for answers in pool.map(buyer, range(threads)) for one in answers]
    assert {status for _, status in said} <= {200, 409}
    granted = {name for name, status in said if status == 200}
    # 40 different claims on 50 units: all of them, each once
    assert len(granted) == 40
    assert {status for name, status in said if name in granted} == {200}
    desk.room.turn()
    assert left(desk, sku) == 10
    with desk.hub.engine.connect() as connection:
        held = connection.execute(
            text("SELECT count(*), sum(quantity) FROM stock_reservation WHERE sku = :sku"), {"sku": sku}
        ).one()
    assert tuple(held) == (40, 40)


def test_the_last_units_go_to_as_many_as_there_are(desk: Desk) -> None:
    key, units, threads = desk.key("reserve"), 7, 16
    sku = stocked(desk, units)
    gate = threading.Barrier(threads)
    address, headers = str(desk.client.base_url), {"authorization": f"Bearer {key}"}

    def buyer(number: int) -> int:
        with httpx.Client(base_url=address, timeout=60, headers=headers) as client:
            gate.wait(30)
            return client.post(f"{PREFIX}/reservations", json={"sku": sku, "quantity": 1, "channel": "mall"},
                               headers={"idempotency-key": f"{sku}-{number}"}).status_code  # fmt: skip

    with ThreadPoolExecutor(threads) as pool:
        statuses = sorted(pool.map(buyer, range(threads)))
    assert statuses == [200] * units + [409] * (threads - units)


def test_other_channels_hear_of_a_reservation_by_themselves(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken = threading.Event()
    monkeypatch.setattr("hub.api.turns.wake_pushes", lambda hub: (road.wake_pushes(hub), woken.set()))
    key, sku = desk.key("reserve", "read:sellable"), stocked(desk, 1)
    assert shown(desk, key, sku) == {"mall": 1, "shop": 1}
    woken.clear()
    take(desk, key, sku)
    until = time.monotonic() + 20
    while shown(desk, key, sku) != {"mall": 0, "shop": 0}:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert woken.wait(20)


def shown(desk: Desk, key: str, sku: str) -> dict[str, int]:
    found = desk.get(at_key("stock", sku), key).json()["channels"]
    return {one["content"]["channel"]: one["content"]["quantity"] for one in found}


def test_stock_is_shown_term_by_term_and_only_to_whom_it_concerns(desk: Desk) -> None:
    sku = stocked(desk, 4)
    everything = desk.get(at_key("stock", sku), desk.key("read:sellable")).json()
    assert [one["key"] for one in everything["channels"]] == [f"mall/{sku}", f"shop/{sku}"]
    assert everything["channels"][0]["content"]["on_hand"] == 4
    one = desk.get(at_key("stock", sku), desk.key("read:sellable"), params={"channel": "shop"}).json()
    assert [found["key"] for found in one["channels"]] == [f"shop/{sku}"]
    shop = desk.key("reserve:shop")
    assert [found["key"] for found in desk.get(at_key("stock", sku), shop).json()["channels"]] == [
        f"shop/{sku}"
    ]
    assert desk.get(at_key("stock", sku), shop, params={"channel": "mall"}).status_code == 403
    assert desk.get(at_key("stock", sku), desk.key("changes")).status_code == 403
    assert desk.get("/stock/NOBODY", shop).status_code == 404


def test_stock_says_when_it_is_about_to_change(desk: Desk) -> None:
    key, sku = desk.key("read:sellable"), stocked(desk, 4)
    assert desk.get(at_key("stock", sku), key).json()["pending"] is False
    with desk.hub.engine.begin() as connection:
        connection.execute(text("INSERT INTO stock_dirty (sku) VALUES (:sku)"), {"sku": sku})
    assert desk.get(at_key("stock", sku), key).json()["pending"] is True


def test_many_who_wait_for_a_turn_share_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.api import turns

    counted, running = [], threading.Event()

    def slow(*_: Any, **__: Any) -> None:
        counted.append(time.monotonic())
        running.set()
        time.sleep(0.2)

    monkeypatch.setattr(turns, "refresh", slow)
    mine = turns.Turns(desk.hub)
    first = threading.Thread(target=mine.catch_up)
    first.start()
    running.wait(10)
    others = [threading.Thread(target=mine.catch_up) for _ in range(8)]
    for one in others:
        one.start()
    for one in [first, *others]:
        one.join(10)
    # the turn that was running began too early for the others; one more was enough for all of them
    assert len(counted) == 2
