"""The balance at the end: what the channels, the warehouse and the people know, held against what the hub says.

Nothing here asks the hub how it came to a number: the books of the others are added up, and each difference is a line.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, text

from canonical_model.content import from_content
from hub.jobs.queue import job_statuses
from tests.chaos.demand import Placed
from tests.chaos.goods import BUFFER, CHANNELS
from tests.chaos.warehouse import BAD_SKU, Warehouse

__all__ = ["Balance", "Line", "Others", "draw_up"]

Books = Mapping[str, Any]


@dataclass
class Line:
    """One row of the balance: how many the others know, how many the hub knows, and every difference in words."""

    title: str
    others: int = 0
    hub: int = 0
    differences: list[str] = field(default_factory=list)


@dataclass
class Others:
    """All that is known outside of the hub."""

    books: Mapping[str, Books]
    warehouse: Warehouse
    reservations: Mapping[str, tuple[str, int, str]]
    placed: Sequence[Placed]


@dataclass
class Balance:
    """`lines`, and `road`: seconds from placing an order to the other channel's accepted lower number."""

    lines: list[Line]
    road: list[float]

    @property
    def differences(self) -> list[str]:
        return [f"{line.title}: {one}" for line in self.lines for one in line.differences]


def draw_up(engine: Engine, others: Others) -> Balance:
    """Compare everything. Reads the hub's tables only."""
    with engine.connect() as connection:
        hub = _Hub(connection)
        lines = [
            _orders(hub, others),
            _returns(hub, others),
            _reservations(hub, others),
            _units(hub, others),
            *(_shown(hub, others, channel) for channel in CHANNELS),
            _oversold(hub, others),
            _prices(hub, others),
            _instructions(others),
            _shipments(hub, others),
            *(_events(hub, others, channel) for channel in CHANNELS),
            _nothing_open(hub, others),
            _quarantine(hub),
            _feed(hub),
        ]
        return Balance(lines, _road(hub, others.placed))


class _Hub:
    """What the hub says, read once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.entities: dict[str, dict[str, Any]] = defaultdict(dict)
        for row in self.rows("SELECT kind, key, content FROM entity WHERE deleted_at IS NULL"):
            self.entities[row.kind][row.key] = from_content(row.kind, row.content).model_dump(mode="json")

    def rows(self, query: str, **names: Any) -> Sequence[Any]:
        return self.connection.execute(text(query), names).all()


# ---------------------------------------------------------------- orders, returns, reservations


def _orders(hub: _Hub, others: Others) -> Line:
    placed = {key: order for books in others.books.values() for key, order in books["orders"].items()}
    line = Line("orders", len(placed), len(hub.entities["order"]))
    for key, order in placed.items():
        found = hub.entities["order"].get(key)
        if found is None:
            line.differences.append(f"{key} is not in the hub")
            continue
        line.differences += [f"{key}: {what}" for what in _order_differences(order, found)]
    line.differences += [f"{key} was never placed" for key in hub.entities["order"].keys() - placed.keys()]
    doubled = hub.rows(
        "SELECT content ->> 'number' AS number FROM entity WHERE kind = 'order' GROUP BY 1 HAVING count(*) > 1"
    )
    line.differences += [f"{row.number} is there twice" for row in doubled]
    return line


def _order_differences(order: Books, found: Mapping[str, Any]) -> Iterator[str]:
    cancelled = found["confirmation"] == "cancelled"
    if cancelled != order["cancelled"]:
        yield f"cancelled is {order['cancelled']} there and {cancelled} in the hub"
        return
    units: Counter[str] = Counter()
    for each in found["lines"]:
        units[each["sku"]] += each["quantity"]["ordered"] - (
            0 if cancelled else each["quantity"]["cancelled"]
        )
    wanted = order["ordered"] if cancelled else order["units"]
    if units != wanted:
        yield f"units are {wanted} there and {dict(units)} in the hub"
    if not cancelled and found["totals"]["payable"]["amount"] != order["total"]:
        yield f"comes to {order['total']} there and {found['totals']['payable']['amount']} in the hub"


def _returns(hub: _Hub, others: Others) -> Line:
    told = {key: order for books in others.books.values() for key, order in books["returns"].items()}
    found = {key: each["order_key"] for key, each in hub.entities["return"].items()}
    return Line("returns", len(told), len(found), _different(told, found))


def _reservations(hub: _Hub, others: Others) -> Line:
    rows = hub.rows("SELECT key, sku, quantity, state FROM stock_reservation")
    found = {row.key: (row.sku, row.quantity, row.state) for row in rows}
    told = {key: one for key, one in others.reservations.items() if one[2] != "none"}
    return Line("reservations", len(told), len(found), _different(told, found))


def _different(others: Mapping[str, Any], hub: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} is {others.get(key, 'not')} there and {hub.get(key, 'not')} in the hub"
        for key in sorted(others.keys() | hub.keys())
        if others.get(key) != hub.get(key)
    ]


# ---------------------------------------------------------------- units


def _left(others: Others) -> dict[str, int]:
    """Units of each SKU nobody has a claim on; below zero: sold and not there."""
    left = Counter(others.warehouse.opening)
    left.update(others.warehouse.moved)
    for books in others.books.values():
        for order in books["orders"].values():
            if not order["cancelled"]:
                left.subtract(order["units"])
    for sku, units, state in others.reservations.values():
        if state == "open":
            left[sku] -= units
    return dict(left)


def _offered(left: int, channel: str) -> int:
    return max(left - BUFFER[channel], 0)


def _units(hub: _Hub, others: Others) -> Line:
    """Opening + came - left - sold and still here - kept for carts, against the hub's numbers."""
    left = _left(others)
    told = {
        f"{channel}/{sku}": _offered(units, channel) for channel in CHANNELS for sku, units in left.items()
    }
    found = {key: each["quantity"] for key, each in hub.entities["sellable"].items() if BAD_SKU not in key}
    line = Line("units left (books)", sum(told.values()), sum(found.values()), _different(told, found))
    for sku, units in left.items():
        free = hub.entities["sellable"].get(f"{CHANNELS[0]}/{sku}", {}).get("free")
        if free != units:
            line.differences.append(f"{sku}: {units} are left by the books, {free} in the hub")
    return line


