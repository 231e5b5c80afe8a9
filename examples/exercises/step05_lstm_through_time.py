"""Step 5: an LSTM through time (25 minutes).

Your step of step 3 in a loop, and your backward of step 4 in a loop that runs the other way. Two states travel: h and c.

    h_t, c_t = lstm_step(x_t, h_{t-1}, c_{t-1}, W, b)       t = 0 ... T - 1

    x (N, T, D)   h0, c0 (N, H)   W (H + D, 4H)   b (4H,)   ->   h (N, T, H), c_last (N, H)
    dh (N, T, H), dc_last (N, H)   ->   dx (N, T, D), dh0, dc0 (N, H), dW (H + D, 4H), db (4H,)

Write down first: what are the gradients dh_next and dc_next before the loop back begins? Are both zero?

Replace each ``...`` below. Then: python -m minilstm grade step05_lstm_through_time.py   (or run this file)
"""

from __future__ import annotations

import numpy as np


def lstm_step(x, h_prev, c_prev, W, b):
    raise NotImplementedError("paste your lstm_step of step 3 here, with its sigmoid")


def lstm_step_backward(dh, dc, cache):
    raise NotImplementedError("paste your lstm_step_backward of step 4 here")


def lstm_forward(x, h0, c0, W, b):
    """Return h (N, T, H), c_last (N, H) and the caches of all steps."""
    (N, T, _), H = x.shape, h0.shape[1]
    out, caches = np.zeros((N, T, H)), []
    h, c = h0, c0
    for t in range(T):
        h, c, cache = ...
        out[:, t] = ...
        caches.append(cache)
    return out, c, caches


def lstm_backward(dh, dc_last, caches):
    """Return dx (N, T, D), dh0, dc0 (N, H), dW (H + D, 4H), db (4H,)."""
    (N, T, H), rows = dh.shape, caches[0][0].shape[1]
    dx, dW, db = np.zeros((N, T, rows - H)), np.zeros((rows, 4 * H)), np.zeros(4 * H)
    dh_next = ...
    dc_next = ...
    for t in reversed(range(T)):
        dh_t = ...
        dx[:, t], dh_next, dc_next, dW_t, db_t = ...
        ...                         # what happens to dW?
        ...                         # and to db?
    return dx, dh_next, dc_next, dW, db


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
