"""A turn of matching: what changed since the last one is folded, blocked and compared with everybody.

Customers are read from the change feed behind the room's own position, so the cost grows with what changed. First all
changed customers get their columns, then pairs are looked for: whether a customer is the only one to meet another is
decided with all of them in place, and does not depend on the order they came in.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, Engine, text

from hub.feed import FeedPosition, enter_feed, horizon, load_position, more_behind, read_feed, save_position
from hub.people.columns import Columns, Folder, blocks_of
from hub.people.overlay import without_overlay
from hub.people.pairs import pair_round
from hub.people.persons import Survivors, alone, settle
from hub.people.rules import PeopleRules
from hub.progress import Counter, Watch
from hub.store.database import copy_rows

if TYPE_CHECKING:
    from hub.systems import Systems

__all__ = ["Matched", "match_people"]

ROUND = 5_000
"""Customers folded or paired in one transaction; memory does not grow with how many there are."""
PATIENCE = 5.0
"""Seconds to wait for a transaction that holds back newer changes; after that the next turn sees them."""
_SYSTEM, _FLOW, _KIND = "hub", "people", "customer"


@dataclass(slots=True)
class Matched:
    """What a turn came to.

    folded     customers whose matching columns are new or changed
    compared   customers pairs were looked for of
    linked     pairs linked by rules, two single customers each
    opened     pairs that wait for a person
    noted      households recorded
    withdrawn  undecided pairs that no rule speaks of any more
    doubted    links made by rules that rules would not make today
    changed    customers written, because they were linked or what is laid over them changed
    crowded    rule -> customers not paired because too many have the same values
    waiting    newer changes are held back by a running transaction; another turn must follow
    """

    folded: int = 0
    compared: int = 0
    linked: int = 0
    opened: int = 0
    noted: int = 0
    withdrawn: int = 0
    doubted: int = 0
    changed: int = 0
    crowded: dict[str, int] = field(default_factory=dict)
    waiting: bool = False
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_STATE = text("SELECT cursor FROM flow_state WHERE system = :system AND flow = :flow")
_SAVE_STATE = text("""
    INSERT INTO flow_state (system, flow, cursor) VALUES (:system, :flow, CAST(:state AS jsonb))
    ON CONFLICT (system, flow) DO UPDATE SET cursor = excluded.cursor
""")
_AFTER = text("SELECT id FROM entity WHERE kind = 'customer' AND id > :after ORDER BY id LIMIT :limit")
_CUSTOMERS = text("""
    SELECT e.id, e.key, e.content, e.deleted_at, m.own, c.hash
    FROM entity AS e LEFT JOIN people_member AS m ON m.entity_id = e.id
    LEFT JOIN people_customer AS c ON c.entity_id = e.id
    WHERE e.id = ANY(:ids) ORDER BY e.id
""")
_MEMBERS = text("SELECT entity_id FROM people_member WHERE entity_id = ANY(:ids)")
_UNBLOCK = text("DELETE FROM people_block WHERE entity_id = ANY(:ids)")
_REMOVE = text("DELETE FROM people_customer WHERE entity_id = ANY(:ids)")
_WITHDRAW = text("""
    DELETE FROM people_pair WHERE state IN ('open', 'noted') AND (one_id = ANY(:ids) OR other_id = ANY(:ids))
""")
_STAGE = text("""
    CREATE TEMP TABLE IF NOT EXISTS people_stage (LIKE people_customer INCLUDING DEFAULTS) ON COMMIT DELETE ROWS
""")
_EMPTY = text("TRUNCATE pg_temp.people_stage")
_NAMES = ("scope", "name", "kana", "given", "given_kana", "phones", "emails", "addresses", "rooms", "birth_date",
          "sex", "flags")  # fmt: skip
_COPY = f"COPY pg_temp.people_stage (entity_id, {', '.join(_NAMES)}, hash) FROM STDIN (FORMAT BINARY)"
_TYPES = ["int8", *["text"] * 5, *["text[]"] * 4, "date", "text", "text[]", "bytea"]
_UPSERT = text(f"""
    INSERT INTO people_customer (entity_id, {", ".join(_NAMES)}, hash, dirty)
    SELECT entity_id, {", ".join(_NAMES)}, hash, true FROM pg_temp.people_stage
    ON CONFLICT (entity_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in (*_NAMES, "hash"))},
        dirty = true
