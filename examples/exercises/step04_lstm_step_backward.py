"""Step 4: one step of an LSTM, backward, one gate a line (40 minutes).

    f = σ(z_f)   i = σ(z_i)   o = σ(z_o)   c̃ = tanh(z_c)        where [z_f, z_i, z_o, z_c] = [h_{t-1}, x_t] W + b
    c_t = f * c_{t-1} + i * c̃
    h_t = o * tanh(c_t)

Given are dh, the gradient of h_t, and dc, what step t + 1 sends back to c_t. Read the equations from the bottom up.

    dh, dc (N, H)   ->   dx (N, D), dh_prev, dc_prev (N, H), dW (H + D, 4H), db (4H,)

In cache lie [h, x] (N, H + D), c_prev, f, i, o, c̃ and tanh(c), all (N, H), and W. The gates lie there AFTER their σ or tanh.
The grader brings its own forward, so that you need none here.

Write down first: by which two ways does c_t reach the loss?

Replace each ``...`` below. Then: python -m minilstm grade step04_lstm_step_backward.py   (or run this file)
"""

from __future__ import annotations

import numpy as np


def lstm_step_backward(dh, dc, cache):
    """Return dx, dh_prev, dc_prev, dW, db."""
    hx, c_prev, f, i, o, c_tilde, tanh_c, W = cache
    H = f.shape[1]
    do = ...
    dc = ...
    df = ...
    di = ...
    dc_tilde = ...
    dc_prev = ...
    dz_f = ...
    dz_i = ...
    dz_o = ...
    dz_c = ...
    dz = np.concatenate([dz_f, dz_i, dz_o, dz_c], axis=1)
    dW = ...
    db = ...
    dhx = ...
    return dhx[:, H:], dhx[:, :H], dc_prev, dW, db


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
