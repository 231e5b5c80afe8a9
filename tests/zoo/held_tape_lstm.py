# LSTM for (batch, time, features); the four gates share one product, columns g | i | f | o.
# Hidden and cell states are stored with the initial one in front: hs[:, t] is the state *before* step t.
import numpy as np


def logistic(a):
    return np.exp(-np.logaddexp(0.0, -a))


def run(x, h0, c0, Wx, Wh, b):
    n, steps, _ = x.shape
    k = h0.shape[1]
    hs = np.zeros((n, steps + 1, k))
    cs = np.zeros((n, steps + 1, k))
    act = np.zeros((n, steps, 4 * k))
    hs[:, 0], cs[:, 0] = h0, c0
    for t in range(steps):
        a = x[:, t].dot(Wx) + hs[:, t].dot(Wh) + b
        act[:, t, :k] = np.tanh(a[:, :k])
        act[:, t, k:] = logistic(a[:, k:])
        g, i, f, o = np.split(act[:, t], 4, axis=1)
        cs[:, t + 1] = f * cs[:, t] + i * g
        hs[:, t + 1] = o * np.tanh(cs[:, t + 1])
    return hs[:, 1:].copy(), hs[:, -1].copy(), cs[:, -1].copy(), (x, hs, cs, act, Wx, Wh)


def run_back(dy, dh_last, dc_last, tape):
    x, hs, cs, act, Wx, Wh = tape
    n, steps, d = x.shape
    k = Wh.shape[0]
    da = np.zeros_like(act)
    dh = dh_last
    dc = dc_last
    for t in range(steps - 1, -1, -1):
        g, i, f, o = np.split(act[:, t], 4, axis=1)
        tc = np.tanh(cs[:, t + 1])
        dh = dh + dy[:, t]
        dc = dc + dh * o * (1 - tc * tc)
        da[:, t, :k] = dc * i * (1 - g * g)
        da[:, t, k:2 * k] = dc * g * i * (1 - i)
        da[:, t, 2 * k:3 * k] = dc * cs[:, t] * f * (1 - f)
        da[:, t, 3 * k:] = dh * tc * o * (1 - o)
        dh = da[:, t].dot(Wh.T)
        dc = dc * f
    # nothing below depends on the order of the steps, so flatten batch and time
    flat = da.reshape(n * steps, 4 * k)
    dWx = x.reshape(n * steps, d).T.dot(flat)
    dWh = hs[:, :-1].reshape(n * steps, k).T.dot(flat)
    db = flat.sum(axis=0)
    dx = da.dot(Wx.T)
    return dx, dh, dc, dWx, dWh, db
