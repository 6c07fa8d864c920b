"""Finding a person: the customer, what was merged with it, its orders, and all that names one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from hub.erasure.personal import KINDS_OF_PERSONS, parties_of
from hub.erasure.values import FOLDED, Person
from hub.logs import mask
from hub.words import HubError

__all__ = ["Found", "NoSuchCustomer", "OpenOrder", "find", "pseudonym"]


class NoSuchCustomer(HubError):
    """There is no customer of this key."""

    def __init__(self, key: str) -> None:
        shown = mask("key", key)
        super().__init__(
            f"顧客 {shown} はありません。キーの形は `チャネル/顧客番号` か `チャネル/メールアドレス` です"
            "(tsunagi export customer で確認)。",
            f"There is no customer {shown}. A key is `channel/customer number` or `channel/e-mail address`: "
            "see tsunagi export customer.",
        )


@dataclass(frozen=True, slots=True)
class Thing:
    """One entity that speaks of the person."""

    id: int
    kind: str
    key: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that is still to be shipped."""

    key: str
    fulfilment: str


@dataclass(slots=True)
class Found:
    """Who is meant, and what the hub's entities hold of the person.

    own        entities about the person, by id: the customers, their orders, and what belongs to those
    mentions   orders of others that name the person, as recipient most of all
    alike      customers who share an e-mail address or a phone number and name, and are not erased with this one
    ids        (system, kind) -> external ids of what is in `own`
    systems    what other systems were told of, or told us: (system, kind, external id)
    """

    key: str
    person: Person
    own: dict[int, Thing] = field(default_factory=dict)
    mentions: dict[int, Thing] = field(default_factory=dict)
    alike: list[str] = field(default_factory=list)
    ids: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    systems: list[tuple[str, str, str]] = field(default_factory=list)
    company: bool = False

    def of_kind(self, *kinds: str) -> list[Thing]:
        """The person's own entities of these kinds, oldest first."""
        return [self.own[one] for one in sorted(self.own) if self.own[one].kind in kinds]

    @property
    def order_keys(self) -> set[str]:
        """Keys of the person's orders."""
        return {thing.key for thing in self.of_kind("order")}

    @property
    def open_orders(self) -> list[OpenOrder]:
        """Orders nobody could ship any more once the person is gone."""
        found = []
        for thing in self.of_kind("order"):
            content = thing.content
            state = (content.get("status") or {}).get("fulfilment", "none")
            ended = content.get("confirmation") == "cancelled" or content.get("cancelled_at")
            if state in ("none", "allocated", "partial") and not ended:
                found.append(OpenOrder(thing.key, state))
        return found


_BY_KEY = text(
    "SELECT id, kind, key, content FROM entity WHERE kind = 'customer' AND key = ANY(:keys) "
    "AND NOT EXISTS (SELECT FROM erased_entity AS x WHERE x.entity_id = entity.id) ORDER BY id"
)
_MERGED = text("""
    SELECT key, content ->> 'merged_into' AS into FROM entity
    WHERE kind = 'customer' AND (content ->> 'merged_into' = ANY(:keys)
        OR (key = ANY(:keys) AND content ? 'merged_into'))
""")
_CONTRIBUTIONS = text("SELECT content FROM contribution WHERE entity_id = ANY(:ids)")
_LINKED = text("""
    SELECT id, kind, key, content FROM entity
    WHERE kind = ANY(:kinds) AND (content ->> 'customer_key' = ANY(:keys) OR content ->> 'assigned_to' = ANY(:keys)
        OR content ->> 'last_used_by' = ANY(:keys))
    ORDER BY id
""")
_OF_ORDERS = text("""
    SELECT id, kind, key, content FROM entity
    WHERE kind = ANY(:kinds) AND (content ->> 'order_key' = ANY(:keys)
        OR content -> 'order_keys' ?| CAST(:keys AS text[]) OR content -> 'sources' ?| CAST(:keys AS text[]))
    ORDER BY id
""")
_NAMING = text(f"""
    SELECT id, kind, key, content FROM entity AS e
    WHERE kind = ANY(:kinds) AND NOT EXISTS (SELECT FROM erased_entity AS x WHERE x.entity_id = e.id AND
          x.recipients IS NULL)
      AND EXISTS (SELECT FROM unnest(CAST(:values AS text[])) AS v
                  WHERE position(v IN {FOLDED.format("e.content::text")}) > 0)
    ORDER BY id
""")  # noqa: S608  (a constant of ours)
_LIVE = text("SELECT key FROM entity WHERE kind = 'customer' AND key = ANY(:keys) AND deleted_at IS NULL")
_REFERENCES = text("""
    SELECT DISTINCT x.system, x.kind, x.external_id FROM cross_reference AS x WHERE x.entity_id = ANY(:ids)
    ORDER BY 1, 2, 3
""")
_SENT = text("""
    SELECT DISTINCT l.system, e.kind, coalesce(l.external_id, l.key) AS external_id
    FROM ledger AS l JOIN entity AS e ON e.id = l.entity_id WHERE l.entity_id = ANY(:ids) ORDER BY 1, 2, 3
""")


def pseudonym(key: str, erasure: int, number: int) -> str:
    """The key of an erased customer: says which channel and which erasure, and nothing of the person."""
    channel = key.partition("/")[0] if "/" in key else "customer"
    return f"{channel}/erased-{erasure}.{number}"


