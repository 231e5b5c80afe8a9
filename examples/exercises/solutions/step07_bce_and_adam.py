"""Solution of step 7: a loss and an optimiser: binary cross-entropy and Adam (30 minutes).

This file is public: whoever looks for it finds it.

To vary the step: a weight for the positive class (pos_weight), or AdamW's weight decay.
"""

from __future__ import annotations

import numpy as np


def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def bce_forward(z, y):
    """Return the loss, a number, and what backward needs."""
    losses = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))        # (N,)
    loss = losses.mean()
    return loss, (z, y)


def bce_backward(cache):
    """Return dz (N,)."""
    z, y = cache
    p = sigmoid(z)
    dz = (p - y) / len(z)
    return dz


def adam_step(p, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """Return the new p, m, v."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g ** 2
    m_hat = m / (1 - beta1 ** t)
    v_hat = v / (1 - beta2 ** t)
    p = p - lr * m_hat / (np.sqrt(v_hat) + eps)
    return p, m, v


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
