"""Step 7: a loss and an optimiser: binary cross-entropy and Adam (30 minutes).

The loss of N scores z against labels y, each 0 or 1, with p = σ(z):

    loss = -1/N Σ (y log p + (1 - y) log(1 - p))                z, y (N,)   ->   a number;   dz (N,)

log(1 - p) is -inf where p rounds to 1. In terms of z the same loss is 1/N Σ (max(z, 0) - z y + log(1 + e^-|z|)): show why, and
write that. Its gradient is short: differentiate first, and simplify on paper.

Adam, at step t = 1, 2, ..., for a parameter p with gradient g (both of any shape):

    m <- β1 m + (1 - β1) g          v <- β2 v + (1 - β2) g²         running means
    m̂ = m / (1 - β1^t)              v̂ = v / (1 - β2^t)              corrected, since m and v begin at zero
    p <- p - lr m̂ / (√v̂ + ε)

Write down first: how long is Adam's very first step, for g = 0.001 and for g = 1000?

Replace each ``...`` below. Then: python -m minilstm grade step07_bce_and_adam.py   (or run this file)
"""

from __future__ import annotations

import numpy as np


def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def bce_forward(z, y):
    """Return the loss, a number, and what backward needs."""
    losses = ...  # (N,)
    loss = ...
    return loss, (z, y)


def bce_backward(cache):
    """Return dz (N,)."""
    z, y = cache
    p = sigmoid(z)
    dz = ...
    return dz


def adam_step(p, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """Return the new p, m, v."""
    m = ...
    v = ...
    m_hat = ...
    v_hat = ...
    p = ...
    return p, m, v


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
