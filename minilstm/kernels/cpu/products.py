"""The product of a step: a weight matrix (M, K) times a state (K, n), over and over with the same weights."""

from __future__ import annotations

import numpy as np

from minilstm.kernels.compiled import PANELS, ROWS, module


class Product:
    """``W @ state`` into a given result, in NumPy; with ``onto``, ``out + W @ state`` for the first K rows of a state."""

    def __init__(self, W: np.ndarray, n: int, onto: bool = False) -> None:
        self._W = W
        self._mine = np.empty((W.shape[0], n), dtype=W.dtype) if onto else None

    def __call__(self, state: np.ndarray, out: np.ndarray) -> None:
        """Write W @ state into ``out``, or add it; both C-contiguous."""
        if self._mine is None:
            np.matmul(self._W, state, out=out)
        else:
            np.matmul(self._W, state[:self._W.shape[1]], out=self._mine)
            np.add(out, self._mine, out=out)


class Packed:
    """The same for compiled steps: a weight matrix that is packed once for all of them.

    ``parts`` is what ``compiled.gemm.multiply`` wants: the packed matrix, its rows, and whether to add to the result.
    """

    def __init__(self, W: np.ndarray, onto: bool = False) -> None:
        M, K = W.shape
        packed = np.empty((-(-M // (ROWS * PANELS)) * PANELS, K, ROWS), W.dtype)
        module("gemm", W).pack(W, packed)
        self.parts = packed, M, onto
