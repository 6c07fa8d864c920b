"""Finds mappings and their tables, loads them once, and again when a file changed."""

from __future__ import annotations

import hashlib
import re
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mappings.mapping import Mapping
from mappings.problems import MappingError, Problems
from mappings.reader import read_tree
from mappings.tables import Table, find_table, read_table

__all__ = ["HOME", "find_mappings", "load_mapping"]

LANGUAGE = 1
"""Raised when the meaning of mapping files or transforms changes, so that digests change with it."""

HOME = Path(__file__).parent
_NAME = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9_-]+\.(?:in|out)")


class _Cached(NamedTuple):
    text: bytes
    tables: tuple[tuple[str, Path, bytes], ...]
    mapping: Mapping


_cache: dict[Path, _Cached] = {}
_lock = threading.Lock()


def find_mappings(roots: Sequence[Path] | None = None) -> list[str]:
    """Names of all mappings under the roots (the shipped ones without roots)."""
    found = {
        f"{path.parent.name}/{path.name.removesuffix('.yaml')}"
        for root in (roots if roots is not None else [HOME])
        for direction in ("in", "out")
        for path in root.glob(f"*/*.{direction}.yaml")
    }
    return sorted(found)


def load_mapping(name: str, *, roots: Sequence[Path] = ()) -> Mapping:
    """Load a mapping by name ("file_exchange/general_orders.in"); kept until its file or a table changes.

    `roots` are folders laid out like `mappings/` that go before the shipped ones; each may hold mappings or only
    tables. Raises MappingError with everything that is wrong.
    """
    if _NAME.fullmatch(name) is None:
        problems = Problems(name)
        problems.add("bad_name", name=name)
        problems.raise_if_any()
    places = [*roots, HOME]
    path = next((root / f"{name}.yaml" for root in places if (root / f"{name}.yaml").is_file()), None)
    if path is None:
        problems = Problems(f"{name}.yaml")
        problems.add("no_file", name=name, near=(name, find_mappings(places)))
        raise MappingError(problems.found)
    text = path.read_bytes()
    connector = name.partition("/")[0]
    with _lock:
        held = _cache.get(path)
    if (
        held is not None
        and held.text == text
        and held.mapping.name == name
        and _same_tables(held, places, connector)
    ):
        return held.mapping
    return _load(name, path, text, places, connector)


def _same_tables(held: _Cached, places: Sequence[Path], connector: str) -> bool:
    return all(
        find_table(places, connector, table) == path and path.read_bytes() == content
        for table, path, content in held.tables
    )


def _load(name: str, path: Path, text: bytes, places: Sequence[Path], connector: str) -> Mapping:
    used: dict[str, tuple[Table, Path]] = {}

    def tables(table: str) -> tuple[Table | None, Path | None, list[str]]:
        found = find_table(places, connector, table)
        if found is None:
            known = sorted({p.stem for root in places for p in (root / connector / "tables").glob("*.csv")})
            return None, Path(connector, "tables", f"{table}.csv"), known
        read = read_table(found, table, f"{connector}/tables/{table}.csv")
        used[table] = read, found
        return read, found, []

    file = f"{name}.yaml"
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems = Problems(file)
        problems.note("yaml", {"detail": "not UTF-8"}, file, text[: error.start].count(b"\n") + 1, "")
        raise MappingError(problems.found) from None
    tree = read_tree(decoded, name, file, tables, shipped=path.is_relative_to(HOME))
    digest = hashlib.sha256(f"{LANGUAGE}\n".encode() + text)
    for table in sorted(used):
        digest.update(f"\n{table}\n{used[table][0].digest}".encode())
    for function in tree.functions:
        module = sys.modules[function.__module__]
        if module.__file__ is not None:
            digest.update(Path(module.__file__).read_bytes())
    mapping = Mapping(tree, digest.hexdigest(), roots=places[:-1])
    contents = tuple((table, file, file.read_bytes()) for table, (_, file) in sorted(used.items()))
    with _lock:
        _cache[path] = _Cached(text, contents, mapping)
    return mapping
