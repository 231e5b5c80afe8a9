# LSTM with peepholes: the gates i and f also look at the old cell, the gate o at the new one
import numpy as np


def logistic(x):
    return 1 / (1 + np.exp(-x))


def peephole_forward(x, h0, c0, W, R, b, pi, pf, po):
    """x: (N, T, D), W: (D, 4H), R: (H, 4H), b: (4H,) in the order i, f, g, o; pi, pf, po: (H,)."""
    N, T, D = x.shape
    H = h0.shape[1]
    hs = np.zeros((N, T, H))
    saved = []
    h, c = h0, c0
    for t in range(T):
        a = x[:, t] @ W + h @ R + b
        i = logistic(a[:, :H] + pi * c)
        f = logistic(a[:, H:2 * H] + pf * c)
        g = np.tanh(a[:, 2 * H:3 * H])
        c_next = f * c + i * g
        o = logistic(a[:, 3 * H:] + po * c_next)
        tc = np.tanh(c_next)
        saved.append((h, c, i, f, g, o, c_next, tc))
        h, c = o * tc, c_next
        hs[:, t] = h
    return hs, (x, W, R, pi, pf, po, saved)


def peephole_backward(dhs, cache):
    x, W, R, pi, pf, po, saved = cache
    N, T, D = x.shape
    H = R.shape[0]
    dx, dW, dR, db = np.zeros_like(x), np.zeros_like(W), np.zeros_like(R), np.zeros(4 * H)
    dpi, dpf, dpo = np.zeros(H), np.zeros(H), np.zeros(H)
    dh = np.zeros((N, H))
    dc = np.zeros((N, H))
    for t in reversed(range(T)):
        h_prev, c_prev, i, f, g, o, c, tc = saved[t]
        dh = dh + dhs[:, t]
        dao = dh * tc * o * (1 - o)
        dc = dc + dh * o * (1 - tc ** 2)
        dc = dc + dao * po
        dai = dc * g * i * (1 - i)
        daf = dc * c_prev * f * (1 - f)
        dag = dc * i * (1 - g ** 2)
        dpi += (dai * c_prev).sum(axis=0)
        dpf += (daf * c_prev).sum(axis=0)
        dpo += (dao * c).sum(axis=0)
        da = np.concatenate([dai, daf, dag, dao], axis=1)
        dx[:, t] = da @ W.T
        dW += x[:, t].T @ da
        dR += h_prev.T @ da
        db += da.sum(axis=0)
        dh = da @ R.T
        dc = dc * f + dai * pi + daf * pf
    return dx, dh, dc, dW, dR, db, dpi, dpf, dpo
