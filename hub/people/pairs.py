"""Pairs of customers: which rules hold, what speaks against them, and whether the two may be linked at once.

Nothing is merged beyond one step without a person: rules link two customers only if neither is linked to anybody, and
if of all customers neither meets another one by a rule of the verdict `same`. Whatever joins a third one waits for a
person (docs/decisions/people-links.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import Connection, text

from hub.people.columns import Columns, conflicts
from hub.people.rules import PeopleRules, Verdict

__all__ = ["Judgement", "Paired", "judge", "pair_round"]

RULES = "rules"
"""Who decided, where rules did."""
_ORDER = list(Verdict)
_COMPARED = ("name", "kana", "phone", "email", "address", "room", "birth_date", "sex")
_FACTS = ("same_system", "blocked", "deceased", "company")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules say of two customers.

    rules    those that hold, in their order
    against  columns that differ and facts, in a fixed order; for people to see
    asks     those of them that keep the two from being linked by rules
    """

    verdict: Verdict
    rules: tuple[str, ...]
    against: tuple[str, ...]
    asks: tuple[str, ...]


def judge(rules: PeopleRules, held: Iterable[str], one: Columns, other: Columns) -> Judgement | None:
    """The verdict on two customers of whom the columns of the rules `held` agree; None: they stay strangers.

    The same whichever of the two comes first.
    """
    agreed = set(held)
    holding: list[str] = []
    verdicts: list[Verdict] = []
    asks: set[str] = set()
    for name, rule in rules.rules.items():
        if name not in agreed or not all(conflicts(column, one, other) for column in rule.differ):
            continue
        if any(conflicts(what, one, other) for what in rule.never):
            continue
        holding.append(name)
        verdicts.append(rule.verdict)
        if rule.verdict is Verdict.SAME:
            asks |= {what for what in rule.ask if conflicts(what, one, other)}
    if not holding:
        return None
    strongest = min(verdicts, key=_ORDER.index)
    if strongest is Verdict.SAME and asks:
        strongest = Verdict.LIKELY
    against = tuple(what for what in (*_COMPARED, *_FACTS) if conflicts(what, one, other))
    return Judgement(strongest, tuple(holding), against, tuple(sorted(asks)))


@dataclass(slots=True)
class Paired:
    """What a round came to.

    compared   customers that were looked at
    opened     pairs put into the queue, or brought back to it changed
    noted      households recorded
    withdrawn  undecided pairs that no rule speaks of any more
    doubted    links made by rules that rules would not make today
    linked     both customers of each new link
    crowded    rule -> customers not paired because too many have the same values
    """

    compared: int = 0
    opened: int = 0
    noted: int = 0
    withdrawn: int = 0
    doubted: int = 0
    linked: list[tuple[int, int]] = field(default_factory=list)
    crowded: dict[str, int] = field(default_factory=dict)


