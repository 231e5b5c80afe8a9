# GRU, columns r, z, n; the reset gate multiplies the product with h (and its bias)
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru_forward(x, h0, Wx, Wh, bx, bh):
    N, T, D = x.shape
    H = h0.shape[1]
    h = h0
    out = np.zeros((N, T, H))
    cache = []
    for t in range(T):
        ax = x[:, t] @ Wx + bx
        ah = h @ Wh + bh
        r = sigmoid(ax[:, :H] + ah[:, :H])
        z = sigmoid(ax[:, H:2 * H] + ah[:, H:2 * H])
        q = ah[:, 2 * H:]
        n = np.tanh(ax[:, 2 * H:] + r * q)
        h_prev = h
        h = (1 - z) * n + z * h_prev
        out[:, t] = h
        cache.append((x[:, t], h_prev, r, z, q, n, Wx, Wh))
    return out, cache


def gru_backward(dout, cache):
    N, T, H = dout.shape
    Wx, Wh = cache[0][-2:]
    dx = np.zeros((N, T, Wx.shape[0]))
    dWx, dWh = np.zeros_like(Wx), np.zeros_like(Wh)
    dbx, dbh = np.zeros(3 * H), np.zeros(3 * H)
    dh = np.zeros((N, H))
    for t in range(T)[::-1]:
        x_t, h_prev, r, z, q, n, Wx, Wh = cache[t]
        dh = dh + dout[:, t]
        dn = dh * (1 - z)
        dz = dh * (h_prev - n)
        da_n = dn * (1 - n ** 2)
        dq = da_n * r
        dr = da_n * q
        da_z = dz * z * (1 - z)
        da_r = dr * r * (1 - r)
        dax = np.concatenate([da_r, da_z, da_n], axis=1)
        dah = np.concatenate([da_r, da_z, dq], axis=1)
        dx[:, t] = dax @ Wx.T
        dWx += x_t.T @ dax
        dbx += dax.sum(axis=0)
        dWh += h_prev.T @ dah
        dbh += dah.sum(axis=0)
        dh = dh * z + dah @ Wh.T
    return dx, dh, dWx, dWh, dbx, dbh
