"""The product of a step: a weight matrix (M, K) times a state (K, n), repeated with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.kernels.compiled import PANELS, ROWS

Blocks = tuple[tuple[slice, slice], ...]        # rows and columns of W; the rest of W counts as 0
WHOLE: Blocks = ((slice(None), slice(None)),)


class Product:
    """``W @ state`` for a fixed W (M, K) and states (K, n), into a given result (M, n); all C-contiguous.

    Together the blocks have every row of W, each of them once. If the functions of ``kernels.compiled`` are
    given, their steps take ``parts`` instead of calling it: the blocks, packed once, and a table of them.
    """

    def __init__(self, W: np.ndarray, blocks: Blocks, compiled: Any) -> None:
        self.compiled = compiled
        self._blocks = [(np.ascontiguousarray(W[block]), *block) for block in blocks]
        if compiled is not None:
            self.parts = self._pack()

    def _pack(self) -> tuple[np.ndarray, np.ndarray]:
        packed, table = [], []
        for W, rows, columns in self._blocks:
            panels = np.empty((-(-len(W) // (ROWS * PANELS)) * PANELS, W.shape[1], ROWS), W.dtype)
            self.compiled.gemm.pack(W, panels)
            packed.append(panels.ravel())
            table.append((panels.size, *W.shape, rows.start or 0, columns.start or 0))
        return np.concatenate(packed), np.array(table, np.int64)

    def __call__(self, state: np.ndarray, out: np.ndarray) -> None:
        for W, rows, columns in self._blocks:
            np.matmul(W, state[columns], out=out[rows])
