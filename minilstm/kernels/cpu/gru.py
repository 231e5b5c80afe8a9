"""The fast versions of ``gru_forward`` and ``gru_backward``.

In the candidate, r multiplies only the product with h, so a step's product makes four blocks: q = w_nh h +
b_nh, r, z, and w_nx x + b_nx in n's place. One step keeps five blocks of H rows, in this order:

    while stepping forward      q    r    z    n    (nothing)
    with local derivatives      K_q  K_r  K_z  K_n  z
    after backward_steps        dq   da_r da_z da_n z

All four gradients are multiples of dh, with these factors (the numbers are those of the derivation in
minilstm/cells/gru.py):

    K_n = (1 - z) * (1 - n²)                9, 6
    K_q = K_n * r                           5
    K_r = K_q * q * (1 - r)                 5, 3
    K_z = (h_prev - n) * z * (1 - z)        8, 4

At a padded step, all K are 0 and z is 1, so the step backward is the identity; no other backward code handles
padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend.arrays import Array
from minilstm.kernels.cpu import sequence
from minilstm.kernels.cpu.products import Blocks
from minilstm.kernels.cpu.sequence import SequenceCache


class GRUCell:
    """See ``sequence.Cell``.

    Of the product's blocks q, r, z, n, the weights of r and z are negated, for exp(-a) in σ(a).
    """

    G, U = 4, 5

    def __init__(self, H: int, D: int) -> None:
        self.H, self.D = H, D
        self.dz, from_H = slice(4 * H), slice(H, None)
        self.forward_blocks: Blocks = ((slice(H), slice(H + 1)), (slice(H, 3 * H), slice(None)),
                                       (slice(3 * H, None), from_H))
        self.backward_blocks: Blocks = (slice(H), slice(3 * H)), (from_H, from_H)

    def forward_weights(self, W: np.ndarray, b: np.ndarray) -> np.ndarray:
        H = self.H
        q = np.insert(W[:, 2 * H:], H, b[3 * H:], axis=0)
        others = np.insert(W, H, b[:3 * H], axis=0)
        others[:, :2 * H] *= -1
        return np.concatenate([q, others], axis=1).T

    def backward_weights(self, W: np.ndarray) -> np.ndarray:
        return np.concatenate([W[:, 2 * self.H:], W], axis=1)

    def weight_gradients(self, dW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        H = self.H
        result = np.delete(dW[H:].T, H, axis=0)
        result[:H, 2 * H:] = dW[:H, :H].T           # n's weights for h are those of q
        return result, np.roll(dW[:, H], -H)

    def state(self, k: int, hx: np.ndarray, u: np.ndarray, t: int) -> np.ndarray:
        return hx[t, :self.H]

    def forward_steps(self, hx: np.ndarray, u: np.ndarray, padded: np.ndarray | None, product: Any,
                      scratch: np.ndarray | None) -> None:
        H, compiled = self.H, product.compiled
        if compiled is not None:
            compiled.gru.forward(*product.parts, hx, u, padded, scratch is not None, hx.shape[2])
            return
        one, change = np.array(1, hx.dtype), np.empty((H, hx.shape[2]), hx.dtype)
        with np.errstate(over="ignore"):               # exp(-a) = ∞ gives σ(a) = 0, as it should
            for t in range(len(hx) - 1):
                u_t, h, h_next = u[t], hx[t, :H], hx[t + 1, :H]
                sigmoids = u_t[H:3 * H]
                q, r, z, n = u_t[:4 * H].reshape(4, H, -1)
                product(hx[t], u_t[:4 * H])
                np.exp(sigmoids, out=sigmoids)
                np.add(sigmoids, one, out=sigmoids)
                np.divide(one, sigmoids, out=sigmoids)
                np.multiply(r, q, out=change)
                np.add(n, change, out=n)
                np.tanh(n, out=n)
                np.subtract(h, n, out=change)            # (1 - z) * n + z * h = n + z * (h - n)
                np.multiply(z, change, out=change)
                np.add(n, change, out=h_next)
                if padded is not None and padded[t].any():      # a padded step carries the state
                    np.copyto(h_next, h, where=padded[t])
        if scratch is not None:
            self._local_derivatives(hx, u[:-1], padded, scratch)

    def _local_derivatives(self, hx: np.ndarray, u: np.ndarray, padded: np.ndarray | None,
                           scratch: np.ndarray) -> None:
        H = self.H
        q, r, z, n, z_kept = (u[:, k * H:(k + 1) * H] for k in range(5))
        one, (s, from_z) = np.array(1, u.dtype), scratch
        z_kept[...] = z
        np.subtract(one, z, out=s)
        np.multiply(z, s, out=z)
        np.subtract(hx[:-1, :H], n, out=from_z)
        np.multiply(z, from_z, out=z)                       # K_z
        np.multiply(n, n, out=n)
        np.subtract(one, n, out=n)
        np.multiply(n, s, out=n)                            # K_n
        np.subtract(one, r, out=s)
        np.multiply(q, s, out=s)
        np.multiply(r, n, out=q)                            # K_q
        np.multiply(q, s, out=r)                            # K_r
        if padded is not None:                              # the identity
            np.copyto(u[:, :4 * H], 0, where=padded)
            np.copyto(z_kept, 1, where=padded)

    def backward_steps(self, u: np.ndarray, dhx: np.ndarray, d: list[np.ndarray], dy: np.ndarray | None,
                       padded: np.ndarray | None, product: Any, scratch: np.ndarray) -> None:
        H, n, compiled = self.H, u.shape[2], product.compiled
        if compiled is not None:
            compiled.gru.backward(*product.parts, u, dhx, dy, n)
            return
        for t in range(len(u) - 1, -1, -1):
            dh, K, z = dhx[t + 1, :H], u[t, :4 * H], u[t, 4 * H:]
            if dy is not None:
                np.add(dh, dy[t], out=dh)
            np.multiply(dh, z, out=scratch)                 # 8
            blocks = K.reshape(4, H, n)
            np.multiply(blocks, dh, out=blocks)             # 3 to 7, 9, 10
            product(K, dhx[t])                              # 1
            np.add(dhx[t, :H], scratch, out=dhx[t, :H])


def gru_forward(x: Array, h0: Array | None, W: Array, b: Array, *, lengths: Any = None, padding: str = "post",
                outputs: bool = True, keep: bool = True) -> tuple[Any, SequenceCache]:
    """``minilstm.cells.gru.gru_forward`` for NumPy arrays; ``outputs`` and ``keep``: as for the LSTM."""
    cell = GRUCell(*sequence.sizes(x, W))
    return sequence.forward(cell, x, (h0,), W, b, lengths, padding, outputs=outputs, keep=keep)


def gru_backward(dh: Array | None, cache: SequenceCache, *, dh_last: Array | None = None,
                 consume: bool = False) -> tuple[Array, Array, Array, Array]:
    """Return (dx, dh0, dW, db), as ``minilstm.cells.gru.gru_backward``; ``consume``: as for the LSTM."""
    dx, (dh0,), dW, db = sequence.backward(dh, [dh_last], cache, consume=consume)
    return dx, dh0, dW, db
