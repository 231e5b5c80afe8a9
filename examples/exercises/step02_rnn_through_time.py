"""Step 2: back through time (30 minutes).

The same W and b serve every step, and h_t serves two: the output at t, and step t + 1.

    h_t = tanh([h_{t-1}, x_t] W + b)        t = 0 ... T - 1, h_{-1} = h0

    x (N, T, D)   h0 (N, H)   W (H + D, H)   b (H,)   ->   h (N, T, H)

Backward, from the last step to the first: dh (N, T, H) is the gradient of every output. Find dx, dh0, dW and db.

Write down first: W is used T times. What does that mean for dW? And from how many places does gradient reach h_t?

Replace each ``...`` below. Then: python -m minilstm grade step02_rnn_through_time.py   (or run this file)
"""

from __future__ import annotations

import numpy as np


def rnn_forward(x, h0, W, b):
    """Return h (N, T, H), the state after each step, and what backward needs."""
    (N, T, _), H = x.shape, h0.shape[1]
    h = np.zeros((N, T + 1, H))                     # h[:, t] is the state BEFORE step t
    h[:, 0] = h0
    for t in range(T):
        hx = np.concatenate([h[:, t], x[:, t]], axis=1)
        h[:, t + 1] = ...
    return h[:, 1:].copy(), (x, h, W)


def rnn_backward(dh, cache):
    """Return dx (N, T, D), dh0 (N, H), dW (H + D, H), db (H,)."""
    x, h, W = cache
    (N, T, _), H = x.shape, h.shape[2]
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros(H)
    dh_next = np.zeros((N, H))                      # what step t + 1 sends back to h_t
    for t in reversed(range(T)):
        hx = np.concatenate([h[:, t], x[:, t]], axis=1)
        dh_t = ...
        dz = ...
        ...                                         # what happens to dW?
        ...                                         # and to db?
        dhx = ...
        dx[:, t] = ...
        dh_next = ...
    return dx, dh_next, dW, db


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
