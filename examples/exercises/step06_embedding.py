"""Step 6: the embedding and its gradient (15 minutes).

An embedding is a table: row v of E is the vector of word v.

    x[n, t] = E[tokens[n, t]]

    tokens (N, T), integers from 0 to V - 1   E (V, D)   ->   x (N, T, D)
    dx (N, T, D)   ->   dE (V, D)

Tokens are no numbers that one could change a little: they get no gradient.

Write down first: a word stands three times in the batch. What is the gradient of its row?

Replace each ``...`` below. Then: python -m minilstm grade step06_embedding.py   (or run this file)
"""

from __future__ import annotations

import numpy as np


def embedding_forward(tokens, E):
    """Return x (N, T, D) and what backward needs."""
    x = ...
    return x, (tokens, E.shape)


def embedding_backward(dx, cache):
    """Return dE (V, D)."""
    tokens, shape = cache
    dE = np.zeros(shape)
    ...                             # each row of dx belongs to one row of dE
    return dE


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
