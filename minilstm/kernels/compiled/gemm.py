"""The matrix product of a step, in compiled loops: W (M, K) times a state (K, n) whose n is a few dozen.

BLAS copies both matrices before it multiplies them, and takes a lock for the memory. Here W is packed once for the whole
sequence, four rows side by side (``pack``), and a state is used where it stands:

    tile      4 rows of W times two vectors of columns: 8 sums in registers, which keeps a processor's multipliers busy
              (Goto & van de Geijn 2008)
    column    16 rows of W times one column, for states of fewer columns than a vector has numbers

Each sum goes through k = 0 to K - 1 in order, so that its bits do not depend on the tile it falls into. What is left of the
columns is covered by a vector that reaches back into the last one; it leaves the columns alone that are done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minilstm.kernels.compiled.jit import compiled, inside

ROWS = 4            # of W side by side
LANES = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8        # numbers of a vector
SLAB = 32           # columns of a state that stay in the first-level cache while W passes
PANELS = 4          # groups of ROWS rows that ``column`` takes at once
WORD, INDEX = ir.IntType(64), ir.IntType(32)
CONTRACT = ("contract",)


class _Code:
    """A few words for LLVM's instructions on numbers of one type, those of the array type ``like``."""

    def __init__(self, builder: Any, like: Any) -> None:
        self.builder = builder
        self.number, self.size = (ir.FloatType(), 4) if like.dtype is types.float32 else (ir.DoubleType(), 8)

    def pointer(self, address: Any, offset: Any, kind: Any) -> Any:
        b = self.builder
        return b.inttoptr(b.add(address, b.mul(offset, WORD(self.size))), kind.as_pointer())

    def load(self, address: Any, offset: Any, kind: Any) -> Any:
        return self.builder.load(self.pointer(address, offset, kind), align=self.size)

    def splat(self, x: Any, kind: Any) -> Any:
        first = self.builder.insert_element(ir.Constant(kind, ir.Undefined), x, INDEX(0))
        zeros = ir.Constant(ir.VectorType(INDEX, kind.count), [0] * kind.count)
        return self.builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)

    def sums(self, K: Any, shape: tuple[int, int], kind: Any, factors: Callable[[Any], tuple[list[Any], list[Any]]]) -> Any:
        """Return Σ_k left[r] right[v] for all pairs, given ``factors(k)`` -> (left, right); K >= 1."""
        b, entry = self.builder, self.builder.block
        loop, done = b.append_basic_block("sums"), b.append_basic_block("done")
        b.branch(loop)
        b.position_at_end(loop)
        k, total = b.phi(WORD), [[b.phi(kind) for _ in range(shape[1])] for _ in range(shape[0])]
        left, right = factors(k)
        new = [[b.fadd(b.fmul(x, y, flags=CONTRACT), total[r][v], flags=CONTRACT) for v, y in enumerate(right)]
               for r, x in enumerate(left)]
        following = b.add(k, WORD(1))
        k.add_incoming(WORD(0), entry)
        k.add_incoming(following, b.block)
        for before, after in zip(sum(total, []), sum(new, [])):
            before.add_incoming(ir.Constant(kind, [0.0] * kind.count), entry)
            before.add_incoming(after, b.block)
        b.cbranch(b.icmp_signed("<", following, K), loop, done)
        b.position_at_end(done)
        return new


