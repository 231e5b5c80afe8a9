"""Memory that serves again: a training step needs tens of megabytes, and fresh pages from the system cost time.

A ``Memory`` belongs to a layer. ``take`` hands out a flat buffer, ``give`` takes it back; a buffer that is never given back
(its cache was dropped) is simply collected with it. ``Carver`` cuts one flat buffer into arrays.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

ALIGNMENT = 64      # bytes: a cache line, and the width of the widest vector instructions
KEPT = 8            # buffers that a layer keeps at most


class Memory:
    """Flat buffers for one layer's forward and backward passes. Copies and pickles of it are empty."""

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []

    def __reduce__(self) -> Any:
        return Memory, ()

    def __deepcopy__(self, memo: Any) -> Memory:
        return Memory()

    def take(self, nbytes: int) -> np.ndarray:
        """Return an aligned buffer (uint8) of at least ``nbytes``; what it holds is arbitrary."""
        fitting = [k for k, buffer in enumerate(self._free) if nbytes <= buffer.nbytes <= 4 * nbytes + 2 ** 20]
        if fitting:
            return self._free.pop(min(fitting, key=lambda k: self._free[k].nbytes))
        raw = np.empty(nbytes + ALIGNMENT, dtype=np.uint8)
        start = -raw.ctypes.data % ALIGNMENT
        return raw[start:start + nbytes]

    def give(self, buffers: list[np.ndarray]) -> None:
        """Take buffers back. Nobody may use them, or anything cut out of them, any more."""
        self._free = (self._free + buffers)[-KEPT:]


class Scratch(threading.local):
    """A memory of each thread's own, for arrays that nobody needs after the function that takes them."""

    def __init__(self) -> None:
        self.memory = Memory()

    @contextmanager
    def arrays(self, dtype: Any, *shapes: tuple[int, ...]) -> Iterator[list[np.ndarray]]:
        """Lend uninitialised arrays inside a ``with``."""
        counter = Carver(dtype)
        for shape in shapes:
            counter.array(*shape)
        buffer = self.memory.take(counter.used)
        carver = Carver(dtype, buffer)
        yield [carver.array(*shape) for shape in shapes]
        self.memory.give([buffer])


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


scratch = Scratch()
