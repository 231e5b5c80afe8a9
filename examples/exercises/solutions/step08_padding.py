"""Solution of step 8: padding and lengths (35 minutes).

This file is public: whoever looks for it finds it.

To vary the step: pad at the front ("pre"), or take the mean of the real outputs.
"""

from __future__ import annotations

import numpy as np


def pad(sequences):
    """Return tokens (N, T) and lengths (N,)."""
    lengths = np.array([len(sequence) for sequence in sequences])
    tokens = np.zeros((len(sequences), max(map(len, sequences))), dtype=int)
    for n, sequence in enumerate(sequences):
        tokens[n, :len(sequence)] = sequence
    return tokens, lengths


def masked_rnn_forward(x, lengths, h0, W, b):
    """Return out (N, T, H), h_last (N, H), and what backward needs."""
    (N, T, _), H = x.shape, h0.shape[1]
    out, h = np.zeros((N, T, H)), np.zeros((N, T + 1, H))      # h[:, t] is the state before step t
    h[:, 0] = h0
    real = np.arange(T) < lengths[:, None]                     # (N, T)
    for t in range(T):
        new = np.tanh(np.concatenate([h[:, t], x[:, t]], axis=1) @ W + b)
        r = real[:, t, None]                        # (N, 1)
        h[:, t + 1] = np.where(r, new, h[:, t])
        out[:, t] = np.where(r, new, 0)
    return out, h[:, T].copy(), (x, h, real, W)


def masked_rnn_backward(dout, dh_last, cache):
    """Return dx (N, T, D), dh0 (N, H), dW (H + D, H), db (H,)."""
    x, h, real, W = cache
    T, H = x.shape[1], h.shape[2]
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros(H)
    dh = dh_last                                    # of the state after step t
    for t in reversed(range(T)):
        r = real[:, t, None]
        dh_t = dh + np.where(r, dout[:, t], 0)
        dz = np.where(r, dh_t * (1 - h[:, t + 1] ** 2), 0)
        dW += np.concatenate([h[:, t], x[:, t]], axis=1).T @ dz
        db += dz.sum(axis=0)
        dhx = dz @ W.T
        dx[:, t] = dhx[:, H:]
        dh = np.where(r, dhx[:, :H], dh_t)
    return dx, dh, dW, db


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
