"""The embedding's gradient: each place of a batch is added to its token's row, in the order of the places."""

from __future__ import annotations

import numpy as np

from minilstm.kernels.compiled.jit import compiled


@compiled("array2", "index1", "index1", "array2")
def add_up(dy: np.ndarray, tokens: np.ndarray, slots: np.ndarray, sums: np.ndarray) -> None:
    """sums[slots[token]] += dy of each place, given dy (n, D), tokens (n,), slots (V,), sums (U, D)."""
    for place in range(len(tokens)):
        slot = slots[tokens[place]]
        for k in range(dy.shape[1]):
            sums[slot, k] += dy[place, k]
