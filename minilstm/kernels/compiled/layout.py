"""Copies between a batch and a chunk's memory.

A batch is (n, steps, F); a chunk has the order steps, features, rows. ``packed[t]`` holds one step: feature f
of row r is at index ``first`` + f n + r.
"""

from __future__ import annotations

import numpy as np

from minilstm.kernels.compiled.jit import compiled


@compiled("strided3", "array2", "int")
def pack(batch: np.ndarray, packed: np.ndarray, first: int) -> None:
    """Copy batch (n, steps, F) into packed[0] to packed[steps - 1]."""
    n, steps, F = batch.shape
    for t in range(steps):
        for r in range(n):
            for f in range(F):
                packed[t, first + f * n + r] = batch[r, t, f]


@compiled("array2", "int", "strided3")
def unpack(packed: np.ndarray, first: int, batch: np.ndarray) -> None:
    """The way back: copy packed[0] to packed[steps - 1] into batch (n, steps, F)."""
    n, steps, F = batch.shape
    for t in range(steps):
        for r in range(n):
            for f in range(F):
                batch[r, t, f] = packed[t, first + f * n + r]


@compiled("array2", "int", "int", "array2")
def flatten_steps(packed: np.ndarray, first: int, n: int, out: np.ndarray) -> None:
    """Copy F features of all steps into ``out`` (F, steps n), a step after another, for a matrix product."""
    F = out.shape[0]
    for f in range(F):
        for t in range(len(packed)):
            for r in range(n):
                out[f, t * n + r] = packed[t, first + f * n + r]
