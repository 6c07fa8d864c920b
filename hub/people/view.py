"""What persons see: the queue, a customer with its links and why, and a person's customers as one.

Reasons are rules and columns, never a score. Values are shown as the customers have them today; masking is the
caller's (`Side.masked`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text

from hub.entities import merge_contents
from hub.logs import mask
from hub.people.overlay import denials, laid_over, without_overlay
from hub.people.persons import groups, person_of
from hub.people.rules import PeopleRules
from hub.words import HubError, Words

__all__ = [
    "Candidate",
    "Decision",
    "NoSuchCustomer",
    "Person",
    "Side",
    "merged_view",
    "queue",
    "queue_size",
    "show",
]

NAMES: Mapping[str, Words] = {
    "name": Words("氏名", "name"),
    "kana": Words("カナ", "kana"),
    "given": Words("名", "given name"),
    "given_kana": Words("名カナ", "given name in kana"),
    "phone": Words("電話", "telephone"),
    "email": Words("メール", "e-mail"),
    "address": Words("住所", "address"),
    "room": Words("部屋番号", "room"),
    "birth_date": Words("生年月日", "birth date"),
    "sex": Words("性別", "sex"),
    "same_system": Words("同じシステムの別番号", "two numbers of one system"),
    "blocked": Words("取引停止", "blocked"),
    "deceased": Words("死亡", "deceased"),
    "company": Words("法人", "company"),
}
"""What people call columns and facts."""


class NoSuchCustomer(HubError):
    """No customer has this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"顧客「{key}」はありません。", f"There is no customer {key!r}.")


