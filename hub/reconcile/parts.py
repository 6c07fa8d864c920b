"""What can be compared: the flows of a system that bring or send a kind of entity, and the sources that list it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from canonical_model.entity import ENTITIES
from connectors.contract import Connector, Deletes, Source, Write
from hub.system_file import System
from hub.words import HubError, Words
from mappings import Mapping as RecordMapping
from mappings.problems import suggestion

if TYPE_CHECKING:
    from hub.engine import BoundFlow, Hub

__all__ = ["MOMENTS", "NothingToCompare", "Part", "comparable", "moment_sql", "parts_of"]

Direction = Literal["in", "out"]

_DAY = "((({c} ->> '{f}')::date)::timestamp AT TIME ZONE 'Asia/Tokyo')"
_INSTANT = "(({c} ->> '{f}')::timestamptz)"
MOMENTS: dict[str, tuple[tuple[str, str], ...]] = {
    "order": ((_INSTANT, "ordered_at"),),
    "shipment": ((_INSTANT, "shipped_at"), (_DAY, "shipped_on"), (_INSTANT, "delivered_at")),
    "payment": ((_INSTANT, "created_at"), (_DAY, "paid_on")),
    "refund": ((_INSTANT, "decided_at"), (_DAY, "paid_on")),
    "return": ((_INSTANT, "requested_at"), (_DAY, "received_on")),
    "stock_movement": ((_INSTANT, "occurred_at"),),
    "settlement": ((_DAY, "paid_on"), (_DAY, "period_until")),
}
"""Kinds that happen at a moment, and where it stands: of these a stretch of time is compared, not all of it."""


def moment_sql(kind: str, content: str) -> str:
    """SQL for the moment of an entity whose content is the jsonb expression `content`; NULL where there is none."""
    told = [form.format(c=content, f=name) for form, name in MOMENTS.get(kind, ())]
    return f"coalesce({', '.join(told)})" if told else "NULL::timestamptz"


class NothingToCompare(HubError):
    """The system has no flow of that kind whose other side can be listed."""


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison of a run.

    number     within the run
    direction  in: what a pull brought, held against what the source lists; out: what a push sent, held against what a
               source shows of it
    source     the source that lists
    """

    number: int
    bound: BoundFlow
    direction: Direction
    mapping: RecordMapping
    source: Source

    @property
    def system(self) -> str:
        return self.bound.system.system

    @property
    def flow(self) -> str:
        return self.bound.name

    @property
    def kind(self) -> str:
        return self.mapping.entity

    @property
    def files(self) -> bool:
        """The system speaks files: reading its source would take them away."""
        return self.bound.connector.files is not None

    @property
    def dated(self) -> bool:
        """Whether what the source lists happens at moments, so that only a stretch of time is read."""
        kinds = [mapping.entity for mapping in self.bound.mappings]
        return any(kind in MOMENTS for kind in kinds) and not (
            self.direction == "in" and self.source.deletes is Deletes.ABSENCE
        )

    @property
    def repeatable(self) -> bool:
        """Of an out part: whether a value that differs may be sent over what stands there."""
        return self.bound.sink.write is Write.ABSOLUTE


def parts_of(hub: Hub, system_id: str, subject: str) -> tuple[list[Part], list[Words]]:
    """The parts of a comparison of `subject` (a kind of entity, or the name of a flow), and what is left out and why.

    Raises UnknownName for the system, NothingToCompare with what there is.
    """
    system = hub.systems.get(system_id)
    parts: list[Part] = []
    notes: list[Words] = []
    for name in system.flows:
        bound = hub.bind(system_id, name)
        mappings = [one for one in bound.mappings if subject in (name, one.entity)]
        if bound.flow.pull is not None:
            parts += [
                Part(len(parts) + n, bound, "in", mapping, bound.source) for n, mapping in enumerate(mappings)
            ]
        elif mappings and bound.sink.listed is not None:
            source = bound.connector.sources[bound.sink.listed.source]
            parts.append(Part(len(parts), bound, "out", mappings[0], source))
        elif mappings:
            notes.append(_unseen(name))
    if not parts:
        raise _nothing(
            system,
            subject,
            bool(notes),
            comparable(system, hub.connectors.named(system.connector), hub.mapping),
        )
    return parts, notes


def comparable(system: System, connector: Connector[Any], mapping: Callable[[str], Any]) -> list[str]:
    """Kinds of entity of this system that can be compared; `mapping` finds a mapping by its name."""
    kinds: dict[str, None] = {}
    for flow in system.flows.values():
        sink = connector.sinks.get(flow.push or "")
        if flow.pull is not None or (sink is not None and sink.listed is not None):
            kinds.update(dict.fromkeys(mapping(name).entity for name in flow.mapping_names))
    return sorted(kinds)


def _unseen(flow: str) -> Words:
    return Words(
        f"フロー {flow} は、送った内容を相手側で一覧できないため照合していません。",
        f"The flow {flow} was not compared: the system has no list of what it was sent.",
    )


def _nothing(system: System, subject: str, unseen: bool, known: list[str]) -> NothingToCompare:
    name = system.system
    ja, en = suggestion(subject, [*known, *system.flows])
    there_ja, there_en = ", ".join(known) or "なし", ", ".join(known) or "none"
    if unseen:
        return NothingToCompare(
            f"{name} では {subject} を照合できません。送った内容の一覧が相手側にありません。照合できる種類: {there_ja}",
            f"{subject} of {name} cannot be compared: the system has no list of what it was sent. "
            f"Kinds that can be: {there_en}",
        )
    what_ja = "" if subject in ENTITIES else ja
    what_en = "" if subject in ENTITIES else en
    return NothingToCompare(
        f"{name} に「{subject}」を取り込む・送るフローはありません。{what_ja}照合できる種類: {there_ja}",
        f"{name} has no flow that brings or sends {subject!r}.{what_en} Kinds that can be compared: {there_en}",
    )
