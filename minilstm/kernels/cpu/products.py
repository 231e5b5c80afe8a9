"""The product of a step: a weight matrix (M, K) times a state (K, n), repeated with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.kernels.compiled import PANELS, ROWS


class Product:
    """``W @ state`` for a fixed W (M, K) and states (K, n), into a given result (M, n); all C-contiguous."""

    compiled = None

    def __init__(self, W: np.ndarray) -> None:
        self._W = W

    def __call__(self, state: np.ndarray, out: np.ndarray) -> None:
        np.matmul(self._W, state, out=out)


class Packed:
    """A fixed W for the product of compiled steps, which is packed once for all of them.

    Attributes:
        compiled: the compiled functions.
        parts: the arguments of their product: the packed matrix and the number of rows, M.
    """

    def __init__(self, W: np.ndarray, compiled: Any) -> None:
        (M, K), self.compiled = W.shape, compiled
        packed = np.empty((-(-M // (ROWS * PANELS)) * PANELS, K, ROWS), W.dtype)
        compiled.gemm.pack(W, packed)
        self.parts = packed, M
