"""The stand-in holds a caller to what Square publishes; asked here without the connector."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from sandbox.square import Fault, Habits, Postman, Seller, Subscription, ring_up, sell, sign, take_back
from sandbox.square.amounts import settle
from sandbox.square.seller import wire_time
from tests.connectors.square.conftest import Front

Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(server: Front) -> Iterator[Ask]:
    """`ask("orders/search", {...})` with the seller's token and a version."""
    usual = {"Authorization": f"Bearer {server.seller.access_token}", "Square-Version": "2025-08-20"}
    with httpx.Client(base_url=f"{server.url}/v2/", headers=usual) as client:

        def send(path: str, body: Any = None, **headers: str) -> httpx.Response:
            return client.request("GET" if body is None else "POST", path, json=body, headers=headers)

        yield send


def codes(answer: httpx.Response) -> list[tuple[str, str]]:
    return sorted((error["code"], error.get("field", "")) for error in answer.json()["errors"])


def count(seller: Seller, quantity: str = "5", **more: Any) -> dict[str, Any]:
    detail = {
        "catalog_object_id": seller.variation("TEA-100"), "location_id": seller.location("渋谷店"), "state": "IN_STOCK",
        "quantity": quantity, "occurred_at": wire_time(seller.clock() - timedelta(seconds=1)),
    }  # fmt: skip
    return {"type": "PHYSICAL_COUNT", "physical_count": detail | more}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"quantity": "-1"}, ("INVALID_VALUE", "quantity")),
        ({"quantity": "1.000001"}, ("INVALID_VALUE", "quantity")),
        ({"quantity": 5}, ("EXPECTED_STRING", "quantity")),
        ({"catalog_object_id": "NOSUCH"}, ("NOT_FOUND", "catalog_object_id")),
        ({"location_id": "NOSUCH"}, ("NOT_FOUND", "location_id")),
        ({"state": "SOLD"}, ("INVALID_VALUE", "state")),
        ({"state": "GONE"}, ("INVALID_ENUM_VALUE", "state")),
        ({"occurred_at": "2026-01-01 00:00"}, ("INVALID_TIME", "occurred_at")),
        ({"occurred_at": "2020-01-01T00:00:00Z"}, ("INVALID_TIME", "occurred_at")),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, ("INVALID_TIME", "occurred_at")),
        ({"occurred_at": None}, ("MISSING_REQUIRED_PARAMETER", "occurred_at")),
        ({"colour": "red"}, ("UNKNOWN_BODY_PARAMETER", "colour")),
    ],
)
def test_counts_that_break_a_rule(
    seller: Seller, ask: Ask, change: dict[str, Any], wrong: tuple[str, str]
) -> None:
    body = {"idempotency_key": "k", "changes": [count(seller), count(seller, **change)]}

    answer = ask("inventory/changes/batch-create", body)

    assert answer.status_code in (400, 404)
    assert codes(answer) == [(wrong[0], f"changes[1].physical_count.{wrong[1]}")]
    assert seller.ledger.entries == {}  # all or nothing


def test_a_key_is_answered_once_and_never_with_another_body(seller: Seller, ask: Ask) -> None:
    body = {"idempotency_key": "k", "changes": [count(seller)]}
    first = ask("inventory/changes/batch-create", body)
    sell(seller, "渋谷店", [("TEA-100", 1)])
    again = ask("inventory/changes/batch-create", body)
    other = ask("inventory/changes/batch-create", {"idempotency_key": "k", "changes": [count(seller, "6")]})

    assert again.json() == first.json()
    assert codes(other) == [("IDEMPOTENCY_KEY_REUSED", "idempotency_key")]
    assert seller.stock("TEA-100", "渋谷店") == 4


def test_limits_of_calls(seller: Seller, ask: Ask) -> None:
    many = {"idempotency_key": "k", "changes": [count(seller)] * 101}
    assert codes(ask("inventory/changes/batch-create", many)) == [("ARRAY_LENGTH_TOO_LONG", "changes")]
    eleven = {"location_ids": [f"L{n}" for n in range(11)]}
    assert codes(ask("orders/search", eleven)) == [("ARRAY_LENGTH_TOO_LONG", "location_ids")]
    assert codes(ask("customers/search", {"limit": 101})) == [("VALUE_TOO_HIGH", "limit")]
    ids = {"order_ids": [str(n) for n in range(101)]}
    assert codes(ask("orders/batch-retrieve", ids)) == [("ARRAY_LENGTH_TOO_LONG", "order_ids")]
    skus = {"query": {"set_query": {"attribute_name": "sku", "attribute_values": ["x"] * 251}}}
    assert codes(ask("catalog/search", skus))[0][0] == "ARRAY_LENGTH_TOO_LONG"
    assert codes(ask("payments?colour=1")) == [("UNKNOWN_QUERY_PARAMETER", "colour")]


