"""Which connectors are installed: those of this package and those other packages bring.

A package registers a connector by an entry point whose value is a `Connector`:

    [project.entry-points."tsunagi.connectors"]
    tiny_shop = "tiny_shop.connector:connector"
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from connectors.contract import Connector, Misconfigured

__all__ = ["GROUP", "ConnectorFault", "Connectors", "connector", "load_connectors"]

GROUP = "tsunagi.connectors"


@dataclass(frozen=True, slots=True)
class ConnectorFault:
    """An entry point that gave no connector. `origin` is the package and the value of the entry point."""

    name: str
    origin: str
    reason: str

    def __str__(self) -> str:
        return f"connector {self.name} ({self.origin}): {self.reason}"


class Connectors(dict[str, Connector[Any]]):
    """Name -> connector, in the order of the names. What could not be loaded stands in `faults`."""

    faults: tuple[ConnectorFault, ...] = ()

    def named(self, name: str) -> Connector[Any]:
        """The connector; raises `Misconfigured` with the nearest names, or with the reason it did not
        load.
        """
        if name in self:
            return self[name]
        for fault in self.faults:
            if fault.name == name:
                raise Misconfigured(str(fault))
        near = difflib.get_close_matches(name, self, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"installed are: {', '.join(self) or 'none'}"
        raise Misconfigured(f"no connector is named {name!r}; {hint}")


@cache
def load_connectors() -> Connectors:
    """Every installed connector. One that fails to import does not hide the others: see `faults`.

    The answer is kept for the life of the process; `load_connectors.cache_clear()` forgets it.
    """
    return gather(entry_points(group=GROUP))


def connector(name: str) -> Connector[Any]:
    """One installed connector; raises `Misconfigured` when there is none of that name or it cannot be
    loaded.
    """
    return load_connectors().named(name)


def gather(points: Iterable[EntryPoint]) -> Connectors:
    """The connectors of these entry points. Of two with one name the shipped, else the first package's,
    stays.
    """
    found = Connectors()
    faults: list[ConnectorFault] = []
    for point in sorted(points, key=_rank):
        value = _load(point)
        if isinstance(value, str):
            faults.append(ConnectorFault(point.name, _origin(point), value))
        elif point.name in found:
            faults.append(ConnectorFault(point.name, _origin(point), "another package has taken this name"))
        else:
            found[point.name] = value
    found.faults = tuple(faults)
    return found


def _load(point: EntryPoint) -> Connector[Any] | str:
    """The connector, or why there is none."""
    try:
        value = point.load()
    except Exception as error:  # noqa: BLE001  (code of other packages may fail in any way)
        return f"it cannot be imported: {type(error).__name__}: {error}"
    if not isinstance(value, Connector):
        return f"the entry point names a {type(value).__name__}, not a Connector"
    if value.name != point.name:
        return f"the connector calls itself {value.name!r}; the entry point must have the same name"
    return value


def _rank(point: EntryPoint) -> tuple[str, bool, str]:
    package = point.dist.name if point.dist else ""
    return point.name, package != "tsunagi", package


def _origin(point: EntryPoint) -> str:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown package"
    return f"{package}, {point.value}"
