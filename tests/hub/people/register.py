"""A store of customers, and short ways of saying what systems say and what persons decide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Engine, text

from hub.entities import Draft, content_of, write_drafts
from hub.people.decisions import accept, reject, undo
from hub.people.persons import Survivors, person_of
from hub.people.rules import PeopleRules, load_rules
from hub.people.turn import Matched, match_people
from hub.store.database import open_engine
from hub.systems import Systems


def customer(
    key: str, name: str = "山田 太郎", kana: str | None = "ヤマダ タロウ", **more: Any
) -> dict[str, Any]:
    """A customer's content; `phone`, `email`, `birth` and `address` (postal code and street) are short for lists."""
    content: dict[str, Any] = {"key": key, "name": {"full": name}}
    if kana is not None:
        content["name"]["full_kana"] = kana
    if "phone" in more:
        content["phones"] = [more.pop("phone")]
    if "email" in more:
        content["emails"] = [more.pop("email")]
    if "birth" in more:
        content["birth_date"] = more.pop("birth")
    if "address" in more:
        postal, street = more.pop("address")
        content["addresses"] = [{"address": {"postal_code": postal, "street": street}}]
    return {**content, **more}


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair of customers by their keys, the lesser first."""

    id: int
    keys: tuple[str, str]
    verdict: str
    state: str
    rules: tuple[str, ...]
    against: tuple[str, ...]
    automatic: bool
    doubts: tuple[str, ...]


class Register:
    """An engine with nothing but customers in it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.systems = Systems()
        self.rules: PeopleRules = load_rules()

    @classmethod
    @contextmanager
    def open(cls, url: str) -> Iterator[Self]:
        engine = open_engine(url)
        try:
            yield cls(engine)
        finally:
            engine.dispose()

    def clear(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "TRUNCATE entity, change_feed, flow_state, people_customer, people_pair, people_member CASCADE"
                )
            )

    # ------------------------------------------------------------ what systems say

    def say(self, *contents: dict[str, Any], system: str | None = None) -> None:
        """Each customer is said by the system its key begins with, or by `system`."""
        by_system: dict[str, list[Draft]] = {}
        for content in contents:
            model, body = content_of("customer", content)
            draft = Draft(model.key, b"", None, 1, model.key, body)
            by_system.setdefault(system or model.key.partition("/")[0], []).append(draft)
        for name, drafts in by_system.items():
            with self.engine.begin() as connection:
                write_drafts(
                    connection, system=name, kind="customer", mapping="customers.in", mapping_version=1, intake_id=1,
                    drafts=drafts, authority=self.systems.authority,
                )  # fmt: skip

    def match(self) -> Matched:
        return match_people(self.engine, self.systems, self.rules)

    # ------------------------------------------------------------ what persons decide

    @property
    def survivors(self) -> Survivors:
        return Survivors.of(self.rules.file.survivors, self.systems)

    def accept(self, pair: int, by: str = "hanako", **more: Any) -> int:
        with self.engine.begin() as connection:
            return accept(connection, pair, by=by, survivors=self.survivors, **more)

    def reject(self, pair: int, by: str = "hanako", reason: str = "別人") -> None:
        with self.engine.begin() as connection:
            reject(connection, pair, by=by, reason=reason)

    def undo(self, pair: int, by: str = "hanako", reason: str = "誤り") -> int:
        with self.engine.begin() as connection:
            return undo(connection, pair, by=by, reason=reason, survivors=self.survivors)

    # ------------------------------------------------------------ what comes of it

    def pairs(self) -> list[Pair]:
        rows = self.rows(
            "SELECT p.*, o.key AS one, t.key AS other FROM people_pair p JOIN entity o ON o.id = p.one_id "
            "JOIN entity t ON t.id = p.other_id ORDER BY p.id"
        )
        return [
            Pair(row.id, (min(row.one, row.other), max(row.one, row.other)), row.verdict, row.state,
                 tuple(row.rules), tuple(row.against), row.automatic, tuple(row.doubts))
            for row in rows
        ]  # fmt: skip

    def pair(self, one: str, other: str) -> Pair:
        """The pair of two customers. Raises LookupError where there is none."""
        for found in self.pairs():
            if found.keys == (min(one, other), max(one, other)):
                return found
        raise LookupError((one, other))

    def person(self, key: str) -> str:
        with self.engine.connect() as connection:
            return person_of(connection, key)

    def content(self, key: str) -> dict[str, Any]:
        (row,) = self.rows("SELECT content FROM entity WHERE kind = 'customer' AND key = :key", key=key)
        return dict(row.content)

    def state(self) -> dict[str, Any]:
        """Every customer's content and hash, and the person it belongs to; without versions."""
        rows = self.rows(
            "SELECT e.key, e.content, e.hash, m.person_id, m.overlay, m.own FROM entity e "
            "LEFT JOIN people_member m ON m.entity_id = e.id ORDER BY e.key"
        )
        return {row.key: (row.content, bytes(row.hash), row.person_id, row.overlay, row.own) for row in rows}

    def rows(self, query: str, **names: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(query), names).all())

    def written(self) -> list[Any]:
        """Which transaction wrote which row, in every table a turn may write to; to compare."""
        tables = ("entity", "change_feed", "flow_state", "people_customer", "people_block", "people_pair",
                  "people_decision", "people_member")  # fmt: skip
        versions = "md5(string_agg(ctid::text || xmin::text || xmax::text, ',' ORDER BY ctid))"
        return [self.rows(f"SELECT '{table}', count(*), {versions} FROM {table}")[0] for table in tables]
