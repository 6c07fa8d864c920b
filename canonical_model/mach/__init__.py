"""A bridge to the MACH Alliance Open Data Model.

    order = from_mach("order", {...})        # a canonical entity
    to_mach(order)                           # the same object again

Every entity of the standard goes in and comes out equal, in the spelling it came in (camelCase of the drafts of
mid-2025, snake_case of the releases since 1.0.0). What the canonical model has no room for travels in
`traits["mach"]` (see `leftovers`), and never hides what the hub changed meanwhile. Entities that were not born from
an object of the standard go out in snake_case, as far as the standard has words for them.
"""

from canonical_model.mach.bridge import MACH_ENTITIES, from_mach, kind_of, to_mach
from canonical_model.mach.dialect import Dialect
from canonical_model.mach.utilities import MACH_UTILITIES, Piece, piece_from_mach, piece_to_mach
from canonical_model.mach.words import MachError

__all__ = [
    "MACH_ENTITIES",
    "MACH_UTILITIES",
    "Dialect",
    "MachError",
    "Piece",
    "from_mach",
    "kind_of",
    "piece_from_mach",
    "piece_to_mach",
    "to_mach",
]