def _make_tile(rows: int, vectors: int, lanes: int) -> Any:
    """Return a function of compiled code: C (rows, vectors·lanes) = W (rows, K) B (K, ...), or C + W B with ``onto``.

    Its arguments: an array of the numbers' dtype, the address of the rows' panel, that of B, the distance of B's rows, K, the
    address of C, the distance of C's rows, ``onto``, and how many of the first columns to leave alone.
    """
    @intrinsic
    def tile(typing: Any, like: Any, W: Any, B: Any, ldb: Any, K: Any, C: Any, ldc: Any, onto: Any, skip: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, W, B, ldb, K, C, ldc, onto, skip = arguments
            c, b = _Code(builder, like), builder
            kind = ir.VectorType(c.number, lanes)

            def factors(k: Any) -> tuple[list[Any], list[Any]]:
                w, row = b.mul(k, WORD(ROWS)), b.mul(k, ldb)
                return ([c.splat(c.load(W, b.add(w, WORD(r)), c.number), kind) for r in range(rows)],
                        [c.load(B, b.add(row, WORD(v * lanes)), kind) for v in range(vectors)])
            total = c.sums(K, (rows, vectors), kind, factors)
            numbers = ir.VectorType(WORD, lanes)
            done = b.icmp_signed("<", ir.Constant(numbers, list(range(lanes))), c.splat(skip, numbers))
            for r in range(rows):
                for v in range(vectors):
                    place = c.pointer(C, b.add(b.mul(ldc, WORD(r)), WORD(v * lanes)), kind)
                    old = b.load(place, align=c.size)
                    new = b.select(onto, b.fadd(total[r][v], old), total[r][v])
                    b.store(b.select(done, old, new) if v == 0 else new, place, align=c.size)
            return context.get_dummy_value()
        return types.void(like, types.uintp, types.uintp, types.intp, types.intp, types.uintp, types.intp, types.boolean,
                          types.intp), code
    return tile


def _make_column(typing: Any, like: Any, W: Any, B: Any, ldb: Any, K: Any, C: Any, ldc: Any, onto: Any, rows: Any) -> Any:
    """One column of C for up to ``rows`` rows of PANELS panels; the arguments are those of a tile."""
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, W, B, ldb, K, C, ldc, onto, rows = arguments
        c, b = _Code(builder, like), builder
        kind = ir.VectorType(c.number, ROWS)

        def factors(k: Any) -> tuple[list[Any], list[Any]]:
            panels = [b.add(b.mul(k, WORD(ROWS)), b.mul(K, WORD(ROWS * p))) for p in range(PANELS)]
            return [c.load(W, panel, kind) for panel in panels], [c.splat(c.load(B, b.mul(k, ldb), c.number), kind)]
        total = c.sums(K, (PANELS, 1), kind, factors)
        for row in range(PANELS * ROWS):
            with b.if_then(b.icmp_signed("<", WORD(row), rows)):
                place = c.pointer(C, b.mul(ldc, WORD(row)), c.number)
                new = b.extract_element(total[row // ROWS][0], INDEX(row % ROWS))
                b.store(b.select(onto, b.fadd(new, b.load(place, align=c.size)), new), place, align=c.size)
        return context.get_dummy_value()
    return types.void(like, types.uintp, types.uintp, types.intp, types.intp, types.uintp, types.intp, types.boolean,
                      types.intp), code


column: Any = intrinsic(_make_column)
wide, narrow = _make_tile(ROWS, 2, LANES), _make_tile(ROWS, 1, 8)
wide_row, narrow_row = _make_tile(1, 2, LANES), _make_tile(1, 1, 8)
one, one_row = (narrow, narrow_row) if LANES == 8 else (_make_tile(ROWS, 1, LANES), _make_tile(1, 1, LANES))


@inside
def panel(like: np.ndarray, rows: int, W: int, B: int, n: int, K: int, C: int, ldc: int, columns: int, onto: bool) -> None:
    """C (rows, columns) = W B for one panel, or one row of it; n: the distance of B's rows, columns >= 8."""
    size, j = like.itemsize, 0
    while j + 2 * LANES <= columns:
        if rows == ROWS:
            wide(like, W, B + j * size, n, K, C + j * size, ldc, onto, 0)
        else:
            wide_row(like, W, B + j * size, n, K, C + j * size, ldc, onto, 0)
        j += 2 * LANES
    while j + LANES <= columns:
        if rows == ROWS:
            one(like, W, B + j * size, n, K, C + j * size, ldc, onto, 0)
        else:
            one_row(like, W, B + j * size, n, K, C + j * size, ldc, onto, 0)
        j += LANES
    while j < columns:
        start = min(j, columns - 8)                 # a vector that reaches back
        if rows == ROWS:
            narrow(like, W, B + start * size, n, K, C + start * size, ldc, onto, j - start)
        else:
            narrow_row(like, W, B + start * size, n, K, C + start * size, ldc, onto, j - start)
        j = start + 8


@inside
def multiply(weights: np.ndarray, M: int, onto: bool, states: np.ndarray, out: np.ndarray, t: int, first: int,
             n: int) -> None:
    """Write W @ state into out[t], or add it, for the state (K, n) that begins at states[t, first].

    weights (ceil(M / 4), K, 4): W (M, K) as ``pack`` leaves it.
    """
    panels, K, _ = weights.shape
    size = weights.itemsize
    B = states.ctypes.data + (t * states.shape[1] + first) * size
    C = out.ctypes.data + t * out.shape[1] * size
    if n < 8:
        together = panels - panels % PANELS
        for p in range(0, together, PANELS):
            for j in range(n):
                column(weights, weights.ctypes.data + p * K * ROWS * size, B + j * size, n, K,
                       C + (p * ROWS * n + j) * size, n, onto, M - p * ROWS)
        scalars(weights, together * ROWS, M, onto, states, out, t, first, n)
        return
    for j in range(0, n, SLAB):
        columns = min(SLAB, n - j)
        if columns < 8:                                     # too few: join the slab before
            continue
        if n - j - columns < 8:
            columns = n - j
        for p in range(panels):
            W, c = weights.ctypes.data + p * K * ROWS * size, C + (p * ROWS * n + j) * size
            if M - p * ROWS >= ROWS:
                panel(weights, ROWS, W, B + j * size, n, K, c, n, columns, onto)
            else:
                for r in range(M - p * ROWS):
                    panel(weights, 1, W + r * size, B + j * size, n, K, c + r * n * size, n, columns, onto)


@inside
def scalars(weights: np.ndarray, top: int, M: int, onto: bool, states: np.ndarray, out: np.ndarray, t: int, first: int,
            n: int) -> None:
    """The same for rows ``top`` to M, one number after another."""
    for row in range(top, M):
        for j in range(n):
            total = weights.dtype.type(0)
            for k in range(weights.shape[1]):
                total += weights[row // ROWS, k, row % ROWS] * states[t, first + k * n + j]
            out[t, row * n + j] = out[t, row * n + j] + total if onto else total


@compiled("strided2", "array3")
def pack(W: np.ndarray, packed: np.ndarray) -> None:
    """Copy W (M, K) into ``packed`` (ceil(M / 4), K, 4), four rows side by side; rows that are not there are 0."""
    M, K = W.shape
    for p in range(packed.shape[0]):
        for k in range(K):
            for r in range(ROWS):
                packed[p, k, r] = W[p * ROWS + r, k] if p * ROWS + r < M else 0
