"""Reusable memory: a training step needs tens of megabytes, and fresh pages from the operating system cost time.

``take`` hands out an array, ``give`` takes it back; an array that is never given back (because its cache was
dropped) is garbage-collected as usual.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

KEPT = 16           # maximum number of idle buffers


class Memory:
    """Flat buffers that arrays are cut from."""

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []
        self._lock = threading.Lock()

    def take(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return an array with arbitrary contents."""
        dtype = np.dtype(dtype)
        nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        with self._lock:
            fitting = [k for k, buffer in enumerate(self._free) if nbytes <= buffer.nbytes <= 4 * nbytes + 2 ** 20]
            buffer = self._free.pop(min(fitting, key=lambda k: self._free[k].nbytes)) if fitting else None
        if buffer is None:
            buffer = np.empty(nbytes, np.uint8)
        return buffer[:nbytes].view(dtype).reshape(shape)

    def give(self, arrays: list[np.ndarray]) -> None:
        """Take arrays back. The caller must not use them afterwards."""
        with self._lock:
            self._free = (self._free + [_whole(array) for array in arrays])[-KEPT:]


def _whole(array: np.ndarray) -> np.ndarray:
    while array.base is not None:
        array = array.base
    return array
