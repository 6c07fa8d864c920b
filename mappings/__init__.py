"""The translator: mappings turn records into entities and entities into records. See docs/mappings.md."""

from __future__ import annotations

from mappings.faults import FieldFault, RecordFaults, TransformFault
from mappings.grouping import Unit
from mappings.interpreter import Origin
from mappings.loading import find_mappings, load_mapping
from mappings.mapping import Mapping, Outgoing, RelatedEntity
from mappings.problems import MappingError, Problem

__all__ = [
    "FieldFault",
    "Mapping",
    "MappingError",
    "Origin",
    "Outgoing",
    "Problem",
    "RecordFaults",
    "RelatedEntity",
    "TransformFault",
    "Unit",
    "find_mappings",
    "load_mapping",
]