_DIRTY = text("SELECT entity_id FROM people_customer WHERE dirty ORDER BY entity_id LIMIT :limit")
_CLEAN = text("UPDATE people_customer SET dirty = false WHERE entity_id = ANY(:ids)")
# customers that agree, by rule and digest; one more than may be paired shows that there are too many
_GROUPS = text("""
    CREATE TEMP TABLE IF NOT EXISTS people_group (
        rule text, digest bigint, entity_id bigint, mine boolean, size bigint
    ) ON COMMIT DELETE ROWS
""")
_EMPTY = text("TRUNCATE pg_temp.people_group")
_GROUP = text("""
    INSERT INTO pg_temp.people_group
    WITH wanted AS MATERIALIZED (SELECT DISTINCT rule, digest FROM people_block WHERE entity_id = ANY(:ids))
    SELECT * FROM (
        SELECT w.rule, w.digest, o.entity_id, o.entity_id IN (SELECT unnest(CAST(:ids AS bigint[]))),
               count(*) OVER (PARTITION BY w.rule, w.digest) AS n
        FROM wanted AS w CROSS JOIN LATERAL (
            SELECT entity_id FROM people_block WHERE rule = w.rule AND digest = w.digest LIMIT :most + 1
        ) AS o
    ) AS grouped WHERE n > 1
""")
_CROWDED = text("""
    SELECT b.rule, count(DISTINCT b.entity_id) AS customers FROM people_block AS b
    JOIN (SELECT DISTINCT rule, digest FROM pg_temp.people_group WHERE size > :most) AS g USING (rule, digest)
    WHERE b.entity_id = ANY(:ids) GROUP BY b.rule ORDER BY b.rule
""")
_MEETING = text("""
    SELECT least(m.entity_id, o.entity_id) AS one, greatest(m.entity_id, o.entity_id) AS other,
           array_agg(DISTINCT m.rule) AS rules
    FROM pg_temp.people_group AS m JOIN pg_temp.people_group AS o USING (rule, digest)
    WHERE m.mine AND m.size <= :most AND o.entity_id <> m.entity_id
    GROUP BY 1, 2 ORDER BY 1, 2
""")
_KNOWN = text("""
    SELECT * FROM people_pair WHERE one_id = ANY(:ids)
    UNION SELECT * FROM people_pair WHERE other_id = ANY(:ids)
""")
_COLUMNS = text("SELECT * FROM people_customer WHERE entity_id = ANY(:ids)")
_MEMBERS = text("SELECT entity_id FROM people_member WHERE entity_id = ANY(:ids)")
# everybody one meets by a rule that may link, however many and whatever speaks against it
_PARTNERS = text("""
    SELECT m.entity_id FROM people_block AS m JOIN people_block AS o USING (rule, digest)
    WHERE m.entity_id = ANY(:ids) AND m.rule = ANY(:rules) AND o.entity_id <> m.entity_id
    GROUP BY m.entity_id HAVING count(DISTINCT o.entity_id) > 1
""")
_WRITE = text("""
    WITH written AS (
        INSERT INTO people_pair AS p (one_id, other_id, verdict, rules, against, state, automatic, decided_at)
        SELECT one, other, verdict, string_to_array(rules, ','), string_to_array(against, ','), state,
               state = 'linked', CASE WHEN state = 'linked' THEN now() END
        FROM unnest(CAST(:ones AS bigint[]), CAST(:others AS bigint[]), CAST(:verdicts AS text[]),
                    CAST(:rules AS text[]), CAST(:against AS text[]), CAST(:states AS text[]))
            AS n(one, other, verdict, rules, against, state)
        ORDER BY one, other
        ON CONFLICT (one_id, other_id) DO UPDATE SET verdict = excluded.verdict, rules = excluded.rules,
            against = excluded.against, state = excluded.state, automatic = excluded.automatic,
            decided_at = excluded.decided_at
        RETURNING id, state, rules
    )
    INSERT INTO people_decision (pair_id, action, decided_by, rules)
    SELECT id, 'linked', :by, rules FROM written WHERE state = 'linked' ORDER BY id
""")
_DOUBT = text("""
    UPDATE people_pair AS p SET doubts = string_to_array(n.doubts, ',')
    FROM unnest(CAST(:ids AS bigint[]), CAST(:doubts AS text[])) AS n(id, doubts) WHERE p.id = n.id
""")
_WITHDRAW = text("DELETE FROM people_pair WHERE id = ANY(:ids)")
_UNDECIDED = ("open", "noted")
_LINKED = "linked"


def pair_round(connection: Connection, rules: PeopleRules, limit: int) -> Paired:
    """Look for pairs of up to `limit` changed customers, in a transaction that is `alone`.

    The persons of `linked` are still to be settled. `compared` is nought when nothing is left to do.
    """
    ids = list(connection.scalars(_DIRTY, {"limit": limit}))
    result = Paired(compared=len(ids))
    if not ids:
        return result
    size = {"ids": ids, "most": rules.too_many}
    connection.execute(_GROUPS)
    connection.execute(_EMPTY)
    connection.execute(_GROUP, size)
    for row in connection.execute(_CROWDED, size):
        result.crowded[row.rule] = row.customers
    meeting = {
        (row.one, row.other): row.rules for row in connection.execute(_MEETING, {"most": rules.too_many})
    }
    known = {(row.one_id, row.other_id): row for row in connection.execute(_KNOWN, {"ids": ids})}
    columns = _columns(connection, {side for pair in (*meeting, *known) for side in pair})
    judged = {
        pair: verdict
        for pair, held in meeting.items()
        if (verdict := judge(rules, held, columns[pair[0]], columns[pair[1]])) is not None
    }
    result.linked = _to_link(connection, rules, judged, known)
    _write_pairs(connection, judged, known, result)
    _doubt_links(connection, rules, known, columns, result)
    connection.execute(_CLEAN, {"ids": ids})
    return result


