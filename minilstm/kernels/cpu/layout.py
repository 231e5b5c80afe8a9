"""Copies between a batch, (n, steps, features), and a chunk's memory, (steps, features, n).

If the compiled functions are given, they make the copies. At padded steps, ``padded`` (steps, 1, n), inputs and upstream
gradients are read as 0, whatever their values, and outputs are written as 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def read(batch: np.ndarray, packed: np.ndarray, first: int, padded: np.ndarray | None, compiled: Any) -> None:
    """Copy batch (n, steps, F) into packed (steps or more, ..., n), its rows ``first`` to ``first + F``."""
    n, steps, F = batch.shape
    if compiled is not None:
        compiled.layout.pack(batch, packed, first * n)
    else:
        packed[:steps, first:first + F] = batch.transpose(1, 2, 0)
    if padded is not None:
        np.copyto(packed[:steps, first:first + F], 0, where=padded)


def write(packed: np.ndarray, first: int, batch: np.ndarray, padded: np.ndarray | None, compiled: Any) -> None:
    """Copy rows ``first`` to ``first + F`` of packed (steps, ..., n) into batch (n, steps, F)."""
    if compiled is not None:
        compiled.layout.unpack(packed, first * len(batch), batch)
    else:
        F = batch.shape[2]
        batch[...] = packed[:, first:first + F].transpose(2, 0, 1)
    if padded is not None:
        np.copyto(batch, 0, where=padded.transpose(2, 0, 1))


def side_by_side(packed: np.ndarray, rows: slice, out: np.ndarray, compiled: Any) -> None:
    """Copy packed[:, rows] (s, F, n) into ``out`` (F, s n), a step after another, for one matrix product of them all."""
    steps, _, n = packed.shape
    if compiled is not None:
        compiled.layout.side_by_side(packed, rows.start * n, n, out)
    else:
        out.reshape(len(out), steps, n)[...] = packed[:, rows].transpose(1, 0, 2)
