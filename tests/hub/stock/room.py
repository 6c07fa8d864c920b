"""The stock room under test, and short ways of saying what systems say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, insert, text

from hub.entities import Draft, content_of, write_drafts
from hub.stock import Turned, open_oversold, refresh
from hub.stock.oversold import Oversold
from hub.store.database import open_engine
from hub.store.tables import intake, ledger
from hub.systems import Systems, load_systems
from mappings import load_mapping

SYSTEM = """\
system: {name}
connector: test
title: {name}
owner: {name} desk
{more}
"""
WMS = """\
constants: {channel: wms}
flows:
  instructions: {push: files, mapping: file_exchange/shipping_instructions.out}
"""
CHANNEL = "constants: {{channel: {channel}}}\n{more}\n"
MORNING = datetime(2026, 11, 21, 0, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """A moment of the day under test, which is over."""
    return MORNING + timedelta(minutes=minutes)


class Room:
    """An engine, system files, and what is said to the hub."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.files: dict[str, str] = {}
        self.systems = Systems()
        self._records = 0

    @classmethod
    @contextmanager
    def open(cls, url: str, folder: Path) -> Iterator[Self]:
        engine = open_engine(url)
        room = cls(engine, folder / "systems")
        room.folder.mkdir(exist_ok=True)
        room.configure(
            wms=WMS,
            mall=CHANNEL.format(channel="mall", more=""),
            shop=CHANNEL.format(channel="shop", more=""),
        )
        yield room
        engine.dispose()

    def configure(self, **more: str) -> None:
        """Write system files anew: what stands in them after title and owner."""
        self.files |= more
        for name, said in self.files.items():
            (self.folder / f"{name}.yaml").write_text(SYSTEM.format(name=name, more=said), "utf-8")
        self.systems = load_systems([self.folder])
        assert self.systems.faults == [], [fault.words.en for fault in self.systems.faults]

    def allocate(self, channel: str, allocation: str) -> None:
        """Give the system of a channel an allocation, as YAML in one line."""
        self.configure(**{channel: CHANNEL.format(channel=channel, more=f"allocation: {allocation}")})

    # ------------------------------------------------------------ what systems say

    def say(
        self,
        system: str,
        kind: str,
        *contents: Mapping[str, Any],
        received: datetime | None = None,
        flow: str = "any",
    ) -> None:
        """Take entities in as one page of a system."""
        with self.engine.begin() as connection:
            page: int = connection.execute(
                insert(intake)
                .values(system=system, flow=flow, source="s", media_type="m", sha256=b"", size=0, state="processed",
                        **({} if received is None else {"received_at": received}))
                .returning(intake.c.id)
            ).scalar_one()  # fmt: skip
        drafts = []
        for content in contents:
            model, body = content_of(kind, content)
            drafts.append(Draft(model.key, b"", None, 1, model.key, body))
        with self.engine.begin() as connection:
            write_drafts(
                connection, system=system, kind=kind, mapping=f"{kind}.in", mapping_version=1, intake_id=page,
                drafts=drafts, authority=self.systems.authority,
            )  # fmt: skip

    def count(
        self, sku: str, on_hand: int, *, location: str = "EAST", system: str = "wms", when: datetime | None = None,
        received: datetime | None = None, **more: Any,
    ) -> None:  # fmt: skip
        """The warehouse counts a SKU."""
        moment = {} if when is None else {"as_of": when}
        self.say(
            system, "stock_position",
            {"key": f"{sku}@{location}", "sku": sku, "location": location, "on_hand": on_hand, **moment, **more},
            received=received,
        )  # fmt: skip

    def offer(self, *skus: str, channels: tuple[str, ...] = ("mall", "shop")) -> None:
        for channel in channels:
            self.say(
                channel, "listing",
                *({"key": f"{channel}/{sku}", "channel": channel, "sku": sku, "external_id": sku} for sku in skus),
            )  # fmt: skip

    def order(self, key: str, lines: Mapping[str, int], *, when: datetime = MORNING, place: str | None = None,
              cancelled: bool = False, system: str | None = None) -> None:  # fmt: skip
        """An order: SKU -> units. The key begins with the channel."""
        channel, _, number = key.partition("/")
        delivery = {} if place is None else {"place": place}
        party = {"name": {"full": "山田"}}
        self.say(
            system or channel, "order",
            {
                "key": key, "number": number, "channel": channel, "ordered_at": when, "buyer": party,
                "confirmation": "cancelled" if cancelled else "pending",
                "recipients": [{"id": "1", "party": party, "delivery": delivery}],
                "lines": [
                    {"id": str(n), "sku": sku, "name": sku, "quantity": {"ordered": units},
                     "unit_price": {"amount": 100, "currency": "JPY"}}
                    for n, (sku, units) in enumerate(lines.items(), start=1)
                ],
                "payment": {"method": "card"},
                "totals": {"payable": {"amount": 100, "currency": "JPY"}},
            },
        )  # fmt: skip

    def ship(
        self, order: str, lines: Mapping[str, int], *, key: str | None = None, location: str | None = "EAST",
        system: str = "wms", short: int = 0, **more: Any,
    ) -> None:  # fmt: skip
        """The warehouse tells of a shipment."""
        place = {} if location is None else {"location": location}
        self.say(
            system, "shipment",
            {
                "key": key or f"{order}#1", "order_key": order, **place, **more,
                "lines": [{"sku": sku, "quantity": units, "short": short} for sku, units in lines.items()],
            },
        )  # fmt: skip

    def move(self, key: str, sku: str, quantity: int, when: datetime, *, location: str = "EAST", system: str = "wms",
             **more: Any) -> None:  # fmt: skip
        self.say(
            system, "stock_movement",
            {"key": key, "sku": sku, "location": location, "quantity": quantity, "reason": "sale", "occurred_at": when,
             **more},
        )  # fmt: skip

    def accept(self, order: str, when: datetime, *, system: str = "wms", flow: str = "instructions") -> None:
        """A system has accepted the order from the hub."""
        with self.engine.begin() as connection:
            order_id: int = connection.execute(
                text("SELECT id FROM entity WHERE kind = 'order' AND key = :key"), {"key": order}
            ).scalar_one()
            connection.execute(text("DELETE FROM ledger WHERE system = :system AND flow = :flow AND key = :key"),
                               {"system": system, "flow": flow, "key": order})  # fmt: skip
            connection.execute(
                insert(ledger).values(system=system, flow=flow, key=order, entity_id=order_id, entity_version=1,
                                      hash=b"", record={}, delivery_id=1, accepted_at=when)
            )  # fmt: skip

    # ------------------------------------------------------------ what comes of it

    def turn(self) -> Turned:
        return refresh(self.engine, self.systems, load_mapping)

    def sellable(self) -> dict[str, dict[str, Any]]:
        """All living entities of the kind, after a turn: "channel/sku" -> content."""
        self.turn()
        with self.engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT key, content FROM entity WHERE kind = 'sellable' AND deleted_at IS NULL ORDER BY key"
                )
            )
            return {row.key: row.content for row in rows}

    def shows(self, key: str) -> int:
        """What a channel shows now."""
        return int(self.sellable()[key]["quantity"])

    def oversold(self) -> list[Oversold]:
        self.turn()
        with self.engine.connect() as connection:
            return open_oversold(connection, self.systems)

    def scalar(self, query: str) -> Any:
        with self.engine.connect() as connection:
            return connection.scalar(text(query))
