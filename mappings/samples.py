"""Sample pairs: what a mapping is given and what it must make of it, kept beside the mapping.

    mappings/<connector>/samples/<name>.in/<case>.input.json      {"context"?: {...}, "records": [{...}, ...]}
    mappings/<connector>/samples/<name>.in/<case>.expected.json   {"entities": [...], "faults"?: [...], "skipped"?: n}
    mappings/<connector>/samples/<name>.out/<case>.input.json     {"context"?, "entity": {...}, "related"?: {...}}
    mappings/<connector>/samples/<name>.out/<case>.expected.json  {"key": ..., "record": ...}, {"faults": [...]} or null

Expected faults need only name what matters: each must be found in a fault of its own, in any order. Dates stand as
JSON writes them; positions count from 1. `python -m mappings.samples NAME CASE` prints what a mapping makes of an
input, to be read and then kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from canonical_model import entity_model
from mappings.faults import FieldFault, RecordFaults
from mappings.loading import HOME, find_mappings, load_mapping

__all__ = ["Sample", "differences", "find_samples", "plain", "run_sample", "without_samples"]

CONTEXT: Mapping[str, Any] = {"system": {"id": "sample", "channel": "sample"}}


@dataclass(frozen=True)
class Sample:
    """One pair. `str()` is its name in test reports."""

    mapping: str
    case: str
    input: Path
    expected: Path
    root: Path = HOME

    def __str__(self) -> str:
        return f"{self.mapping}:{self.case}"


@dataclass(frozen=True)
class _Row:
    data: Mapping[str, Any]
    position: int


def find_samples(root: Path = HOME) -> list[Sample]:
    """All pairs under a root; a missing half is told when the sample runs."""
    samples = []
    for given in sorted(root.glob("*/samples/*/*.input.json")):
        case = given.name.removesuffix(".input.json")
        name = f"{given.parents[2].name}/{given.parent.name}"
        samples.append(Sample(name, case, given, given.with_name(f"{case}.expected.json"), root))
    return samples


def without_samples(root: Path = HOME) -> list[str]:
    """Mappings nobody wrote a sample for, and samples of mappings that are not there."""
    tried, there = {sample.mapping for sample in find_samples(root)}, set(find_mappings([root]))
    return sorted(tried ^ there)


def plain(value: Any) -> Any:
    """A value as JSON would carry it: dates in ISO 8601 (instants with Z), decimals as text."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def run_sample(sample: Sample) -> Any:
    """What the mapping makes of the sample's input, in the shape of an expected file."""
    mapping = load_mapping(sample.mapping, roots=[sample.root])
    given = json.loads(sample.input.read_text(encoding="utf-8"))
    context = given.get("context", CONTEXT)
    if mapping.direction == "out":
        try:
            out = mapping.from_entity(given["entity"], context, given.get("related"))
        except RecordFaults as error:
            return {"faults": [_told(fault) for fault in error.faults]}
        return None if out is None else plain({"key": out.key, "record": out.record})
    entities: list[Any] = []
    faults: list[FieldFault] = []
    skipped = 0
    rows = [_Row(data, at) for at, data in enumerate(given["records"], 1)]
    for unit in mapping.units(rows, context):
        if isinstance(unit, RecordFaults):
            faults += unit.faults
            continue
        try:
            entity = mapping.to_entity(unit.data, context, positions=unit.positions)
        except RecordFaults as error:
            faults += error.faults
            continue
        if entity is None:
            skipped += 1
        else:
            entities.append(plain(entity))
    return {"entities": entities, "faults": [_told(fault) for fault in faults], "skipped": skipped}


def _told(fault: FieldFault) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in FieldFault.__slots__}


def differences(sample: Sample) -> list[str]:
    """What is not as expected, in words; empty when all is well."""
    if not sample.expected.is_file():
        return [f"{sample.expected.name} is missing beside {sample.input.name}"]
    expected = json.loads(sample.expected.read_text(encoding="utf-8"))
    found = run_sample(sample)
    if sample.mapping.endswith(".out"):
        if isinstance(expected, dict) and "faults" in expected:
            return _fault_differences(expected["faults"], (found or {}).get("faults", []))
        return _compare("", expected, found)
    wrong = _compare("entities", expected.get("entities", []), found["entities"])
    wrong += _fault_differences(expected.get("faults", []), found["faults"])
    wrong += _compare("skipped", expected.get("skipped", 0), found["skipped"])
    model = entity_model(load_mapping(sample.mapping, roots=[sample.root]).entity)
    for at, entity in enumerate(expected.get("entities", [])):
        try:
            model.model_validate(entity)
        except ValidationError as error:
            wrong.append(f"entities[{at}] is no {model.__name__}: {error}")
    return wrong


def _compare(place: str, expected: Any, found: Any) -> list[str]:
    """Differences of two JSON values, each with its place."""
    if isinstance(expected, dict) and isinstance(found, dict):
        wrong = []
        for name in dict.fromkeys([*expected, *found]):
            there = f"{place}.{name}" if place else name
            if name not in found:
                wrong.append(f"{there}: expected {expected[name]!r}, is missing")
            elif name not in expected:
                wrong.append(f"{there}: {found[name]!r} was not expected")
            else:
                wrong += _compare(there, expected[name], found[name])
        return wrong
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [text for at, (a, b) in pairs for text in _compare(f"{place}[{at}]", a, b)]
    same = expected == found and isinstance(expected, bool) == isinstance(found, bool)
    return [] if same else [f"{place or 'result'}: expected {expected!r}, found {found!r}"]


def _fault_differences(
    expected: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> list[str]:
    left = list(found)
    wrong = []
    for wanted in expected:
        match = next((f for f in left if all(f.get(k) == v for k, v in wanted.items())), None)
        if match is None:
            wrong.append(f"no fault like {dict(wanted)}")
        else:
            left.remove(match)
    return wrong + [f"fault was not expected: {dict(fault)}" for fault in left]


def main(arguments: Sequence[str]) -> int:
    """Print what a mapping makes of the inputs of its samples (of one case, if named)."""
    wanted = [
        s for s in find_samples() if s.mapping == arguments[0] and s.case in (arguments[1:] or [s.case])
    ]
    for sample in wanted:
        sys.stdout.write(json.dumps(run_sample(sample), ensure_ascii=False, indent=2) + "\n")
    return 0 if wanted else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