def test_the_sort_field_must_be_that_of_the_filter(seller: Seller, ask: Ask) -> None:
    times = {"updated_at": {"start_at": "2026-01-01T00:00:00Z"}}
    body = {"location_ids": [seller.location("渋谷店")], "query": {"filter": {"date_time_filter": times}}}

    assert codes(ask("orders/search", body)) == [("BAD_REQUEST", "query.sort.sort_field")]


def test_a_cursor_is_good_for_its_query_only_and_for_a_while(seller: Seller, ask: Ask) -> None:
    for _ in range(3):
        sell(seller, "渋谷店", [("TEA-100", 1)])
    query = {"location_ids": [seller.location("渋谷店")], "limit": 2}
    first = ask("orders/search", query).json()
    rest = ask("orders/search", query | {"cursor": first["cursor"]}).json()
    other = ask("orders/search", query | {"cursor": first["cursor"], "return_entries": True})
    seller.pages.lifetime = timedelta(0)
    late = ask("orders/search", query | {"cursor": first["cursor"]})

    assert len({order["id"] for order in first["orders"] + rest["orders"]}) == 3
    assert "cursor" not in rest
    assert codes(other) == codes(late) == [("INVALID_CURSOR", "cursor")]


def test_too_many_requests_are_turned_away(seller: Seller, ask: Ask) -> None:
    seller.limits.pace, seller.limits.per_second = 1.0, 2

    statuses = [ask("locations").status_code for _ in range(4)]

    assert statuses == [200, 200, 429, 429]
    assert seller.refused == 2


def test_unknown_roads_and_methods(ask: Ask) -> None:
    assert (ask("nowhere").status_code, ask("orders/search").status_code) == (404, 405)


# ---------------------------------------------------------------- stock


def test_a_count_that_comes_late_does_not_swallow_the_sale_made_after_it(seller: Seller, ask: Ask) -> None:
    counted_at = wire_time(seller.clock() - timedelta(minutes=10))
    sell(seller, "渋谷店", [("TEA-100", 2)])

    ask(
        "inventory/changes/batch-create",
        {"idempotency_key": "k", "changes": [count(seller, "9", occurred_at=counted_at)]},
    )

    assert seller.stock("TEA-100", "渋谷店") == 7


def test_a_sale_told_late_changes_nothing_a_later_count_has_seen(seller: Seller, ask: Ask) -> None:
    ask("inventory/changes/batch-create", {"idempotency_key": "k", "changes": [count(seller, "9")]})

    sell(seller, "渋谷店", [("TEA-100", 2)], at=seller.clock() - timedelta(hours=3))

    assert seller.stock("TEA-100", "渋谷店") == 9


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 600), st.integers(0, 20)), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_order_of_telling_does_not_matter(moves: list[tuple[bool, int, int]], shuffle: Any) -> None:
    def told(order: list[tuple[int, tuple[bool, int, int]]]) -> Any:
        seller = Seller()
        key = (seller.variation("TEA-100"), seller.location("渋谷店"))
        start = seller.clock()
        for n, (counted, seconds, units) in order:
            # no two at the same moment: which of them came first nobody could tell
            when = start - timedelta(seconds=seconds, milliseconds=n)
            kind, to, frm = (
                ("PHYSICAL_COUNT", "IN_STOCK", None) if counted else ("ADJUSTMENT", "SOLD", "IN_STOCK")
            )
            seller.ledger.add(key, seller.entry(key, kind, Decimal(units), to, when, from_state=frm))
        return seller.ledger.quantity(key, "IN_STOCK")

    numbered = list(enumerate(moves))
    shuffled = list(numbered)
    shuffle.shuffle(shuffled)

    assert told(numbered) == told(shuffled)


def test_unchanged_counts_are_left_out_unless_asked_for(seller: Seller, ask: Ask) -> None:
    path = "inventory/changes/batch-create"
    ask(path, {"idempotency_key": "1", "changes": [count(seller)]})
    again = ask(path, {"idempotency_key": "2", "changes": [count(seller)]}).json()
    told = ask(
        path, {"idempotency_key": "3", "changes": [count(seller)], "ignore_unchanged_counts": False}
    ).json()

    assert "changes" not in again
    assert len(told["changes"]) == 1


