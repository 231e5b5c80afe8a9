"""Copies between a batch (n, steps, F) and a chunk's memory (steps, F, n): a transposition of each step."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minilstm.kernels.compiled.jit import compiled
from minilstm.kernels.compiled.vectors import INDEX, LANES, WORD, Code


def _make_square(typing: Any, like: Any, source: Any, across: Any, target: Any, along: Any) -> Any:
    """Transpose LANES x LANES numbers; addresses, and how many bytes lie between the rows of each square."""
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, source, across, target, along = arguments
        c, b, half = Code(builder, like), builder, LANES // 2
        kind, indices = ir.VectorType(c.number, LANES), ir.VectorType(INDEX, LANES)
        riffles = [ir.Constant(indices, [start + k // 2 + k % 2 * LANES for k in range(LANES)])
                   for start in (0, half)]
        rows = [c.load(b.add(source, b.mul(across, WORD(r))), WORD(0), kind) for r in range(LANES)]
        for _ in range(half.bit_length()):      # all numbers are shuffled like cards, log2(LANES) times
            rows = [b.shuffle_vector(rows[k // 2], rows[k // 2 + half], riffles[k % 2]) for k in range(LANES)]
        for r, row in enumerate(rows):
            c.store(row, b.add(target, b.mul(along, WORD(r))), WORD(0))
        return context.get_dummy_value()
    return types.void(like, types.uintp, types.intp, types.uintp, types.intp), code


square: Any = intrinsic(_make_square)


@compiled("strided3", "strided3")
def transpose(source: np.ndarray, target: np.ndarray) -> None:
    """Copy source (steps, rows, columns) into target (steps, columns, rows), in squares where they fit."""
    (steps, rows, columns), size = source.shape, source.itemsize
    wide = min(rows, columns) >= LANES and source.strides[2] == size and target.strides[2] == size
    for t in range(steps):
        if wide:
            for j in range(0, columns, LANES):
                j = min(j, columns - LANES)             # the last square may overlap the one before it
                for i in range(0, rows, LANES):
                    i = min(i, rows - LANES)
                    square(source, source[t, i:, j:].ctypes.data, source.strides[1],
                           target[t, j:, i:].ctypes.data, target.strides[1])
        else:
            for i in range(rows):
                for j in range(columns):
                    target[t, j, i] = source[t, i, j]
