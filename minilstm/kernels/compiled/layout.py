"""Copies between a batch and a chunk's memory.

A batch is (n, steps, F); a chunk has the order steps, features, rows. ``packed[t]`` holds one step: feature f
of row r is at index ``first`` + f n + r. So each step is transposed, in squares that fit into registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minilstm.kernels.compiled.jit import compiled, inside
from minilstm.kernels.compiled.vectors import INDEX, LANES, WORD, Code


def _make_square(typing: Any, like: Any, source: Any, across: Any, target: Any, along: Any) -> Any:
    """Transpose LANES x LANES numbers; addresses, and how many bytes lie between the rows of each square."""
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, source, across, target, along = arguments
        c, b, half = Code(builder, like), builder, LANES // 2
        kind = ir.VectorType(c.number, LANES)
        halves = [ir.Constant(ir.VectorType(INDEX, LANES), [start + k // 2 + k % 2 * LANES for k in range(LANES)])
                  for start in (0, half)]
        rows = [c.load(b.add(source, b.mul(across, WORD(r))), WORD(0), kind) for r in range(LANES)]
        for _ in range(half.bit_length()):      # all numbers are shuffled like cards, log2(LANES) times
            rows = [b.shuffle_vector(rows[k // 2], rows[k // 2 + half], halves[k % 2]) for k in range(LANES)]
        for r, row in enumerate(rows):
            c.store(row, b.add(target, b.mul(along, WORD(r))), WORD(0))
        return context.get_dummy_value()
    return types.void(like, types.uintp, types.intp, types.uintp, types.intp), code


square: Any = intrinsic(_make_square)


@inside
def transpose(like: np.ndarray, source: int, across: int, target: int, along: int,
              rows: int, columns: int) -> None:
    """Transpose (rows, columns), both at least LANES; the last squares may overlap those before them."""
    size = like.itemsize
    for j in range(0, columns, LANES):
        j = min(j, columns - LANES)
        for i in range(0, rows, LANES):
            i = min(i, rows - LANES)
            square(like, source + i * across + j * size, across, target + j * along + i * size, along)


@compiled("strided3", "array2", "int")
def pack(batch: np.ndarray, packed: np.ndarray, first: int) -> None:
    """Copy batch (n, steps, F) into packed[0] to packed[steps - 1]."""
    (n, steps, F), size = batch.shape, packed.itemsize
    wide = n >= LANES and F >= LANES and batch.strides[2] == size
    for t in range(steps):
        if wide:
            transpose(packed, batch.ctypes.data + t * batch.strides[1], batch.strides[0],
                      packed.ctypes.data + (t * packed.shape[1] + first) * size, n * size, n, F)
        else:
            for r in range(n):
                for f in range(F):
                    packed[t, first + f * n + r] = batch[r, t, f]


@compiled("array2", "int", "strided3")
def unpack(packed: np.ndarray, first: int, batch: np.ndarray) -> None:
    """The way back: copy packed[0] to packed[steps - 1] into batch (n, steps, F)."""
    (n, steps, F), size = batch.shape, packed.itemsize
    wide = n >= LANES and F >= LANES and batch.strides[2] == size
    for t in range(steps):
        if wide:
            transpose(packed, packed.ctypes.data + (t * packed.shape[1] + first) * size, n * size,
                      batch.ctypes.data + t * batch.strides[1], batch.strides[0], F, n)
        else:
            for r in range(n):
                for f in range(F):
                    batch[r, t, f] = packed[t, first + f * n + r]