def _columns(connection: Connection, ids: set[int]) -> dict[int, Columns]:
    names = [each.name for each in fields(Columns)]
    found: dict[int, Columns] = {}
    for row in connection.execute(_COLUMNS, {"ids": sorted(ids)}):
        values: dict[str, Any] = {name: getattr(row, name) for name in names}
        many = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        found[row.entity_id] = Columns(**{**values, **many})
    return found


Pair = tuple[int, int]


def _to_link(
    connection: Connection,
    rules: PeopleRules,
    judged: Mapping[Pair, Judgement],
    known: Mapping[Pair, Any],
) -> list[Pair]:
    """The pairs that may be linked without a person: certain, undecided, both single, and both met by nobody else."""
    certain = [
        pair
        for pair, verdict in judged.items()
        if verdict.verdict is Verdict.SAME and (pair not in known or known[pair].state in _UNDECIDED)
    ]
    if not certain:
        return []
    ids = sorted({side for pair in certain for side in pair})
    taken = set(connection.scalars(_MEMBERS, {"ids": ids}))
    taken |= set(connection.scalars(_PARTNERS, {"ids": ids, "rules": rules.named(Verdict.SAME)}))
    return [pair for pair in certain if not taken.intersection(pair)]


def _write_pairs(
    connection: Connection, judged: Mapping[Pair, Judgement], known: Mapping[Pair, Any], result: Paired
) -> None:
    """Write new pairs and changed ones, withdraw undecided ones that no rule speaks of; decided ones stay."""
    linked = set(result.linked)
    rows: list[tuple[int, int, str, str, str, str]] = []
    for pair, verdict in judged.items():
        old = known.get(pair)
        if old is not None and old.state not in _UNDECIDED:
            continue
        household = verdict.verdict is Verdict.HOUSEHOLD
        state = _LINKED if pair in linked else "noted" if household else "open"
        now = (verdict.verdict.value, list(verdict.rules), list(verdict.against), state)
        if old is not None and (old.verdict, old.rules, old.against, old.state) == now:
            continue
        rows.append((*pair, now[0], ",".join(now[1]), ",".join(now[2]), state))
        result.opened += state == "open"
        result.noted += state == "noted"
    if rows:
        names = ("ones", "others", "verdicts", "rules", "against", "states")
        arrays = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        connection.execute(_WRITE, {**arrays, "by": RULES})
    gone = [row.id for pair, row in known.items() if row.state in _UNDECIDED and pair not in judged]
    if gone:
        connection.execute(_WITHDRAW, {"ids": gone})
        result.withdrawn = len(gone)


def _doubt_links(
    connection: Connection,
    rules: PeopleRules,
    known: Mapping[Pair, Any],
    columns: Mapping[int, Columns],
    result: Paired,
) -> None:
    """Say of links made by rules what would keep rules from making them today; only a person takes them back."""
    asks = {what for rule in rules.rules.values() if rule.verdict is Verdict.SAME for what in rule.ask}
    changed: dict[int, str] = {}
    for (one, other), row in known.items():
        if row.state != _LINKED or not row.automatic or one not in columns or other not in columns:
            continue
        doubts = sorted(what for what in asks if conflicts(what, columns[one], columns[other]))
        if doubts != row.doubts:
            changed[row.id] = ",".join(doubts)
            result.doubted += bool(doubts)
    if changed:
        connection.execute(_DOUBT, {"ids": list(changed), "doubts": list(changed.values())})
