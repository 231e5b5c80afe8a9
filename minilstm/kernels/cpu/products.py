"""The product of a step: a weight matrix (M, K) times a state (K, n), repeated with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.kernels.compiled import PANELS, ROWS


Blocks = tuple[tuple[slice, slice], ...]        # rows and columns of W; all of W outside them is 0
WHOLE: Blocks = ((slice(None), slice(None)),)


def make_product(W: np.ndarray, blocks: Blocks, compiled: Any) -> Product | Packed:
    """Return the product with W, compiled if the functions of ``kernels.compiled`` are given."""
    return Product(W, blocks) if compiled is None else Packed(W, blocks, compiled)


class Product:
    """``W @ state`` for a fixed W (M, K) and states (K, n), into a given result (M, n); all C-contiguous.

    ``blocks``: together they have every row of W, each of them once.
    """

    compiled = None

    def __init__(self, W: np.ndarray, blocks: Blocks) -> None:
        self._blocks = [(np.ascontiguousarray(W[block]), *block) for block in blocks]

    def __call__(self, state: np.ndarray, out: np.ndarray) -> None:
        for W, rows, columns in self._blocks:
            np.matmul(W, state[columns], out=out[rows])


class Packed:
    """A fixed W for the product of compiled steps, which is packed once for all of them.

    Attributes:
        compiled: the compiled functions.
        parts: the arguments of their product: the packed blocks, and a row of numbers for each (see
            ``compiled/gemm.py``).
    """

    def __init__(self, W: np.ndarray, blocks: Blocks, compiled: Any) -> None:
        self.compiled, packed, table = compiled, [np.empty(0, W.dtype)], []
        for rows, columns in blocks:
            M, K = W[rows, columns].shape
            panels = np.empty((-(-M // (ROWS * PANELS)) * PANELS, K, ROWS), W.dtype)
            compiled.gemm.pack(W[rows, columns], panels)
            table.append((sum(map(len, packed)), M, K, rows.start or 0, columns.start or 0))
            packed.append(panels.ravel())
        self.parts = np.concatenate(packed), np.array(table, np.int64)