def _shown(hub: _Hub, others: Others, channel: str) -> Line:
    """What the channel shows, what the hub wants shown, and what the ledger believes is shown."""
    shown: Mapping[str, int] = others.books[channel]["shown"]
    wanted = {
        sku: hub.entities["sellable"].get(f"{channel}/{sku}", {}).get("quantity")
        for sku in others.warehouse.opening
    }
    line = Line(f"units shown at {channel}", sum(shown.values()), sum(each or 0 for each in wanted.values()))
    line.differences = _different(shown, wanted)
    rows = hub.rows(
        "SELECT key, record FROM ledger WHERE system = :system AND flow = 'stock'", system=channel
    )
    ledger = {row.key.partition("/")[2]: _number(row.record) for row in rows}
    line.differences += [f"ledger: {one}" for one in _different(shown, ledger)]
    return line


def _number(record: Mapping[str, Any]) -> int:
    return int(record["available"] if "available" in record else record["quantity"])


def _oversold(hub: _Hub, others: Others) -> Line:
    """Units of orders that still wait and are not there. A cart that waits for units has bought nothing yet."""
    waiting: Counter[str] = Counter()
    for books in others.books.values():
        for key, order in books["orders"].items():
            if not order["cancelled"] and not others.warehouse.shipped(key):
                waiting.update(order["units"])
    left = {sku: min(-units, waiting[sku]) for sku, units in _left(others).items() if units < 0}
    told = {sku: units for sku, units in left.items() if units}
    rows = hub.rows(
        "SELECT sku, sum(units) AS units FROM stock_oversold WHERE resolved_at IS NULL GROUP BY sku"
    )
    found = {row.sku: int(row.units) for row in rows}
    return Line("units oversold", sum(told.values()), sum(found.values()), _different(told, found))


def _prices(hub: _Hub, others: Others) -> Line:
    told = {
        f"{channel}/{sku}": price
        for channel, books in others.books.items()
        for sku, price in books["prices"].items()
    }
    found = {key: (each["price"] or {}).get("amount") for key, each in hub.entities["listing"].items()}
    return Line("prices", len(told), len(found), _different(told, found))


# ---------------------------------------------------------------- the warehouse


