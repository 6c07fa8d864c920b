"""The hash the store compares contents by."""

from __future__ import annotations

import hashlib

__all__ = ["digest"]


def digest(*parts: bytes) -> bytes:
    """16 bytes of BLAKE2b."""
    result = hashlib.blake2b(digest_size=16)
    for part in parts:
        result.update(part)
    return result.digest()
