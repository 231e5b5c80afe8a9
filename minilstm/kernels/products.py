"""Matrix products in pieces.

``Product`` multiplies one weight matrix with many states (K, N). A matrix of a few hundred rows is too small for BLAS to
reach its best speed in one call: it copies both operands first. OpenBLAS on processors with AVX-512 multiplies pieces of up
to a million multiplications straight from where they are, and fastest while the state's piece stays in the first-level cache;
``pieces`` cuts so. Elsewhere, and where nothing fits, it is one product.

``Packed`` is for compiled steps, which have a product of their own.

``product`` is ``a @ b`` for two matrices of any size, on all threads, with the same bits whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from minilstm.kernels.compiled import PANELS, ROWS, module
from minilstm.kernels.threads import blas, one_blas_thread, run

SMALL = 1_000_000           # multiplications that OpenBLAS does without copying (its SMALL_MATRIX_OPT)
FIRST_LEVEL = 50_000        # bytes of the state's piece
SMALL_KERNELS = {"skylakex", "cooperlake", "sapphirerapids"}     # the builds of OpenBLAS that have them
WORTH_COPYING = 1_000_000   # bytes of weights, above which a copy in rows costs more than BLAS saves by it
PIECE = 256                 # rows or columns of a result that one task of ``product`` makes
WORTH_SHARING = 10_000_000  # multiplications, below which one thread is as fast


@cache
def _has_small_kernels() -> bool:
    return any(str(getattr(library, "architecture", "")).lower() in SMALL_KERNELS for library in blas().lib_controllers)


def pieces(M: int, K: int, N: int, itemsize: int) -> tuple[int, int]:
    """Return (rows of a piece, number of pieces along K) for a product (M, K) (K, N)."""
    whole = M, 1
    if not _has_small_kernels() or itemsize > 8:
        return whole
    splits = 1
    while K * N * itemsize > FIRST_LEVEL * splits and K % (2 * splits) == 0:
        splits *= 2
    rows = 64
    while rows * (K // splits) * N > SMALL and rows > 16:
        rows //= 2
    return (rows, splits) if M % rows == 0 and rows * (K // splits) * N <= SMALL else whole


def compact(W: np.ndarray) -> np.ndarray:
    """Return weights row after row, unless they are so large that the copy costs more than it saves."""
    return np.ascontiguousarray(W) if W.nbytes <= WORTH_COPYING else W


class Product:
    """``W @ state`` for a fixed W (M, K) and states (K, N), into a given result (M, N).

    ``parts`` is what compiled loops need of it (``compiled.gemm.multiply``): W as it is cut, (splits, pieces, rows, columns);
    whether that is W's transpose, (1, 1, K, M), as it stands in memory; whether to add to the result.
    """

    onto = False

    def __init__(self, W: np.ndarray, N: int) -> None:
        M, K = W.shape
        rows, splits = pieces(M, K, N, W.itemsize)
        self.transposed, self._out = False, None
        if (rows, splits) == (M, 1):
            W = compact(W)
            self.transposed = not W.flags.c_contiguous and W.T.flags.c_contiguous
            self.weights = W.T[None, None] if self.transposed else np.ascontiguousarray(W)[None, None]
            self._whole = W if self.transposed else self.weights[0, 0]
            return
        self._whole = None
        self._shape = (splits, 1, K // splits, N)
        self.weights = np.ascontiguousarray(W.reshape(M // rows, rows, splits, K // splits).transpose(2, 0, 1, 3))
        self._rows = rows
        if splits > 1:
            self._out = np.empty((splits, M // rows, rows, N), dtype=W.dtype)

    @property
    def parts(self) -> tuple[np.ndarray, bool, bool]:
        return self.weights, self.transposed, self.onto

    def __call__(self, state: np.ndarray, out: np.ndarray) -> None:
        """Write W @ state into ``out``; both C-contiguous."""
        if self._whole is not None:
            np.matmul(self._whole, state, out=out)
        elif self._out is None:
            np.matmul(self.weights[0], state, out=out.reshape(-1, self._rows, out.shape[1]))
        else:
            np.matmul(self.weights, state.reshape(self._shape), out=self._out)
            np.add.reduce(self._out.reshape(len(self._out), *out.shape), axis=0, out=out)


class ProductOnto(Product):
    """``out + W @ state`` for the first rows of a state (K', N), K' >= K; ``out`` has the rest of the sum already."""

    onto = True

    def __init__(self, W: np.ndarray, N: int) -> None:
        super().__init__(W, N)
        self._K, self._mine = W.shape[1], np.empty((W.shape[0], N), dtype=W.dtype)

    def __call__(self, state: np.ndarray, out: np.ndarray) -> None:
        super().__call__(state[:self._K], self._mine)
        np.add(out, self._mine, out=out)


class Packed:
    """The same products for compiled steps: a weight matrix that is packed once for all of them.

    ``parts`` is what ``compiled.gemm.multiply`` wants: the packed matrix, its rows, and whether to add to the result.
    """

    def __init__(self, W: np.ndarray, onto: bool = False) -> None:
        M, K = W.shape
        packed = np.empty((-(-M // (ROWS * PANELS)) * PANELS, K, ROWS), W.dtype)
        module("gemm", W).pack(W, packed)
        self.parts = packed, M, onto


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a @ b for (M, K) and (K, N), the same bits whatever the number of threads."""
    M, N = a.shape[0], b.shape[1]
    out = np.empty((M, N), dtype=np.result_type(a, b))
    cuts = [slice(start, start + PIECE) for start in range(0, max(M, N), PIECE)]

    def task(cut: slice) -> Callable[[], Any]:
        if M >= N:
            return lambda: np.matmul(a[cut], b, out=out[cut])
        return lambda: np.matmul(a, b[:, cut], out=out[:, cut])
    tasks = [task(cut) for cut in cuts]
    with one_blas_thread():
        if M * N * a.shape[1] < WORTH_SHARING:
            for do in tasks:
                do()
        else:
            run(tasks)
    return out
