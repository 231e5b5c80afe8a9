"""Blocks of steps of the LSTM; ``kernels/cpu/lstm.py`` does the same in NumPy and explains order and numbers.

Step t is one row: ``u[t]`` has 6 blocks of ``size`` = H n numbers, ``hx[t]`` begins with the H n numbers of
the hidden state.
"""

from __future__ import annotations

import numpy as np

from minilstm.kernels.compiled.activations import sigmoid_of_minus, tanh
from minilstm.kernels.compiled.gemm import multiply
from minilstm.kernels.compiled.jit import compiled, inside
from minilstm.kernels.compiled.padding import add, carry, pass_through, put


@inside
def step(u: np.ndarray, hx: np.ndarray, t: int, size: int) -> None:
    """f, o, i, c̃, c_prev, tanh(c) into u[t] (L+1, 6 size), c into u[t+1], h into hx[t+1] (L+1, ...)."""
    half = u.dtype.type(0.5)
    for k in range(size):
        f, o = sigmoid_of_minus(u[t, k], half), sigmoid_of_minus(u[t, size + k], half)
        i, c_tilde = sigmoid_of_minus(u[t, 2 * size + k], half), tanh(u[t, 3 * size + k])
        c = f * u[t, 4 * size + k] + i * c_tilde
        tanh_c = tanh(c)
        u[t, k], u[t, size + k] = f, o
        u[t, 2 * size + k], u[t, 3 * size + k] = i, c_tilde
        u[t, 5 * size + k] = tanh_c
        u[t + 1, 4 * size + k] = c
        hx[t + 1, k] = o * tanh_c


@inside
def derive(u: np.ndarray, t: int, size: int) -> None:
    """Replace what ``step`` left in u[t] by f and the local derivatives K_o, K_i, K_c, K_f, A."""
    one = u.dtype.type(1)
    for k in range(size):
        f, o, i, c_tilde = u[t, k], u[t, size + k], u[t, 2 * size + k], u[t, 3 * size + k]
        c_prev, tanh_c = u[t, 4 * size + k], u[t, 5 * size + k]
        u[t, size + k] = tanh_c * o * (one - o)
        u[t, 2 * size + k] = c_tilde * i * (one - i)
        u[t, 3 * size + k] = i * (one - c_tilde * c_tilde)
        u[t, 4 * size + k] = c_prev * f * (one - f)
        u[t, 5 * size + k] = o * (one - tanh_c * tanh_c)


@compiled("array1", "index2", "array2", "array2", "mask2", "bool", "int")
def forward(weights: np.ndarray, blocks: np.ndarray, hx: np.ndarray, u: np.ndarray, padded: np.ndarray,
            keep: bool, n: int) -> None:
    """See ``sequence.Cell.forward_steps``; ``keep``: leave local derivatives behind."""
    size = u.shape[1] // 6
    for t in range(len(hx) - 1):
        multiply(weights, blocks, hx, u, t, 0, n)
        step(u, hx, t, size)
        if len(padded):
            carry(u, t, 4 * size, size, padded)
            carry(hx, t, 0, size, padded)
        if keep:
            derive(u, t, size)
            if len(padded):                             # the identity: dz = 0, dc_prev = dc
                put(u, t, 0, size, 1, padded)
                put(u, t, size, 5 * size, 0, padded)


@compiled("array1", "index2", "array2", "array2", "array1", "array2", "mask2", "int")
def backward(weights: np.ndarray, blocks: np.ndarray, u: np.ndarray, dhx: np.ndarray, dc: np.ndarray,
             dy: np.ndarray, padded: np.ndarray, n: int) -> None:
    """See ``sequence.Cell.backward_steps``."""
    size = u.shape[1] // 6
    for t in range(len(u) - 1, -1, -1):
        if len(dy):
            add(dhx, dy, t, size)
        for k in range(size):
            dh = dhx[t + 1, k]
            d = dc[k] + dh * u[t, 5 * size + k]         # 11
            u[t, size + k] *= dh                        # 12, 4
            u[t, 2 * size + k] *= d                     # 9, 5
            u[t, 3 * size + k] *= d                     # 8, 3
            u[t, 4 * size + k] *= d                     # 10, 6
            dc[k] = d * u[t, k]                         # 7
        multiply(weights, blocks, u, dhx, t, size, n)
        if len(padded):
            pass_through(dhx, t, size, padded)
