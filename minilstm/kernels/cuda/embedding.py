"""The embedding's gradient on a device, without atomic additions; the kernels are in embedding.cu."""

from __future__ import annotations

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.kernels.cuda.launch import Kernel, Pointer, kernel, launch

CHUNK = 32          # sorted positions that a block adds up; the same number as in embedding.cu
COLUMNS = 128       # maximum number of threads per block, one for each column


def _kernel(name: str, dtype: np.dtype, tokens: Array) -> Kernel:
    return kernel("embedding", name, dtype, TOKEN="int" if tokens.dtype == np.int32 else "long long")


def _flat(tokens: Array) -> Array:
    """Return tokens as one row of int32 or int64, which the kernels take."""
    dtype = np.int32 if tokens.dtype == np.int32 else np.int64
    return get_array_module(tokens).ascontiguousarray(tokens.reshape(-1), dtype=dtype)


def add_on_device(dy: Array, tokens: Array, dW: Array, padding_idx: int | None) -> None:
    """Add to each row of dW (V, D) the sum of dy (..., D) over the positions of its token in tokens (...).

    The order of the additions is fixed, so every run gives the same bytes. The row ``padding_idx`` is not
    changed, and tokens out of range are ignored.
    """
    (V, D), xp, flat = dW.shape, get_array_module(dW), _flat(tokens)
    P = flat.size
    order = xp.argsort(flat, kind="stable")
    dy = xp.ascontiguousarray(dy.reshape(P, D), dtype=dW.dtype)
    chunks, threads = -(-P // CHUNK), min(COLUMNS, -(-D // 32) * 32)
    edges = xp.empty((chunks, 2, D), dtype=dW.dtype)
    grid = chunks, -(-D // threads)
    places = Pointer(flat, (P,), flat.dtype), Pointer(order, (P,), np.int64)
    rest = (Pointer(edges, (chunks, 2, D)), Pointer(dW, (V, D)),
            np.int64(-1 if padding_idx is None else padding_idx), V, P, D)
    add_chunks = _kernel("embedding_chunks", dW.dtype, flat)
    launch(add_chunks, grid, threads, *places, Pointer(dy, (P, D)), *rest)
    add_edges = _kernel("embedding_edges", dW.dtype, flat)
    launch(add_edges, grid, threads, *places, *rest)
