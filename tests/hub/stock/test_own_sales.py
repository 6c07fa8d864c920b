"""A channel lowers its own number with every order, and raises it with a cancellation: what the hub last sent there is
then no longer what it shows, also where the hub's own number comes out the same.
"""

from __future__ import annotations

from room import Room, at
from sqlalchemy import text

from hub.feed import horizon
from hub.outgoing import OutgoingFlow, queue_round
from hub.reports import PushReport
from mappings import load_mapping


def push(room: Room, channel: str = "shop") -> list[tuple[str, int]]:
    """What a push would send there now: (key, units); all of it is accepted."""
    flow = OutgoingFlow(
        channel,
        "stock",
        load_mapping("shopify/sellable.out"),
        {"system": {"id": channel, "channel": channel}},
        100,
    )
    with room.engine.begin() as connection:
        below = horizon(connection)
    with room.engine.begin() as connection:
        queue_round(connection, flow, below=below, report=PushReport(system=channel, flow="stock"))
    return accept(room, channel)


def accept(room: Room, channel: str) -> list[tuple[str, int]]:
    """Every delivery that waits is accepted."""
    with room.engine.begin() as connection:
        rows = connection.execute(
            text("""
                WITH done AS (
                    UPDATE delivery SET finished_at = now() WHERE system = :system AND finished_at IS NULL RETURNING id
                )
                INSERT INTO ledger (system, flow, key, entity_id, entity_version, hash, record, delivery_id)
                SELECT :system, 'stock', key, entity_id, entity_version, hash, record, delivery_id
                FROM delivery_change WHERE delivery_id IN (SELECT id FROM done)
                ON CONFLICT (system, flow, key) DO UPDATE SET hash = excluded.hash, record = excluded.record
                RETURNING key, record ->> 'available' AS units
            """),
            {"system": channel},
        ).all()
    return sorted((row.key, int(row.units)) for row in rows)


def listed(room: Room, *channels: str) -> None:
    for channel in channels:
        room.say(
            channel, "listing",
            {"key": f"{channel}/A", "channel": channel, "sku": "A", "external_id": "A",
             "ids": {"inventory_item_id": "gid://shopify/InventoryItem/1"}},
        )  # fmt: skip


def ready(room: Room) -> None:
    room.count("A", 5, when=at(0))
    listed(room, "shop", "mall")
    room.turn()
    assert push(room) == [("shop/A", 5)]
    assert push(room, "mall") == [("mall/A", 5)]
    assert push(room) == []


def test_an_order_seen_together_with_its_cancellation(room: Room) -> None:
    """The shop went 5, 4, and stays there, or went to 5 again: only the shop knows."""
    ready(room)
    room.order("shop/1", {"A": 1}, when=at(1), cancelled=True)
    room.turn()
    assert push(room) == [("shop/A", 5)]
    assert push(room, "mall") == []  # the mall's number was touched by nobody


def test_an_order_and_a_delivery_of_goods_in_one_turn(room: Room) -> None:
    ready(room)
    room.order("shop/1", {"A": 1}, when=at(2))
    room.count("A", 6, when=at(1))
    room.turn()
    assert push(room) == [("shop/A", 5)]
    assert push(room, "mall") == []


def test_a_number_that_came_back_before_anything_was_sent(room: Room) -> None:
    ready(room)
    room.order("shop/1", {"A": 1}, when=at(1))
    room.turn()
    room.order("shop/1", {"A": 1}, when=at(1), cancelled=True)
    room.turn()
    assert push(room) == [("shop/A", 5)]
    assert push(room) == []


def test_an_answer_that_came_late_does_not_hide_the_sale(room: Room) -> None:
    """A number is sent; the channel takes it, then sells one; the hub hears of the sale before it hears the answer."""
    ready(room)
    room.count("A", 7, when=at(1))
    room.turn()
    flow = OutgoingFlow(
        "shop",
        "stock",
        load_mapping("shopify/sellable.out"),
        {"system": {"id": "shop", "channel": "shop"}},
        100,
    )
    with room.engine.begin() as connection:
        below = horizon(connection)
    with room.engine.begin() as connection:
        queue_round(connection, flow, below=below, report=PushReport(system="shop", flow="stock"))
    room.order("shop/1", {"A": 1}, when=at(3))
    room.count("A", 8, when=at(2))
    room.turn()
    assert accept(room, "shop") == [("shop/A", 7)]
    assert push(room) == [("shop/A", 7)]


def test_orders_of_others_send_nothing_that_did_not_change(room: Room) -> None:
    ready(room)
    room.order("tel/1", {"A": 1}, when=at(1), cancelled=True)
    room.turn()
    assert push(room) == []
    assert push(room, "mall") == []
