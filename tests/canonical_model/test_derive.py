"""How far an order has come, from facts alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from canonical_model import Order, Payment, Refund, Return, Shipment
from canonical_model.content import to_content
from canonical_model.derive import OrderFacts, derive_order, derive_order_content

Builder = Callable[..., Any]


def quantities(order: Order, field: str) -> list[int]:
    return [getattr(line.quantity, field) for line in order.lines]


def axes(order: Order) -> tuple[str, str, str]:
    status = order.status
    return status.payment.value, status.fulfilment.value, status.after_sales.value


def test_without_facts_nothing_has_happened(order: Builder) -> None:
    told = order(status={"payment": "paid", "fulfilment": "shipped"})
    assert axes(derive_order(told, OrderFacts())) == ("none", "none", "none")


def test_shipments_move_the_fulfilment_axis(order: Builder, shipment: Builder) -> None:
    first = shipment("s1", [{"line_id": "1", "sku": "A", "quantity": 2}])
    partly = derive_order(order(), OrderFacts(shipments=(first,)))
    assert (axes(partly)[1], quantities(partly, "shipped")) == ("partial", [2, 0])
    second = shipment("s2", [{"line_id": "2", "sku": "B", "quantity": 1}])
    assert axes(derive_order(order(), OrderFacts(shipments=(first, second))))[1] == "shipped"
    arrived = [one.model_copy(update={"delivered_at": order().ordered_at}) for one in (first, second)]
    done = derive_order(order(), OrderFacts(shipments=tuple(arrived)))
    assert (axes(done)[1], quantities(done, "delivered")) == ("delivered", [2, 1])


def test_an_instructed_shipment_allocates_and_a_cancelled_one_does_nothing(
    order: Builder, shipment: Builder
) -> None:
    lines = [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1}]
    instructed = shipment("s1", lines, shipped_on=None)
    result = derive_order(order(), OrderFacts(shipments=(instructed,)))
    assert (axes(result)[1], quantities(result, "allocated")) == ("allocated", [2, 1])
    cancelled = shipment("s1", lines, status="cancelled")
    assert axes(derive_order(order(), OrderFacts(shipments=(cancelled,))))[1] == "none"


def test_a_line_matched_by_sku_fills_the_recipients_own_lines_first(
    order: Builder, shipment: Builder
) -> None:
    price = {"amount": 100, "tax_included": True, "tax_rate": "0.1"}
    lines = [
        {
            "id": n,
            "sku": "A",
            "name": "x",
            "quantity": {"ordered": 2},
            "unit_price": price,
            "recipient_id": who,
        }
        for n, who in (("1", "1"), ("2", "2"))
    ]
    recipients = [{"id": n, "party": {"name": {"full": "x"}}} for n in ("1", "2")]
    built = order(lines=lines, recipients=recipients)
    sent = shipment("s1", [{"sku": "A", "quantity": 3}], recipient_id="2")
    assert quantities(derive_order(built, OrderFacts(shipments=(sent,))), "shipped") == [1, 2]


def test_more_than_ordered_stays_visible(order: Builder, shipment: Builder) -> None:
    result = derive_order(order(), OrderFacts(shipments=(shipment("s1", [{"sku": "A", "quantity": 5}]),)))
    assert quantities(result, "shipped") == [5, 0]


def test_facts_of_other_orders_and_goods_nobody_ordered_change_nothing(
    order: Builder, shipment: Builder
) -> None:
    other = shipment("s1", [{"sku": "A", "quantity": 2}], order_key="rakuten/2")
    strange = shipment("s2", [{"sku": "Z", "quantity": 2}])
    assert axes(derive_order(order(), OrderFacts(shipments=(other, strange))))[1] == "none"


def test_a_cancelled_order_cancels_all_that_did_not_ship(order: Builder, shipment: Builder) -> None:
    cancelled = order(confirmation="cancelled")
    result = derive_order(cancelled, OrderFacts())
    assert (axes(result)[1], quantities(result, "cancelled")) == ("cancelled", [2, 1])
    sent = shipment("s1", [{"line_id": "1", "sku": "A", "quantity": 1}])
    late = derive_order(result, OrderFacts(shipments=(sent,)))
    assert (axes(late)[1], quantities(late, "cancelled")) == ("shipped", [1, 1])


def test_lines_all_cancelled_by_their_system_count_as_cancelled(order: Builder) -> None:
    price = {"amount": 100}
    lines = [
        {"id": "1", "sku": "A", "name": "x", "quantity": {"ordered": 1, "cancelled": 1}, "unit_price": price}
    ]
    assert axes(derive_order(order(lines=lines), OrderFacts()))[1] == "cancelled"


def test_what_was_cancelled_and_left_all_the_same_is_shipped_until_it_arrives(
    order: Builder, shipment: Builder
) -> None:
    lines = [
        {
            "id": "1",
            "sku": "A",
            "name": "x",
            "quantity": {"ordered": 1, "cancelled": 1},
            "unit_price": {"amount": 1},
        }
    ]
    late = shipment("s1", [{"sku": "A", "quantity": 1}])
    assert axes(derive_order(order(lines=lines), OrderFacts(shipments=(late,))))[1] == "shipped"


@pytest.mark.parametrize(
    ("events", "axis"),
    [
        ([], "none"),
        ([("authorized", 3100)], "authorized"),
        ([("authorized", 3100), ("voided", 3100)], "none"),
        ([("provisional", 3100)], "provisional"),
        ([("provisional", 3100), ("provisional_revoked", 3100)], "none"),
        ([("provisional", 3100), ("confirmed", 3100), ("settled", 3100)], "paid"),
        ([("authorized", 3100), ("captured", 3100)], "paid"),
        ([("received", 3000)], "partial"),
        ([("received", 3200)], "overpaid"),
        ([("captured", 3100), ("refunded", 100)], "partly_refunded"),
        ([("captured", 3100), ("refunded", 3100)], "refunded"),
        ([("failed", 3100)], "none"),
    ],
)
def test_payment_events_move_the_payment_axis(
    order: Builder, payment: Builder, events: list[tuple[str, int]], axis: str
) -> None:
    facts = OrderFacts(payments=(payment("p1", *events),))
    assert axes(derive_order(order(), facts))[0] == axis


def test_two_payments_pay_together(order: Builder, payment: Builder) -> None:
    facts = OrderFacts(payments=(payment("p1", ("captured", 3000)), payment("p2", ("received", 100))))
    assert axes(derive_order(order(), facts))[0] == "paid"


def test_an_order_paid_in_points_alone_is_paid(order: Builder) -> None:
    assert axes(derive_order(order(totals={"payable": {"amount": 0}}), OrderFacts()))[0] == "paid"


def test_a_refund_counts_by_itself_only_where_no_payment_carries_it(order: Builder, payment: Builder) -> None:
    paid = payment("p1", ("captured", 3100))
    base = {"order_key": "rakuten/1", "amount": {"amount": 3100}, "status": "done"}
    by_transfer = Refund.model_validate({"key": "r1", **base})
    by_card = Refund.model_validate({"key": "r2", "payment_key": "p1", **base})
    assert axes(derive_order(order(), OrderFacts(payments=(paid,), refunds=(by_transfer,))))[0] == "refunded"
    assert axes(derive_order(order(), OrderFacts(payments=(paid,), refunds=(by_card,))))[0] == "paid"


def test_returns_move_the_after_sales_axis(order: Builder, shipment: Builder, goods_return: Builder) -> None:
    sent = (shipment("s1", [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1}]),)
    asked = goods_return("r1", [{"sku": "A", "quantity": 1}])
    assert axes(derive_order(order(), OrderFacts(shipments=sent, returns=(asked,))))[2] == "requested"
    came = goods_return("r1", [{"sku": "A", "quantity": 2, "received": 1}], status="received")
    partly = derive_order(order(), OrderFacts(shipments=sent, returns=(came,)))
    assert (axes(partly)[2], quantities(partly, "returned")) == ("partial", [1, 0])
    rest = goods_return("r2", [{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 1}], status="closed")
    assert axes(derive_order(order(), OrderFacts(shipments=sent, returns=(came, rest))))[2] == "returned"
    refused = goods_return("r3", [{"sku": "A", "quantity": 1}], status="refused")
    assert axes(derive_order(order(), OrderFacts(shipments=sent, returns=(refused,))))[2] == "none"


units = st.integers(0, 4)
fact_lines = st.lists(
    st.fixed_dictionaries(
        {"line_id": st.sampled_from([None, "1", "2", "x"]), "sku": st.sampled_from("ABZ"), "quantity": units}
    ),
    min_size=1,
    max_size=3,
)
statuses = st.sampled_from([None, "instructed", "started", "shipped", "delivered", "returned", "cancelled"])
shipments = st.builds(
    lambda key, lines, status, who: Shipment.model_validate(
        {"key": key, "order_key": "rakuten/1", "lines": lines, "status": status, "recipient_id": who}
    ),
    st.sampled_from(["s1", "s2", "s3"]),
    fact_lines,
    statuses,
    st.sampled_from(["1", "2"]),
)
returns = st.builds(
    lambda key, lines, status: Return.model_validate(
        {"key": key, "order_key": "rakuten/1", "lines": lines, "status": status}
    ),
    st.sampled_from(["r1", "r2"]),
    fact_lines,
    st.sampled_from(["requested", "received", "closed", "cancelled"]),
)
events = st.lists(
    st.builds(
        lambda n, kind, amount: {
            "id": str(n),
            "kind": kind,
            "amount": {"amount": amount},
            "at": "2026-01-01T00:00:00Z",
        },
        st.integers(0, 4),
        st.sampled_from(["authorized", "captured", "settled", "refunded", "provisional"]),
        st.integers(0, 4000),
    ),
    max_size=4,
    unique_by=lambda event: event["id"],
)
payments = st.builds(
    lambda key, listed: Payment.model_validate(
        {"key": key, "order_key": "rakuten/1", "method": "card", "amount": {"amount": 3100}, "events": listed}
    ),
    st.sampled_from(["p1", "p2"]),
    events,
)


@settings(deadline=None, max_examples=120)
@given(
    st.lists(shipments, max_size=4),
    st.lists(returns, max_size=3),
    st.lists(payments, max_size=3),
    st.sampled_from(["confirmed", "cancelled"]),
    st.randoms(),
)
def test_deriving_is_idempotent_and_does_not_depend_on_the_order_of_facts(
    sent: list[Shipment], back: list[Return], paid: list[Payment], confirmation: str, random: Any
) -> None:
    order = Order.model_validate(
        {
            "key": "rakuten/1",
            "number": "1",
            "channel": "rakuten",
            "ordered_at": "2026-11-21T10:00:00Z",
            "confirmation": confirmation,
            "buyer": {"name": {"full": "x"}},
            "recipients": [{"id": n, "party": {"name": {"full": "x"}}} for n in ("1", "2")],
            "lines": [
                {
                    "id": "1",
                    "sku": "A",
                    "name": "x",
                    "quantity": {"ordered": 2},
                    "unit_price": {"amount": 1000},
                },
                {
                    "id": "2",
                    "sku": "A",
                    "name": "x",
                    "quantity": {"ordered": 3, "cancelled": 1},
                    "unit_price": {"amount": 500},
                    "recipient_id": "2",
                },
            ],
            "payment": {"method": "card"},
            "totals": {"payable": {"amount": 3100}},
        }
    )
    before = order.model_copy(deep=True)
    once = derive_order(order, OrderFacts(shipments=tuple(sent), returns=tuple(back), payments=tuple(paid)))
    assert order == before
    for facts in (sent, back, paid):
        random.shuffle(facts)
    doubled = OrderFacts(
        shipments=tuple(sent + sent), returns=tuple(back + back), payments=tuple(paid + paid)
    )
    assert derive_order(once, doubled) == once
    assert derive_order_content(to_content(order), doubled) == to_content(once)
    assert Order.model_validate(to_content(once)) == once
    for line in once.lines:
        assert line.quantity.ordered == next(
            each.quantity.ordered for each in order.lines if each.id == line.id
        )
