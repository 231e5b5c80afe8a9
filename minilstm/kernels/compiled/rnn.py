"""Blocks of steps of the simple RNN; ``kernels/cpu/rnn.py`` does the same in NumPy and explains the numbers.

Step t is one row: ``u[t]`` has ``size`` = H n numbers, ``hx[t]`` begins with the H n numbers of the hidden
state.
"""

from __future__ import annotations

import numpy as np

from minilstm.kernels.compiled.activations import tanh
from minilstm.kernels.compiled.gemm import multiply
from minilstm.kernels.compiled.jit import compiled, inside
from minilstm.kernels.compiled.padding import add, carry, pass_through, put


@inside
def step(u: np.ndarray, hx: np.ndarray, t: int, size: int, relu: bool, keep: bool) -> None:
    """h into hx[t+1], given z in u[t] (L+1, size); ``keep``: K = 1 - h² (relu: 1 where h > 0) into u[t]."""
    zero, one = u.dtype.type(0), u.dtype.type(1)
    for k in range(size):
        if relu:
            h = zero if u[t, k] <= zero else u[t, k]                    # NaN stays NaN
        else:
            h = tanh(u[t, k])
        hx[t + 1, k] = h
        if keep and relu:
            u[t, k] = zero if h <= zero else one
        elif keep:
            u[t, k] = one - h * h


@compiled("array1", "index2", "array2", "array2", "mask2", "bool", "int", "bool")
def forward(weights: np.ndarray, blocks: np.ndarray, hx: np.ndarray, u: np.ndarray,
            padded: np.ndarray, keep: bool, n: int, relu: bool) -> None:
    """See ``sequence.Cell.forward_steps``; ``keep``: leave local derivatives behind."""
    size = u.shape[1]
    for t in range(len(hx) - 1):
        multiply(weights, blocks, hx, u, t, 0, n)
        step(u, hx, t, size, relu, keep)
        if len(padded):
            carry(hx, t, 0, size, padded)
            if keep:
                put(u, t, 0, size, 0, padded)


@compiled("array1", "index2", "array2", "array2", "array2", "mask2", "int")
def backward(weights: np.ndarray, blocks: np.ndarray, u: np.ndarray, dhx: np.ndarray,
             dy: np.ndarray, padded: np.ndarray, n: int) -> None:
    """See ``sequence.Cell.backward_steps``."""
    size = u.shape[1]
    for t in range(len(u) - 1, -1, -1):
        if len(dy):
            add(dhx, dy, t, size)
        for k in range(size):
            u[t, k] *= dhx[t + 1, k]                    # 3
        multiply(weights, blocks, u, dhx, t, 0, n)
        if len(padded):
            pass_through(dhx, t, size, padded)
