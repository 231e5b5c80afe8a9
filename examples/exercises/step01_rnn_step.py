"""Step 1: one step of a simple RNN, forward and backward (20 minutes).

Forward, with [h, x] two matrices side by side:

    h_t = tanh([h_{t-1}, x_t] W + b)

    x (N, D)   h_prev (N, H)   W (H + D, H), rows [h; x]   b (H,)   ->   h (N, H)

Backward: given dh, the gradient of the loss with respect to h, find dx, dh_prev, dW and db. Go backwards through the equation,
one operation at a time: the tanh, then the product, then the two halves of [h, x]. Each gradient has the shape of what it
belongs to.

Write down first: for which values of h does the gradient that passes through the tanh become almost zero?

Replace each ``...`` below. Then: python -m minilstm grade step01_rnn_step.py   (or run this file)
"""

from __future__ import annotations

import numpy as np


def rnn_step(x, h_prev, W, b):
    """Return h (N, H) and what backward needs."""
    hx = np.concatenate([h_prev, x], axis=1)        # (N, H + D)
    h = ...
    return h, (hx, h, W)


def rnn_step_backward(dh, cache):
    """Return dx (N, D), dh_prev (N, H), dW (H + D, H), db (H,)."""
    hx, h, W = cache
    H = h.shape[1]
    dz = ...  # of the argument of the tanh
    dW = ...
    db = ...
    dhx = ...  # of [h, x], (N, H + D)
    dh_prev = ...                   # which H columns of dhx?
    dx = ...
    return dx, dh_prev, dW, db


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
