"""Which connectors are installed: those of this package and those other packages bring.

A package registers a connector by an entry point whose value is a `Connector`:

    [project.entry-points."tsunagi.connectors"]
    tiny_shop = "tiny_shop.connector:connector"
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
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


class Connectors(MutableMapping[str, Connector[Any]]):
    """Name -> connector, in the order of the names. Who asks for one by name has only that one imported.

    known, more  connectors at hand
    points       entry points of the others, imported when they are asked for
    """

    def __init__(
        self,
        known: Mapping[str, Connector[Any]] | None = None,
        /,
        *,
        points: Iterable[EntryPoint] = (),
        **more: Connector[Any],
    ) -> None:
        self._loaded: dict[str, Connector[Any]] = {**(known or {}), **more}
        self._faults: dict[str, list[ConnectorFault]] = {}
        self._points: dict[str, list[EntryPoint]] = {}
        for point in sorted(points, key=_rank):
            self._points.setdefault(point.name, []).append(point)

    @property
    def faults(self) -> tuple[ConnectorFault, ...]:
        """What could not be loaded, by name; all are imported to tell."""
        self._load_all()
        return tuple(fault for name in sorted(self._faults) for fault in self._faults[name])

    def _load(self, name: str) -> None:
        # two threads may both do it, and come to the same: nothing is taken away before it is known
        found: Connector[Any] | None = None
        faults = []
        for point in self._points.get(name, ()):
            value = _value_of(point)
            if isinstance(value, str):
                faults.append(ConnectorFault(name, _origin(point), value))
            elif found is not None:
                faults.append(ConnectorFault(name, _origin(point), "another package has taken this name"))
            else:
                found = value
        if found is not None:
            self._loaded.setdefault(name, found)
        if faults:
            self._faults[name] = faults
        self._points.pop(name, None)

    def _load_all(self) -> None:
        for name in list(self._points):
            self._load(name)

    def __getitem__(self, name: str) -> Connector[Any]:
        self._load(name)
        return self._loaded[name]

    def __setitem__(self, name: str, connector: Connector[Any]) -> None:
        self._load(name)
        self._loaded[name] = connector

    def __delitem__(self, name: str) -> None:
        self._load(name)
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        self._load_all()
        return iter(sorted(self._loaded))

    def __len__(self) -> int:
        self._load_all()
        return len(self._loaded)

    def named(self, name: str) -> Connector[Any]:
        """The connector; raises `Misconfigured` with the nearest names, or with the reason it did not
        load.
        """
        if name in self:
            return self[name]
        if faults := self._faults.get(name):
            raise Misconfigured(str(faults[0]))
        near = difflib.get_close_matches(name, self, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"installed are: {', '.join(self) or 'none'}"
        raise Misconfigured(f"no connector is named {name!r}; {hint}")


@cache
def load_connectors() -> Connectors:
    """Every installed connector, imported when it is asked for. One that fails to import does not hide the others:
    see `faults`.

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
    return Connectors(points=points)


def _value_of(point: EntryPoint) -> Connector[Any] | str:
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
