"""The fast versions of ``rnn_forward`` and ``rnn_backward``.

One step keeps one block of H rows: z while stepping forward, then K = 1 - h² (tanh; relu: 1 where h > 0), at
last dz = dh * K. The numbers in the code are those of the derivation in minilstm/cells/rnn.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend.arrays import Array
from minilstm.cells.activations import d_relu, relu
from minilstm.kernels.cpu import sequence
from minilstm.kernels.cpu.products import WHOLE
from minilstm.kernels.cpu.sequence import SequenceCache


class RNNCell:
    """See ``sequence.Cell``."""

    G, U = 1, 1
    forward_blocks = backward_blocks = WHOLE

    def __init__(self, H: int, D: int, nonlinearity: str) -> None:
        self.H, self.D, self.nonlinearity = H, D, nonlinearity
        self.dz = slice(0, H)

    def forward_weights(self, W: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.insert(W, self.H, b, axis=0).T

    def backward_weights(self, W: np.ndarray) -> np.ndarray:
        return W

    def weight_gradients(self, dW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.delete(dW.T, self.H, axis=0), dW[:, self.H].copy()

    def state(self, k: int, hx: np.ndarray, u: np.ndarray, t: int) -> np.ndarray:
        return hx[t, :self.H]

    def forward_steps(self, hx: np.ndarray, u: np.ndarray, padded: np.ndarray | None, product: Any,
                      scratch: np.ndarray | None) -> None:
        compiled = product.compiled
        if compiled is not None:
            compiled.rnn.forward(*product.parts, hx, u, padded, scratch is not None, hx.shape[2],
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
        if scratch is not None:
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
        compiled = product.compiled
        if compiled is not None:
            compiled.rnn.backward(*product.parts, u, dhx, dy, padded, u.shape[2])
            return
        for t in range(len(u) - 1, -1, -1):
            dh = dhx[t + 1, :self.H]
            if dy is not None:
                np.add(dh, dy[t], out=dh)
            np.multiply(u[t], dh, out=u[t])                 # 3
            product(u[t], dhx[t])                           # 1
            if padded is not None and padded[t].any():      # a padded step is the identity
                dhx[t, :self.H] += np.where(padded[t], dh, 0)


def rnn_forward(x: Array, h0: Array | None, W: Array, b: Array, *, nonlinearity: str = "tanh",
                lengths: Any = None, padding: str = "post", outputs: bool = True,
                keep: bool = True) -> tuple[Any, SequenceCache]:
    """``minilstm.cells.rnn.rnn_forward`` for NumPy arrays; ``outputs`` and ``keep``: as for the LSTM."""
    cell = RNNCell(*sequence.sizes(x, W), nonlinearity)
    return sequence.forward(cell, x, (h0,), W, b, lengths, padding, outputs=outputs, keep=keep)


def rnn_backward(dh: Array | None, cache: SequenceCache, *, dh_last: Array | None = None,
                 consume: bool = False) -> tuple[Array, Array, Array, Array]:
    """Return (dx, dh0, dW, db), as ``minilstm.cells.rnn.rnn_backward``; ``consume``: as for the LSTM."""
    dx, (dh0,), dW, db = sequence.backward(dh, [dh_last], cache, consume=consume)
    return dx, dh0, dW, db
