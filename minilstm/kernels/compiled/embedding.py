"""The embedding's gradient: each place of a batch is added to its token's row, in the order of the places."""

from __future__ import annotations

import numpy as np

from minilstm.kernels.compiled.jit import compiled


@compiled
def embedding_rows(dy: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (tokens that occur (U,), the sum of dy over the places of each (U, D)), given dy (n, D), tokens (n,), n > 0."""
    slots = np.full(tokens.max() + 1, -1, np.int64)
    found, U = np.empty(len(tokens), tokens.dtype), 0
    for place in range(len(tokens)):
        if slots[tokens[place]] < 0:
            slots[tokens[place]] = U
            found[U] = tokens[place]
            U += 1
    sums = np.zeros((U, dy.shape[1]), dy.dtype)
    for place in range(len(tokens)):
        slot = slots[tokens[place]]
        for k in range(dy.shape[1]):
            sums[slot, k] += dy[place, k]
    return found[:U].copy(), sums