def _instructions(others: Others) -> Line:
    """Each order that is to be shipped was told to the warehouse, once, with all its units."""
    taken = others.warehouse.instructions
    line = Line("shipping instructions", 0, sum(one.times for one in taken.values()))
    orders = {key: order for books in others.books.values() for key, order in books["orders"].items()}
    wanted = {key: order for key, order in orders.items() if not order["cancelled"] and not order["held"]}
    line.others = len(wanted) + sum(one.called_off for one in taken.values())
    for key, order in wanted.items():
        one = taken.get(f"{key}#1")
        if one is None:
            line.differences.append(f"{key} was never told to the warehouse")
        elif dict(one.units()) != order["units"]:
            line.differences.append(f"{key}: told {dict(one.units())}, ordered {order['units']}")
    for number, one in taken.items():
        if one.times > 1:
            line.differences.append(f"{number} was told {one.times} times")
        if one.order not in wanted and not one.called_off:
            line.differences.append(f"{number} is not to be shipped")
    line.differences += [f"the warehouse refused {what}" for what in others.warehouse.refused]
    return line


def _shipments(hub: _Hub, others: Others) -> Line:
    """Each parcel, and each report that units are missing, is in the hub once; each parcel is at the shop once."""
    parcels = {number: one for number, one in others.warehouse.instructions.items() if one.parcel}
    reports = {one.shipment for one in parcels.values()}
    reports |= {number for number, one in others.warehouse.instructions.items() if one.short}
    line = Line("parcels", len(reports), len(hub.entities["shipment"]))
    line.differences += [f"{key} was never told" for key in hub.entities["shipment"].keys() - reports]
    line.differences += [f"{key} is not in the hub" for key in reports - hub.entities["shipment"].keys()]
    told = others.books["shop"]["orders"]
    for number, one in parcels.items():
        found = hub.entities["shipment"].get(one.shipment)
        numbers = [each["tracking_number"] for each in found["parcels"]] if found else None
        if numbers != [one.parcel]:
            line.differences.append(f"{number} left as {one.parcel}, the hub knows {numbers}")
        at_shop = told.get(one.order)
        wanted = [{"numbers": [one.parcel], "units": sum(one.units().values())}]
        if at_shop is not None and at_shop["parcels"] != wanted:
            line.differences.append(f"{number}: the shop knows {at_shop['parcels']}, it should be {wanted}")
    gone = {one.order for one in parcels.values()}
    line.differences += [
        f"{key}: the shop knows a parcel that never left" for key, order in told.items()
        if order["parcels"] and key not in gone
    ]  # fmt: skip
    return line


# ---------------------------------------------------------------- events, and nothing left to do


def _events(hub: _Hub, others: Others, channel: str) -> Line:
    """Each event that was accepted is stored once for each flow it concerns; a lost one not at all."""
    stored: dict[str, Counter[str]] = defaultdict(Counter)
    rows = hub.rows(
        "SELECT event_id, flow FROM intake WHERE system = :system AND event_id IS NOT NULL", system=channel
    )
    for row in rows:
        stored[row.event_id.partition(":")[0].partition("~")[0]][row.flow] += 1
    entries = others.books[channel]["events"]
    accepted = {one["event"]: one for one in entries if one["outcomes"].keys() & {"stored", "duplicate"}}
    line = Line(f"events of {channel}", len(accepted), len(stored))
    for one in entries:
        event, flows = one["event"], stored.get(one["event"], Counter())
        if event in accepted and not flows:
            line.differences.append(f"{event} was accepted and is not stored")
        if one["fate"] == "lost" and flows:
            line.differences.append(f"{event} was lost and is stored")
        if one["outcomes"].get("stored", 0) > 1:
            line.differences.append(f"{event} was said to be new {one['outcomes']['stored']} times")
        if one["given_up"]:
            line.differences.append(f"{event} was never accepted")
        line.differences += [f"{event} is stored {n} times for {flow}" for flow, n in flows.items() if n > 1]
    known = {one["event"] for one in entries}
    line.differences += [f"{event} was never sent" for event in stored.keys() - known]
    return line


