"""Where each value of an entity came from: system, mapping and version, page or file, line and column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from hub.entities import HUB
from hub.intake import decode, load_intake
from mappings import RecordFaults

if TYPE_CHECKING:
    from hub.engine import Hub

__all__ = ["Explanation", "Origin", "explain"]


@dataclass(frozen=True, slots=True)
class Origin:
    """One value and where it came from. `line` is the position in `name` (a file's line, a page's index)."""

    field: str
    value: Any
    system: str
    mapping: str | None = None
    mapping_version: int | None = None
    intake_id: int | None = None
    name: str | None = None
    line: int | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """An entity, its versions so far, and the origin of each of its values."""

    kind: str
    key: str
    version: int
    content: dict[str, Any]
    origins: list[Origin]
    history: list[dict[str, Any]]
    references: list[dict[str, Any]]


_ENTITY = text("SELECT id, version, content FROM entity WHERE kind = :kind AND key = :key")
_RECORDS = text(
    "SELECT system, mapping, record_id, mapping_version, intake_id, position FROM record WHERE entity_id = :id "
    "ORDER BY intake_id, position"
)
_HISTORY = text("SELECT version, system, at FROM change_feed WHERE entity_id = :id ORDER BY xid, seq")
_REFERENCES = text("SELECT system, external_id FROM cross_reference WHERE entity_id = :id ORDER BY 1, 2")


def explain(hub: Hub, kind: str, key: str) -> Explanation:
    """Read the records behind an entity again and say where each value came from. Raises LookupError."""
    with hub.engine.connect() as connection:
        entity = connection.execute(_ENTITY, {"kind": kind, "key": key}).one_or_none()
        if entity is None:
            raise LookupError(f"no {kind} {key!r}")
        records = connection.execute(_RECORDS, {"id": entity.id}).all()
        history = [dict(row._mapping) for row in connection.execute(_HISTORY, {"id": entity.id})]
        references = [dict(row._mapping) for row in connection.execute(_REFERENCES, {"id": entity.id})]
    said: dict[str, Origin] = {}
    for row in records:  # the newest record of a field is the one that counts
        said.update({origin.field: origin for origin in _origins(hub, row)})
    leaves = dict(_leaves(entity.content))
    origins = []
    for field, value in leaves.items():
        found = said.get(field) or _covering(said, field)
        if found is None:
            origins.append(Origin(field, value, HUB))
        else:
            origins.append(
                Origin(
                    field, value, found.system, found.mapping, found.mapping_version, found.intake_id, found.name,
                    found.line, found.source,
                )
            )  # fmt: skip
    return Explanation(kind, key, entity.version, entity.content, origins, history, references)


def _covering(said: dict[str, Origin], field: str) -> Origin | None:
    """The origin of an enclosing field: a transform may give an object (money) for one expression."""
    while "." in field or "[" in field:
        field = field[: max(field.rfind("."), field.rfind("["))]
        if field in said:
            return said[field]
    return None


def _origins(hub: Hub, row: Any) -> Iterator[Origin]:
    system = hub.systems.get(row.system)
    mapping = hub.mapping(row.mapping)
    with hub.engine.connect() as connection:
        item = load_intake(connection, row.intake_id)
    if item.state == "erased":
        return
    bound = hub.bind(row.system, item.flow)
    config = hub.settings_of(row.system)

    context = {"system": {"id": row.system, **system.constants}}
    for unit in mapping.units(decode(hub.engine, item, bound.source, config), context):
        if row.position not in unit.positions or isinstance(unit, RecordFaults):
            continue
        for found in mapping.explain(unit.data, context, positions=unit.positions):
            yield Origin(
                found.field, found.value, row.system, row.mapping, row.mapping_version, row.intake_id, item.name,
                row.position, found.column,
            )  # fmt: skip
        return


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _leaves(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for index, part in enumerate(value):
            yield from _leaves(part, f"{path}[{index}]")
    else:
        yield path, value
