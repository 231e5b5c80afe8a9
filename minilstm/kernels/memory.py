"""One piece of memory for many arrays, so that another process can lay out the same arrays in the same place."""

from __future__ import annotations

from typing import Any

import numpy as np

ALIGNMENT = 64      # bytes: a cache line, and the width of the widest vector instructions


def aligned(nbytes: int) -> np.ndarray:
    """Return an aligned buffer of ``nbytes`` (uint8), uninitialised."""
    raw = np.empty(nbytes + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start:start + nbytes]


class Carver:
    """Cuts arrays of one dtype out of a flat buffer, one after another."""

    def __init__(self, dtype: Any, buffer: np.ndarray | None = None) -> None:
        self.dtype, self.buffer, self.used = np.dtype(dtype), buffer, 0

    def array(self, *shape: int) -> np.ndarray:
        """Return the next array, uninitialised; without a buffer, only count (and return an empty array)."""
        start = self.used
        nbytes = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        self.used += -(-nbytes // ALIGNMENT) * ALIGNMENT
        if self.buffer is None:
            return np.empty(0, self.dtype)
        return self.buffer[start:start + nbytes].view(self.dtype).reshape(shape)
