"""The fast twin of ``rnn_forward`` and ``rnn_backward``.

One step keeps one block of H rows: z while stepping forward, then K = 1 - h² (tanh; relu: 1 where h > 0), at last dz = dh * K.
The numbers in the code are those of the derivation in minilstm/rnn.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.activations import d_relu, relu
from minilstm.backend import Array
from minilstm.kernels import sequence
from minilstm.kernels.batch import beginnings
from minilstm.kernels.compiled import flat, module
from minilstm.kernels.memory import Memory
from minilstm.kernels.sequence import SequenceCache
from minilstm.recurrent import upstream
from minilstm.rnn import check_sequence


class RNNCell:
    """See ``sequence.Cell``."""

    G, U, states = 1, 1, 1

    def __init__(self, H: int, D: int, nonlinearity: str) -> None:
        self.H, self.D, self.nonlinearity = H, D, nonlinearity
        self.dz = slice(0, H)

    def forward_weights(self, W: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([W, b[None]]).T

    def backward_weights(self, W: np.ndarray) -> np.ndarray:
        return W

    def weight_gradients(self, dW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.ascontiguousarray(dW[:, :-1].T), dW[:, -1].copy()

    def state(self, k: int, hx: np.ndarray, u: np.ndarray, t: int) -> np.ndarray:
        return hx[t, :self.H]

    def forward_steps(self, hx: np.ndarray, u: np.ndarray, padded: np.ndarray | None, product: Any,
                      spare: np.ndarray | None) -> None:
        compiled = module("rnn", u)
        if compiled is not None:
            compiled.forward(*product.parts, flat(hx), flat(u), flat(padded), spare is not None, hx.shape[2],
                             self.nonlinearity == "relu")
            return
        for t in range(len(hx) - 1):
            h_next = hx[t + 1, :self.H]
            product(hx[t], u[t])
            if self.nonlinearity == "tanh":
                np.tanh(u[t], out=h_next)
            else:
                h_next[...] = relu(u[t])
            if padded is not None and padded[t].any():      # a padded step carries the state
                np.copyto(h_next, hx[t, :self.H], where=padded[t])
        if spare is not None:
            self._local_derivatives(hx, u[:-1], padded)

    def _local_derivatives(self, hx: np.ndarray, u: np.ndarray, padded: np.ndarray | None) -> None:
        h = hx[1:, :self.H]
        if self.nonlinearity == "tanh":
            np.multiply(h, h, out=u)
            np.subtract(np.array(1, u.dtype), u, out=u)
        else:
            u[...] = d_relu(h)
        if padded is not None:
            np.copyto(u, 0, where=padded)

    def backward_steps(self, u: np.ndarray, dhx: np.ndarray, d: list[np.ndarray], dy: np.ndarray | None,
                       padded: np.ndarray | None, product: Any, scratch: np.ndarray) -> None:
        compiled = module("rnn", u)
        if compiled is not None:
            compiled.backward(*product.parts, flat(u), flat(dhx), flat(dy, u), flat(padded), u.shape[2])
            return
        for t in range(len(u) - 1, -1, -1):
            dh = dhx[t + 1, :self.H]
            if dy is not None:
                np.add(dh, dy[t], out=dh)
            np.multiply(u[t], dh, out=u[t])                 # 3
            product(u[t], dhx[t])                           # 1
            if padded is not None and padded[t].any():      # a padded step is the identity
                dhx[t, :self.H] += np.where(padded[t], dh, 0)


def rnn_forward(x: Array, h0: Array | None, W: Array, b: Array, *, nonlinearity: str = "tanh", lengths: Any = None,
                padding: str = "post", tokens: Array | None = None, outputs: bool = True, keep: bool = True,
                memory: Memory | None = None) -> tuple[Any, SequenceCache]:
    """``minilstm.rnn.rnn_forward`` for NumPy arrays; the further arguments are those of ``kernels.lstm.lstm_forward``."""
    _, _, real, dtype = check_sequence(x, h0, W, b, nonlinearity, lengths, padding)
    H = W.shape[1]
    starts = beginnings(tokens) if tokens is not None and h0 is None and real is None else None
    return sequence.forward(
        RNNCell(H, W.shape[0] - H, nonlinearity), x.astype(dtype, copy=False),
        [None if h0 is None else h0.astype(dtype, copy=False)], W.astype(dtype, copy=False), b.astype(dtype, copy=False), real,
        starts=starts, outputs=outputs, keep=keep, memory=memory or Memory())


def rnn_backward(dh: Array | None, cache: SequenceCache, *, dh_last: Array | None = None, consume: bool = False,
                 memory: Memory | None = None) -> tuple[Array, Array, Array, Array]:
    """``minilstm.rnn.rnn_backward`` of the twin above. Return (dx, dh0, dW, db). ``consume``: as for the LSTM."""
    (N, T), H, like = cache.shape, cache.cell.H, cache.last[0]
    dh = None if dh is None else upstream("dh", dh, (N, T, H), "N, T, H", like=like)
    dlast = None if dh_last is None else upstream("dh_last", dh_last, (N, H), "N, H", like=like)
    dx, (dh0,), dW, db = sequence.backward(dh, [dlast], cache, consume=consume, memory=memory or Memory())
    return dx, dh0, dW, db
