"""Step 8: padding and lengths (35 minutes).

Sequences of different lengths fill one rectangle: the end of the short ones is padded. What is padded must change nothing: a
padded step hands on the state it got, its output is 0, and gradient passes it by.

    pad: lists of ids   ->   tokens (N, T), 0 where padded, and lengths (N,); T is the longest
    real (N, T): True at the first lengths[n] steps of row n, False where padded
    h_t = tanh([h_{t-1}, x_t] W + b) where real, else h_{t-1}

    x (N, T, D), lengths (N,), h0 (N, H), W (H + D, H), b (H,)   ->   out (N, T, H), h_last (N, H)
    dout (N, T, H), dh_last (N, H)   ->   dx (N, T, D), dh0 (N, H), dW (H + D, H), db (H,)

Write down first: a sequence of length 2 in a batch with T = 5. Which of its states is h_last? How many factors tanh' has dh0?

Replace each ``...`` below. Then: python -m minilstm grade step08_padding.py   (or run this file)
"""

from __future__ import annotations

import numpy as np


def pad(sequences):
    """Return tokens (N, T) and lengths (N,)."""
    lengths = ...
    tokens = np.zeros((len(sequences), max(map(len, sequences))), dtype=int)
    for n, sequence in enumerate(sequences):
        ...
    return tokens, lengths


def masked_rnn_forward(x, lengths, h0, W, b):
    """Return out (N, T, H), h_last (N, H), and what backward needs."""
    (N, T, _), H = x.shape, h0.shape[1]
    out, h = np.zeros((N, T, H)), np.zeros((N, T + 1, H))      # h[:, t] is the state before step t
    h[:, 0] = h0
    real = ...  # (N, T)
    for t in range(T):
        new = np.tanh(np.concatenate([h[:, t], x[:, t]], axis=1) @ W + b)
        r = real[:, t, None]                        # (N, 1)
        h[:, t + 1] = ...
        out[:, t] = ...
    return out, h[:, T].copy(), (x, h, real, W)


def masked_rnn_backward(dout, dh_last, cache):
    """Return dx (N, T, D), dh0 (N, H), dW (H + D, H), db (H,)."""
    x, h, real, W = cache
    T, H = x.shape[1], h.shape[2]
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros(H)
    dh = dh_last                                    # of the state after step t
    for t in reversed(range(T)):
        r = real[:, t, None]
        dh_t = ...
        dz = ...
        dW += np.concatenate([h[:, t], x[:, t]], axis=1).T @ dz
        db += dz.sum(axis=0)
        dhx = dz @ W.T
        dx[:, t] = dhx[:, H:]
        dh = ...
    return dx, dh, dW, db


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
