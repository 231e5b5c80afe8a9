"""Copies between the batch, (N, T, F) with one row after another, and memory of a stretch, steps first, then features, rows.

``packed[t]`` has one step: feature f of row r stands at ``first`` + f n + r. ``rows`` (n,) are places in the batch.
"""

from __future__ import annotations

import numpy as np

from minilstm.kernels.compiled.jit import compiled


@compiled("strided3", "index1", "int", "int", "array2", "int")
def pack(batch: np.ndarray, rows: np.ndarray, start: int, steps: int, packed: np.ndarray, first: int) -> None:
    """Copy steps ``start`` to ``start + steps`` of the rows into packed[0] to packed[steps - 1]."""
    n, F = len(rows), batch.shape[2]
    for t in range(steps):
        for r in range(n):
            for f in range(F):
                packed[t, first + f * n + r] = batch[rows[r], start + t, f]


@compiled("array2", "int", "int", "strided3", "index1", "int", "int")
def unpack(packed: np.ndarray, first: int, n: int, batch: np.ndarray, rows: np.ndarray, start: int, steps: int) -> None:
    """The way back: copy packed[0] to packed[steps - 1] into the rows' steps. Rows beyond the n packed ones get the last."""
    F = batch.shape[2]
    for t in range(steps):
        for r in range(len(rows)):
            column = first + min(r, n - 1)
            for f in range(F):
                batch[rows[r], start + t, f] = packed[t, column + f * n]


@compiled("array2", "int", "int", "array2")
def side_by_side(packed: np.ndarray, first: int, n: int, out: np.ndarray) -> None:
    """Copy features (F) of all steps into ``out`` (F, steps n): what one matrix product needs, a step after another."""
    F = out.shape[0]
    for f in range(F):
        for t in range(len(packed)):
            for r in range(n):
                out[f, t * n + r] = packed[t, first + f * n + r]