@pytest.mark.parametrize(
    ("states", "allowed"),
    [(("NONE", "IN_STOCK"), True), (("IN_STOCK", "WASTE"), True), (("IN_STOCK", "SOLD"), True),
     (("SOLD", "IN_STOCK"), False), (("IN_STOCK", "NONE"), False), (("WASTE", "SOLD"), False)],
)  # fmt: skip
def test_units_move_only_between_some_states(
    seller: Seller, ask: Ask, states: tuple[str, str], allowed: bool
) -> None:
    detail = count(seller)["physical_count"]
    del detail["state"]
    change = {
        "type": "ADJUSTMENT",
        "adjustment": detail | dict(zip(("from_state", "to_state"), states, strict=True)),
    }

    answer = ask("inventory/changes/batch-create", {"idempotency_key": "k", "changes": [change]})

    assert answer.is_success is allowed


def test_goods_that_come_back_are_in_stock_again(seller: Seller) -> None:
    seller.receive("TEA-100", "渋谷店", 5)
    sale = sell(seller, "渋谷店", [("TEA-100", 2)])

    back = take_back(seller, sale["id"], [("TEA-100", 1)])

    assert seller.stock("TEA-100", "渋谷店") == 4
    assert back["returns"][0]["source_order_id"] == sale["id"]
    assert back["refunds"][0]["amount_money"]["amount"] == 1080


# ---------------------------------------------------------------- catalogue


def test_an_object_is_written_only_with_its_version(seller: Seller, ask: Ask) -> None:
    item = ask("catalog/search", {"object_types": ["ITEM"], "query": {"exact_query": {
        "attribute_name": "name", "attribute_value": "湯呑み"}}}).json()["objects"][0]  # fmt: skip
    item["item_data"]["name"] = "湯呑み（新）"

    def put(key: str) -> httpx.Response:
        return ask("catalog/batch-upsert", {"idempotency_key": key, "batches": [{"objects": [item]}]})

    first, second = put("1"), put("2")

    assert first.json()["objects"][0]["item_data"]["name"] == "湯呑み（新）"
    assert {code for code, _ in codes(second)} == {"CONFLICT"}


def test_a_bad_batch_does_not_stop_the_others(ask: Ask) -> None:
    def item(name: str, upc: str) -> dict[str, Any]:
        data = {"sku": name, "pricing_type": "VARIABLE_PRICING", "upc": upc}
        child = {"type": "ITEM_VARIATION", "id": f"#{name}-1", "item_variation_data": data}
        return {"type": "ITEM", "id": f"#{name}", "item_data": {"name": name, "variations": [child]}}

    batches = [{"objects": [item("A", "ABC")]}, {"objects": [item("B", "4901234567894")]}]
    answer = ask("catalog/batch-upsert", {"idempotency_key": "k", "batches": batches})

    assert answer.status_code == 200
    assert [each["item_data"]["name"] for each in answer.json()["objects"]] == ["B"]
    assert codes(answer) == [("INVALID_VALUE", "batches[0].objects[0].item_data.variations[0].upc")]


# ---------------------------------------------------------------- money


GOODS = st.tuples(st.integers(0, 9999), st.integers(1, 5), st.sampled_from(["in8", "in10", "ex10", ""]))


@given(st.lists(GOODS, min_size=1, max_size=6), st.integers(0, 500), st.sampled_from(["", "3", "12.5"]))
def test_the_sums_of_a_receipt_agree_with_each_other(
    goods: list[tuple[int, int, str]], off: int, percent: str
) -> None:
    kinds = {"in8": ("8", "INCLUSIVE"), "in10": ("10", "INCLUSIVE"), "ex10": ("10", "ADDITIVE")}
    order: dict[str, Any] = {
        "line_items": [
            {"uid": str(n), "quantity": str(units), "base_price_money": {"amount": price, "currency": "JPY"},
             "applied_taxes": [{"tax_uid": tax}] if tax else []}
            for n, (price, units, tax) in enumerate(goods)
        ],
        "taxes": [{"uid": uid, "percentage": rate, "type": kind} for uid, (rate, kind) in kinds.items()],
        "discounts": [{"uid": "d", "scope": "ORDER", "amount_money": {"amount": off, "currency": "JPY"}}],
        "service_charges": [
            {"uid": "c", "percentage": each, "applied_taxes": [{"tax_uid": "in10"}]} for each in [percent] if each
        ],
    }  # fmt: skip
    settle(order)

    def total(name: str, rows: str = "line_items") -> int:
        return sum(row[name]["amount"] for row in order[rows])

    parts = total("gross_sales_money") - total("total_discount_money") + total("total_tax_money")
    assert total("total_money") == parts
    assert order["total_money"]["amount"] == parts + total("total_money", "service_charges")
    assert order["total_tax_money"]["amount"] == sum(tax["applied_money"]["amount"] for tax in order["taxes"])


