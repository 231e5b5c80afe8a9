"""The matrix product of a step, in compiled loops: C = A B + beta C by BLAS's sgemm or dgemm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from minilstm.kernels.compiled.blas import find
from minilstm.kernels.compiled.jit import inside

ROW_MAJOR, NO_TRANS, TRANS = 101, 111, 112


def _external(name: str, number: Any) -> Any:
    """Return cblas's function for compiled code, with pointers as integers; ``library.load`` says where it is."""
    enum, pointer, integer = types.int32, types.uintp, types.int64 if find().bits == 64 else types.int32
    order, sizes = (enum, enum, enum), (integer, integer, integer)
    return types.ExternalFunction(f"minilstm_{name}", types.void(
        *order, *sizes, number, pointer, integer, pointer, integer, number, pointer, integer))


SGEMM, DGEMM = _external("sgemm", types.float32), _external("dgemm", types.float64)


def gemm(like: Any, trans: int, M: int, N: int, K: int, A: int, lda: int, B: int, beta: int, C: int) -> None:
    """C (M, N) = A (M, K) B (K, N) + beta C, given addresses of matrices row after row; ``like``: an array of their dtype."""
    raise NotImplementedError("for compiled code only")


@overload(gemm)
def _gemm_for(like: Any, trans: int, M: int, N: int, K: int, A: int, lda: int, B: int, beta: int,
              C: int) -> Callable[..., None]:
    function, number = (SGEMM, np.float32) if like.dtype is types.float32 else (DGEMM, np.float64)

    def call(like: Any, trans: int, M: int, N: int, K: int, A: int, lda: int, B: int, beta: int, C: int) -> None:
        function(np.int32(ROW_MAJOR), np.int32(trans), np.int32(NO_TRANS), M, N, K, number(1), A, lda, B, N, number(beta),
                 C, N)
    return call


@inside
def multiply(weights: np.ndarray, transposed: bool, onto: bool, states: np.ndarray, out: np.ndarray, t: int, first: int,
             n: int) -> None:
    """Write W @ state into out[t], for the state (K, n) that begins at states[t, first]; the rest is ``Product.parts``."""
    splits, pieces, rows, columns = weights.shape
    size, W = weights.itemsize, weights.ctypes.data
    state = states.ctypes.data + (t * states.shape[1] + first) * size
    result = out.ctypes.data + t * out.shape[1] * size
    if transposed:
        gemm(weights, TRANS, columns, n, rows, W, columns, state, int(onto), result)
        return
    for piece in range(pieces):
        for split in range(splits):
            gemm(weights, NO_TRANS, rows, n, columns, W + (split * pieces + piece) * rows * columns * size, columns,
                 state + split * columns * n * size, int(onto or split > 0), result + piece * rows * n * size)
