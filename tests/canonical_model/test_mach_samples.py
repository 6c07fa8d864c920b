"""The standard's own sample objects: every whole one goes in and comes out equal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from canonical_model.content import dump_json, from_json
from canonical_model.mach import MACH_UTILITIES, from_mach, piece_from_mach, piece_to_mach, to_mach
from canonical_model.mach.leftovers import same

FRAGMENTS = {
    ("address", "In Customer Profile"),
    ("address", "In Order Entity"),
    ("address", "In Cart with Address Selection"),
    ("product", "Sample Object: Configurable Product with Variants"),
    ("product", "Sample Object: Bundle Product"),
    ("product", "Sample Object: AI-enriched product content with embedded enrichment details"),
}
"""Shown in the standard to make one point: other entities around an address, products without an id."""


def samples(folder: Path) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path.stem, sample["title"], sample["object"])
        for path in sorted(folder.glob("*.json"))
        for sample in json.loads(path.read_text(encoding="utf-8"))
        if (path.stem, sample["title"]) not in FRAGMENTS
    ]


def test_every_whole_sample_object_goes_in_and_comes_out_equal(mach_samples: Path) -> None:
    seen = 0
    for name, title, obj in samples(mach_samples):
        if name in MACH_UTILITIES:
            out = piece_to_mach(piece_from_mach(name, obj))
        else:
            entity = from_mach(name, obj, received_at=datetime(2026, 1, 1, tzinfo=UTC))
            out = to_mach(from_json(entity.kind, dump_json(entity)))
        assert same(out, obj), f"{name}: {title}"
        seen += 1
    assert seen >= 20


def leaves(value: Any) -> int:
    if isinstance(value, dict):
        return sum(leaves(item) for item in value.values())
    return sum(leaves(item) for item in value) if isinstance(value, list) else 1


def test_only_leftovers_travel_in_traits(mach_samples: Path) -> None:
    """Extension data and the sender's book-keeping (version, change times) are leftovers, and so is stock inside a
    product: it is an entity of its own here. Of the rest most has landed.
    """
    not_ours = {"traits", "extensions", "version", "updated_at", "updatedAt", "status", "inventory"}
    for name, title, obj in samples(mach_samples):
        if name in MACH_UTILITIES:
            continue
        entity = from_mach(name, obj, received_at=datetime(2026, 1, 1, tzinfo=UTC))
        carried = entity.traits.get("mach", {})
        own = {member: value for member, value in obj.items() if member not in not_ours}
        stayed = {
            member: value for member, value in carried.get("rest", {}).items() if member not in not_ours
        }
        notes = [note for note in carried.get("notes", []) if note["at"][0] not in not_ours and "is" in note]
        left = leaves(stayed) + sum(leaves(note["is"]) for note in notes)
        assert left <= 0.4 * leaves(own), f"{name}: {title}: {left} of {leaves(own)} values stayed in traits"
