"""What keeps an erased person erased: taking in looks at each customer and order, once anybody was erased.

An old order that is listed again stays without its person, and so does what belongs to it. A customer record of an
erased person is passed over. An order placed after the erasure is a new beginning of the person's own making: it comes
in whole, with a note, and from then on the person's customer records come in again too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text

from hub.entities import Draft, content_of
from hub.erasure.marks import Marks, marks_of_customer, marks_of_order
from hub.erasure.personal import KINDS_OF_PERSONS, scrub, scrub_parties

__all__ = ["Guard", "Screened", "open_guard"]

_MATCHED = text("SELECT mark, erasure_id, erased_at, returned_at FROM erasure_mark WHERE mark = ANY(:marks)")
_RETURNED = text("""
    UPDATE erasure_mark SET returned_at = now() WHERE erasure_id = ANY(:erasures) AND returned_at IS NULL
""")
_ERASED = text("""
    SELECT e.kind, e.key, x.erasure_id, x.recipients, e.content ->> 'customer_key' AS customer
    FROM erased_entity AS x JOIN entity AS e ON e.id = x.entity_id
    WHERE (e.kind = :kind AND e.key = ANY(:keys)) OR (e.kind = 'order' AND e.key = ANY(:orders))
""")
_OLD = text("""
    SELECT DISTINCT x.external_id FROM cross_reference AS x JOIN erased_entity AS g ON g.entity_id = x.entity_id
    WHERE x.system = :system AND x.kind = :kind AND x.external_id = ANY(:ids) AND g.recipients IS NULL
""")
_NOTE = text("""
    INSERT INTO erased_entity (entity_id, erasure_id)
    SELECT e.id, u.erasure FROM unnest(CAST(:keys AS text[]), CAST(:erasures AS bigint[])) AS u(key, erasure)
    JOIN entity AS e ON e.kind = :kind AND e.key = u.key ON CONFLICT DO NOTHING