@dataclass(frozen=True, slots=True)
class Side:
    """One customer of a pair, as its systems write it.

    others  keys of the customers it is one person with already
    """

    key: str
    name: str
    kana: str
    phones: tuple[str, ...]
    emails: tuple[str, ...]
    address: str
    birth_date: str
    others: tuple[str, ...] = ()
    deleted: bool = False

    def masked(self) -> Side:
        """With so much of it hidden that two people can still be told apart."""
        return replace(
            self,
            key=mask("id", self.key),
            name=mask("customer name", self.name),
            kana=mask("kana", self.kana),
            phones=tuple(mask("phone", phone) for phone in self.phones),
            emails=tuple(mask("email", email) for email in self.emails),
            address=mask("address", self.address),
            birth_date=mask("birth date", self.birth_date),
            others=tuple(mask("id", key) for key in self.others),
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what, when and why; `by` is "rules" where rules did."""

    action: str
    by: str
    reason: str
    rules: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair of customers: what the rules say of it, and what was decided.

    rules    names of the rules that hold -> what they say
    agree    the columns those rules compare
    against  columns that differ, and facts
    doubts   of a link made by rules: what would keep rules from making it today
    """

    id: int
    verdict: str
    state: str
    automatic: bool
    rules: Mapping[str, Words]
    agree: tuple[str, ...]
    against: tuple[str, ...]
    doubts: tuple[str, ...]
    one: Side
    other: Side
    since: datetime
    decisions: tuple[Decision, ...] = ()

    def masked(self) -> Candidate:
        return replace(self, one=self.one.masked(), other=self.other.masked())


@dataclass(frozen=True, slots=True)
class Person:
    """A customer, whoever it is one person with, and every pair it stands in.

    survivor  the key under which the person's orders belong together
    content   the person's customers as one (`merged_view`)
    """

    key: str
    survivor: str
    customers: tuple[Side, ...]
    links: tuple[Candidate, ...]
    households: tuple[Candidate, ...]
    open: tuple[Candidate, ...]
    rejected: tuple[Candidate, ...]
    content: Mapping[str, Any]


# an open pair is not shown while its two are one person, or are kept apart by a decision on others of theirs
_WAITING = """
    FROM people_pair AS p
    LEFT JOIN people_member AS a ON a.entity_id = p.one_id LEFT JOIN people_member AS b ON b.entity_id = p.other_id
    LEFT JOIN apart ON apart.low = least(coalesce(a.person_id, p.one_id), coalesce(b.person_id, p.other_id))
        AND apart.high = greatest(coalesce(a.person_id, p.one_id), coalesce(b.person_id, p.other_id))
    WHERE (p.state = 'open' AND apart.low IS NULL
           AND coalesce(a.person_id, p.one_id) <> coalesce(b.person_id, p.other_id))
        OR (p.state = 'linked' AND p.doubts <> '{}')
"""
_APART = """
    WITH apart AS (
        SELECT DISTINCT least(coalesce(a.person_id, p.one_id), coalesce(b.person_id, p.other_id)) AS low,
               greatest(coalesce(a.person_id, p.one_id), coalesce(b.person_id, p.other_id)) AS high
        FROM people_pair AS p LEFT JOIN people_member AS a ON a.entity_id = p.one_id
        LEFT JOIN people_member AS b ON b.entity_id = p.other_id WHERE p.state = 'rejected'
    )
"""
_QUEUE = text(f"{_APART} SELECT p.* {_WAITING} ORDER BY p.id LIMIT :limit")
_SIZE = text(f"{_APART} SELECT count(*) {_WAITING}")
_PAIRS_OF = text("""
    SELECT * FROM people_pair WHERE one_id = ANY(:ids)
    UNION SELECT * FROM people_pair WHERE other_id = ANY(:ids) ORDER BY id
""")
_SIDES = text("SELECT id, key, content, deleted_at FROM entity WHERE id = ANY(:ids)")
_OTHERS = text("""
    SELECT me.entity_id AS id, array_agg(e.key ORDER BY e.key) AS keys FROM people_member AS me
    JOIN people_member AS m ON m.person_id = me.person_id AND m.entity_id <> me.entity_id
    JOIN entity AS e ON e.id = m.entity_id WHERE me.entity_id = ANY(:ids) GROUP BY me.entity_id
""")
_DECISIONS = text("SELECT * FROM people_decision WHERE pair_id = ANY(:ids) ORDER BY id")
_ID = text("SELECT id FROM entity WHERE kind = 'customer' AND key = :key")
_SPOKEN = text("""
    SELECT e.id, e.key, e.content, e.system, e.deleted_at, m.person_id, coalesce(m.own, '{}'::jsonb) AS own,
           m.entity_id IS NOT NULL AS linked,
           coalesce((SELECT jsonb_object_agg(c.system, c.content) FROM contribution AS c WHERE c.entity_id = e.id),
                    '{}'::jsonb) AS spoken
    FROM entity AS e LEFT JOIN people_member AS m ON m.entity_id = e.id WHERE e.id = ANY(:ids) ORDER BY e.id
""")


def queue(connection: Connection, rules: PeopleRules, *, limit: int = 200) -> list[Candidate]:
    """The pairs that wait for a person, and links made by rules that are in doubt; oldest first."""
    return _candidates(connection, rules, connection.execute(_QUEUE, {"limit": limit}).all())


def queue_size(connection: Connection) -> int:
    """How many `queue` would give without a limit."""
    return int(connection.scalar(_SIZE) or 0)


def show(connection: Connection, rules: PeopleRules, key: str, owners: Mapping[str, str]) -> Person:
    """Everything about a customer's person; `owners` as `merged_view`. Raises NoSuchCustomer."""
    entity_id = connection.scalar(_ID, {"key": key})
    if entity_id is None:
        raise NoSuchCustomer(key)
    (members,) = groups(connection, [entity_id])
    rows = connection.execute(_PAIRS_OF, {"ids": members}).all()
    pairs = _candidates(connection, rules, rows, history=True)
    sides = _sides(connection, members)
    by_state: dict[str, list[Candidate]] = {}
    for pair in pairs:
        by_state.setdefault(pair.state, []).append(pair)
    return Person(
        key=key,
        survivor=person_of(connection, key),
        customers=tuple(sides[member] for member in members),
        links=tuple(by_state.get("linked", ())),
        households=tuple(by_state.get("noted", ())),
        open=tuple(by_state.get("open", ())),
        rejected=tuple(by_state.get("rejected", ())),
        content=merged_view(connection, key, owners),
    )


def _candidates(
    connection: Connection, rules: PeopleRules, rows: Sequence[Any], *, history: bool = False
) -> list[Candidate]:
    sides = _sides(connection, {side for row in rows for side in (row.one_id, row.other_id)})
    decisions: dict[int, list[Decision]] = {}
    if history:
        for row in connection.execute(_DECISIONS, {"ids": [row.id for row in rows]}):
            decision = Decision(row.action, row.decided_by, row.reason, tuple(row.rules), row.decided_at)
            decisions.setdefault(row.pair_id, []).append(decision)
    return [
        Candidate(
            id=row.id, verdict=row.verdict, state=row.state, automatic=row.automatic,
            rules={name: _title(rules, name) for name in row.rules}, agree=_agreeing(rules, row.rules),
            against=tuple(row.against), doubts=tuple(row.doubts), one=sides[row.one_id], other=sides[row.other_id],
            since=row.created_at, decisions=tuple(decisions.get(row.id, ())),
        )
        for row in rows
    ]  # fmt: skip


def _title(rules: PeopleRules, name: str) -> Words:
    rule = rules.rules.get(name)
    return Words(name, name) if rule is None else rule.title.words


def _agreeing(rules: PeopleRules, held: Iterable[str]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(column for name in held if name in rules.rules for column in rules.rules[name].agree)
    )


def _sides(connection: Connection, ids: Iterable[int]) -> dict[int, Side]:
    wanted = sorted(ids)
    others = {row.id: tuple(row.keys) for row in connection.execute(_OTHERS, {"ids": wanted})}
    return {
        row.id: _side(row.key, row.content, others.get(row.id, ()), row.deleted_at is not None)
        for row in connection.execute(_SIDES, {"ids": wanted})
    }


def _side(key: str, content: Mapping[str, Any], others: tuple[str, ...], deleted: bool) -> Side:
    name = content["name"]
    book = content.get("addresses", ())
    address = book[0]["address"] if book else {}
    parts = [address.get(part) for part in ("prefecture", "city", "town", "street", "building")]
    line = "".join(part for part in parts if part) or " ".join(address.get("lines", ()))
    return Side(
        key=key,
        name=content.get("company") or name["full"],
        kana=name.get("full_kana") or "",
        phones=tuple(content.get("phones", ())),
        emails=tuple(content.get("emails", ())),
        address=line,
        birth_date=content.get("birth_date", ""),
        others=others,
        deleted=deleted,
    )


# ---------------------------------------------------------------- one content out of all


def merged_view(connection: Connection, key: str, owners: Mapping[str, str]) -> dict[str, Any]:
    """A person's customers as one content: the survivor's fields, and from the others what it does not say.

    A field that a system owns (`owners`, as `Systems.authority["customer"]`) is taken from that system's customer.
    Telephone numbers, e-mail addresses, the address book and identities of all are there, the survivor's first; of
    consents the strictest counts. Raises NoSuchCustomer.
    """
    entity_id = connection.scalar(_ID, {"key": key})
    if entity_id is None:
        raise NoSuchCustomer(key)
    (members,) = groups(connection, [entity_id])
    rows = list(connection.execute(_SPOKEN, {"ids": members}))
    survivor = next((row.person_id for row in rows if row.linked), entity_id)
    rows.sort(key=lambda row: (row.id == survivor, row.deleted_at is None, -row.id))
    bare = {
        row.id: without_overlay(row.content, row.own) if row.linked else dict(row.content) for row in rows
    }
    speakers: dict[str, Mapping[str, Any]] = {}
    for row in rows:  # of one system's customers, and of all systems, what stands later wins: the survivor's
        for system, said in (row.spoken or {row.system: bare[row.id]}).items():
            speakers[system] = {**speakers.pop(system, {}), **said}
    last = bare[survivor]
    merged = merge_contents({**speakers, "": last}, owners)
    merged["key"] = last["key"]
    merged.pop("merged_into", None)
    for name in ("emails", "phones", "addresses", "identities", "consents"):
        united = _united(bare[row.id].get(name, ()) for row in reversed(rows))
        if united:
            merged[name] = united
    denied = denials((row.key, bare[row.id]) for row in rows)
    view: dict[str, Any] = orjson.loads(laid_over(merged, {"denied": denied}))
    return view


def _united(lists: Iterable[Iterable[Any]]) -> list[Any]:
    found: list[Any] = []
    for each in lists:
        found += [item for item in each if item not in found]
    return found
