"""Solution of step 3: one step of an LSTM, forward (15 minutes).

This file is public: whoever looks for it finds it.

To vary the step: another order of the gates, or one gate coupled to another (i = 1 - f).
"""

from __future__ import annotations

import numpy as np


def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def lstm_step(x, h_prev, c_prev, W, b):
    """Return h (N, H), c (N, H) and what backward needs."""
    H = h_prev.shape[1]
    hx = np.concatenate([h_prev, x], axis=1)
    z = hx @ W + b                                  # (N, 4H)
    f = sigmoid(z[:, :H])
    i = sigmoid(z[:, H:2 * H])
    o = sigmoid(z[:, 2 * H:3 * H])
    c_tilde = np.tanh(z[:, 3 * H:])
    c = f * c_prev + i * c_tilde
    h = o * np.tanh(c)
    return h, c, (hx, c_prev, f, i, o, c_tilde, np.tanh(c), W)


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
