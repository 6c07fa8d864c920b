"""The seller behind the stand-in: locations, catalogue, stock, orders, customers, money; and what may go wrong.

Everything is made from a seed, so that two runs have the same ids. State lives in memory; a lock lets tests sell at
the register while the API is being called.
"""

from __future__ import annotations

import copy
import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.square.answers import no
from sandbox.square.goods import CATEGORIES, GOODS, LOCATIONS, OPTIONS, TAXES, Good
from sandbox.square.ledger import UNTRACKED, Entry, Key, Ledger
from sandbox.square.paging import Pages
from sandbox.square.postman import Postman

__all__ = ["Fault", "Limits", "Seller", "wire_time"]

Row = dict[str, Any]
PERMISSIONS = frozenset(
    (
        *("ITEMS_READ", "ITEMS_WRITE", "INVENTORY_READ", "INVENTORY_WRITE", "ORDERS_READ"),
        *("CUSTOMERS_READ", "CUSTOMERS_WRITE", "PAYMENTS_READ", "MERCHANT_PROFILE_READ"),
    )
)


def wire_time(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as Square writes times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Limits:
    """Requests within any second (Square publishes no number), and how fast seconds pass for that count."""

    per_second: float = 10.0
    pace: float = 1.0


@dataclass
class Fault:
    """Something that goes wrong `times` times on paths that contain `path`.

    kind  "429", "500", "lost_answer" (done, but the answer comes `seconds` late), "cut_body" (done, half an
          answer), "no_answer" (not done, nothing comes for `seconds`)
    """

    path: str
    kind: str
    times: int = 1
    seconds: float = 1.0


@dataclass
class Seller:
    """One seller. Everything that is not data of the seller is a knob for tests.

    version_required  a request without Square-Version is refused (Square would take the application's default)
    names_culprits    an error of a bulk inventory call names the change it is about
    goods             what the seller sells
    lag               so long after a write the lists of orders, customers and money do not show it
    """

    seed: int = 7
    merchant_id: str = "MLSANDBOXTSUNAGI"
    access_token: str = "EAAAsandbox-access-token"  # noqa: S105  (opens nothing but this stand-in)
    permissions: set[str] = field(default_factory=lambda: set(PERMISSIONS))
    version_required: bool = True
    names_culprits: bool = True
    goods: Sequence[Good] = GOODS
    lag: timedelta = timedelta(0)
    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    postman: Postman | None = None

    locations: dict[str, Row] = field(default_factory=dict)
    catalog: dict[str, Row] = field(default_factory=dict)
    """All objects by id; variations stand beside their items, which name them in `_variations`."""
    ledger: Ledger = field(default_factory=Ledger)
    orders: dict[str, Row] = field(default_factory=dict)
    payments: dict[str, Row] = field(default_factory=dict)
    refunds: dict[str, Row] = field(default_factory=dict)
    customers: dict[str, Row] = field(default_factory=dict)
    pages: Pages = field(default_factory=Pages)
    faults: list[Fault] = field(default_factory=list)
    calls: deque[tuple[str, Any]] = field(default_factory=lambda: deque(maxlen=10_000))
    """Path and body of each call that was carried out, for tests."""
    refused: int = 0
    """Calls sent away because they came too fast."""

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self._made = 0
        self._version = 0
        self._keys: dict[str, tuple[str, Row]] = {}
        if not self.locations:
            self._open_locations()
        if not self.catalog:
            self._fill_catalog()

    # ------------------------------------------------------------ ids, versions, keys

    def new_id(self, kind: str) -> str:
        """The next id: 24 capitals and digits, as Square's look."""
        self._made += 1
        digest = hashlib.sha256(f"{self.seed}:{kind}:{self._made}".encode()).digest()
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
        return "".join(letters[byte % 32] for byte in digest[:24])

    def new_version(self) -> int:
        """A catalogue version: the time in milliseconds, never twice."""
        self._version = max(self._version + 1, int(self.clock().timestamp() * 1000))
        return self._version

    def now(self) -> str:
        return wire_time(self.clock())

    def once(self, key: str, body: Any, do: Callable[[], Row]) -> Row:
        """What `do` answers, or what it answered for this key before. Raises `Refusal` for another body."""
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        known = self._keys.get(key)
        if known is not None:
            if known[0] != digest:
                raise no(
                    "IDEMPOTENCY_KEY_REUSED",
                    "The idempotency key can only be retried with the same request data.",
                    "idempotency_key",
                )
            return known[1]
        answer = do()
        self._keys[key] = (digest, copy.deepcopy(answer))
        return answer

    def visible(self, row: Row) -> bool:
        """Whether lists show the row already."""
        changed = datetime.fromisoformat(row["updated_at"])
        return not self.lag or changed <= self.clock() - self.lag

    def tell(self, kind: str, data: Row, **more: Any) -> None:
        """Publish an event."""
        if self.postman is not None:
            self.postman.publish(kind, self.merchant_id, self.now(), data, **more)

    # ------------------------------------------------------------ looking up

    def location(self, name: str) -> str:
        """Id of a location by its name."""
        return next(each for each, row in self.locations.items() if row["name"] == name)

    def variation(self, sku: str) -> str:
        """Id of the variation with this SKU."""
        for each, row in self.catalog.items():
            if (row.get("item_variation_data") or {}).get("sku") == sku and not row["is_deleted"]:
                return each
        raise KeyError(f"no variation has the SKU {sku!r}")

    def stock(self, sku: str, location: str) -> int:
        """Units in stock by SKU and location name; 0 where nothing was told."""
        found = self.ledger.quantity((self.variation(sku), self.location(location)), "IN_STOCK")
        return int(found or 0)

    # ------------------------------------------------------------ stock

    def move(self, key: Key, entry: Entry) -> None:
        """Write a ledger entry and tell what became of the quantities."""
        states = self.ledger.add(key, entry)
        counts = [self.count_row(key, state) for state in states]
        if counts:
            data = {"type": "inventory", "id": self.new_id("event"), "object": {"inventory_counts": counts}}
            self.tell("inventory.count.updated", data)

    def entry(
        self,
        key: Key,
        kind: str,
        quantity: Decimal,
        to_state: str,
        occurred_at: datetime,
        *,
        from_state: str | None = None,
        **more: Any,
    ) -> Entry:
        """An entry with the InventoryChange that shows it."""
        now = self.clock()
        detail: Row = {
            "id": self.new_id("change"),
            "catalog_object_id": key[0],
            "catalog_object_type": "ITEM_VARIATION",
            "location_id": key[1],
            "quantity": format(quantity, "f"),
            "occurred_at": wire_time(occurred_at),
            "created_at": wire_time(now),
            **more,
        }
        detail |= (
            {"state": to_state} if from_state is None else {"from_state": from_state, "to_state": to_state}
        )
        member = "physical_count" if kind == "PHYSICAL_COUNT" else "adjustment"
        return Entry(
            occurred_at, self._made, kind, to_state, quantity, from_state, now, {"type": kind, member: detail}
        )

    def count_row(self, key: Key, state: str) -> Row:
        """One InventoryCount."""
        quantity = self.ledger.quantity(key, state) or Decimal(0)
        return {
            "catalog_object_id": key[0],
            "catalog_object_type": "ITEM_VARIATION",
            "state": state,
            "location_id": key[1],
            "quantity": format(quantity, "f"),
            "calculated_at": wire_time(self.ledger.told_at[(*key, state)]),
        }

    def receive(self, sku: str, location: str, units: int) -> None:
        """Units arrive: NONE to IN_STOCK."""
        with self.lock:
            key = (self.variation(sku), self.location(location))
            self.move(
                key,
                self.entry(key, "ADJUSTMENT", Decimal(units), "IN_STOCK", self.clock(), from_state="NONE"),
            )

    # ------------------------------------------------------------ the first day

    def _open_locations(self) -> None:
        for place in LOCATIONS:
            each = "L" + self.new_id("location")[:12]
            self.locations[each] = {
                "id": each,
                "name": place.name,
                "address": {
                    "address_line_1": place.line,
                    "locality": place.city,
                    "administrative_district_level_1": place.prefecture,
                    "postal_code": place.postal_code,
                    "country": "JP",
                },
                "timezone": "Asia/Tokyo",
                "capabilities": ["CREDIT_CARD_PROCESSING"],
                "status": "ACTIVE" if place.active else "INACTIVE",
                "created_at": "2024-04-01T00:00:00Z",
                "merchant_id": self.merchant_id,
                "country": "JP",
                "language_code": "ja-JP",
                "currency": "JPY",
                "phone_number": place.phone,
                "business_name": "つなぎ商店",
                "type": "PHYSICAL",
            }

    def _fill_catalog(self) -> None:
        taxes = {
            name: self._object(
                "TAX", tax_data={**tax, "calculation_phase": "TAX_SUBTOTAL_PHASE", "enabled": True}
            )
            for name, tax in TAXES.items()
        }
        categories = {
            name: self._object("CATEGORY", category_data={"name": title, "category_type": "REGULAR_CATEGORY"})
            for name, title in CATEGORIES.items()
        }
        options = {name: self._option(title, values) for name, (title, values) in OPTIONS.items()}
        for good in self.goods:
            self._good(good, taxes, categories, options)

    def _object(self, kind: str, **data: Row) -> str:
        each = self.new_id(kind)
        self.catalog[each] = {
            "type": kind,
            "id": each,
            "updated_at": self.now(),
            "version": self.new_version(),
            "is_deleted": False,
            "present_at_all_locations": True,
            **data,
        }
        return each

    def _option(self, title: str, values: tuple[str, ...]) -> str:
        option = self._object(
            "ITEM_OPTION", item_option_data={"name": title, "display_name": title, "values": []}
        )
        for number, value in enumerate(values):
            data = {"item_option_id": option, "name": value, "ordinal": number}
            child = self._object("ITEM_OPTION_VAL", item_option_value_data=data)
            self.catalog[option]["item_option_data"]["values"].append(self.catalog.pop(child))
        return option

    def _good(
        self, good: Good, taxes: dict[str, str], categories: dict[str, str], options: dict[str, str]
    ) -> None:
        category = {"id": categories[good.category], "ordinal": 0}
        data: Row = {
            "name": good.name,
            "sort_name": good.kana,
            "product_type": "REGULAR",
            "is_archived": False,
        }
        data |= {"is_taxable": good.tax is not None, "tax_ids": [taxes[good.tax]] if good.tax else []}
        data |= {"categories": [category], "reporting_category": category}
        if good.description:
            data |= {"description_html": good.description, "description_plaintext": good.description[3:-4]}
        if good.options:
            data["item_options"] = [{"item_option_id": options[name]} for name in good.options]
        item = self._object("ITEM", item_data=data)
        self.catalog[item]["_variations"] = []
        for ordinal, (sku, name, price, jan, chosen) in enumerate(good.variations):
            variation: Row = {"item_id": item, "name": name, "sku": sku, "ordinal": ordinal}
            variation |= {"track_inventory": price is not None, "sellable": True, "stockable": True}
            if price is None:
                variation["pricing_type"] = "VARIABLE_PRICING"
            else:
                variation |= {
                    "pricing_type": "FIXED_PRICING",
                    "price_money": {"amount": price, "currency": "JPY"},
                }
            if jan:
                variation["upc"] = jan
            if chosen:
                variation["item_option_values"] = [
                    self._chosen(options[name], value)
                    for name, value in zip(good.options, chosen, strict=True)
                ]
            self.catalog[item]["_variations"].append(
                self._object("ITEM_VARIATION", item_variation_data=variation)
            )

    def _chosen(self, option: str, value: str) -> Row:
        for each in self.catalog[option]["item_option_data"]["values"]:
            if each["item_option_value_data"]["name"] == value:
                return {"item_option_id": option, "item_option_value_id": each["id"]}
        raise KeyError(value)

    def tracked(self) -> Iterator[tuple[Key, str]]:
        """Every quantity Square would list."""
        for key, state, _ in self.ledger.counts():
            if state not in UNTRACKED:
                yield key, state

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """No events inside the block (stocking the shelves before a test)."""
        postman, self.postman = self.postman, None
        try:
            yield
        finally:
            self.postman = postman
