"""Solution of step 4: one step of an LSTM, backward, one gate a line (40 minutes).

This file is public: whoever looks for it finds it.

To vary the step: give the derivation with one line wrong and ask which gradients are wrong; or ask for a peephole.
"""

from __future__ import annotations

import numpy as np


def lstm_step_backward(dh, dc, cache):
    """Return dx, dh_prev, dc_prev, dW, db."""
    hx, c_prev, f, i, o, c_tilde, tanh_c, W = cache
    H = f.shape[1]
    do = dh * tanh_c
    dc = dc + dh * o * (1 - tanh_c ** 2)
    df = dc * c_prev
    di = dc * c_tilde
    dc_tilde = dc * i
    dc_prev = dc * f
    dz_f = df * f * (1 - f)
    dz_i = di * i * (1 - i)
    dz_o = do * o * (1 - o)
    dz_c = dc_tilde * (1 - c_tilde ** 2)
    dz = np.concatenate([dz_f, dz_i, dz_o, dz_c], axis=1)
    dW = hx.T @ dz
    db = dz.sum(axis=0)
    dhx = dz @ W.T
    return dhx[:, H:], dhx[:, :H], dc_prev, dW, db


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