""")


@dataclass(slots=True)
class Screened:
    """What is left of a chunk's drafts, and what was done.

    passed_over  drafts of erased customers
    blank        positions of rows of erased persons, to be blanked in the stored page
    keep         positions of rows that came after the erasure, and stay
    notes        for the operator
    fresh        key -> erasure of orders that are new to the hub and belong to somebody erased
    back         erasures of persons who have ordered anew
    """

    drafts: list[Draft] = field(default_factory=list)
    passed_over: int = 0
    blank: list[int] = field(default_factory=list)
    keep: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fresh: dict[str, int] = field(default_factory=dict)
    back: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Mark:
    erasure: int
    erased_at: datetime
    returned: bool


class Guard:
    """Screens what is taken in. Made once for each page; there is none while nobody was erased."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    def screen(
        self,
        connection: Connection,
        system: str,
        kind: str,
        drafts: Sequence[Draft],
        rows: Mapping[int, Sequence[int]],
    ) -> Screened:
        """The drafts without erased persons. Only reads; `settle` writes.

        rows  identity of a draft -> positions of its rows
        """
        result = Screened()
        if kind not in KINDS_OF_PERSONS:
            result.drafts = list(drafts)
            return result
        contents = [orjson.loads(draft.content) for draft in drafts]
        own = [self._known_by(system, kind, d, c) for d, c in zip(drafts, contents, strict=True)]
        matched = self._matched(connection, set().union(*own)) if own else {}
        erased = self._erased(connection, kind, drafts, contents)
        for draft, content, names in zip(drafts, contents, own, strict=True):
            hits = [matched[name] for name in names if name in matched]
            here = erased.get((kind, draft.key)) or erased.get(("order", str(content.get("order_key"))))
            if here is not None:
                self._again(kind, draft, content, here)
                if here.recipients is None or here.gone:
                    result.blank += rows.get(id(draft), ())
                result.drafts.append(draft)
            elif not hits or (kind == "customer" and all(hit.returned for hit in hits)):
                result.drafts.append(draft)
            elif kind == "customer":
                result.passed_over += 1
                result.blank += rows.get(id(draft), ())
            elif kind == "order" and _ordered_at(content) > max(hit.erased_at for hit in hits):
                result.back |= {hit.erasure for hit in hits}
                if not all(hit.returned for hit in hits):
                    result.notes.append(_came_back(draft.key, hits[0]))
                result.keep += rows.get(id(draft), ())
                result.drafts.append(draft)
            else:
                self._again(kind, draft, content, _Erased(None, hits[0].erasure, None))
                result.fresh[draft.key] = hits[0].erasure
                result.blank += rows.get(id(draft), ())
                result.drafts.append(draft)
        return result

    def settle(self, connection: Connection, kind: str, screened: Screened) -> None:
        """Once they are written: remember which new entities are of erased persons, and who has come back."""
        if screened.back:
            connection.execute(_RETURNED, {"erasures": sorted(screened.back)})
        if screened.fresh:
            keys, erasures = zip(*screened.fresh.items(), strict=True)
            connection.execute(_NOTE, {"kind": kind, "keys": list(keys), "erasures": list(erasures)})

    def old(self, connection: Connection, system: str, kind: str, ids: Sequence[str]) -> set[str]:
        """Of these external ids the ones whose person was erased: a refused record of them is not kept."""
        found = set(connection.scalars(_OLD, {"system": system, "kind": kind, "ids": list(ids)}))
        if kind == "customer":
            by_mark = {self._marks.of("id", system, one): one for one in ids}
            hits = self._matched(connection, set(by_mark))
            found |= {by_mark[mark] for mark, hit in hits.items() if not hit.returned}
        return found

    def _known_by(self, system: str, kind: str, draft: Draft, content: Mapping[str, Any]) -> set[bytes]:
        if kind == "customer":
            return marks_of_customer(self._marks, system, draft.external_id, draft.key)
        if kind == "order":
            return marks_of_order(self._marks, content)
        customer = content.get("customer_key")
        return {self._marks.of("key", customer)} if customer else set()

    def _matched(self, connection: Connection, marks: set[bytes]) -> dict[bytes, _Mark]:
        if not marks:
            return {}
        rows = connection.execute(_MATCHED, {"marks": sorted(marks)})
        return {bytes(r.mark): _Mark(r.erasure_id, r.erased_at, r.returned_at is not None) for r in rows}

    def _erased(
        self,
        connection: Connection,
        kind: str,
        drafts: Sequence[Draft],
        contents: Sequence[Mapping[str, Any]],
    ) -> dict[tuple[str, str], _Erased]:
        orders = [str(content["order_key"]) for content in contents if content.get("order_key")]
        names = {"kind": kind, "keys": [draft.key for draft in drafts], "orders": orders}
        return {
            (row.kind, row.key): _Erased(row.customer, row.erasure_id, row.recipients)
            for row in connection.execute(_ERASED, names)
            if row.kind != "customer"
        }

    def _again(self, kind: str, draft: Draft, content: dict[str, Any], here: _Erased) -> None:
        """Take the person out of a draft; its hash says nothing of the bytes it came in."""
        if here.recipients is None:
            content = scrub(kind, content)
            if content.get("customer_key"):
                content["customer_key"] = here.customer
                content = {name: value for name, value in content.items() if value is not None}
        elif kind == "order":
            content, gone = scrub_parties(kind, content, lambda _: False, frozenset(here.recipients))
            here.gone = bool(gone)
        else:
            return
        draft.content = content_of(kind, content)[1]
        draft.record_hash = b""


@dataclass(slots=True)
class _Erased:
    customer: str | None
    erasure: int
    recipients: list[str] | None
    gone: bool = False


def open_guard(connection: Connection) -> Guard | None:
    """None while nobody was ever erased. Raises Misconfigured when this machine holds another key."""
    marks = Marks.open(connection)
    return None if marks is None else Guard(marks)


def _ordered_at(content: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(content["ordered_at"]))


def _came_back(order: str, hit: _Mark) -> str:
    return (
        f"{order}: the buyer was erased (erasure {hit.erasure}) and has ordered anew; taken in as a new customer / "
        f"{order}: 消去済み（消去番号 {hit.erasure}）の購入者から新しい注文があり、新しい顧客として取り込みました"
    )
