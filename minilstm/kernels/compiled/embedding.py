"""The embedding's gradient: each place of a batch is added to its token's row, in the order of the places."""

from __future__ import annotations

import numpy as np

from minilstm.kernels.compiled.jit import compiled


@compiled("array2", "index1", "int", "array2")
def add_up(dy: np.ndarray, tokens: np.ndarray, padding: int, dW: np.ndarray) -> None:
    """dW[token] += dy of each place but those of ``padding``, given dy (n, D), tokens (n,), dW (V, D)."""
    for place in range(len(tokens)):
        token = tokens[place]
        if token != padding:
            for k in range(dy.shape[1]):
                dW[token, k] += dy[place, k]