""")  # noqa: S608  (constants)
_ANALYZE = text("ANALYZE people_customer, people_block, people_pair, people_member")
_COPY_BLOCKS = "COPY people_block (rule, digest, entity_id) FROM STDIN (FORMAT BINARY)"


def match_people(
    engine: Engine, systems: Systems, rules: PeopleRules, *, wait: bool = True, watch: Watch | None = None
) -> Matched:
    """Compare every customer that changed, link what is certain, queue the rest for people.

    Cheap when nothing changed, and then writes nothing. Turns wait for each other. `wait` waits up to five seconds for
    changes that a running transaction holds back; `watch` is told of customers folded and paired.
    """
    result = Matched()
    started = time.monotonic()
    turn = _Turn(engine, rules, Survivors.of(rules.file.survivors, systems), Counter(watch), result)
    until = started + PATIENCE
    while True:
        changed = result.changed
        turn.run()
        with engine.connect() as connection:
            position = load_position(connection, _SYSTEM, _FLOW)
            result.waiting = more_behind(connection, position=position, kinds=[_KIND])
        if not result.waiting:
            break
        if changed == result.changed:  # not our own writes, which the next round reads
            if not wait or time.monotonic() >= until:
                break
            time.sleep(0.02)
    result.seconds = round(time.monotonic() - started, 3)
    return result


class _Turn:
    def __init__(
        self, engine: Engine, rules: PeopleRules, survivors: Survivors, counter: Counter, result: Matched
    ) -> None:
        self.engine = engine
        self.rules = rules
        self.survivors = survivors
        self.counter = counter
        self.result = result
        self.folder = Folder(rules)

    def run(self) -> None:
        with self.engine.begin() as connection:
            below = horizon(connection)
        folded = self.result.folded
        while self._fold_round(below):
            pass
        if self.result.folded - folded >= ROUND // 2:  # the planner must know before autovacuum tells it
            with self.engine.begin() as connection:
                connection.execute(_ANALYZE)
        while self._pair_round():
            pass

    # ------------------------------------------------------------ columns

    def _fold_round(self, below: int) -> bool:
        """Fold a round of customers that changed, or of all when the rules did; returns whether more may follow."""
        with self.engine.begin() as connection:
            alone_in_feed(connection)
            before = connection.scalar(_STATE, {"system": _SYSTEM, "flow": _FLOW})
            state = dict(before or {})
            if state.get("rules") != self.rules.digest:
                # everybody is read once below, with every change up to here
                state = {"rules": self.rules.digest, "after": 0}
                save_position(connection, _SYSTEM, _FLOW, FeedPosition(below, 0))
            ids, more = self._next(connection, state, below)
            if ids:
                self._fold(connection, ids)
                members = list(connection.scalars(_MEMBERS, {"ids": ids}))
                if members:
                    self.result.changed += settle(connection, members, self.survivors)
            if state != before:
                connection.execute(
                    _SAVE_STATE, {"system": _SYSTEM, "flow": _FLOW, "state": orjson.dumps(state).decode()}
                )
        self.counter.add(len(ids))
        return more

    def _next(self, connection: Connection, state: dict[str, Any], below: int) -> tuple[list[int], bool]:
        if "after" in state:
            ids = list(connection.scalars(_AFTER, {"after": state["after"], "limit": ROUND}))
            if ids:
                state["after"] = ids[-1]
            else:
                del state["after"]
            return ids, True
        position = load_position(connection, _SYSTEM, _FLOW)
        changed, behind = read_feed(
            connection, position=position, below=below, kinds=[_KIND], system=_SYSTEM, limit=ROUND
        )
        if behind != position:
            save_position(connection, _SYSTEM, _FLOW, behind)
        return [one.entity_id for one in changed], bool(changed)

    def _fold(self, connection: Connection, ids: Sequence[int]) -> None:
        folded: dict[int, tuple[Columns, bytes]] = {}
        gone: list[int] = []
        for row in connection.execute(_CUSTOMERS, {"ids": list(ids)}):
            if row.deleted_at is not None:
                gone.append(row.id)
                continue
            content = row.content if row.own is None else without_overlay(row.content, row.own)
            columns = self.folder.columns(row.key, content)
            digest = columns.digest(self.rules.digest)
            if row.hash is None or bytes(row.hash) != digest:
                folded[row.id] = columns, digest
        if gone:
            connection.execute(_REMOVE, {"ids": gone})
            connection.execute(_WITHDRAW, {"ids": gone})
        if folded:
            self._write(connection, folded)
        self.result.folded += len(folded)

    def _write(self, connection: Connection, folded: dict[int, tuple[Columns, bytes]]) -> None:
        connection.execute(_STAGE)
        connection.execute(_EMPTY)
        copy_rows(connection, _COPY, _TYPES, (_staged(*each) for each in folded.items()))
        connection.execute(_UPSERT)
        connection.execute(_UNBLOCK, {"ids": list(folded)})
        blocks = (
            (rule, digest, entity_id)
            for entity_id, (columns, _) in folded.items()
            for rule, digest in sorted(set(blocks_of(columns, self.rules.rules)))
        )
        copy_rows(connection, _COPY_BLOCKS, ["text", "int8", "int8"], blocks)

    # ------------------------------------------------------------ pairs

    def _pair_round(self) -> bool:
        with self.engine.begin() as connection:
            alone_in_feed(connection)
            found = pair_round(connection, self.rules, ROUND)
            if found.linked:
                self.result.changed += settle(connection, _sides(found.linked), self.survivors)
        result = self.result
        result.compared += found.compared
        result.linked += len(found.linked)
        result.opened += found.opened
        result.noted += found.noted
        result.withdrawn += found.withdrawn
        result.doubted += found.doubted
        for rule, customers in found.crowded.items():
            result.crowded[rule] = result.crowded.get(rule, 0) + customers
        self.counter.add(found.compared)
        return found.compared > 0


def alone_in_feed(connection: Connection) -> None:
    """The beginning of every transaction of this room that may write."""
    enter_feed(connection)
    alone(connection)


def _staged(entity_id: int, folded: tuple[Columns, bytes]) -> tuple[Any, ...]:
    columns, digest = folded
    values = [getattr(columns, name) for name in _NAMES]
    return (entity_id, *(list(value) if isinstance(value, tuple) else value for value in values), digest)


def _sides(pairs: Iterable[tuple[int, int]]) -> list[int]:
    return [side for pair in pairs for side in pair]
