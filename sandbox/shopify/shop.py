"""The shop behind the stand-in: its goods, stock, orders, customers, and what happens to them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.shopify.catalogue import GOODS, LOCATIONS, Good, locations, product_of, variant_of
from sandbox.shopify.clock import gid, number_of, wire_time
from sandbox.shopify.cost import Bucket
from sandbox.shopify.order_book import SCENES, bag, new_order, settle_sums
from sandbox.shopify.payloads import Told, customer_body, level_body, order_body, product_body

__all__ = ["Fault", "Level", "Shop"]


@dataclass
class Fault:
    """Something that goes wrong `times` times with operations whose name contains `operation`.

    kind    "429", "500", "no_answer" (not done, nothing comes for `seconds`), "lost_answer" (done, but the answer comes
            `seconds` late), "cut_body" (done, half an answer), "throttled" and "internal" (HTTP 200 with an error)
    chance  how likely it strikes each time, by the shop's own dice
    """

    operation: str
    kind: str
    times: int = 1
    seconds: float = 1.0
    chance: float = 1.0


@dataclass
class Level:
    """Stock of an item at a place. on hand = available + committed."""

    number: int
    available: int
    committed: int = 0
    updated: str = ""

    @property
    def on_hand(self) -> int:
        return self.available + self.committed


@dataclass
class Shop:
    """One shop. Everything that is not data of the shop is a knob for tests.

    scopes      what the app may do
    cancelling  how long the job behind orderCancel takes
    tell        is called with every event; a `Courier` takes them to subscribers
    goods       what the shop sells
    held_against_schema   hold requests and answers against the vendor's introspection where it is at hand
    """

    domain: str = "tsunagi-sandbox.myshopify.com"
    access_token: str = "shpat_sandbox_opens_nothing_else"  # noqa: S105  (opens nothing but this stand-in)
    webhook_secret: str = "sandbox-webhook-secret"  # noqa: S105
    seed: int = 7
    scopes: set[str] = field(
        default_factory=lambda: {
            "write_products", "write_inventory", "read_locations", "write_orders", "write_customers",
            "write_merchant_managed_fulfillment_orders", "read_all_orders",
        }
    )  # fmt: skip
    versions: tuple[str, ...] = ("2026-07", "2026-10")
    cancelling: timedelta = timedelta(0)
    bucket: Bucket = field(default_factory=Bucket)
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    tell: Callable[[Told], None] = field(default=lambda _told: None)
    faults: list[Fault] = field(default_factory=list)
    held_against_schema: bool = True
    goods: Sequence[Good] = GOODS

    products: dict[str, dict[str, Any]] = field(default_factory=dict)
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: dict[str, dict[str, Any]] = field(default_factory=dict)
    levels: dict[tuple[str, str], Level] = field(default_factory=dict)
    """(inventory item id, location id) -> stock."""
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    customers: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Idempotency key -> what was sent with it, and whether it was done."""
    jobs: list[tuple[datetime, str, str, bool]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    """Names of the operations that were carried out, in order."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self._numbers = dict.fromkeys(("variant", "level", "fulfilment", "product", "address", "event"), 0)
        self._numbers |= {"order": 1000, "customer": 100}
        now = self.clock()
        self.places = locations(now)
        for good in self.goods:
            created = now - timedelta(days=90 - self.next("product"))
            product = product_of(self._numbers["product"], good, created)
            self.products[product["id"]] = product
            for value, sku, price, barcode, units in good.variants:
                variant = self.add_variant(product, [(good.option, value)], sku, price, barcode, created)
                variant["_rate"] = good.rate
                self.stock_item(variant["inventoryItem"]["id"], self.main_place, units)

    # ------------------------------------------------------------ numbers, places

    def next(self, kind: str) -> int:
        """The next number of a kind of thing."""
        self._numbers[kind] += 1
        return self._numbers[kind]

    @property
    def main_place(self) -> str:
        return gid("Location", 70000000 + LOCATIONS[0][1])

    def now(self) -> str:
        return wire_time(self.clock())

    # ------------------------------------------------------------ goods

    def add_variant(
        self, product: dict[str, Any], options: list[tuple[str, str]], sku: str | None, price: int, barcode: str | None,
        created: datetime,
    ) -> dict[str, Any]:  # fmt: skip
        """One more variant of a product."""
        variant = variant_of(self.next("variant"), product, options, sku, price, barcode, created)
        variant["_rate"] = 0.1
        self.variants[variant["id"]] = variant
        return variant

    def variants_of(self, product: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [variant for variant in self.variants.values() if variant["product"]["id"] == product["id"]]

    def variant_of_sku(self, sku: str) -> dict[str, Any]:
        """The variant of a SKU; KeyError where there is none."""
        found = next((one for one in self.variants.values() if one["sku"] == sku), None)
        if found is None:
            raise KeyError(sku)
        return found

    def touch_product(self, product: dict[str, Any], topic: str = "products/update") -> None:
        product["updatedAt"] = self.now()
        self.event(topic, product_body(product, self.variants_of(product)))

    # ------------------------------------------------------------ stock

    def stock_item(self, item: str, place: str, available: int) -> Level:
        """Stock an item at a place."""
        level = Level(580000000 + self.next("level"), available, updated=self.now())
        self.levels[item, place] = level
        return level

    def set_available(self, item: str, place: str, available: int) -> None:
        """Somebody set the number; the level's event goes out."""
        level = self.levels[item, place]
        level.available, level.updated = available, self.now()
        self.event("inventory_levels/update", level_body(item, place, level.available, level.updated))

    def available(self, sku: str, place: str | None = None) -> int:
        """Units of a SKU that may be sold at a place."""
        item = self.variant_of_sku(sku)["inventoryItem"]["id"]
        return self.levels[item, place or self.main_place].available

    # ------------------------------------------------------------ orders

    def take_orders(
        self, count: int, *, until: datetime | None = None, spread: timedelta = timedelta(hours=20),
        scene: str | None = None,
    ) -> list[str]:  # fmt: skip
        """`count` orders, oldest first; their names. Without a scene they follow `SCENES` in turn."""
        until = until or self.clock()
        names = []
        with self.lock:
            for n in range(count):
                at = until - spread * (count - 1 - n) / max(count, 1)
                chosen = scene or SCENES[(self._numbers["order"] - 1000) % len(SCENES)]
                names.append(self._order(at, chosen, self._basket(chosen))["name"])
        return names

    def sell(self, sku: str, units: int = 1, *, scene: str = "plain") -> dict[str, Any] | None:
        """A buyer orders; None where the shop has not enough to sell."""
        with self.lock:
            variant = self.variant_of_sku(sku)
            item = variant["inventoryItem"]["id"]
            place = next((p for p in self.places if self._has(item, p, units)), None)
            if place is None:
                return None
            good = {"variant": variant, "rate": variant["_rate"], "units": units, "location": place}
            return self._order(self.clock(), scene, [good])

    def _has(self, item: str, place: str, units: int) -> bool:
        level = self.levels.get((item, place))
        return level is not None and level.available >= units

    def _basket(self, scene: str) -> list[dict[str, Any]]:
        dice = random.Random(f"{self.seed}/{self._numbers['order']}/basket")
        sold = [one for one in self.variants.values() if one["product"]["status"] == "ACTIVE" and one["sku"]]
        most = {"many_lines": 13, "mixed_tax": 2}.get(scene, 1)
        reduced = [one for one in sold if one["_rate"] == 0.08]
        standard = [one for one in sold if one["_rate"] == 0.1]
        chosen = (
            [dice.choice(reduced), dice.choice(standard)]
            if scene == "mixed_tax"
            else dice.choices(sold, k=most)
        )
        return [
            {
                "variant": one,
                "rate": one["_rate"],
                "units": dice.choice((1, 1, 2)),
                "location": self.main_place,
            }
            for one in chosen
        ]

    def _order(self, at: datetime, scene: str, goods: list[dict[str, Any]]) -> dict[str, Any]:
        order = new_order(self.next("order"), at, scene, self.seed, goods)
        self._know_customer(order, at)
        self.orders[order["id"]] = order
        places: dict[str, dict[str, Any]] = {}
        for line in order["lineItems"]:
            place = line["_location"]
            if place is None:
                continue
            level = self.levels[line["variant"]["inventoryItem"]["id"], place]
            level.available -= line["currentQuantity"]
            level.committed += line["currentQuantity"]
            level.updated = self.now()
            held = places.setdefault(place, self._fulfilment_order(order, place))
            held["_lines"].append(
                {
                    "__typename": "FulfillmentOrderLineItem",
                    "id": gid("FulfillmentOrderLineItem", 170000000 + number_of(line["id"])),
                    "totalQuantity": line["currentQuantity"],
                    "remainingQuantity": line["currentQuantity"],
                    "lineItem": line,
                }
            )
        order["_fulfilment_orders"] = list(places.values())
        self.event("orders/create", order_body(order))
        for line in order["lineItems"]:
            if line["_location"] is not None:
                item = line["variant"]["inventoryItem"]["id"]
                level = self.levels[item, line["_location"]]
                self.event(
                    "inventory_levels/update",
                    level_body(item, line["_location"], level.available, level.updated),
                )
        return order

    def _fulfilment_order(self, order: dict[str, Any], place: str) -> dict[str, Any]:
        return {
            "__typename": "FulfillmentOrder",
            "id": gid("FulfillmentOrder", 180000000 + 10 * order["number"] + number_of(place) % 10),
            "status": "OPEN",
            "assignedLocation": {
                "__typename": "FulfillmentOrderAssignedLocation",
                "location": self.places[place],
            },
            "_place": place,
            "_lines": [],
        }

    def _know_customer(self, order: dict[str, Any], at: datetime) -> None:
        told = order["customer"]
        if told is None:
            return
        known = self.customers.get(told["id"])
        if known is None:
            known = self.new_customer(
                told["id"], order["_customer_email"], told["firstName"], told["lastName"], at
            )
            known["addressesV2"] = [order["shippingAddress"]]
            known["defaultAddress"] = order["shippingAddress"]
        known["numberOfOrders"] = str(int(known["numberOfOrders"]) + 1)
        order["customer"] = known
        order["email"] = known["defaultEmailAddress"]["emailAddress"]

    def new_customer(
        self, customer_id: str, email: str | None, first: str | None, last: str | None, at: datetime
    ) -> dict[str, Any]:
        """A customer the shop did not know."""
        customer: dict[str, Any] = {
            "__typename": "Customer",
            "id": customer_id,
            "legacyResourceId": str(number_of(customer_id)),
            "firstName": first,
            "lastName": last,
            "displayName": " ".join(part for part in (first, last) if part),
            "createdAt": wire_time(at),
            "updatedAt": wire_time(at),
            "state": "DISABLED",
            "locale": "ja",
            "note": None,
            "tags": [],
            "taxExempt": False,
            "verifiedEmail": True,
            "numberOfOrders": "0",
            "amountSpent": bag(0)["shopMoney"],
            "defaultEmailAddress": None,
            "defaultPhoneNumber": None,
            "defaultAddress": None,
            "addressesV2": [],
            "_metafields": {},
        }
        if email:
            customer["defaultEmailAddress"] = {
                "__typename": "CustomerEmailAddress", "emailAddress": email, "marketingState": "NOT_SUBSCRIBED",
                "marketingOptInLevel": None, "marketingUpdatedAt": None,
            }  # fmt: skip
        self.customers[customer_id] = customer
        return customer

    def touch_customer(self, customer: dict[str, Any], topic: str = "customers/update") -> None:
        customer["updatedAt"] = self.now()
        self.event(topic, customer_body(customer))

    def touch_order(self, order: dict[str, Any], topic: str = "orders/updated") -> None:
        order["updatedAt"] = self.now()
        self.event(topic, order_body(order))

    def cancel_later(self, order: dict[str, Any], reason: str, *, restock: bool) -> None:
        """What the job behind orderCancel does, after `cancelling`."""
        if self.cancelling <= timedelta(0):
            self.cancel(order, reason, restock=restock)
        else:
            self.jobs.append((self.clock() + self.cancelling, order["id"], reason, restock))

    def tick(self) -> None:
        """Carry out the jobs that are due."""
        now = self.clock()
        due = [job for job in self.jobs if job[0] <= now]
        self.jobs = [job for job in self.jobs if job[0] > now]
        for _, order, reason, restock in due:
            self.cancel(self.orders[order], reason, restock=restock)

    def cancel(self, order: dict[str, Any], reason: str, *, restock: bool) -> None:
        """The order is called off: its units leave `committed`, and go back on sale where asked."""
        order |= {"cancelledAt": self.now(), "cancelReason": reason}
        for held in order["_fulfilment_orders"]:
            held["status"] = "CLOSED"
            for line in held["_lines"]:
                item = line["lineItem"]["variant"]["inventoryItem"]["id"]
                level = self.levels[item, held["_place"]]
                level.committed -= line["remainingQuantity"]
                if restock:
                    self.set_available(item, held["_place"], level.available + line["remainingQuantity"])
                line["remainingQuantity"] = 0
        for line in order["lineItems"]:
            line["currentQuantity"] = 0
        settle_sums(order)
        order["totalOutstandingSet"] = bag(0)
        if order["displayFinancialStatus"] == "PENDING":
            order["displayFinancialStatus"] = "VOIDED"
        self.touch_order(order, "orders/cancelled")

    # ------------------------------------------------------------ events

    def event(self, topic: str, body: dict[str, Any]) -> None:
        number = self.next("event")
        self.tell(Told(topic, body, f"{self.seed:08x}-{number:012x}", self.now(), self.domain))
