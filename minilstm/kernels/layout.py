"""Copies between a batch, (N, T, features), and a stretch's memory, (steps, features, rows); compiled where Numba is there.

A stretch is computed for its first ``width`` rows; the last of these stands for the represented ones (``batch.py``): these
get its outputs, their upstream gradients are added to its own, and their inputs' gradients are in its.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minilstm.kernels.batch import Stretch
from minilstm.kernels.compiled import flat, module


class Part(NamedTuple):
    """One stretch of one chunk, with its memory."""

    stretch: Stretch
    rows: Any                       # of the batch, the first ``width`` of the chunk: a slice or an integer array
    represented: Any                # of the batch, those that the last of them stands for; None: no others
    hx: np.ndarray
    u: np.ndarray
    padded: np.ndarray | None       # (L, 1, n) bool

    def steps(self, t0: int, t1: int) -> slice:
        """The steps of the batch that are steps t0 to t1 of this part."""
        return slice(self.stretch.start + t0, self.stretch.start + t1)


def _places(rows: Any) -> np.ndarray:
    return np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows


def read_inputs(x: np.ndarray, part: Part, t0: int, hx: np.ndarray, H: int, padded: np.ndarray | None) -> None:
    """Copy a block's steps of x (N, T, D) into hx (s+1, H+D+1, n) from row H on, with ones in the last row."""
    steps, D, n = len(hx) - 1, x.shape[2], hx.shape[2]
    compiled = module("layout", x, hx)
    if compiled is not None:
        compiled.pack(x, _places(part.rows), part.stretch.start + t0, steps, flat(hx), H * n)
    else:
        hx[:-1, H:H + D] = x[part.rows, part.steps(t0, t0 + steps)].transpose(1, 2, 0)
    hx[:-1, H + D] = 1
    if padded is not None:          # whatever stands in x there, even NaN
        np.copyto(hx[:-1, H:H + D], 0, where=padded)


def write_outputs(hx: np.ndarray, part: Part, t0: int, y: np.ndarray, padded: np.ndarray | None) -> None:
    """Copy the states after a block's steps, hx[1:, :H], into y (N, T, H); 0 at padded steps."""
    steps, H, n = len(hx) - 1, y.shape[2], hx.shape[2]
    s, compiled = part.steps(t0, t0 + steps), module("layout", y, hx)
    if compiled is not None and padded is None:
        places = [_places(rows) for rows in (part.rows, part.represented) if rows is not None]
        compiled.unpack(flat(hx[1:]), 0, n, y, np.concatenate(places), s.start, steps)
        return
    h = hx[1:, :H]
    y[part.rows, s] = (h if padded is None else np.where(padded, 0, h)).transpose(2, 0, 1)
    if part.represented is not None:
        y[part.represented, s] = h[:, :, -1]


def read_upstream(dy: np.ndarray, part: Part, t0: int, t1: int, padded: np.ndarray | None) -> np.ndarray:
    """Return a copy (s, H, n) of a block's steps of dy (N, T, H), 0 at padded steps."""
    s, compiled = part.steps(t0, t1), module("layout", dy)
    if compiled is not None:
        block = np.empty((t1 - t0, dy.shape[2], part.stretch.width), dy.dtype)
        compiled.pack(dy, _places(part.rows), s.start, t1 - t0, flat(block), 0)
    else:
        block = np.array(dy[part.rows, s].transpose(1, 2, 0), order="C")
    if part.represented is not None:
        block[:, :, -1] += dy[part.represented, s].sum(axis=0)
    if padded is not None:
        np.copyto(block, 0, where=padded)
    return block


def write_input_gradients(packed: np.ndarray, first: int, part: Part, t0: int, dx: np.ndarray) -> None:
    """Copy packed[:, first:] (s, D, n) into a block's steps of dx (N, T, D)."""
    steps, n = len(packed), packed.shape[2]
    s, compiled = part.steps(t0, t0 + steps), module("layout", packed, dx)
    if compiled is not None:
        compiled.unpack(flat(packed), first * n, n, dx, _places(part.rows), s.start, steps)
    else:
        dx[part.rows, s] = packed[:, first:].transpose(2, 0, 1)
    if part.represented is not None:        # the one that stands for them has their sum
        dx[part.represented, s] = 0


def side_by_side(packed: np.ndarray, rows: slice, out: np.ndarray) -> None:
    """Copy packed[:, rows] (s, F, n) into ``out`` (F, s n), a step after another, for one matrix product of them all."""
    steps, n, compiled = len(packed), packed.shape[2], module("layout", packed, out)
    if compiled is not None:
        compiled.side_by_side(flat(packed), rows.start * n, n, out)
    else:
        out.reshape(len(out), steps, n)[...] = packed[:, rows].transpose(1, 0, 2)
