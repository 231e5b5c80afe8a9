"""The memory of chunks: buffers that serve again, and copies between them and a batch.

A training step needs tens of megabytes, and fresh pages from the operating system cost time. ``take`` hands
out an array, ``give`` takes it back; an array that is never given back (because its cache was dropped) is
garbage-collected as usual.

Copies go between a batch, (n, steps, features), and a chunk, (steps, features, n). If the compiled functions
are given, they make the copies. At padded steps, ``padded`` (steps, 1, n), inputs and upstream gradients are
read as 0, whatever their values, and outputs are written as 0.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

MAX_BUFFERS = 16        # idle ones


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
            largest = 4 * nbytes + 2 ** 20
            fitting = [k for k, buffer in enumerate(self._free) if nbytes <= buffer.nbytes <= largest]
            buffer = self._free.pop(min(fitting, key=lambda k: self._free[k].nbytes)) if fitting else None
        if buffer is None:
            buffer = np.empty(nbytes, np.uint8)
        return buffer[:nbytes].view(dtype).reshape(shape)

    def give(self, arrays: list[np.ndarray]) -> None:
        """Take arrays back. The caller must not use them afterwards."""
        with self._lock:
            self._free = (self._free + [_whole(array) for array in arrays])[-MAX_BUFFERS:]


def _whole(array: np.ndarray) -> np.ndarray:
    while array.base is not None:
        array = array.base
    return array


def _transpose(source: np.ndarray, target: np.ndarray, compiled: Any) -> None:
    if compiled is not None:
        compiled.layout.transpose(source, target)
    else:
        target[...] = source.swapaxes(1, 2)


def copy_in(batch: np.ndarray, packed: np.ndarray, first: int, padded: np.ndarray | None,
            compiled: Any) -> None:
    """Copy batch (n, steps, F) into packed (steps or more, ..., n), its rows ``first`` to ``first + F``."""
    target = packed[:batch.shape[1], first:first + batch.shape[2]]
    _transpose(batch.swapaxes(0, 1), target, compiled)
    if padded is not None:
        np.copyto(target, 0, where=padded)


def copy_out(packed: np.ndarray, first: int, batch: np.ndarray, padded: np.ndarray | None,
             compiled: Any) -> None:
    """Copy rows ``first`` to ``first + F`` of packed (steps, ..., n) into batch (n, steps, F)."""
    _transpose(packed[:, first:first + batch.shape[2]], batch.swapaxes(0, 1), compiled)
    if padded is not None:
        np.copyto(batch, 0, where=padded.transpose(2, 0, 1))


def flatten_steps(packed: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """Copy packed (s, F, n) into flat ``memory`` as (F, s n), a step after another, for a product."""
    steps, F, n = packed.shape
    flat = memory[:packed.size].reshape(F, steps, n)
    flat[...] = packed.transpose(1, 0, 2)
    return flat.reshape(F, -1)
