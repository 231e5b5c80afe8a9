# 1-D convolution with zeros at both ends, ReLU, then the largest of every two neighbours
import numpy as np


def conv_forward(x, w, b):
    """x: (N, C, L), w: (F, C, K) with K odd, b: (F,); L even."""
    N, C, L = x.shape
    F, _, K = w.shape
    pad = K // 2
    xp = np.zeros((N, C, L + 2 * pad))
    xp[:, :, pad:pad + L] = x
    a = np.zeros((N, F, L))
    for n in range(N):
        for j in range(L):
            window = xp[n, :, j:j + K]
            for k in range(F):
                a[n, k, j] = np.sum(window * w[k]) + b[k]
    r = np.maximum(a, 0)
    pairs = r.reshape(N, F, L // 2, 2)
    out = pairs.max(axis=3)
    winner = pairs.argmax(axis=3)
    return out, (x, xp, w, b, a, winner)


def conv_backward(dout, cache):
    x, xp, w, b, a, winner = cache
    N, C, L = x.shape
    F, _, K = w.shape
    pad = K // 2
    dr = np.zeros(a.shape)
    for n in range(N):
        for k in range(F):
            for j in range(L // 2):
                dr[n, k, 2 * j + winner[n, k, j]] = dout[n, k, j]
    da = dr * (a > 0)
    dxp = np.zeros_like(xp)
    dw = np.zeros_like(w)
    for n in range(N):
        for j in range(L):
            for k in range(F):
                dw[k] += da[n, k, j] * xp[n, :, j:j + K]
                dxp[n, :, j:j + K] += da[n, k, j] * w[k]
    db = da.sum(axis=(0, 2))
    dx = dxp[:, :, pad:pad + L]
    return dx, dw, db
