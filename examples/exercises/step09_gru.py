"""Step 9: a GRU, one step forward and backward (40 minutes).

    r = σ(h_{t-1} W_hr + x W_xr + b_r)              z = σ(h_{t-1} W_hz + x W_xz + b_z)
    q = h_{t-1} W_hn + b_nh                         n = tanh(x W_xn + b_nx + r * q)
    h_t = (1 - z) * n + z * h_{t-1}

    x (N, D)   h_prev (N, H)   W (H + D, 3H), rows [h; x], columns r, z, n   b (4H,): b_r, b_z, b_nx, b_nh   ->   h (N, H)
    dh (N, H)   ->   dx (N, D), dh_prev (N, H), dW (H + D, 3H), db (4H,)

da_r, da_z, da_n are the gradients of the arguments of σ, σ, tanh. The candidate is the one gate where h and x receive
different gradients, dq and da_n, since r stands between them.

Write down first: by how many ways does h_{t-1} reach h_t?

Replace each ``...`` below. Then: python -m minilstm grade step09_gru.py   (or run this file)
"""

from __future__ import annotations

import numpy as np


def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def gru_step(x, h_prev, W, b):
    """Return h (N, H) and what backward needs."""
    H = h_prev.shape[1]
    from_h, from_x = h_prev @ W[:H], x @ W[H:]      # (N, 3H) each
    r = ...
    z = ...
    q = ...
    n = ...
    h = ...
    return h, (x, h_prev, r, z, n, q, W)


def gru_step_backward(dh, cache):
    """Return dx (N, D), dh_prev (N, H), dW (H + D, 3H), db (4H,)."""
    x, h_prev, r, z, n, q, W = cache
    H = h_prev.shape[1]
    dn = ...
    dz = ...
    dh_prev = ...  # the direct way
    da_n = ...
    dq = ...
    dr = ...
    da_z = ...
    da_r = ...
    to_h = np.concatenate([da_r, da_z, dq], axis=1)
    to_x = np.concatenate([da_r, da_z, da_n], axis=1)
    dh_prev = dh_prev + ...                     # and through W
    dx = ...
    dW = np.concatenate([h_prev.T @ to_h, x.T @ to_x])
    db = np.concatenate([da_r, da_z, da_n, dq], axis=1).sum(axis=0)
    return dx, dh_prev, dW, db


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
