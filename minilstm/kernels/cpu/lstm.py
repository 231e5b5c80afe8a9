"""The fast versions of ``lstm_forward`` and ``lstm_backward``.

One step keeps six blocks of H rows, in this order:

    while stepping forward      f    o    i    c̃    c_prev  tanh(c)
    with local derivatives      f    K_o  K_i  K_c  K_f     A
    after backward_steps        f    dz_o dz_i dz_c dz_f    A

The six are all that a step back needs (the numbers are those of the derivation in minilstm/cells/lstm.py):

    A   = o * (1 - tanh²(c))                so that dc = dc + dh * A        11
    K_o = tanh(c) * o * (1 - o)             dz_o = dh * K_o                 12, 4
    K_i = c̃ * i * (1 - i)                   dz_i = dc * K_i                 9, 5
    K_c = i * (1 - c̃²)                      dz_c = dc * K_c                 8, 3
    K_f = c_prev * f * (1 - f)              dz_f = dc * K_f                 10, 6
                                            dc_prev = dc * f                7

They are elementwise, so they are computed for a block of steps at once. The weights of f, o and i are copied
with a minus sign, because σ(z) = 1 / (1 + exp(-z)) needs -z.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend.arrays import Array
from minilstm.cells.lstm import GATES
from minilstm.kernels.cpu import sequence
from minilstm.kernels.cpu.products import WHOLE
from minilstm.kernels.cpu.sequence import SequenceCache

Z_ORDER = [GATES.index(gate) for gate in ("f", "o", "i", "c")]         # where the blocks of z are found in W
DZ_ORDER = [GATES.index(gate) for gate in ("o", "i", "c", "f")]        # and those of dz


class LSTMCell:
    """See ``sequence.Cell``."""

    G, U = 4, 6
    forward_blocks = backward_blocks = WHOLE

    def __init__(self, H: int, D: int) -> None:
        self.H, self.D = H, D
        self.dz = slice(H, 5 * H)

    def forward_weights(self, W: np.ndarray, b: np.ndarray) -> np.ndarray:
        columns = np.insert(W, self.H, b, axis=0).reshape(-1, 4, self.H)[:, Z_ORDER]
        columns[:, :3] *= -1
        return columns.reshape(-1, 4 * self.H).T

    def backward_weights(self, W: np.ndarray) -> np.ndarray:
        return W.reshape(-1, 4, self.H)[:, DZ_ORDER].reshape(-1, 4 * self.H)

    def weight_gradients(self, dW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        H, result = self.H, np.empty((dW.shape[1], dW.shape[0]), dW.dtype)
        for k, gate in enumerate(DZ_ORDER):
            result[:, gate * H:(gate + 1) * H] = dW[k * H:(k + 1) * H].T
        return np.delete(result, self.H, axis=0), result[self.H]

    def state(self, k: int, hx: np.ndarray, u: np.ndarray, t: int) -> np.ndarray:
        return hx[t, :self.H] if k == 0 else u[t, 4 * self.H:5 * self.H]

    def forward_steps(self, hx: np.ndarray, u: np.ndarray, padded: np.ndarray | None, product: Any,
                      scratch: np.ndarray | None) -> None:
        H, n = self.H, hx.shape[2]
        compiled = product.compiled
        if compiled is not None:
            compiled.lstm.forward(*product.parts, hx, u, padded, scratch is not None, n)
            return
        one, terms = np.array(1, hx.dtype), np.empty((2, H, n), hx.dtype)
        blocks = u.reshape(len(u), 6, H, n)
        with np.errstate(over="ignore"):               # exp(-z) = ∞ gives σ(z) = 0, as it should
            for t in range(len(hx) - 1):
                u_t, blocks_t = u[t], blocks[t]
                sigmoids = u_t[:3 * H]
                _, o, _, c_tilde, c_prev, tanh_c = blocks_t
                c_next, h_next = blocks[t + 1, 4], hx[t + 1, :H]
                product(hx[t], u_t[:4 * H])
                np.exp(sigmoids, out=sigmoids)                  # σ(z) = 1 / (1 + exp(-z))
                np.add(sigmoids, one, out=sigmoids)
                np.divide(one, sigmoids, out=sigmoids)
                np.tanh(c_tilde, out=c_tilde)
                np.multiply(blocks_t[2::-2], blocks_t[3:5], out=terms)
                np.add(terms[0], terms[1], out=c_next)          # i * c̃ + f * c_prev
                np.tanh(c_next, out=tanh_c)
                np.multiply(o, tanh_c, out=h_next)
                if padded is not None and padded[t].any():      # a padded step carries the state
                    np.copyto(c_next, c_prev, where=padded[t])
                    np.copyto(h_next, hx[t, :H], where=padded[t])
        if scratch is not None:
            self._local_derivatives(u[:-1], padded, scratch)

    def _local_derivatives(self, u: np.ndarray, padded: np.ndarray | None, scratch: np.ndarray) -> None:
        H = self.H
        f, o, i, c_tilde, c, tanh_c = (u[:, k * H:(k + 1) * H] for k in range(6))
        one, (r, s) = np.array(1, u.dtype), scratch
        np.multiply(tanh_c, tanh_c, out=r)
        np.subtract(one, r, out=r)
        np.multiply(tanh_c, o, out=s)
        np.multiply(r, o, out=tanh_c)                       # A
        np.subtract(one, o, out=o)
        np.multiply(o, s, out=o)                            # K_o
        np.multiply(c_tilde, c_tilde, out=r)
        np.subtract(one, r, out=r)
        np.multiply(c_tilde, i, out=s)
        np.multiply(r, i, out=c_tilde)                      # K_c
        np.subtract(one, i, out=i)
        np.multiply(i, s, out=i)                            # K_i
        np.multiply(c, f, out=c)
        np.subtract(one, f, out=r)
        np.multiply(c, r, out=c)                            # K_f
        if padded is not None:                              # the identity: dz = 0, dc_prev = dc
            for block in (o, i, c_tilde, c, tanh_c):
                np.copyto(block, 0, where=padded)
            np.copyto(f, 1, where=padded)

    def backward_steps(self, u: np.ndarray, dhx: np.ndarray, d: list[np.ndarray], dy: np.ndarray | None,
                       padded: np.ndarray | None, product: Any, scratch: np.ndarray) -> None:
        H, n = self.H, u.shape[2]
        dc, compiled = d[0], product.compiled
        if compiled is not None:
            compiled.lstm.backward(*product.parts, u, dhx, dc, dy, padded, n)
            return
        for t in range(len(u) - 1, -1, -1):
            dh, blocks = dhx[t + 1, :H], u[t].reshape(6, H, n)
            f, K_o, K_icf, A = blocks[0], blocks[1], blocks[2:5], blocks[5]
            if dy is not None:
                np.add(dh, dy[t], out=dh)
            np.multiply(dh, A, out=scratch)
            np.add(dc, scratch, out=dc)                     # 11
            np.multiply(K_o, dh, out=K_o)                   # 12, 4
            np.multiply(K_icf, dc, out=K_icf)               # 8 to 10; 3, 5, 6
            np.multiply(dc, f, out=dc)                      # 7
            product(u[t, self.dz], dhx[t])                  # 1
            if padded is not None and padded[t].any():      # the identity here, too
                dhx[t, :H] += np.where(padded[t], dh, 0)


def lstm_forward(x: Array, h0: Array | None, c0: Array | None, W: Array, b: Array, *,
                 lengths: Any = None, padding: str = "post", outputs: bool = True,
                 keep: bool = True) -> tuple[Any, Array, SequenceCache]:
    """Return (h, c_last, cache), as ``minilstm.cells.lstm.lstm_forward``, with two more arguments.

    Args:
        outputs: False leaves h out (None).
        keep: False keeps nothing for backward; ``cache.last`` still has the final states, h_last and c_last.
    """
    cell = LSTMCell(*sequence.sizes(x, W))
    h, cache = sequence.forward(cell, x, (h0, c0), W, b, lengths, padding, outputs=outputs, keep=keep)
    return h, cache.last[1], cache


def lstm_backward(dh: Array | None, dc_last: Array | None, cache: SequenceCache, *,
                  dh_last: Array | None = None,
                  consume: bool = False) -> tuple[Array, Array, Array, Array, Array]:
    """Return (dx, dh0, dc0, dW, db), as ``minilstm.cells.lstm.lstm_backward``.

    With ``consume`` the cache is written over; otherwise a second call gives the same bytes.
    """
    dx, (dh0, dc0), dW, db = sequence.backward(dh, [dh_last, dc_last], cache, consume=consume)
    return dx, dh0, dc0, dW, db
