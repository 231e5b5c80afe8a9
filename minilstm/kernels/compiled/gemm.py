"""The matrix product of a step, in compiled loops: W (M, K) times a state (K, n) whose n is a few dozen.

BLAS copies both matrices before it multiplies them, and takes a lock for the memory. Here, W is packed once
for the whole sequence, with four rows side by side (``pack``), and a state is used without copying:

    tile      a panel (4 rows of W), with AVX-512 two, times two vectors of columns: 8 or 16 sums in
              registers, which keeps the multipliers busy (Goto & van de Geijn 2008)
    column    four panels times one column, for states with fewer than 8 columns

Each sum runs over k = 0 to K - 1 in order, so its bits do not depend on which tile computes it. If the number
of columns is not a multiple of the vector length, the last vector overlaps the one before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minilstm.kernels.compiled import PANELS, ROWS
from minilstm.kernels.compiled.jit import compiled, inside
from minilstm.kernels.compiled.vectors import INDEX, LANES, WORD, Code

HEIGHT = 2 * ROWS if LANES == 16 else ROWS  # rows of a tile; AVX-512 has twice the registers


def _make_tile(vectors: int, lanes: int) -> Any:
    """Return a function of compiled code: C (HEIGHT, vectors·lanes) = W (HEIGHT, K) B (K, ...).

    Its arguments: an array of the numbers' dtype; the addresses of panels of W, of B and of C; the distance
    n between the rows of B and between those of C; K; and the number of rows.
    """
    @intrinsic
    def tile(typing: Any, like: Any, W: Any, B: Any, C: Any, n: Any, K: Any, rows: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, W, B, C, n, K, rows = arguments
            c, b = Code(builder, like), builder
            kind = ir.VectorType(c.number, lanes)

            def factors(k: Any) -> tuple[list[Any], list[Any]]:
                w, row = b.mul(k, WORD(ROWS)), b.mul(k, n)
                panels = [b.add(w, b.mul(K, WORD(ROWS * p))) for p in range(HEIGHT // ROWS)]
                return ([c.splat(c.load(W, b.add(panel, WORD(r)), c.number), kind)
                         for panel in panels for r in range(ROWS)],
                        [c.load(B, b.add(row, WORD(v * lanes)), kind) for v in range(vectors)])
            total = c.sums(K, (HEIGHT, vectors), kind, factors)
            for r in range(HEIGHT):
                with b.if_then(b.icmp_signed("<", WORD(r), rows)):
                    for v in range(vectors):
                        c.store(total[r][v], C, b.add(b.mul(n, WORD(r)), WORD(v * lanes)))
            return context.get_dummy_value()
        return types.void(like, *[types.uintp] * 3, *[types.intp] * 3), code
    return tile


def _make_column(typing: Any, like: Any, W: Any, B: Any, C: Any, n: Any, K: Any, rows: Any) -> Any:
    """One column of C for up to ``rows`` rows of PANELS panels; the arguments are those of a tile."""
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, W, B, C, n, K, rows = arguments
        c, b = Code(builder, like), builder
        kind = ir.VectorType(c.number, ROWS)

        def factors(k: Any) -> tuple[list[Any], list[Any]]:
            panels = [b.add(b.mul(k, WORD(ROWS)), b.mul(K, WORD(ROWS * p))) for p in range(PANELS)]
            number = c.load(B, b.mul(k, n), c.number)
            return [c.load(W, panel, kind) for panel in panels], [c.splat(number, kind)]
        total = c.sums(K, (PANELS, 1), kind, factors)
        for row in range(PANELS * ROWS):
            with b.if_then(b.icmp_signed("<", WORD(row), rows)):
                number = b.extract_element(total[row // ROWS][0], INDEX(row % ROWS))
                c.store(number, C, b.mul(n, WORD(row)))
        return context.get_dummy_value()
    return types.void(like, *[types.uintp] * 3, *[types.intp] * 3), code


column: Any = intrinsic(_make_column)
wide, narrow = _make_tile(2, LANES), _make_tile(1, 8)
single = narrow if LANES == 8 else _make_tile(1, LANES)


@inside
def multiply_rows(like: np.ndarray, W: int, B: int, C: int, n: int, K: int, rows: int) -> None:
    """C = W B for the rows of one tile."""
    size, j = like.itemsize, 0
    while j < n:
        if n < 8:
            column(like, W, B + j * size, C + j * size, n, K, rows)
            j += 1
        elif j + 2 * LANES <= n:
            wide(like, W, B + j * size, C + j * size, n, K, rows)
            j += 2 * LANES
        elif j + LANES <= n:
            single(like, W, B + j * size, C + j * size, n, K, rows)
            j += LANES
        else:
            j = min(j, n - 8)                       # this vector may overlap the previous one
            narrow(like, W, B + j * size, C + j * size, n, K, rows)
            j += 8


@inside
def multiply(weights: np.ndarray, blocks: np.ndarray, states: np.ndarray, out: np.ndarray,
             t: int, first: int, n: int) -> None:
    """Write W @ state into out[t], for the state that begins at states[t, first].

    ``weights`` holds blocks of W, one after another as ``pack`` leaves them; blocks (number, 5): how many
    numbers each has there, its M rows and K columns, and where they begin in W.
    """
    W, size = weights.ctypes.data, weights.itemsize
    for b in range(len(blocks)):
        packed, M, K, top, left = blocks[b, 0], blocks[b, 1], blocks[b, 2], blocks[b, 3], blocks[b, 4]
        B = states.ctypes.data + (t * states.shape[1] + first + left * n) * size
        C = out.ctypes.data + (t * out.shape[1] + top * n) * size
        for row in range(0, M, HEIGHT if n >= 8 else PANELS * ROWS):
            multiply_rows(weights, W + row * K * size, B, C + row * n * size, n, K, M - row)
        W += packed * size


@compiled("strided2", "array3")
def pack(W: np.ndarray, packed: np.ndarray) -> None:
    """Copy W (M, K) into ``packed`` (panels, K, ROWS), ROWS rows side by side; missing rows are 0."""
    M, K = W.shape
    for p in range(packed.shape[0]):
        for k in range(K):
            for r in range(ROWS):
                packed[p, k, r] = W[p * ROWS + r, k] if p * ROWS + r < M else 0
