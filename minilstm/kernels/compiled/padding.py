"""Padded steps and upstream gradients, one step at a time; all cells use these functions."""

from __future__ import annotations

import numpy as np

from minilstm.kernels.compiled.jit import inside


@inside
def carry(a: np.ndarray, t: int, first: int, size: int, padded: np.ndarray) -> None:
    """Carry the state: in each padded row, copy numbers ``first`` to ``first + size`` of a[t] into a[t+1]."""
    n = padded.shape[1]
    for row in range(n):
        if padded[t, row]:
            for k in range(first + row, first + size, n):
                a[t + 1, k] = a[t, k]


@inside
def put(a: np.ndarray, t: int, first: int, size: int, value: float, padded: np.ndarray) -> None:
    """In each padded row, set numbers ``first`` to ``first + size`` of a[t] to ``value``."""
    n = padded.shape[1]
    for row in range(n):
        if padded[t, row]:
            for k in range(first + row, first + size, n):
                a[t, k] = value


@inside
def pass_through(dhx: np.ndarray, t: int, size: int, padded: np.ndarray) -> None:
    """Go back through a padded step, the identity: in each padded row, add dh to the product."""
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
