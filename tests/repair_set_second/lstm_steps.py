# LSTM, one step at a time; weights and gradients are dicts, the four gates stand in one matrix: i, f, o, g
import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm_step(x, prev_h, prev_c, params):
    a = x @ params["Wx"] + prev_h @ params["Wh"] + params["b"]
    ai, af, ao, ag = np.split(a, 4, axis=1)
    i, f, o = sigmoid(ai), sigmoid(af), sigmoid(ao)
    g = np.tanh(ag)
    next_c = f * prev_c + i * g
    tc = np.tanh(next_c)
    next_h = o * tc
    return next_h, next_c, (x, prev_h, prev_c, i, f, o, g, tc)


def lstm_step_back(dnext_h, dnext_c, cache, params):
    x, prev_h, prev_c, i, f, o, g, tc = cache
    do = tc * dnext_h
    dtc = o * dnext_h
    dcell = dnext_c + dtc * (1 - tc * tc)
    df = prev_c * dcell
    di = g * dcell
    dg = i * dcell
    dprev_c = f * dcell
    da = np.hstack((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g * g)))
    dx = da @ params["Wx"].T
    dprev_h = da @ params["Wh"].T
    grads = {"Wx": x.T @ da, "Wh": prev_h.T @ da, "b": da.sum(0)}
    return dx, dprev_h, dprev_c, grads


def lstm(xs, h0, params):
    """xs: (T, N, D), h0: (N, H); the cell starts at zero."""
    h, c = h0, np.zeros_like(h0)
    hs, caches = [], []
    for x in xs:
        h, c, cache = lstm_step(x, h, c, params)
        hs.append(h)
        caches.append(cache)
    return np.array(hs), (caches, params)


def lstm_back(dhs, stored):
    caches, params = stored
    total = {k: np.zeros_like(v) for k, v in params.items()}
    dxs = [None] * len(caches)
    dh = np.zeros_like(dhs[0])
    dc = np.zeros_like(dhs[0])
    for t in reversed(range(len(caches))):
        dh = dh + dhs[t]
        dxs[t], dh, dc, grads = lstm_step_back(dh, dc, caches[t], params)
        for k in total:
            total[k] += grads[k]
    return np.array(dxs), dh, total
