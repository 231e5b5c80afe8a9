"""Solution of step 5: an LSTM through time (25 minutes).

This file is public: whoever looks for it finds it.

To vary the step: reverse the sequence, or return the last output only.
"""

from __future__ import annotations

import numpy as np


def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def lstm_step(x, h_prev, c_prev, W, b):
    H = h_prev.shape[1]
    hx = np.concatenate([h_prev, x], axis=1)
    z = hx @ W + b
    f, i, o = (sigmoid(z[:, k * H:(k + 1) * H]) for k in range(3))
    c_tilde = np.tanh(z[:, 3 * H:])
    c = f * c_prev + i * c_tilde
    tanh_c = np.tanh(c)
    return o * tanh_c, c, (hx, c_prev, f, i, o, c_tilde, tanh_c, W)


def lstm_step_backward(dh, dc, cache):
    hx, c_prev, f, i, o, c_tilde, tanh_c, W = cache
    H = f.shape[1]
    do = dh * tanh_c
    dc = dc + dh * o * (1 - tanh_c ** 2)
    dz_f, dz_i = dc * c_prev * f * (1 - f), dc * c_tilde * i * (1 - i)
    dz_o, dz_c = do * o * (1 - o), dc * i * (1 - c_tilde ** 2)
    dz = np.concatenate([dz_f, dz_i, dz_o, dz_c], axis=1)
    dhx = dz @ W.T
    return dhx[:, H:], dhx[:, :H], dc * f, hx.T @ dz, dz.sum(axis=0)


def lstm_forward(x, h0, c0, W, b):
    """Return h (N, T, H), c_last (N, H) and the caches of all steps."""
    (N, T, _), H = x.shape, h0.shape[1]
    out, caches = np.zeros((N, T, H)), []
    h, c = h0, c0
    for t in range(T):
        h, c, cache = lstm_step(x[:, t], h, c, W, b)
        out[:, t] = h
        caches.append(cache)
    return out, c, caches


def lstm_backward(dh, dc_last, caches):
    """Return dx (N, T, D), dh0, dc0 (N, H), dW (H + D, 4H), db (4H,)."""
    (N, T, H), rows = dh.shape, caches[0][0].shape[1]
    dx, dW, db = np.zeros((N, T, rows - H)), np.zeros((rows, 4 * H)), np.zeros(4 * H)
    dh_next = np.zeros((N, H))
    dc_next = dc_last
    for t in reversed(range(T)):
        dh_t = dh[:, t] + dh_next
        dx[:, t], dh_next, dc_next, dW_t, db_t = lstm_step_backward(dh_t, dc_next, caches[t])
        dW += dW_t
        db += db_t
    return dx, dh_next, dc_next, dW, db


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