def _nothing_open(hub: _Hub, others: Others) -> Line:
    line = Line("still to be done")
    line.others = sum(books["waiting"] for books in others.books.values())
    if line.others:
        line.differences.append(f"{line.others} events are on their way")
    jobs = job_statuses(hub.connection)
    line.differences += [
        f"job {job.task} {job.system}/{job.flow} is {job.state}: {job.error}" for job in jobs
    ]
    deliveries = hub.rows("SELECT id, system, flow, attempts FROM delivery WHERE finished_at IS NULL")
    line.differences += [
        f"delivery {row.id} to {row.system}/{row.flow} is open, {row.attempts} attempts" for row in deliveries
    ]
    # a page that a scheduled pull has just stored is being taken in
    intakes = hub.rows(
        "SELECT id, system, flow, state FROM intake WHERE state <> 'processed' "
        "AND (event_id IS NOT NULL OR received_at < now() - interval '5 seconds')"
    )
    line.differences += [f"intake {row.id} of {row.system}/{row.flow} is {row.state}" for row in intakes]
    line.hub = len(jobs) + len(deliveries) + len(intakes)
    return line


def _quarantine(hub: _Hub) -> Line:
    """The count's bad row, and nothing else."""
    rows = hub.rows("SELECT system, flow, subject, code, faults FROM quarantine WHERE state = 'open'")
    line = Line("quarantine", 1, len(rows))
    bad = [row for row in rows if row.system == "wms" and BAD_SKU in row.subject]
    if len(bad) != 1:
        line.differences.append(f"the count's bad row is there {len(bad)} times")
    line.differences += [
        f"{row.system}/{row.flow} {row.subject}: {row.code} {row.faults}" for row in rows if row not in bad
    ]
    return line


def _feed(hub: _Hub) -> Line:
    """Every version of every entity stands in the change feed, once."""
    rows = hub.rows("""
        SELECT e.kind, e.key, e.version, count(f.*) AS told, count(DISTINCT f.version) AS versions
        FROM entity AS e LEFT JOIN change_feed AS f ON f.entity_id = e.id GROUP BY e.id
    """)
    line = Line(
        "versions in the change feed", sum(row.version for row in rows), sum(row.told for row in rows)
    )
    line.differences = [
        f"{row.kind} {row.key} has version {row.version}, the feed {row.told} rows of {row.versions} versions"
        for row in rows
        if not row.version == row.told == row.versions
    ]
    return line


# ---------------------------------------------------------------- how long it took


def _road(hub: _Hub, placed: Sequence[Placed]) -> list[float]:
    """For each order: from its placing until the other channel had accepted the lower number it led to.

    The turn that saw the order is the one that wrote its own channel's number next (that is written with every order);
    what it wrote for the other channel is the number to wait for. Orders that changed nothing there have no such time.
    """
    came = {
        row.key: row.at for row in hub.rows(
            "SELECT e.key, f.at FROM entity AS e JOIN change_feed AS f ON f.entity_id = e.id AND f.version = 1 "
            "WHERE e.kind = 'order'"
        )
    }  # fmt: skip
    written: dict[str, list[Any]] = defaultdict(list)
    for row in hub.rows(
        "SELECT e.key, f.at, f.xid, f.version FROM entity AS e JOIN change_feed AS f ON f.entity_id = e.id "
        "WHERE e.kind = 'sellable' ORDER BY f.xid, f.seq"
    ):
        written[row.key].append(row)
    sent: dict[str, list[Any]] = defaultdict(list)
    for row in hub.rows("""
        SELECT c.key, c.entity_version AS version, c.record, c.previous, max(a.finished_at) AS at
        FROM delivery AS d JOIN delivery_change AS c ON c.delivery_id = d.id AND c.verdict = 'done'
        JOIN delivery_attempt AS a ON a.delivery_id = d.id
        WHERE d.flow = 'stock' GROUP BY d.id, c.delivery_id, c.n ORDER BY d.id
    """):
        sent[row.key].append(row)
    seconds = []
    for one in placed:
        at, other = came.get(one.key), next(channel for channel in CHANNELS if channel != one.channel)
        own = next(
            (row for row in written[f"{one.channel}/{one.sku}"] if at is not None and row.at >= at), None
        )
        theirs = own and next((row for row in written[f"{other}/{one.sku}"] if row.xid == own.xid), None)
        told = theirs and next(
            (row for row in sent[f"{other}/{one.sku}"] if row.version >= theirs.version), None
        )
        if told and told.previous is not None and _number(told.record) < _number(told.previous):
            seconds.append(told.at.timestamp() - one.at)
    return seconds
