"""Blocks of steps of the GRU; ``kernels/cpu/gru.py`` does the same in NumPy and explains order and numbers.

Step t is one row: ``u[t]`` has 5 blocks of ``size`` = H n numbers, ``hx[t]`` begins with the H n numbers of
the hidden state.
"""

from __future__ import annotations

import numpy as np

from minilstm.kernels.compiled.activations import sigmoid_of_minus, tanh
from minilstm.kernels.compiled.gemm import multiply
from minilstm.kernels.compiled.jit import compiled, inside
from minilstm.kernels.compiled.padding import add, carry, put


@inside
def step(u: np.ndarray, hx: np.ndarray, t: int, size: int, keep: bool) -> None:
    """h into hx[t+1], given the product's q, r, z, n in u[t]; ``keep``: K_q, K_r, K_z, K_n, z into u[t]."""
    half, one = u.dtype.type(0.5), u.dtype.type(1)
    for k in range(size):
        q, h = u[t, k], hx[t, k]
        r, z = sigmoid_of_minus(u[t, size + k], half), sigmoid_of_minus(u[t, 2 * size + k], half)
        n = tanh(u[t, 3 * size + k] + r * q)
        hx[t + 1, k] = n + z * (h - n)                  # (1 - z) * n + z * h
        if keep:
            K_n = (one - z) * (one - n * n)
            K_q = K_n * r
            u[t, k], u[t, size + k] = K_q, K_q * q * (one - r)
            u[t, 2 * size + k], u[t, 3 * size + k] = z * (one - z) * (h - n), K_n
            u[t, 4 * size + k] = z


@compiled("array1", "index2", "array2", "array2", "mask2", "bool", "int")
def forward(weights: np.ndarray, blocks: np.ndarray, hx: np.ndarray, u: np.ndarray,
            padded: np.ndarray, keep: bool, n: int) -> None:
    """See ``sequence.Cell.forward_steps``; ``keep``: leave local derivatives behind."""
    size = u.shape[1] // 5
    for t in range(len(hx) - 1):
        multiply(weights, blocks, hx, u, t, 0, n)
        step(u, hx, t, size, keep)
        if len(padded):
            carry(hx, t, 0, size, padded)
            if keep:                                    # the identity: dh_prev = dh
                put(u, t, 0, 4 * size, 0, padded)
                put(u, t, 4 * size, size, 1, padded)


@compiled("array1", "index2", "array2", "array2", "array2", "int")
def backward(weights: np.ndarray, blocks: np.ndarray, u: np.ndarray, dhx: np.ndarray, dy: np.ndarray,
             n: int) -> None:
    """See ``sequence.Cell.backward_steps``."""
    size = u.shape[1] // 5
    for t in range(len(u) - 1, -1, -1):
        if len(dy):
            add(dhx, dy, t, size)
        for block in range(4):
            for k in range(size):
                u[t, block * size + k] *= dhx[t + 1, k]     # 3 to 7, 9, 10
        multiply(weights, blocks, u, dhx, t, 0, n)
        for k in range(size):
            dhx[t, k] += dhx[t + 1, k] * u[t, 4 * size + k]     # 8
