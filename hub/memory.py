"""What a program of the hub asks of its memory."""

from __future__ import annotations

import contextlib
import ctypes
import gc

__all__ = ["give_large_blocks_back", "keep_what_is_loaded"]

_MMAP_THRESHOLD, _LARGE = -3, 1 << 20  # M_MMAP_THRESHOLD of malloc.h


def give_large_blocks_back() -> None:
    """Have the C library map blocks of a megabyte and more by themselves, so that they leave when they are freed.

    It begins so, but the first one freed (4 MB of a stored page) teaches it to put such blocks among the small ones,
    and the holes they leave there grow with the file. Only glibc knows the switch.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE)


def keep_what_is_loaded() -> None:
    """What is loaded now stays until the program ends: the garbage collector looks at it no more, not even then.

    For a program to call once, when it has what it works with.
    """
    gc.freeze()