def find(connection: Connection, key: str, *, with_alike: bool = False) -> Found:
    """Everything the entities hold of the customer `key`. Raises NoSuchCustomer.

    with_alike  also of the customers who share a name and an e-mail address or phone number with it
    """
    customers = _customers(connection, {key})
    if key not in {thing.key for thing in customers}:
        raise NoSuchCustomer(key)
    found = Found(key, Person())
    _learn(connection, found, customers)
    while alike := _alike(connection, found):
        if not with_alike:
            found.alike = [thing.key for thing in alike]
            break
        _learn(connection, found, _customers(connection, {thing.key for thing in alike}))
    _orders(connection, found)
    _belonging(connection, found)
    names = {"ids": list(found.own)}
    for row in connection.execute(_REFERENCES, names):
        found.ids.setdefault((row.system, row.kind), set()).add(row.external_id)
        found.systems.append((row.system, row.kind, row.external_id))
    known = {(system, kind) for system, kind, _ in found.systems}
    found.systems += [
        (row.system, row.kind, row.external_id)
        for row in connection.execute(_SENT, names)
        if (row.system, row.kind) not in known
    ]
    return found


def _things(rows: Iterable[Any]) -> list[Thing]:
    return [Thing(row.id, row.kind, row.key, row.content) for row in rows]


def _customers(connection: Connection, keys: set[str]) -> list[Thing]:
    """The customers, and those found to be the same person, in either direction."""
    keys, new = set(keys), set(keys)
    while new:
        rows = connection.execute(_MERGED, {"keys": list(new)}).all()
        met = {row.key for row in rows} | {row.into for row in rows if row.key in keys}
        new = {one for one in met if one} - keys
        keys |= new
    return _things(connection.execute(_BY_KEY, {"keys": list(keys)}))


def _learn(connection: Connection, found: Found, customers: Sequence[Thing]) -> None:
    for thing in customers:
        found.own[thing.id] = thing
        found.person.learn_customer(thing.content)
        found.company = found.company or thing.content.get("type") == "company"
    for row in connection.execute(_CONTRIBUTIONS, {"ids": [thing.id for thing in customers]}):
        found.person.learn_customer(row.content)


def _alike(connection: Connection, found: Found) -> list[Thing]:
    """Customers who may be the same person under another key."""
    return [
        thing
        for thing in _naming(connection, found.person, ["customer"])
        if thing.id not in found.own and any(found.person.is_named(way) for way in _ways(thing.content))
    ]


def _orders(connection: Connection, found: Found) -> None:
    """The person's orders: those that name the customer, and those of nobody known whose buyer is this person."""
    person = found.person
    keys = {"keys": list(person.keys), "kinds": list(KINDS_OF_PERSONS - {"customer"})}
    for thing in _things(connection.execute(_LINKED, keys)):
        found.own[thing.id] = thing
        if thing.kind == "order":
            # of a buyer only what surely is the customer: another may have ordered under the account
            buyer = thing.content.get("buyer") or {}
            if person.is_party(buyer):
                person.learn_party(buyer)
    for thing in _naming(connection, person, KINDS_OF_PERSONS - {"customer"}):
        if thing.id in found.own or thing.content.get("customer_key") in found.alike:
            continue
        if thing.kind == "order" and _bought(connection, thing, person):
            found.own[thing.id] = thing
            person.learn_party(thing.content.get("buyer") or {})
        elif any(person.is_party(party) for party in parties_of(thing.kind, thing.content)):
            found.mentions[thing.id] = thing


def _naming(connection: Connection, person: Person, kinds: Iterable[str]) -> list[Thing]:
    values = [one for one in person.sure | person.names | person.kana if len(one) >= 3]
    names = {"kinds": list(kinds), "values": values}
    return _things(connection.execute(_NAMING, names)) if values else []


def _ways(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The ways a customer may be reached, each as a party."""
    ways = [{"email": email} for email in content.get("emails", ())]
    ways += [{"phone": phone} for phone in content.get("phones", ())]
    return [{"name": content.get("name"), **way} for way in ways]


def _bought(connection: Connection, thing: Thing, person: Person) -> bool:
    if not person.is_party(thing.content.get("buyer") or {}):
        return False
    customer = thing.content.get("customer_key")
    # two may share an e-mail address: an order of another customer is that customer's
    return not (customer and connection.scalar(_LIVE, {"keys": [customer]}))


def _belonging(connection: Connection, found: Found) -> None:
    """What names one of the person's orders: shipments, payments, documents."""
    kinds = KINDS_OF_PERSONS - {"customer", "order"}
    if found.company:
        kinds -= {"document"}  # an invoice to a company names it, and is kept by law
    keys = {"keys": list(found.order_keys), "kinds": list(kinds)}
    for thing in _things(connection.execute(_OF_ORDERS, keys)):
        found.own[thing.id] = thing
        found.mentions.pop(thing.id, None)
    if found.company:
        for one in [thing.id for thing in found.of_kind("document")]:
            del found.own[one]


def recipients_of(thing: Thing, person: Person) -> list[str]:
    """Ids of the recipients of an order that are this person."""
    found: Sequence[Mapping[str, Any]] = thing.content.get("recipients", ())
    return [str(one.get("id")) for one in found if person.is_party(one.get("party") or {})]


def own_ids(found: Found) -> set[str]:
    """What other systems call the customer and the orders, to look for in pages; short ones stand in any text."""
    ids = {one for (_, kind), ids in found.ids.items() for one in ids if kind in ("customer", "order")}
    return {one for one in ids if len(one) >= 3}
