# GRU whose cache is the backward function itself; weights (3H, D) and (3H, H), rows z, r, n
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(x, h0, W, U, b, c):
    T, N, D = x.shape
    H = h0.shape[1]
    h = h0
    backs, ys = [], []

    def step(x_t, h):
        a = x_t @ W.T + b
        k = h @ U.T + c
        z = sigmoid(a[:, :H] + k[:, :H])
        r = sigmoid(a[:, H:2 * H] + k[:, H:2 * H])
        q = k[:, 2 * H:]
        n = np.tanh(a[:, 2 * H:] + r * q)

        def back(dh):
            dn = dh * (1 - z) * (1 - n * n)
            dz = dh * (h - n) * z * (1 - z)
            dr = dn * q * r * (1 - r)
            da = np.hstack([dz, dr, dn])
            dk = np.hstack([dz, dr, dn * r])
            return da @ W, dh * z + dk @ U, da.T @ x_t, dk.T @ h, da.sum(0), dk.sum(0)

        return z * h + (1 - z) * n, back

    for t in range(T):
        h, back = step(x[t], h)
        backs.append(back)
        ys.append(h)

    def backward(dys):
        dx = np.zeros_like(x)
        total = [np.zeros_like(p) for p in (W, U, b, c)]
        dh = np.zeros_like(h0)
        for t in reversed(range(T)):
            dx[t], dh, *rest = backs[t](dys[t] + dh)
            for sum_, g in zip(total, rest):
                sum_ += g
        return dx, dh, *total

    return np.stack(ys), backward


def apply(dys, backward):
    return backward(dys)
