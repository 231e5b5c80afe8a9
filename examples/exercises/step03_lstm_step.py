"""Step 3: one step of an LSTM, forward (15 minutes).

    f = σ(z_f)   i = σ(z_i)   o = σ(z_o)   c̃ = tanh(z_c)        where [z_f, z_i, z_o, z_c] = [h_{t-1}, x_t] W + b
    c_t = f * c_{t-1} + i * c̃
    h_t = o * tanh(c_t)

    x (N, D)   h_prev, c_prev (N, H)   W (H + D, 4H), column blocks in the order f, i, o, c̃   b (4H,)   ->   h, c (N, H)

Write down first: let f = 1 and i = 0. What is c_t? And what would the gradient of c_{t-1} be?

Replace each ``...`` below. Then: python -m minilstm grade step03_lstm_step.py   (or run this file)
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
    f = ...
    i = ...
    o = ...
    c_tilde = ...
    c = ...
    h = ...
    return h, c, (hx, c_prev, f, i, o, c_tilde, np.tanh(c), W)


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
