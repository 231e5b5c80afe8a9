"""One layer and one direction over a whole batch, fast: everything that the cells have in common.

A cell (``LSTMCell``, ``RNNCell``) knows one step; this file cuts the batch (``batch.py``), lays out memory, feeds the steps
and collects what they leave behind. Inside, time comes first, then features, then rows: a state is (H, n), the gates of a step
(G H, n), so that each gate is one piece of memory. For one stretch of L steps and n rows:

    hx (L+1, H+D+1, n)  hidden state before each step, the input, and a row of ones whose weights are the biases
    u  (L+1, U H, n)    what the cell keeps of each step: first its gates, in rows 0 to G H, later their local derivatives,
                        at last dz

so that a step forward is one product, z = [W_h, W_x, b] [h; x; 1], a step back another, [dh; dx] = [W_h, W_x]ᵀ dz, and all
weight gradients of a block of steps a third, [dW_h, dW_x, db] = Σ dz [h; x; 1]ᵀ.

Weights that are too large for the cache cost most of their time in getting there. With such weights the inputs' share
of z, [W_x, b] [x; 1], and dx = W_xᵀ dz are made for a whole block of steps at once, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from minilstm.kernels import processes
from minilstm.kernels.batch import Chunk, Stretch, cut
from minilstm.kernels.compiled import takes
from minilstm.kernels.layout import Part, read_inputs, read_upstream, side_by_side, write_input_gradients, write_outputs
from minilstm.kernels.memory import Carver, Memory, scratch
from minilstm.kernels.processes import Block
from minilstm.kernels.products import Packed, Product, ProductOnto
from minilstm.kernels.threads import one_blas_thread, run

FORWARD_BLOCK = 128     # steps of a block times rows of a chunk: what a block leaves behind is still cached when it is reused
COMPILED_BLOCK = 512    # the same where steps are compiled, which reuse nothing
BACKWARD_BLOCK = 512    # the same; long enough for a fast product of the weight gradients
LARGE = 1_000_000       # bytes of weights that do not stay in a second-level cache beside BLAS's own copy of them
WORTH_SENDING = 50_000_000      # multiplications of a forward pass, below which a message to another process costs too much
LONG_STEP = 10_000_000  # multiplications of a step, above which threads are as fast: they hardly wait for each other


class Cell(Protocol):
    """What ``forward`` and ``backward`` need to know of a cell; H and D are its sizes."""

    H: int
    D: int
    G: int                  # blocks of H rows that the product makes
    U: int                  # blocks of H rows that a step keeps
    states: int             # how many states: h, or h and c
    dz: slice               # the rows of u where backward_steps leaves dz, in the order of backward_weights

    def forward_weights(self, W: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return [W_h, W_x, b] (GH, H+D+1) for the products of forward."""

    def backward_weights(self, W: np.ndarray) -> np.ndarray:
        """Return [W_h, W_x]ᵀ (H+D, GH) for the products of backward."""

    def weight_gradients(self, dW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (dW (H+D, GH), db (GH,)) in the layer's layout, given (GH, H+D+1)."""

    def state(self, k: int, hx: np.ndarray, u: np.ndarray, t: int) -> np.ndarray:
        """Return the k-th state (H, n) before step t."""

    def forward_steps(self, hx: np.ndarray, u: np.ndarray, padded: np.ndarray | None, product: Any,
                      spare: np.ndarray | None) -> None:
        """Make the steps of a block: hx (s+1, H+D+1, n), u (s+1, UH, n); ``padded`` (s, 1, n) bool, or None.

        ``product``: a Product, or a Packed where steps are compiled.

        Given ``spare`` (2, s, H, n), u[:-1] becomes what ``backward_steps`` multiplies with: local derivatives.
        """

    def backward_steps(self, u: np.ndarray, dhx: np.ndarray, d: list[np.ndarray], dy: np.ndarray | None,
                       padded: np.ndarray | None, product: Any, scratch: np.ndarray) -> None:
        """Go back through a block and make dz.

        dhx (s+1, H+D, n): on entry row s has the gradient of h after the block; step t leaves [dh; dx] in row t. ``d``: the
        gradients of the other states, (H, n) each, changed in place. dy (s, H, n): gradients of the outputs, or None.
        """


class Kept(NamedTuple):
    """A chunk after forward: its parts, and the buffer that they are cut from."""

    chunk: Chunk
    parts: list[Part]
    buffer: np.ndarray | Block


class SequenceCache(NamedTuple):
    """What backward needs; of a forward with ``keep=False`` only ``last``, the final states (N, H)."""

    cell: Any
    W: np.ndarray
    last: list[np.ndarray]
    chunks: list[Kept]
    shape: tuple[int, int]                                  # N, T


def forward(cell: Cell, x: np.ndarray, state0: list[np.ndarray | None], W: np.ndarray, b: np.ndarray,
            real: np.ndarray | None, *, starts: np.ndarray | None, outputs: bool, keep: bool,
            memory: Memory) -> tuple[np.ndarray | None, SequenceCache]:
    """Return (y (N, T, H), or None without ``outputs``; cache).

    x (N, T, D); state0 (N, H) each, None for zeros; W (H+D, GH); real (T, N, 1) bool or None, as ``real_steps`` makes it;
    starts from ``batch.beginnings``, only with zero initial states and without ``real``. All of one dtype, checked before.
    """
    from minilstm.kernels import remote
    N, T, _ = x.shape
    weights = cell.forward_weights(W, b)
    ahead = weights.nbytes > LARGE
    packed = Packed(weights[:, :cell.H] if ahead else weights, onto=ahead) if takes(x.dtype) else None
    y = np.empty((N, T, cell.H), dtype=x.dtype) if outputs else None
    last = [np.empty((N, cell.H), dtype=x.dtype) for _ in range(cell.states)]
    padded = None if real is None else ~real.transpose(0, 2, 1)
    cuts = cut(N, T, starts, takes(x.dtype))
    chunks: list[Kept] = []
    here: list[Callable[[], None]] = []
    short_steps = max(chunk.n for chunk in cuts) * weights.size <= LONG_STEP
    needed = short_steps and not takes(x.dtype)         # threads do not wait for each other where steps are compiled
    workers = len(cuts) if needed and N * T * weights.size >= WORTH_SENDING else 1
    with processes.crew_for(workers) as crew, one_blas_thread(), remote.jobs() as jobs:
        for number, chunk in enumerate(cuts):
            counter = Carver(x.dtype)
            lay_out(cell, chunk, padded, counter, keep)
            helper = None if crew is None else crew.member(number)
            if crew is None or helper is None:
                # As if no row were shared: then every batch fits, and pages that nobody touches are no memory.
                lay_out(cell, chunk._replace(stretches=[Stretch(0, T, chunk.n)]), padded, unshared := Carver(x.dtype), keep)
                buffer = memory.take(max(counter.used, unshared.used))
                parts = lay_out(cell, chunk, padded, Carver(x.dtype, buffer), keep)
                chunks.append(Kept(chunk, parts, buffer))
                here.append(partial(forward_chunk, cell, x, state0, weights, chunk, parts, y, last, keep, packed))
            else:
                block = crew.arena.take(counter.used)
                parts = lay_out(cell, chunk, padded, Carver(x.dtype, block.view), keep)
                chunks.append(Kept(chunk, parts, block))
                jobs.append(remote.send_forward(
                    crew, helper, block, cell, x, state0, weights, chunk, padded, y, last, keep,
                    instead=partial(forward_chunk, cell, x, state0, weights, chunk, parts, y, last, keep)))
        _do(here, together=crew is None)
    if not keep:
        memory.give([kept.buffer for kept in chunks if isinstance(kept.buffer, np.ndarray)])
        chunks = []
    return y, SequenceCache(cell, W, last, chunks, (N, T))


def _do(tasks: list[Callable[[], None]], together: bool) -> None:
    """Run this process's tasks, on several threads unless other processes have the cores."""
    if together:
        run(tasks)
    else:
        for task in tasks:
            task()


def backward(dy: np.ndarray | None, dlast: list[np.ndarray | None], cache: SequenceCache, *, consume: bool,
             memory: Memory) -> tuple[np.ndarray, list[np.ndarray], np.ndarray, np.ndarray]:
    """Return (dx (N, T, D), gradients of the initial states (N, H), dW (H+D, GH), db (GH,)).

    dy (N, T, H) and dlast (N, H) may be None. ``consume``: the cache may be written over and its memory used again.
    """
    from minilstm.kernels import remote
    cell, W, _, chunks, (N, T) = cache
    weights = cell.backward_weights(W)
    packed = Packed(weights[:cell.H] if weights.nbytes > LARGE else weights) if takes(W.dtype) else None
    dx = np.empty((N, T, cell.D), dtype=W.dtype)
    d0 = [np.empty((N, cell.H), dtype=W.dtype) for _ in range(cell.states)]
    if not consume:
        chunks = [_copy(cell, kept, W.dtype) for kept in chunks]
    shares: list[Any] = [None] * len(chunks)        # of [dW_h, dW_x, db], added up in this order

    def task(number: int) -> Callable[[], None]:
        def do() -> None:
            chunk, parts, _ = chunks[number]
            shares[number] = backward_chunk(cell, dy, dlast, weights, chunk, parts, dx, d0, packed)
        return do
    here: list[Callable[[], None]] = []
    shared = sum(isinstance(kept.buffer, Block) for kept in chunks)
    with processes.crew_for(shared + 1) as crew, one_blas_thread(), remote.jobs() as jobs:
        for number, (chunk, parts, buffer) in enumerate(chunks):
            helper = None if crew is None else crew.member(number)
            if crew is None or helper is None or not isinstance(buffer, Block):
                here.append(task(number))
            else:
                jobs.append(remote.send_backward(crew, helper, buffer, cell, dy, dlast, weights, chunk, parts[0].padded, dx,
                                                 d0, shares, number))
        _do(here, together=crew is None)
    for share in shares[1:]:
        shares[0] += share
    memory.give([kept.buffer for kept in chunks if isinstance(kept.buffer, np.ndarray)])
    dW, db = cell.weight_gradients(shares[0])
    return dx, d0, dW, db


# Forward ------------------------------------------------------------------------------------------------------------------

def lay_out(cell: Cell, chunk: Chunk, padded: np.ndarray | None, carver: Carver, keep: bool) -> list[Part]:
    """Return the chunk's parts, cut from the carver's buffer; without ``keep``, a part holds one block of steps only."""
    parts = []
    for stretch in chunk.stretches:
        n = stretch.width
        L = stretch.stop - stretch.start if keep else _block(stretch, _forward_block(carver.dtype))
        alone = n == chunk.n
        rows = chunk.rows if alone else chunk.rows[:n]
        parts.append(Part(stretch, rows, None if alone else chunk.rows[n:], carver.array(L + 1, cell.H + cell.D + 1, n),
                          carver.array(L + 1, cell.U * cell.H, n),
                          None if padded is None else np.ascontiguousarray(padded[:, :, rows])))
    return parts


def _forward_block(dtype: Any) -> int:
    return COMPILED_BLOCK if takes(dtype) else FORWARD_BLOCK


def _block(stretch: Stretch, rows: int) -> int:
    """Return how many steps a block of a stretch has, at most; ``rows``: steps of a block times rows of a chunk."""
    return min(stretch.stop - stretch.start, max(8, rows // stretch.width))


def _blocks(stretch: Stretch, rows: int) -> Iterator[tuple[int, int]]:
    """Yield (first, after the last) of each block's steps, counted from the start of the stretch."""
    L, size = stretch.stop - stretch.start, _block(stretch, rows)
    for start in range(0, L, size):
        yield start, min(L, start + size)


def forward_chunk(cell: Cell, x: np.ndarray, state0: list[np.ndarray | None], weights: np.ndarray, chunk: Chunk,
                  parts: list[Part], y: np.ndarray | None, last: list[np.ndarray], keep: bool,
                  packed: Packed | None = None) -> None:
    states = [np.zeros((cell.H, 1), x.dtype) if s is None else s[chunk.rows].T for s in state0]
    for part in parts:
        states = forward_part(cell, x, states, weights, part, y, keep, packed)
    for k, state in enumerate(states):
        last[k][chunk.rows] = _widen(state, chunk.n).T


def forward_part(cell: Cell, x: np.ndarray, states: list[np.ndarray], weights: np.ndarray, part: Part,
                 y: np.ndarray | None, keep: bool, packed: Packed | None) -> list[np.ndarray]:
    """Make the steps of a part; return the states after it, (H, n) each."""
    H, D, GH, n = cell.H, cell.D, len(weights), part.stretch.width
    rows, ahead = _forward_block(x.dtype), weights.nbytes > LARGE
    size = _block(part.stretch, rows)
    product = packed or (ProductOnto(weights[:, :H], n) if ahead else Product(weights, n))
    states = [_widen(state, n) for state in states]
    shapes = (2, size, H, n), (D + 1 if ahead else 0, size * n), (GH if ahead else 0, size * n)
    with scratch.arrays(x.dtype, *shapes) as (spare, inputs, shares):
        for t0, t1 in _blocks(part.stretch, rows):
            steps, at = t1 - t0, t0 if keep else 0
            hx, u = part.hx[at:at + steps + 1], part.u[at:at + steps + 1]
            if at == 0:             # elsewhere the block before has left its last states
                for k, state in enumerate(states):
                    cell.state(k, hx, u, 0)[...] = state
            padded = None if part.padded is None else part.padded[t0:t1]
            read_inputs(x, part, t0, hx, H, padded)
            if ahead:
                inputs[:, :steps * n].reshape(D + 1, steps, n)[...] = hx[:-1, H:].transpose(1, 0, 2)
                np.matmul(weights[:, H:], inputs[:, :steps * n], out=shares[:, :steps * n])
                u[:-1, :GH] = shares[:, :steps * n].reshape(GH, steps, n).transpose(1, 0, 2)
            cell.forward_steps(hx, u, padded, product, spare[:, :steps] if keep else None)
            if y is not None:
                write_outputs(hx, part, t0, y, padded)
            states = [cell.state(k, hx, u, steps) for k in range(cell.states)]
    return states


def _widen(state: np.ndarray, n: int) -> np.ndarray:
    """Return a state (H, m) for n rows: the last one stood for those after it."""
    missing = n - state.shape[1]
    return np.concatenate([state, np.repeat(state[:, -1:], missing, axis=1)], axis=1) if missing > 0 else state


# Backward -----------------------------------------------------------------------------------------------------------------

def backward_chunk(cell: Cell, dy: np.ndarray | None, dlast: list[np.ndarray | None], weights: np.ndarray, chunk: Chunk,
                   parts: list[Part], dx: np.ndarray, d0: list[np.ndarray], packed: Packed | None = None) -> np.ndarray:
    """Go back through a chunk, fill its rows of dx and d0, and return its share of [dW_h, dW_x, db], (GH, H+D+1)."""
    dtype = weights.dtype
    dW = np.zeros((weights.shape[1], cell.H + cell.D + 1), dtype)
    d = [np.zeros((cell.H, chunk.n), dtype) if s is None else s[chunk.rows].T.astype(dtype, order="C") for s in dlast]
    for part in reversed(parts):
        d = backward_part(cell, dy, d, weights, part, dx, dW, packed)
    for k, state in enumerate(d):       # as in dx: the sum in one row, 0 in those it stood for
        d0[k][chunk.rows] = 0
        d0[k][parts[0].rows] = state.T
    return dW


def backward_part(cell: Cell, dy: np.ndarray | None, d: list[np.ndarray], weights: np.ndarray, part: Part, dx: np.ndarray,
                  dW: np.ndarray, packed: Packed | None) -> list[np.ndarray]:
    """Go back through a part, given the gradients of the states after it, (H, m) each; return those before it, (H, n).

    Fills the part of dx and adds to dW.
    """
    H, D, n, (GH, K) = cell.H, cell.D, part.stretch.width, dW.shape
    ahead = weights.nbytes > LARGE
    block = BACKWARD_BLOCK * (2 if ahead else 1)        # large shares of dW are large sums, too
    size = _block(part.stretch, block)
    product = packed or Product(weights[:H] if ahead else weights, n)
    dh, *others = [_narrow(state, n) for state in d]
    shapes = ((size + 1, H if ahead else H + D, n), (H, n), (GH * size * n,), (K * size * n,), (GH, K),
              (D if ahead else 0, size * n))
    with scratch.arrays(dW.dtype, *shapes) as (dhx, spare, dz_panel, hx_panel, share, dx_panel):
        for t0, t1 in reversed(list(_blocks(part.stretch, block))):
            steps = t1 - t0
            padded = None if part.padded is None else part.padded[t0:t1]
            above = None if dy is None else read_upstream(dy, part, t0, t1, padded)
            dhx[steps, :H] = dh
            cell.backward_steps(part.u[t0:t1], dhx[:steps + 1], others, above, padded, product, spare)
            dh = dhx[0, :H]
            # Steps and rows side by side make it one product.
            left, right = dz_panel[:GH * steps * n].reshape(GH, -1), hx_panel[:K * steps * n].reshape(K, -1)
            side_by_side(part.u[t0:t1], cell.dz, left)
            side_by_side(part.hx[t0:t1], slice(0, K), right)
            np.matmul(left, right.T, out=share)
            np.add(dW, share, out=dW)
            if ahead:
                np.matmul(weights[H:], left, out=dx_panel[:, :steps * n])
                dx_block = np.ascontiguousarray(dx_panel[:, :steps * n].reshape(D, steps, n).transpose(1, 0, 2))
                write_input_gradients(dx_block, 0, part, t0, dx)
            else:
                write_input_gradients(dhx[:steps], H, part, t0, dx)
        return [dh.copy(), *others]


def _narrow(d: np.ndarray, n: int) -> np.ndarray:
    """Return gradients (H, m) for the first n rows: the last one gets those of all it stands for."""
    if d.shape[1] == n:
        return d
    return np.concatenate([d[:, :n - 1], d[:, n - 1:].sum(axis=1, keepdims=True)], axis=1)


def _copy(cell: Cell, kept: Kept, dtype: np.dtype) -> Kept:
    """Return the same chunk in memory of its own."""
    held = kept.buffer if isinstance(kept.buffer, np.ndarray) else kept.buffer.view
    fresh = Memory().take(held.nbytes)
    fresh[...] = held
    copies = lay_out(cell, kept.chunk, None, Carver(dtype, fresh), keep=True)
    return Kept(kept.chunk, [copy._replace(padded=part.padded) for copy, part in zip(copies, kept.parts)], fresh)
