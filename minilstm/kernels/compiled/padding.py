"""What a padded step does, and upstream gradients, one step at a time: for the blocks of steps of every cell."""

from __future__ import annotations

import numpy as np

from minilstm.kernels.compiled.jit import inside


@inside
def carry(a: np.ndarray, t: int, first: int, size: int, padded: np.ndarray) -> None:
    """A padded step carries the state: of a[t], numbers ``first`` to ``first + size``, into a[t+1], row by row."""
    n = padded.shape[1]
    for row in range(n):
        if padded[t, row]:
            for k in range(first + row, first + size, n):
                a[t + 1, k] = a[t, k]


@inside
def put(a: np.ndarray, t: int, first: int, size: int, value: float, padded: np.ndarray) -> None:
    """Of a[t], numbers ``first`` to ``first + size``: ``value`` in each padded row."""
    n = padded.shape[1]
    for row in range(n):
        if padded[t, row]:
            for k in range(first + row, first + size, n):
                a[t, k] = value


@inside
def pass_through(dhx: np.ndarray, t: int, size: int, padded: np.ndarray) -> None:
    """The way back through a padded step is the identity, too: the gradient of h joins what the product left."""
    n = padded.shape[1]
    for row in range(n):
        if padded[t, row]:
            for k in range(row, size, n):
                dhx[t, k] += dhx[t + 1, k]


@inside
def add(a: np.ndarray, b: np.ndarray, t: int, size: int) -> None:
    """a[t+1] += b[t], for ``size`` numbers."""
    for k in range(size):
        a[t + 1, k] += b[t, k]
