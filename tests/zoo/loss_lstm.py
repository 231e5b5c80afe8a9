# a softmax on top of every step and the mean loss inside; backward needs nothing but the cache
import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def loss_and_cache(x, y, Wx, Wh, b, Wy, by):
    """x: (N, T, D), y: (N, T) class numbers."""
    N, T, D = x.shape
    H = Wh.shape[0]
    h = np.zeros((N, H))
    c = np.zeros((N, H))
    steps = []
    loss = 0.0
    for t in range(T):
        h_before, c_before = h, c
        a = x[:, t].dot(Wx) + h.dot(Wh) + b
        i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H:2 * H]), sigmoid(a[:, 2 * H:3 * H])
        g = np.tanh(a[:, 3 * H:])
        c = f * c + i * g
        h = o * np.tanh(c)
        scores = h.dot(Wy) + by
        scores = scores - scores.max(axis=1, keepdims=True)
        probs = np.exp(scores)
        probs /= probs.sum(axis=1, keepdims=True)
        loss -= np.log(probs[np.arange(N), y[:, t]]).sum()
        steps.append((h_before, c_before, i, f, o, g, h, c, probs))
    loss /= N * T
    return loss, (x, y, Wx, Wh, Wy, steps)


def backward(cache):
    x, y, Wx, Wh, Wy, steps = cache
    N, T, D = x.shape
    H, V = Wy.shape
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(4 * H)
    dWy, dby = np.zeros_like(Wy), np.zeros(V)
    dh_next, dc_next = np.zeros((N, H)), np.zeros((N, H))
    for t in reversed(range(T)):
        h_before, c_before, i, f, o, g, h, c, probs = steps[t]
        dscores = probs.copy()
        dscores[np.arange(N), y[:, t]] -= 1
        dscores /= N * T
        dWy += h.T.dot(dscores)
        dby += dscores.sum(axis=0)
        dh = dscores.dot(Wy.T) + dh_next
        tc = np.tanh(c)
        dc = dc_next + dh * o * (1 - tc ** 2)
        da = np.hstack([dc * g * i * (1 - i), dc * c_before * f * (1 - f), dh * tc * o * (1 - o), dc * i * (1 - g ** 2)])
        dx[:, t] = da.dot(Wx.T)
        dWx += x[:, t].T.dot(da)
        dWh += h_before.T.dot(da)
        db += da.sum(axis=0)
        dh_next = da.dot(Wh.T)
        dc_next = dc * f
    return {"dx": dx, "dWx": dWx, "dWh": dWh, "db": db, "dWy": dWy, "dby": dby}
