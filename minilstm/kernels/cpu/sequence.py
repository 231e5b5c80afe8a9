"""One layer and one direction over a whole batch, fast: the code shared by all cells.

A cell (``LSTMCell``, ``RNNCell``) implements one step. This file cuts the batch into chunks of rows, which
are independent and may run on several cores; it allocates memory, runs the steps and collects their results.
The internal axis order is time, features, rows: a state is (H, n), the gates of a step (G H, n), so that each
gate is one piece of memory. For T steps of a chunk of n rows:

    hx (T+1, H+1+D, n)  hidden state before each step, a row of ones for the biases, and the input
    u  (T+1, U H, n)    what the cell keeps of each step: first its gates, in rows 0 to G H, later their local
                        derivatives, at last dz

A step forward is then one product, z = [W_h, b, W_x] [h; 1; x], a step back is another, [dh; dx] = [W_h,
W_x]ᵀ dz, and all weight gradients of a block of steps are a third, [dW_h, db, dW_x] = Σ dz [h; 1; x]ᵀ.

The cuts of rows and steps do not depend on the number of threads, and therefore the results do not either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from minilstm.backend.threads import one_blas_thread, run
from minilstm.cells.padding import real_steps
from minilstm.kernels import compiled
from minilstm.kernels.cpu.buffers import Memory, copy_in, copy_out, flatten_steps
from minilstm.kernels.cpu.products import Blocks, Product

# Steps of a block times rows of a chunk: large enough for a fast product of the weight gradients, and small
# enough that the steps' results are still in the cache when they are used.
BLOCK = 512
memory = Memory()


class Cell(Protocol):
    """What ``forward`` and ``backward`` need to know of a cell; H and D are its sizes."""

    H: int
    D: int
    G: int                  # blocks of H rows that the product makes
    U: int                  # blocks of H rows that a step keeps
    dz: slice               # the rows of u where backward_steps leaves dz, in the order of backward_weights
    forward_blocks: Blocks  # of forward_weights and the weight gradients
    backward_blocks: Blocks

    def forward_weights(self, W: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return [W_h, b, W_x] (GH, H+1+D) for the products of forward."""

    def backward_weights(self, W: np.ndarray) -> np.ndarray:
        """Return [W_h, W_x]ᵀ (H+D, GH) for the products of backward."""

    def weight_gradients(self, dW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (dW (H+D, GH), db (GH,)) in the layer's layout, given (GH, H+1+D)."""

    def state(self, k: int, hx: np.ndarray, u: np.ndarray, t: int) -> np.ndarray:
        """Return the k-th state (H, n) before step t."""

    def forward_steps(self, hx: np.ndarray, u: np.ndarray, padded: np.ndarray | None, product: Any,
                      scratch: np.ndarray | None) -> None:
        """Run the steps of a block forward.

        hx (s+1, H+D+1, n), u (s+1, UH, n); ``padded`` (s, 1, n) bool, or None. ``product``: a Product, or a
        Packed if the steps are compiled. If ``scratch`` (2, s, H, n) is given, u[:-1] receives the local
        derivatives that ``backward_steps`` multiplies by.
        """

    def backward_steps(self, u: np.ndarray, dhx: np.ndarray, d: list[np.ndarray], dy: np.ndarray | None,
                       padded: np.ndarray | None, product: Any, scratch: np.ndarray) -> None:
        """Go back through a block and make dz.

        dhx (s+1, H+D, n): on entry row s has the gradient of h after the block; step t leaves [dh; dx] in row
        t. ``d``: the gradients of the other states, (H, n) each, changed in place. dy (s, H, n): gradients of
        the outputs, or None.
        """


class Chunk(NamedTuple):
    """Rows of a batch that are processed together, with their memory."""

    rows: slice
    hx: np.ndarray
    u: np.ndarray
    padded: np.ndarray | None       # (T, 1, n) bool


class SequenceCache(NamedTuple):
    """What backward needs; after a forward with ``keep=False``, the final states ``last`` (N, H) alone."""

    cell: Any
    W: np.ndarray
    last: tuple[np.ndarray, ...]
    chunks: list[Chunk]
    shape: tuple[int, int]                                  # N, T


def row_chunks(N: int, compiled: bool) -> list[slice]:
    """Cut N rows into chunks, whatever the number of threads (benchmarks/RESULTS.md, "Rows of a chunk").

    BLAS is slow with fewer than 32 rows and best with 64 or more; compiled steps are as fast with 16 as with
    32 rows, and slower with more.
    """
    size = 32 if compiled else 64
    count = 1 if N <= size // 2 else max(2, -(-N // size))
    edges = [N * k // count for k in range(count + 1)]
    return [slice(a, b) for a, b in zip(edges, edges[1:])]


def sizes(x: np.ndarray, W: np.ndarray) -> tuple[int, int]:
    """Return H and D, given x (N, T, D) and W (H+D, GH)."""
    return W.shape[0] - x.shape[2], x.shape[2]


def forward(cell: Cell, x: np.ndarray, state0: Sequence[np.ndarray | None], W: np.ndarray, b: np.ndarray,
            lengths: np.ndarray | None, padding: str, *, outputs: bool,
            keep: bool) -> tuple[np.ndarray | None, SequenceCache]:
    """Return (y (N, T, H), or None without ``outputs``; cache).

    x (N, T, D); state0 (N, H) each, None for zeros; W (H+D, GH); lengths (N,), or None: all steps are real.
    The floating point arrays have one dtype, and the caller has checked all arguments.
    """
    N, T, _ = x.shape
    real = None if lengths is None else real_steps(lengths, T, padding, like=x)
    product = Product(cell.forward_weights(W, b), cell.forward_blocks, compiled.functions(x))
    y = np.empty((N, T, cell.H), dtype=x.dtype) if outputs else None
    last = tuple(np.empty((N, cell.H), dtype=x.dtype) for _ in state0)
    cuts = row_chunks(N, product.compiled is not None)
    chunks = [_lay_out(cell, rows, T, real, x.dtype, keep) for rows in cuts]
    make = partial(_forward_chunk, cell, x, state0, product, y, last, keep)
    with one_blas_thread():
        run([partial(make, chunk) for chunk in chunks])
    if not keep:
        memory.give([array for chunk in chunks for array in (chunk.hx, chunk.u)])
        chunks = []
    return y, SequenceCache(cell, W, last, chunks, (N, T))


def backward(dy: np.ndarray | None, dlast: list[np.ndarray | None], cache: SequenceCache, *,
             consume: bool) -> tuple[np.ndarray, list[np.ndarray], np.ndarray, np.ndarray]:
    """Return (dx (N, T, D), gradients of the initial states (N, H), dW (H+D, GH), db (GH,)).

    dy (N, T, H) and dlast (N, H) may be None. ``consume``: the cache may be overwritten and its memory
    reused.
    """
    cell, W, _, chunks, (N, T) = cache
    product = Product(cell.backward_weights(W), cell.backward_blocks, compiled.functions(W))
    dx = np.empty((N, T, cell.D), dtype=W.dtype)
    d0 = [np.empty((N, cell.H), dtype=W.dtype) for _ in dlast]
    if not consume:
        chunks = [chunk._replace(u=chunk.u.copy()) for chunk in chunks]
    make = partial(_backward_chunk, cell, dy, dlast, product, dx, d0)
    with one_blas_thread():
        shares = run([partial(make, chunk) for chunk in chunks])
    for share in shares[1:]:        # of [dW_h, db, dW_x], added up in this order
        shares[0] += share
    if consume:
        memory.give([array for chunk in chunks for array in (chunk.hx, chunk.u)])
    dW, db = cell.weight_gradients(shares[0])
    return dx, d0, dW, db


def _lay_out(cell: Cell, rows: slice, T: int, real: np.ndarray | None, dtype: np.dtype, keep: bool) -> Chunk:
    """Return a chunk with its memory; without ``keep`` for one block of steps only."""
    n = rows.stop - rows.start
    steps = T if keep else _block_size(T, n)
    padded = None if real is None else np.ascontiguousarray(~real[:, rows].transpose(0, 2, 1))
    return Chunk(rows, memory.take((steps + 1, cell.H + cell.D + 1, n), dtype),
                 memory.take((steps + 1, cell.U * cell.H, n), dtype), padded)


def _block_size(T: int, n: int) -> int:
    """Return how many steps a block of a chunk of n rows has, at most."""
    return min(T, max(8, BLOCK // n))


def _blocks(T: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield (first, after the last) of each block's steps."""
    for start in range(0, T, size):
        yield start, min(T, start + size)


def _forward_chunk(cell: Cell, x: np.ndarray, state0: Sequence[np.ndarray | None], product: Product,
                   y: np.ndarray | None, last: tuple[np.ndarray, ...], keep: bool, chunk: Chunk) -> None:
    """Make all steps of a chunk, and fill its rows of y and last."""
    H, n, T = cell.H, chunk.hx.shape[2], x.shape[1]
    size = _block_size(T, n)
    scratch = np.empty((2, size, H, n), x.dtype) if keep else None
    states = [np.zeros((H, 1), x.dtype) if s is None else s[chunk.rows].T for s in state0]
    for t0, t1 in _blocks(T, size):
        steps, at = t1 - t0, t0 if keep else 0
        hx, u = chunk.hx[at:at + steps + 1], chunk.u[at:at + steps + 1]
        if at == 0:             # elsewhere the block before has left its last states
            for k, state in enumerate(states):
                cell.state(k, hx, u, 0)[...] = state
        padded = None if chunk.padded is None else chunk.padded[t0:t1]
        copy_in(x[chunk.rows, t0:t1], hx, H + 1, padded, product.compiled)
        hx[:-1, H] = 1
        cell.forward_steps(hx, u, padded, product, None if scratch is None else scratch[:, :steps])
        if y is not None:
            copy_out(hx[1:], 0, y[chunk.rows, t0:t1], padded, product.compiled)
        states = [cell.state(k, hx, u, steps) for k in range(len(states))]
    for k, state in enumerate(states):
        last[k][chunk.rows] = state.T


def _backward_chunk(cell: Cell, dy: np.ndarray | None, dlast: list[np.ndarray | None], product: Product,
                    dx: np.ndarray, d0: list[np.ndarray], chunk: Chunk) -> np.ndarray:
    """Go back through a chunk, and fill its rows of dx and d0. Return [dW_h, db, dW_x] of it, (GH, H+1+D)."""
    H, D, n, T = cell.H, cell.D, chunk.hx.shape[2], dx.shape[1]
    GH, K, size, dtype = cell.G * H, H + 1 + D, _block_size(T, n), dx.dtype
    dh, *others = [np.zeros((H, n), dtype) if d is None else d[chunk.rows].T.astype(dtype, order="C")
                   for d in dlast]
    dhx, above = np.empty((size + 1, H + D, n), dtype), np.empty((size, H, n), dtype)
    scratch, share = np.empty((H, n), dtype), np.zeros((GH, K), dtype)
    left_panel, right_panel = np.empty(GH * size * n, dtype), np.empty(K * size * n, dtype)
    dW = np.zeros((GH, K), dtype)
    for t0, t1 in reversed(list(_blocks(T, size))):
        steps = t1 - t0
        padded = None if chunk.padded is None else chunk.padded[t0:t1]
        if dy is not None:
            copy_in(dy[chunk.rows, t0:t1], above, 0, padded, product.compiled)
        dhx[steps, :H] = dh
        cell.backward_steps(chunk.u[t0:t1], dhx[:steps + 1], others, None if dy is None else above[:steps],
                            padded, product, scratch)
        dh = dhx[0, :H]
        # With all steps and rows side by side, one product gives the weight gradients of the block.
        left = flatten_steps(chunk.u[t0:t1, cell.dz], left_panel)
        right = flatten_steps(chunk.hx[t0:t1], right_panel)
        for rows, columns in cell.forward_blocks:
            np.matmul(left[rows], right[columns].T, out=share[rows, columns])
        np.add(dW, share, out=dW)
        copy_out(dhx[:steps], H, dx[chunk.rows, t0:t1], None, product.compiled)
    for k, state in enumerate([dh, *others]):
        d0[k][chunk.rows] = state.T
    return dW
