"""The product of a step: a weight matrix (M, K) times a state (K, n), repeated with the same weights.

A matrix of a few hundred rows is too small for BLAS to reach its best speed in one call: it copies both
operands first. On processors with AVX-512, OpenBLAS computes products of up to a million multiplications
without copying, and fastest if the state's piece stays in the first-level cache; ``pieces`` cuts accordingly.
Otherwise a single product is used. Compiled steps have their own product, whose weights are packed once for
all steps.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minilstm.backend.threads import blas
from minilstm.kernels.compiled import PANELS, ROWS

SMALL = 1_000_000           # multiplications that OpenBLAS does without copying (its SMALL_MATRIX_OPT)
FIRST_LEVEL = 50_000        # bytes of the state's piece
SMALL_KERNELS = {"skylakex", "cooperlake", "sapphirerapids"}     # the builds of OpenBLAS that have them


@cache
def _has_small_kernels() -> bool:
    architectures = [getattr(library, "architecture", "") for library in blas().lib_controllers]
    return any(str(name).lower() in SMALL_KERNELS for name in architectures)


def pieces(M: int, K: int, n: int, itemsize: int) -> tuple[int, int]:
    """Return (rows of a piece, number of pieces along K) for a product (M, K) (K, n)."""
    whole = M, 1
    if not _has_small_kernels() or itemsize > 8:
        return whole
    splits = 1
    while K * n * itemsize > FIRST_LEVEL * splits and K % (2 * splits) == 0:
        splits *= 2
    rows = 64
    while rows * (K // splits) * n > SMALL and rows > 16:
        rows //= 2
    return (rows, splits) if M % rows == 0 and rows * (K // splits) * n <= SMALL else whole


class Product:
    """``W @ state`` for a fixed W (M, K), C-contiguous, and states (K, n), into a given result (M, n)."""

    compiled = None

    def __init__(self, W: np.ndarray, n: int) -> None:
        M, K = W.shape
        rows, splits = pieces(M, K, n, W.itemsize)
        self._whole = W if (rows, splits) == (M, 1) else None
        self._state = splits, 1, K // splits, n
        cut = W.reshape(M // rows, rows, splits, K // splits)
        self._weights = np.ascontiguousarray(cut.transpose(2, 0, 1, 3))
        self._shares = np.empty((splits, M // rows, rows, n), dtype=W.dtype)

    def __call__(self, state: np.ndarray, out: np.ndarray) -> None:
        """Write W @ state into ``out``; both C-contiguous."""
        if self._whole is not None:
            np.matmul(self._whole, state, out=out)
        else:
            np.matmul(self._weights, state.reshape(self._state), out=self._shares)
            np.add.reduce(self._shares.reshape(len(self._shares), *out.shape), axis=0, out=out)


class Packed:
    """A fixed W for the product of compiled steps.

    Attributes:
        compiled: the compiled functions.
        parts: the arguments of their product: the packed matrix and the number of rows, M.
    """

    def __init__(self, W: np.ndarray, compiled: Any) -> None:
        (M, K), self.compiled = W.shape, compiled
        packed = np.empty((-(-M // (ROWS * PANELS)) * PANELS, K, ROWS), W.dtype)
        compiled.gemm.pack(W, packed)
        self.parts = packed, M