# ---------------------------------------------------------------- the wire


@pytest.mark.parametrize(("kind", "status"), [("429", 429), ("500", 500)])
def test_faults_are_answered_in_squares_form(seller: Seller, ask: Ask, kind: str, status: int) -> None:
    seller.faults.append(Fault("locations", kind))

    assert ask("locations").status_code == status
    assert ask("locations").status_code == 200


def test_what_was_done_stays_done_when_the_answer_is_cut(seller: Seller, ask: Ask) -> None:
    seller.faults.append(Fault("batch-create", "cut_body"))

    with pytest.raises(httpx.RemoteProtocolError):
        ask("inventory/changes/batch-create", {"idempotency_key": "k", "changes": [count(seller)]})

    assert seller.stock("TEA-100", "渋谷店") == 5


def receiving(answers: list[int]) -> tuple[HTTPServer, list[tuple[dict[str, str], bytes]]]:
    """A server that takes calls and answers with these statuses, then 200."""
    taken: list[tuple[dict[str, str], bytes]] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(answers.pop(0) if answers else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    server = HTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, taken


def test_events_are_signed_and_come_again_until_they_are_taken() -> None:
    door, taken = receiving([500, 503])
    url = f"http://127.0.0.1:{door.server_port}/webhooks/square-main"
    postman = Postman(Subscription(url, "key", frozenset({"order.created"})), Habits(first_wait=0))
    seller = Seller(postman=postman)
    try:
        ring_up(seller, "渋谷店", [("TEA-100", 1)])
        made = postman.deliver(all_of_them=True)
    finally:
        door.shutdown()
        door.server_close()

    assert made == 3
    assert [headers.get("square-retry-number") for headers, _ in taken] == [None, "1", "2"]
    assert len({json.loads(body)["event_id"] for _, body in taken}) == 1
    for headers, body in taken:
        assert headers["x-square-hmacsha256-signature"] == sign("key", url, body)
    assert postman.counts == {"failed": 2, "accepted": 1}


def test_the_way_doubles_swaps_and_loses_by_its_seed() -> None:
    def run(seed: int) -> tuple[list[str], dict[str, int]]:
        taken: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            taken.append(json.loads(request.content)["event_id"])
            return httpx.Response(200)

        habits = Habits(duplicate=0.3, reorder=0.3, lose=0.2)
        postman = Postman(
            Subscription("http://127.0.0.1/x"),
            habits,
            seed=seed,
            clock=lambda: 0.0,
            transport=httpx.MockTransport(answer),
        )
        seller = Seller(postman=postman)
        for _ in range(20):
            sell(seller, "渋谷店", [("TEA-100", 1)])
        postman.deliver(all_of_them=True)
        return taken, dict(postman.counts)

    first, second, other = run(1), run(1), run(2)

    assert first == second != other
    assert len(first[0]) > len(set(first[0]))
    assert first[1]["lost"] > 0 < first[1]["delayed"]


def test_it_runs_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "sandbox.square", "--port", "0", "--print-port", "--stock", "3"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    ) as process:
        try:
            assert process.stdout is not None
            url = f"http://127.0.0.1:{int(process.stdout.readline())}/_sandbox"
            before = httpx.get(f"{url}/state").json()
            lines = [{"sku": "CUP-1", "quantity": 1}]
            sold = httpx.post(f"{url}/sales", json={"location": "渋谷店", "lines": lines}).json()
            after = httpx.get(f"{url}/state").json()
        finally:
            process.terminate()

    def of(state: dict[str, Any]) -> int:
        return next(
            int(r["quantity"]) for r in state["stock"] if (r["sku"], r["location"]) == ("CUP-1", "渋谷店")
        )

    assert sold["total"] == 1650
    assert (of(before), of(after)) == (3, 2)
    assert process.returncode == 0
