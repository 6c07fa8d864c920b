"""Transforms: small, pure, named functions a mapping may use under `as`."""

from __future__ import annotations

from mappings.transforms import dates, japan, numbers, text
from mappings.transforms.registry import TRANSFORMS, BadParameter, Transform, as_text, transform

__all__ = [
    "TRANSFORMS",
    "BadParameter",
    "Transform",
    "as_text",
    "dates",
    "japan",
    "numbers",
    "text",
    "transform",
]
